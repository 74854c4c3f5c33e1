/* byte_rows.h - the arithmetic of gemm_tile_int8, which the vectors' kernel (gemm_int8.c) and AMX's
 * (amx/gemm_amx_int8.c) share, so that both give the same bits.
 *
 * Weights are rounded once to q_w in -127..127, a scale for each column: w = scale q_w. A row of the tile, which is a
 * pixel, is rounded as it comes ("dynamic": nothing is calibrated beforehand) to q in 0..255 over its own range, zero
 * included: x = low + step q. Then
 *
 *   sum_k x_k w_k = step scale sum_k q_k q_w,k + low scale sum_k q_w,k
 *
 * whose first sum is of integers, in any order, and whose last is the panel's, known from packing. Nothing overflows:
 * 255 * 127 * 4096 is below 2^31. A value that is not finite makes its row's results NaN, a weight its column's.
 *
 * A panel of n columns: n scales, n times scale sum_k q_w,k, then bytes (depth / 4, n, 4), zeros behind. */
#ifndef EFFNET_BYTE_ROWS_H
#define EFFNET_BYTE_ROWS_H

#include "backend/cpu/kernels/common.h"

enum { QUAD = 4 };

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

/* What turns integer sums into results, for a vector of columns. */
typedef struct ByteColumns {
    Vector scale, sum, start;
} ByteColumns;

/* `scales` and `sums` are the panel's, `bias` may be NULL; each from the vector's first column on. */
INLINE ByteColumns byte_columns(const float *scales, const float *sums, const float *bias, int tail) {
    return (ByteColumns){vector_load(scales), vector_load(sums), bias ? load_lanes(bias, tail) : vector_all(0.0f)};
}

INLINE void byte_sums_store(const ByteColumns *column, Integers sums, float step, float low, Value *to,
                            const Value *add, int tail) {
    Vector value = vector_fma(column->sum, vector_all(low), column->start);
    value = vector_fma(vector_from_integers(sums), column->scale * vector_all(step), value);
    if (add) value = value + load_values(add, tail);
    store_values(to, value, tail);
}

#endif
