/* gemm_int8.c - gemm_tile and pack_panel with products of bytes, for inference: four products to a lane and
 * instruction. The arithmetic, and what a panel holds: byte_rows.h. */
#include "backend/cpu/kernels/byte_rows.h"
#include "backend/cpu/kernels/row_blocks.h"

#include "base/sizes.h"

#include <math.h>

enum { PANEL = GEMM_VECTORS * LANES };

void ISA_NAME(pack_panel_int8)(const float *weights, size_t depth_stride, size_t column_stride, int depth, int width,
                               const float *scale, Packed *panel) {
    float *scales = panel, *sums = scales + PANEL;
    int8_t *bytes = (int8_t *)(void *)(sums + PANEL);
    memset(panel, 0, INT8_PANEL_HEAD(PANEL) + round_up((size_t)depth, QUAD) * PANEL);
    for (int n = 0; n < width; n++) {
        const float *column = weights + (size_t)n * column_stride;
        float factor = scale ? scale[n] : 1, largest = 0, sum = 0;
        for (int d = 0; d < depth; d++) {
            float weight = column[(size_t)d * depth_stride] * factor;
            largest = fmaxf(largest, fabsf(weight));
            sum += weight * 0; /* NaN where a weight is not finite */
        }
        float step = largest / 127;
        for (int d = 0; d < depth && step > 0 && isfinite(step); d++) {
            float rounded = nearbyintf(column[(size_t)d * depth_stride] * factor / step);
            bytes[((size_t)(d / QUAD) * PANEL + (size_t)n) * QUAD + (size_t)(d % QUAD)] = (int8_t)rounded;
            sum += rounded;
        }
        scales[n] = step;
        sums[n] = step * sum;
    }
}

typedef struct RoundedRows {
    _Alignas(64) uint8_t bytes[GEMM_ROWS][INT8_DEPTH + 64]; /* whole vectors, and a quad of zeros behind */
    float step[GEMM_ROWS], low[GEMM_ROWS];
} RoundedRows;

INLINE void bytes_block(int rows, int vectors, const RoundedRows *from, int depth, const char *panel, int columns,
                        Value *c, size_t c_stride, const Value *add, const float *bias) {
    const float *scales = (const float *)(const void *)panel, *sums = scales + PANEL;
    const char *b = panel + INT8_PANEL_HEAD(PANEL);
    Integers acc[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = integers_zero();
    for (int d = 0; d < depth; d += QUAD, b += PANEL * QUAD) {
        Quads weights[GEMM_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) weights[v] = quads_load(b + v * LANES * QUAD);
        UNROLL for (int r = 0; r < rows; r++) {
            Quads x = quads_all(from->bytes[r] + d);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = integers_dot(acc[r][v], x, weights[v]);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        if (left <= 0) break;
        const ByteColumns column =
            byte_columns(scales + v * LANES, sums + v * LANES, bias ? bias + v * LANES : NULL, tail);
        UNROLL for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * c_stride + (size_t)(v * LANES);
            byte_sums_store(&column, acc[r][v], from->step[r], from->low[r], c + at, add ? add + at : NULL, tail);
        }
    }
}

void ISA_NAME(gemm_tile_int8)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                              Stored *c, size_t c_stride, const Stored *add, const float *bias) {
    const size_t panel_bytes = INT8_PANEL_HEAD(PANEL) + round_up((size_t)depth, QUAD) * PANEL;
    RoundedRows rounded;
    for (int first = 0; first < rows;) {
        int share = even_share(rows - first);
        for (int r = 0; r < share; r++) {
            memset(rounded.bytes[r] + depth / QUAD * QUAD, 0, QUAD);
            round_row((const Value *)tile + (size_t)(first + r) * TILE_CHANNELS, tile_rows, depth, rounded.bytes[r],
                      &rounded.step[r], &rounded.low[r]);
        }
        const char *panel = packed;
        for (int n = 0; n < columns; n += PANEL, panel += panel_bytes) {
            size_t at = (size_t)first * c_stride + (size_t)n;
            const Value *plus = add ? (const Value *)add + at : NULL;
            Value *to = (Value *)c + at;
            const float *start = bias ? bias + n : NULL;
            int left = columns - n;
#define BLOCK(count, vectors) bytes_block(count, vectors, &rounded, depth, panel, left, to, c_stride, plus, start)
            WITH_BLOCK(share, left, BLOCK);
#undef BLOCK
        }
        first += share;
    }
}
