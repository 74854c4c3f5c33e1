/* depthwise.c - depthwise convolution, a row of output pixels at a time; specification:
 * src/reference/reference_depthwise.c. Lanes are channels. Each of DEPTHWISE_PIXELS neighbouring outputs has an
 * accumulator; an input vector is loaded once a kernel row and used for every output it touches. The data gradient is
 * the same over the output gradient with the weights turned round; at stride 2, even and odd pixels each take every
 * second tap. */
#include "backend/cpu/kernels/common.h"

#include "backend/cpu/kernels/activation.h"

/* ---- rows loaded into vectors of channels ------------------------------------------------------------------ */

/* Where pixel 0 of the channels from c on lies in a row. */
INLINE size_t row_at(int c, int row_width, int pad) {
    return ((size_t)(c / LANES) * (size_t)row_width + (size_t)pad) * LANES;
}

INLINE void row_load_block(const Value *x, size_t stride, int width, int c, int vectors, int tail, const BnVectors *bn,
                           Activation activation, float *value, float *slope, int row_width, int pad) {
    BnLanes lanes = bn ? load_bn(bn, c, vectors, tail) : (BnLanes){0};
    size_t base = row_at(c, row_width, pad);
    for (int i = 0; i < width; i++, x += stride, base += LANES) {
        Vector a[BLOCK_VECTORS], d[BLOCK_VECTORS];
        ask_ahead(x + c, stride, vectors);
        UNROLL for (int v = 0; v < vectors; v++) a[v] = load_values(x + c + v * LANES, tail);
        if (bn) UNROLL for (int v = 0; v < vectors; v++) a[v] = normalise(&lanes, v, a[v]);
        activate(a, slope ? d : NULL, vectors, activation);
        UNROLL for (int v = 0; v < vectors; v++) {
            size_t at = base + (size_t)(v * row_width) * LANES;
            if (slope) vector_store(slope + at, d[v]);
            vector_store(value + at, a[v]);
        }
    }
}

void ISA_NAME(row_load)(const Stored *x, size_t stride, int width, int channels, const BnVectors *bn,
                        Activation activation, float *value, float *slope, int row_width, int pad) {
#define BODY(c, vectors, tail)                                                                                         \
    (!bn     ? row_load_block(x, stride, width, c, vectors, tail, NULL, ACTIVE, value, NULL, row_width, pad)           \
     : slope ? row_load_block(x, stride, width, c, vectors, tail, bn, ACTIVE, value, slope, row_width, pad)            \
             : row_load_block(x, stride, width, c, vectors, tail, bn, ACTIVE, value, NULL, row_width, pad))
#define ACTIVATED(kind)                                                                                                \
    const Activation ACTIVE = kind;                                                                                    \
    FOR_CHANNEL_BLOCKS(channels, BODY)
    WITH_ACTIVATION(activation, ACTIVATED);
#undef BODY
#undef ACTIVATED
}

INLINE void row_load_gradient_block(const Value *dz, const Value *u, size_t stride, int width, int c, int vectors,
                                    int tail, const BnGradient *bn, float *row, int row_width, int pad) {
    const BnGradientLanes lanes = load_bn_gradient(bn, c, vectors, tail, 1.0f);
    float *to = row + row_at(c, row_width, pad);
    dz += c, u += c;
    for (int x = 0; x < width; x++, dz += stride, u += stride, to += LANES) {
        ask_ahead(dz, stride, vectors);
        ask_ahead(u, stride, vectors);
        UNROLL for (int v = 0; v < vectors; v++)
            vector_store(to + (size_t)(v * row_width) * LANES,
                         bn_gradient(&lanes, v, load_values(dz + v * LANES, tail), load_values(u + v * LANES, tail)));
    }
}

