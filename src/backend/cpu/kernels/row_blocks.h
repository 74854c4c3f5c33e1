/* row_blocks.h - what the matrix kernels share: rows in blocks of at most GEMM_ROWS, whose count is a constant in the
 * body that is called. */
#ifndef EFFNET_ROW_BLOCKS_H
#define EFFNET_ROW_BLOCKS_H

#include "backend/cpu/kernels/common.h"

/* CALL(rows, vectors) with both as constants: GEMM_VECTORS where more than one vector of columns is left, else one. */
#define ROW_CASE(n, vectors, CALL)                                                                                     \
    case n: {                                                                                                          \
        if (n <= GEMM_ROWS) {                                                                                          \
            CALL((n <= GEMM_ROWS ? n : 1), vectors);                                                                   \
        }                                                                                                              \
        break;                                                                                                         \
    }
/* clang-format never settles on this one. */
/* clang-format off */
#define WITH_ROWS(rows, vectors, CALL)                                                                                 \
    switch (rows) {                                                                                                    \
        ROW_CASE(1, vectors, CALL) ROW_CASE(2, vectors, CALL) ROW_CASE(3, vectors, CALL) ROW_CASE(4, vectors, CALL)    \
        ROW_CASE(5, vectors, CALL) ROW_CASE(6, vectors, CALL) ROW_CASE(7, vectors, CALL) ROW_CASE(8, vectors, CALL)    \
        ROW_CASE(9, vectors, CALL) ROW_CASE(10, vectors, CALL) ROW_CASE(11, vectors, CALL) ROW_CASE(12, vectors, CALL) \
    }
/* clang-format on */
#define WITH_BLOCK(rows, columns_left, CALL)                                                                           \
    do {                                                                                                               \
        if ((columns_left) > LANES)                                                                                    \
            WITH_ROWS(rows, GEMM_VECTORS, CALL)                                                                        \
        else                                                                                                           \
            WITH_ROWS(rows, 1, CALL)                                                                                   \
    } while (0)

/* Rows of the next block where `left` rows remain. */
INLINE int even_share(int left) {
    int blocks = (left + GEMM_ROWS - 1) / GEMM_ROWS;
    return (left + blocks - 1) / blocks;
}

#endif
