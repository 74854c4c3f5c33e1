/* gemm_body.h - the matrix kernels: a block of GEMM_ROWS x (GEMM_VECTORS * LANES) outputs held in registers.
 *
 * AVX-512: 12 x 32 = 24 accumulators, 2 vectors of B, 1 broadcast of A: 27 of 32 registers; 24 multiply-adds for 14
 * loads. AVX2: 6 x 16 = 12 accumulators of 16 registers. Rows are shared out evenly (49 rows: 10, 10, 10, 10, 9), so
 * that no block is left with a single row. */
#include "backend/cpu/kernels/activation_body.h"
#include "backend/cpu/kernels/common_body.h"

enum { PANEL = GEMM_VECTORS * LANES };

/* acc (rows, vectors) += sum over k of a[r * row_stride + k * depth_stride] * b[k * b_stride ...] */
INLINE void multiply_add(Vector acc[GEMM_ROWS][GEMM_VECTORS], int rows, int vectors, const float *a, size_t row_stride,
                         size_t depth_stride, const float *b, size_t b_stride, int depth) {
    for (int k = 0; k < depth; k++) {
        Vector bk[GEMM_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) bk[v] = vector_load(b + v * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            Vector ar = vector_all(a[(size_t)r * row_stride]);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = vector_fma(ar, bk[v], acc[r][v]);
        }
        a += depth_stride;
        b += b_stride;
    }
}

INLINE void tile_block(int rows, int vectors, const float *tile, int tile_rows, int depth, const float *packed,
                       int columns, float *c, size_t c_stride, const float *add) {
    Vector acc[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = vector_all(0.0f);
    for (int k = 0; k < depth; k += TILE_CHANNELS) {
        int count = depth - k < TILE_CHANNELS ? depth - k : TILE_CHANNELS;
        multiply_add(acc, rows, vectors, tile + tile_offset(k, tile_rows), TILE_CHANNELS, 1, packed + (size_t)k * PANEL,
                     PANEL, count);
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        if (left <= 0) break;
        UNROLL for (int r = 0; r < rows; r++) {
            Vector value = acc[r][v];
            if (add) value = value + load_lanes(add + (size_t)r * c_stride + v * LANES, tail);
            store_lanes(c + (size_t)r * c_stride + v * LANES, value, tail);
        }
    }
}

INLINE void transposed_block(int rows, int vectors, const float *a, const float *b, int pixels, int columns, float *c,
                             size_t c_stride) {
    Vector acc[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        UNROLL for (int r = 0; r < rows; r++) acc[r][v] =
            left <= 0 ? vector_all(0.0f) : load_lanes(c + (size_t)r * c_stride + v * LANES, tail);
    }
    multiply_add(acc, rows, vectors, a, 1, TILE_CHANNELS, b, TILE_CHANNELS, pixels);
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        if (left <= 0) break;
        UNROLL for (int r = 0; r < rows; r++) store_lanes(c + (size_t)r * c_stride + v * LANES, acc[r][v], tail);
    }
}

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

void ISA_NAME(gemm_tile)(const float *tile, int tile_rows, int rows, int depth, const float *packed, int columns,
                         float *c, size_t c_stride, const float *add) {
    for (int n = 0; n < columns; n += PANEL) {
        int left = columns - n;
        const float *panel = packed + (size_t)n * (size_t)depth;
        for (int r = 0; r < rows;) {
            int share = even_share(rows - r);
            const float *from = tile + (size_t)r * TILE_CHANNELS, *plus = add ? add + (size_t)r * c_stride + n : NULL;
            float *to = c + (size_t)r * c_stride + n;
#define BLOCK_WIDE(count)   tile_block(count, GEMM_VECTORS, from, tile_rows, depth, panel, left, to, c_stride, plus)
#define BLOCK_NARROW(count) tile_block(count, 1, from, tile_rows, depth, panel, left, to, c_stride, plus)
            if (left > LANES)
                WITH_ROWS(share, BLOCK_WIDE)
            else
                WITH_ROWS(share, BLOCK_NARROW)
#undef BLOCK_WIDE
#undef BLOCK_NARROW
            r += share;
        }
    }
}

void ISA_NAME(gemm_transposed)(const float *a_tile, const float *b_tile, int tile_rows, int pixels, int m, int n,
                               float *c, size_t c_stride) {
    for (int column = 0; column < n; column += PANEL) {
        int left = n - column;
        const float *b = b_tile + tile_offset(column, tile_rows);
        for (int row = 0; row < m;) {
            int in_block = TILE_CHANNELS - row % TILE_CHANNELS;
            int share = even_share(m - row < in_block ? m - row : in_block);
            const float *a = a_tile + tile_offset(row, tile_rows);
            float *to = c + (size_t)row * c_stride + column;
#define BLOCK_WIDE(count)   transposed_block(count, GEMM_VECTORS, a, b, pixels, left, to, c_stride)
#define BLOCK_NARROW(count) transposed_block(count, 1, a, b, pixels, left, to, c_stride)
            if (left > LANES)
                WITH_ROWS(share, BLOCK_WIDE)
            else
                WITH_ROWS(share, BLOCK_NARROW)
#undef BLOCK_WIDE
#undef BLOCK_NARROW
            row += share;
        }
    }
}