void ISA_NAME(row_load_gradient)(const Stored *dz, const Stored *u, size_t stride, int width, int channels,
                                 const BnGradient *bn, float *row, int row_width, int pad) {
#define BODY(c, vectors, tail) row_load_gradient_block(dz, u, stride, width, c, vectors, tail, bn, row, row_width, pad)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

/* ---- the convolution ---------------------------------------------------------------------------------------- */

/* `pixels` outputs from x on, of one vector of channels; of each kernel row the taps first, first + tap_step, ... */
INLINE void depthwise_block(const float *const *rows, size_t row_offset, const float *weights, int kernel, int first,
                            int taps, int tap_step, int step, int pixels, int x, Vector start, Value *out,
                            size_t stride, int tail) {
    Vector acc[DEPTHWISE_PIXELS];
    UNROLL for (int i = 0; i < pixels; i++) acc[i] = start;
    for (int ky = 0; ky < kernel; ky++) {
        if (!rows[ky]) continue;
        const float *row = rows[ky] + row_offset + (size_t)x * (size_t)step * LANES;
        Vector w[5];
        UNROLL for (int t = 0; t < taps; t++) w[t] =
            vector_load(weights + (ky * kernel + first + t * tap_step) * LANES);
        UNROLL for (int j = 0; j < (pixels - 1) * step + taps; j++) {
            Vector in = vector_load_once(row + (size_t)j * LANES);
            UNROLL for (int t = 0; t < taps; t++) {
                int i = (j - t) / step;
                if (j >= t && (j - t) % step == 0 && i < pixels) acc[i] = vector_fma(in, w[t], acc[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < pixels; i++) store_values(out + (size_t)(x + i) * stride, acc[i], tail);
}

INLINE void depthwise_pixels(const float *const *rows, size_t row_offset, const float *weights, int kernel, int first,
                             int taps, int tap_step, int step, int width, Vector start, Value *out, size_t stride,
                             int tail) {
    int x = 0;
    for (; x + DEPTHWISE_PIXELS <= width; x += DEPTHWISE_PIXELS)
        depthwise_block(rows, row_offset, weights, kernel, first, taps, tap_step, step, DEPTHWISE_PIXELS, x, start, out,
                        stride, tail);
    if (DEPTHWISE_PIXELS > 4 && x + 4 <= width) {
        depthwise_block(rows, row_offset, weights, kernel, first, taps, tap_step, step, 4, x, start, out, stride, tail);
        x += 4;
    }
    for (; x + 2 <= width; x += 2)
        depthwise_block(rows, row_offset, weights, kernel, first, taps, tap_step, step, 2, x, start, out, stride, tail);
    if (x < width)
        depthwise_block(rows, row_offset, weights, kernel, first, taps, tap_step, step, 1, x, start, out, stride, tail);
}

INLINE void depthwise_row_body(const float *const *rows, const float *weights, int kernel, int step, int width,
                               int channels, int row_width, const float *bias, Value *out, size_t stride) {
    for (int c = 0; c < channels; c += LANES) {
        int tail = channels - c < LANES ? channels - c : 0;
        depthwise_pixels(rows, (size_t)(c / LANES) * (size_t)row_width * LANES,
                         weights + (size_t)c * (size_t)(kernel * kernel), kernel, 0, kernel, 1, step, width,
                         bias ? load_lanes(bias + c, tail) : vector_all(0.0f), out + c, stride, tail);
    }
}

void ISA_NAME(depthwise_row)(const float *const *rows, const float *weights, int kernel, int step, int width,
                             int channels, int row_width, const float *bias, Stored *out, size_t stride) {
#define BODY(k, s) depthwise_row_body(rows, weights, k, s, width, channels, row_width, bias, out, stride)
    if (kernel == 3 && step == 1) BODY(3, 1);
    if (kernel == 3 && step == 2) BODY(3, 2);
    if (kernel == 5 && step == 1) BODY(5, 1);
    if (kernel == 5 && step == 2) BODY(5, 2);
#undef BODY
}

/* Pixel x takes the taps j with x + j - inserted_pad even, each from the row's place pad + (x + j - inserted_pad) / 2.
 */
INLINE void turned_row_body(const float *const *rows, const float *weights, int kernel, int inserted_pad, int width,
                            int channels, int row_width, Value *out, size_t stride) {
    for (int c = 0; c < channels; c += LANES) {
        int tail = channels - c < LANES ? channels - c : 0;
        size_t offset = (size_t)(c / LANES) * (size_t)row_width * LANES;
        const float *w = weights + (size_t)c * (size_t)(kernel * kernel);
        for (int x = 0; x < 2 && x < width; x++) {
            int first = (inserted_pad + x) & 1, pixels = (width - x + 1) / 2;
            size_t from = offset + (size_t)((x + first - inserted_pad) / 2 + inserted_pad / 2) * LANES;
            Value *to = out + c + (size_t)x * stride;
            if (first)
                depthwise_pixels(rows, from, w, kernel, 1, kernel / 2, 2, 1, pixels, vector_all(0.0f), to, 2 * stride,
                                 tail);
            else
                depthwise_pixels(rows, from, w, kernel, 0, kernel / 2 + 1, 2, 1, pixels, vector_all(0.0f), to,
                                 2 * stride, tail);
        }
    }
}

void ISA_NAME(depthwise_row_turned)(const float *const *rows, const float *weights, int kernel, int inserted_pad,
                                    int width, int channels, int row_width, Stored *out, size_t stride) {
    if (kernel == 3) turned_row_body(rows, weights, 3, inserted_pad, width, channels, row_width, out, stride);
    if (kernel == 5) turned_row_body(rows, weights, 5, inserted_pad, width, channels, row_width, out, stride);
}

/* ---- its weights' gradient ---------------------------------------------------------------------------------- */

/* One kernel row at a time, two pixels at a time: 2 * kernel chains of multiply-adds. */
INLINE void weights_row_body(const float *gradient, int gradient_pad, int gradient_width, const float *const *rows,
                             int kernel, int step, int width, int channels, int row_width, float *weights_gradient) {
    for (int c = 0; c < channels; c += LANES) {
        const float *g = gradient + ((size_t)(c / LANES) * (size_t)gradient_width + (size_t)gradient_pad) * LANES;
        for (int ky = 0; ky < kernel; ky++) {
            if (!rows[ky]) continue;
            const float *in = rows[ky] + (size_t)(c / LANES) * (size_t)row_width * LANES;
            float *dw = weights_gradient + (size_t)c * (size_t)(kernel * kernel) + ky * kernel * LANES;
            Vector even[5], odd[5];
            UNROLL for (int kx = 0; kx < kernel; kx++) {
                even[kx] = vector_load(dw + kx * LANES);
                odd[kx] = vector_all(0.0f);
            }
            int x = 0;
            for (; x + 2 <= width; x += 2) {
                Vector g0 = vector_load(g + (size_t)x * LANES);
                Vector g1 = vector_load(g + (size_t)(x + 1) * LANES);
                const float *at = in + (size_t)x * (size_t)step * LANES;
                UNROLL for (int kx = 0; kx < kernel; kx++) {
                    even[kx] = vector_fma(g0, vector_load(at + kx * LANES), even[kx]);
                    odd[kx] = vector_fma(g1, vector_load(at + (kx + step) * LANES), odd[kx]);
                }
            }
            if (x < width) {
                Vector g0 = vector_load(g + (size_t)x * LANES);
                const float *at = in + (size_t)x * (size_t)step * LANES;
                UNROLL for (int kx = 0; kx < kernel; kx++) even[kx] =
                    vector_fma(g0, vector_load(at + kx * LANES), even[kx]);
            }
            UNROLL for (int kx = 0; kx < kernel; kx++) vector_store(dw + kx * LANES, even[kx] + odd[kx]);
        }
    }
}

void ISA_NAME(depthwise_weights_row)(const float *gradient, int gradient_pad, int gradient_width,
                                     const float *const *rows, int kernel, int step, int width, int channels,
                                     int row_width, float *weights_gradient) {
#define BODY(k, s)                                                                                                     \
    weights_row_body(gradient, gradient_pad, gradient_width, rows, k, s, width, channels, row_width, weights_gradient)
    if (kernel == 3 && step == 1) BODY(3, 1);
    if (kernel == 3 && step == 2) BODY(3, 2);
    if (kernel == 5 && step == 1) BODY(5, 1);
    if (kernel == 5 && step == 2) BODY(5, 2);
#undef BODY
}

/* ---- the input's gradient, finished --------------------------------------------------------------------------- */

INLINE void finish_row_block(const Value *da, const float *slope, const Value *y, const float *mean, int width,
                             int channels, int c, int vectors, int tail, int row_width, int pad, Value *dz,
                             size_t stride, float *sum, float *sum_centred) {
    const float *d = slope + row_at(c, row_width, pad);
    Vector m[BLOCK_VECTORS], s[BLOCK_VECTORS] = {0}, t[BLOCK_VECTORS] = {0};
    UNROLL for (int v = 0; v < vectors; v++) m[v] = load_lanes(mean + c + v * LANES, tail);
    da += c, y += c, dz += c;
    for (int x = 0; x < width; x++, da += channels, d += LANES, y += stride, dz += stride) {
        Vector e[BLOCK_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) e[v] =
            load_values(da + v * LANES, tail) * vector_load(d + (size_t)(v * row_width) * LANES);
        store_vectors(dz, vectors, tail, e);
        UNROLL for (int v = 0; v < vectors; v++) {
            s[v] = s[v] + e[v];
            t[v] = vector_fma(e[v], load_values(y + v * LANES, tail) - m[v], t[v]);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        add_lanes(sum + c + v * LANES, s[v], tail);
        add_lanes(sum_centred + c + v * LANES, t[v], tail);
    }
}

void ISA_NAME(depthwise_finish_row)(const Stored *da, const float *slope, const Stored *y, const float *mean, int width,
                                    int channels, int row_width, int pad, Stored *dz, size_t stride, float *sum,
                                    float *sum_centred) {
#define BODY(c, vectors, tail)                                                                                         \
    finish_row_block(da, slope, y, mean, width, channels, c, vectors, tail, row_width, pad, dz, stride, sum,           \
                     sum_centred)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

INLINE void finish_tile_block(const Value *da, const float *slope, int width, int channels, int c, int vectors,
                              int tail, int row_width, int pad, Value *tile, int tile_rows, float *sum) {
    const float *d = slope + row_at(c, row_width, pad);
    Vector s[BLOCK_VECTORS] = {0};
    da += c, tile += tile_offset(c, tile_rows);
    for (int x = 0; x < width; x++, da += channels, d += LANES, tile += TILE_CHANNELS) {
        Vector e[BLOCK_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) e[v] =
            load_values(da + v * LANES, tail) * vector_load(d + (size_t)(v * row_width) * LANES);
        store_vectors(tile, vectors, 0, e);
        UNROLL for (int v = 0; v < vectors; v++) s[v] = s[v] + e[v];
    }
    UNROLL for (int v = 0; v < vectors; v++) add_lanes(sum + c + v * LANES, s[v], tail);
}

void ISA_NAME(depthwise_finish_tile)(const Stored *da, const float *slope, int width, int channels, int row_width,
                                     int pad, Tile *tile, int tile_rows, float *sum) {
#define BODY(c, vectors, tail)                                                                                         \
    finish_tile_block(da, slope, width, channels, c, vectors, tail, row_width, pad, tile, tile_rows, sum)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
    tile_close(tile, tile_rows, width, channels);
}
