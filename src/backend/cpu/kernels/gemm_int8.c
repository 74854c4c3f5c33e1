/* gemm_int8.c - gemm_tile and pack_panel with products of bytes, for inference.
 *
 * Weights are rounded once to q_w in -127..127, a scale for each column: w = scale q_w. A row of the tile, which is a
 * pixel, is rounded as it comes ("dynamic": nothing is calibrated beforehand) to q in 0..255 over its own range, zero
 * included: x = low + step q. Then
 *
 *   sum_k x_k w_k = step scale sum_k q_k q_w,k + low scale sum_k q_w,k
 *
 * whose first sum is of integers, four products to a lane and instruction, and whose last is the panel's, known from
 * packing. Nothing overflows: 255 * 127 * 4096 is below 2^31. A value that is not finite makes its row's results NaN, a
 * weight its column's.
 *
 * Panel: `PANEL` scales, `PANEL` times scale sum_k q_w,k, then bytes (depth / 4, PANEL, 4), zeros behind. */
#include "backend/cpu/kernels/common.h"
#include "backend/cpu/kernels/row_blocks.h"

#include "base/memory.h"

#include <math.h>

enum { PANEL = GEMM_VECTORS * LANES, QUAD = 4 };

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

typedef struct Range {
    Vector least, most, not_finite;
} Range;

INLINE void range_add(Range *range, Vector x) {
    range->least = vector_min(range->least, x);
    range->most = vector_max(range->most, x);
    range->not_finite = vector_fma(x, vector_all(0.0f), range->not_finite); /* NaN, once it is */
}

/* BODY(value, channel, tail) over the vectors of a tile's row. */
#define FOR_ROW(tile, tile_rows, depth, BODY)                                                                          \
    do {                                                                                                               \
        int c_ = 0;                                                                                                    \
        for (; c_ + TILE_CHANNELS <= (depth); c_ += TILE_CHANNELS)                                                     \
            UNROLL for (int v_ = 0; v_ < TILE_CHANNELS; v_ += LANES)                                                   \
                BODY((tile) + tile_offset(c_, tile_rows) + v_, c_ + v_, 0);                                            \
        for (; c_ + LANES <= (depth); c_ += LANES) BODY((tile) + tile_offset(c_, tile_rows), c_, 0);                   \
        if (c_ < (depth)) BODY((tile) + tile_offset(c_, tile_rows), c_, (depth)-c_);                                   \
    } while (0)

/* A row of the tile as bytes, whole vectors of them; x = *low + *step * byte. */
INLINE void round_row(const Value *tile, int tile_rows, int depth, uint8_t *to, float *step, float *low) {
    Range range = {vector_all(0.0f), vector_all(0.0f), vector_all(0.0f)};
#define ADD(from, channel, tail) range_add(&range, load_values(from, tail))
    FOR_ROW(tile, tile_rows, depth, ADD);
#undef ADD
    float lowest = vector_smallest(range.least), width = vector_largest(range.most) - lowest;
    const Vector offset = vector_all(lowest), inverse = vector_all(width > 0 ? 255 / width : 0);
#define STORE(from, channel, tail) vector_store_bytes(to + (channel), (load_values(from, tail) - offset) * inverse)
    FOR_ROW(tile, tile_rows, depth, STORE);
#undef STORE
    *step = width / 255;
    *low = lowest + vector_sum(range.not_finite);
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
        Vector scale = vector_load(scales + v * LANES), sum = vector_load(sums + v * LANES);
        Vector start = bias ? load_lanes(bias + v * LANES, tail) : vector_all(0.0f);
        UNROLL for (int r = 0; r < rows; r++) {
            Vector value = vector_fma(sum, vector_all(from->low[r]), start);
            value = vector_fma(vector_from_integers(acc[r][v]), scale * vector_all(from->step[r]), value);
            if (add) value = value + load_values(add + (size_t)r * c_stride + v * LANES, tail);
            store_values(c + (size_t)r * c_stride + v * LANES, value, tail);
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
