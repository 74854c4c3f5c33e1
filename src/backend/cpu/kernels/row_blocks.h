/* row_blocks.h - what the matrix kernels share: rows in blocks of at most GEMM_ROWS, whose count is a constant in the
 * body that is called. */
#ifndef EFFNET_ROW_BLOCKS_H
#define EFFNET_ROW_BLOCKS_H

#include "backend/cpu/kernels/common.h"

/* CALL(rows) with the row count as a constant. */
#define ROW_CASE(n, rows, CALL)                                                                                        \
    case n: {                                                                                                          \
        if (n <= GEMM_ROWS) {                                                                                          \
            CALL((n <= GEMM_ROWS ? n : 1));                                                                            \
        }                                                                                                              \
        break;                                                                                                         \
    }
/* clang-format never settles on this one. */
/* clang-format off */
#define WITH_ROWS(rows, CALL)                                                                                          \
    switch (rows) {                                                                                                    \
        ROW_CASE(1, rows, CALL) ROW_CASE(2, rows, CALL) ROW_CASE(3, rows, CALL) ROW_CASE(4, rows, CALL)                \
        ROW_CASE(5, rows, CALL) ROW_CASE(6, rows, CALL) ROW_CASE(7, rows, CALL) ROW_CASE(8, rows, CALL)                \
        ROW_CASE(9, rows, CALL) ROW_CASE(10, rows, CALL) ROW_CASE(11, rows, CALL) ROW_CASE(12, rows, CALL)             \
    }
/* clang-format on */

/* Rows of the next block where `left` rows remain. */
INLINE int even_share(int left) {
    int blocks = (left + GEMM_ROWS - 1) / GEMM_ROWS;
    return (left + blocks - 1) / blocks;
}

#endif
