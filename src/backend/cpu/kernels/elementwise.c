/* elementwise.c - loads that normalise and activate, column sums, and the residual. See kernels.h for each
 * kernel's contract. */
#include "backend/cpu/kernels/common.h"

#include "backend/cpu/kernels/activation.h"

/* ---- into a tile ---------------------------------------------------------------------------------------- */

INLINE void tile_load_block(const Value *x, size_t stride, int rows, int c, int vectors, int tail, const BnVectors *bn,
                            Activation activation, Value *tile, int tile_rows, float *sums) {
    BnLanes lanes = bn ? load_bn(bn, c, vectors, tail) : (BnLanes){0};
    Vector sum[BLOCK_VECTORS] = {0};
    Value *to = tile ? tile + tile_offset(c, tile_rows) : NULL;
    for (int row = 0; row < rows; row++) {
        Vector value[BLOCK_VECTORS];
        ask_ahead(x + (size_t)row * stride + c, stride, vectors);
        UNROLL for (int v = 0; v < vectors; v++) {
            value[v] = load_values(x + (size_t)row * stride + c + v * LANES, tail);
            if (bn) value[v] = normalise(&lanes, v, value[v]);
        }
        activate(value, NULL, vectors, activation);
        if (sums) UNROLL for (int v = 0; v < vectors; v++) sum[v] = sum[v] + value[v];
        if (tile) store_vectors(to + (size_t)row * TILE_CHANNELS, vectors, 0, value);
    }
    if (sums) UNROLL for (int v = 0; v < vectors; v++) add_lanes(sums + c + v * LANES, sum[v], tail);
}

void ISA_NAME(tile_fill)(const float *x, size_t stride, int rows, int channels, Tile *tile, int tile_rows) {
    for (int c = 0; c < channels; c += LANES) {
        int tail = channels - c < LANES ? channels - c : 0;
        Value *to = (Value *)tile + tile_offset(c, tile_rows);
        for (int row = 0; row < rows; row++)
            store_values(to + (size_t)row * TILE_CHANNELS, load_lanes(x + (size_t)row * stride + c, tail), 0);
    }
    tile_close(tile, tile_rows, rows, channels);
}

#define ACTIVATED(kind)                                                                                                \
    const Activation ACTIVE = kind;                                                                                    \
    FOR_CHANNEL_BLOCKS(channels, BODY)

void ISA_NAME(tile_load)(const Stored *x, size_t stride, int rows, int channels, const BnVectors *bn,
                         Activation activation, Tile *tile, int tile_rows) {
#define BODY(c, vectors, tail)                                                                                         \
    (bn ? tile_load_block(x, stride, rows, c, vectors, tail, bn, ACTIVE, tile, tile_rows, NULL)                        \
        : tile_load_block(x, stride, rows, c, vectors, tail, NULL, ACTIVE, tile, tile_rows, NULL))
    WITH_ACTIVATION(activation, ACTIVATED);
#undef BODY
    tile_close(tile, tile_rows, rows, channels);
}

void ISA_NAME(tile_pool)(const Stored *x, size_t stride, int rows, int channels, const BnVectors *bn,
                         Activation activation, Tile *tile, int tile_rows, float *sums) {
#define BODY(c, vectors, tail)                                                                                         \
    (!bn    ? tile_load_block(x, stride, rows, c, vectors, tail, NULL, ACTIVE, tile, tile_rows, sums)                  \
     : tile ? tile_load_block(x, stride, rows, c, vectors, tail, bn, ACTIVE, tile, tile_rows, sums)                    \
            : tile_load_block(x, stride, rows, c, vectors, tail, bn, ACTIVE, NULL, tile_rows, sums))
    WITH_ACTIVATION(activation, ACTIVATED);
#undef BODY
    if (tile) tile_close(tile, tile_rows, rows, channels);
}
#undef ACTIVATED

INLINE void tile_scale_block(const Value *from, Value *tile, int tile_rows, int rows, int c, int vectors, int tail,
                             const float *factor) {
    Vector by[BLOCK_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) by[v] = load_lanes(factor + c + v * LANES, tail);
    from += tile_offset(c, tile_rows), tile += tile_offset(c, tile_rows);
    for (int row = 0; row < rows; row++, from += TILE_CHANNELS, tile += TILE_CHANNELS) {
        Vector value[BLOCK_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) value[v] = load_values(from + v * LANES, 0) * by[v];
        store_vectors(tile, vectors, 0, value);
    }
}

void ISA_NAME(tile_scale)(const Tile *from, Tile *tile, int tile_rows, int rows, int channels, const float *factor) {
#define BODY(c, vectors, tail) tile_scale_block(from, tile, tile_rows, rows, c, vectors, tail, factor)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
    if (from != tile) tile_close(tile, tile_rows, rows, channels);
}

INLINE void tile_load_gradient_block(const Value *dz, const Value *y, size_t stride, int rows, int c, int vectors,
                                     int tail, const BnGradient *bn, float factor, Value *tile, int tile_rows) {
    BnGradientLanes lanes = load_bn_gradient(bn, c, vectors, tail, factor);
    Value *to = tile + tile_offset(c, tile_rows);
    for (int row = 0; row < rows; row++) {
        Vector dy[BLOCK_VECTORS];
        ask_ahead(dz + (size_t)row * stride + c, stride, vectors);
        ask_ahead(y + (size_t)row * stride + c, stride, vectors);
        UNROLL for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)row * stride + (size_t)(c + v * LANES);
            dy[v] = bn_gradient(&lanes, v, load_values(dz + at, tail), load_values(y + at, tail));
        }
        store_vectors(to + (size_t)row * TILE_CHANNELS, vectors, 0, dy);
    }
}

void ISA_NAME(tile_load_gradient)(const Stored *dz, const Stored *y, size_t stride, int rows, int channels,
                                  const BnGradient *bn, float factor, Tile *tile, int tile_rows) {
#define BODY(c, vectors, tail)                                                                                         \
    tile_load_gradient_block(dz, y, stride, rows, c, vectors, tail, bn, factor, tile, tile_rows)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
    tile_close(tile, tile_rows, rows, channels);
}

/* ---- sums over rows -------------------------------------------------------------------------------------- */

INLINE void column_moments_block(const Value *x, size_t stride, int rows, int c, int vectors, int tail, float *mean,
                                 float *m2) {
    Vector sum[BLOCK_VECTORS] = {0}, squares[BLOCK_VECTORS] = {0};
    const Vector share = vector_all(1.0f / (float)rows);
    for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) sum[v] =
            sum[v] + load_values(x + (size_t)row * stride + c + v * LANES, tail);
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = sum[v] * share;
    for (int row = 0; row < rows; row++) UNROLL for (int v = 0; v < vectors; v++) {
            Vector d = load_values(x + (size_t)row * stride + c + v * LANES, tail) - sum[v];
            squares[v] = vector_fma(d, d, squares[v]);
        }
    UNROLL for (int v = 0; v < vectors; v++) {
        store_lanes(mean + c + v * LANES, sum[v], tail);
        store_lanes(m2 + c + v * LANES, squares[v], tail);
    }
}

void ISA_NAME(column_moments)(const Stored *x, size_t stride, int rows, int channels, float *mean, float *m2) {
#define BODY(c, vectors, tail) column_moments_block(x, stride, rows, c, vectors, tail, mean, m2)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

INLINE void gradient_sums_block(const Value *g, const Value *p, int rows, int channels, int c, int vectors, int tail,
                                float factor, const float *mean, float *sum, float *sum_centred) {
    Vector s[BLOCK_VECTORS] = {0}, t[BLOCK_VECTORS] = {0}, m[BLOCK_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) m[v] = load_lanes(mean + c + v * LANES, tail);
    for (int row = 0; row < rows; row++) UNROLL for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)row * (size_t)channels + (size_t)(c + v * LANES);
            Vector gradient = load_values(g + at, tail);
            s[v] = s[v] + gradient;
            t[v] = vector_fma(gradient, load_values(p + at, tail) - m[v], t[v]);
        }
    UNROLL for (int v = 0; v < vectors; v++) {
        add_lanes(sum + c + v * LANES, s[v] * vector_all(factor), tail);
        add_lanes(sum_centred + c + v * LANES, t[v] * vector_all(factor), tail);
    }
}

void ISA_NAME(gradient_sums)(const Stored *g, const Stored *p, int rows, int channels, float factor, const float *mean,
                             float *sum, float *sum_centred) {
#define BODY(c, vectors, tail)                                                                                         \
    gradient_sums_block(g, p, rows, channels, c, vectors, tail, factor, mean, sum, sum_centred)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

/* ---- squeeze-excite, projection and pooling, backward ------------------------------------------------------ */

INLINE void project_gradient_block(const Value *u, Value *dv, size_t stride, int rows, int c, int vectors, int tail,
                                   const BnVectors *bn, Activation activation, const float *gate, Value *tile,
                                   int tile_rows, Value *slope, ProjectSums sums) {
    const BnLanes lanes = load_bn(bn, c, vectors, tail);
    Vector g[PROJECT_VECTORS], sum_gate[PROJECT_VECTORS], sum_e[PROJECT_VECTORS], sum_e_centred[PROJECT_VECTORS],
        sum_d[PROJECT_VECTORS], sum_d_centred[PROJECT_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        g[v] = gate ? load_lanes(gate + c + v * LANES, tail) : vector_all(1.0f);
        sum_gate[v] = sum_e[v] = sum_e_centred[v] = sum_d[v] = sum_d_centred[v] = vector_all(0.0f);
    }
    Value *to = tile + tile_offset(c, tile_rows);
    for (int row = 0; row < rows; row++, to += TILE_CHANNELS) {
        size_t at = (size_t)row * stride + (size_t)c;
        Vector centred[PROJECT_VECTORS], a[PROJECT_VECTORS], gated[PROJECT_VECTORS], d[PROJECT_VECTORS],
            e[PROJECT_VECTORS];
        ask_ahead(u + at, stride, vectors);
        UNROLL for (int v = 0; v < vectors; v++) {
            centred[v] = load_values(u + at + v * LANES, tail) - lanes.mean[v];
            a[v] = vector_fma(centred[v], lanes.scale[v], lanes.bias[v]);
        }
        activate(a, d, vectors, activation);
        UNROLL for (int v = 0; v < vectors; v++) {
            Vector gradient = load_values(dv + at + v * LANES, tail);
            gated[v] = a[v] * g[v];
            e[v] = gradient * g[v] * d[v];
            if (gate) sum_gate[v] = vector_fma(gradient, a[v], sum_gate[v]);
        }
        store_vectors(to, vectors, 0, gated);
        store_vectors(dv + at, vectors, tail, e);
        if (gate) store_vectors(slope + at, vectors, tail, d);
        UNROLL for (int v = 0; v < vectors; v++) {
            sum_e[v] = sum_e[v] + e[v];
            sum_e_centred[v] = vector_fma(e[v], centred[v], sum_e_centred[v]);
            if (!gate) continue;
            sum_d[v] = sum_d[v] + d[v];
            sum_d_centred[v] = vector_fma(d[v], centred[v], sum_d_centred[v]);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        int at = c + v * LANES;
        add_lanes(sums.e + at, sum_e[v], tail);
        add_lanes(sums.e_centred + at, sum_e_centred[v], tail);
        if (!gate) continue;
        add_lanes(sums.gate + at, sum_gate[v], tail);
        add_lanes(sums.d + at, sum_d[v], tail);
        add_lanes(sums.d_centred + at, sum_d_centred[v], tail);
    }
}

void ISA_NAME(project_gradient_tile)(const Stored *u, Stored *dv, size_t stride, int rows, int channels,
                                     const BnVectors *bn, Activation activation, const float *gate, Tile *tile,
                                     int tile_rows, Stored *slope, ProjectSums sums) {
#define BLOCK(c, vectors, tail)                                                                                        \
    (gate ? project_gradient_block(u, dv, stride, rows, c, vectors, tail, bn, ACTIVE, gate, tile, tile_rows, slope,    \
                                   sums)                                                                               \
          : project_gradient_block(u, dv, stride, rows, c, vectors, tail, bn, ACTIVE, NULL, tile, tile_rows, slope,    \
                                   sums))
#define ACTIVATED(kind)                                                                                                \
    const Activation ACTIVE = kind;                                                                                    \
    FOR_BLOCKS_OF(PROJECT_VECTORS, channels, BLOCK)
    WITH_ACTIVATION(activation, ACTIVATED);
#undef ACTIVATED
#undef BLOCK
    tile_close(tile, tile_rows, rows, channels);
}

void ISA_NAME(sigmoid)(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) vector_store(x + i, vector_sigmoid(vector_load(x + i)));
    if (i < count)
        vector_store_some(x + i, vector_sigmoid(vector_load_some(x + i, (int)(count - i))), (int)(count - i));
}

INLINE void add_scaled_block(Value *x, const Value *slope, const float *factor, int rows, int c, int vectors, int tail,
                             size_t stride) {
    Vector by[BLOCK_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) by[v] = load_lanes(factor + c + v * LANES, tail);
    for (int row = 0; row < rows; row++) {
        Vector sum[BLOCK_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)row * stride + (size_t)(c + v * LANES);
            sum[v] = vector_fma(load_values(slope + at, tail), by[v], load_values(x + at, tail));
        }
        store_vectors(x + (size_t)row * stride + c, vectors, tail, sum);
    }
}

void ISA_NAME(add_scaled)(Stored *x, const Stored *slope, const float *factor, int rows, int channels, size_t stride) {
#define BODY(c, vectors, tail) add_scaled_block(x, slope, factor, rows, c, vectors, tail, stride)
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

INLINE void pool_gradient_block(const Value *y, int rows, int channels, int c, int tail, const BnVectors *bn,
                                Activation activation, const float *gradient, Value *dz, float *sum,
                                float *sum_centred) {
    BnLanes lanes = load_bn(bn, c, 1, tail);
    Vector g = load_lanes(gradient + c, tail), s = vector_all(0.0f), t = vector_all(0.0f);
    for (int row = 0; row < rows; row++) {
        size_t at = (size_t)row * (size_t)channels + (size_t)c;
        Vector centred = load_values(y + at, tail) - lanes.mean[0], slope;
        Vector z = vector_fma(centred, lanes.scale[0], lanes.bias[0]);
        activate(&z, &slope, 1, activation);
        Vector e = store_values(dz + at, g * slope, tail);
        s = s + e;
        t = vector_fma(e, centred, t);
    }
    add_lanes(sum + c, s, tail);
    add_lanes(sum_centred + c, t, tail);
}

void ISA_NAME(pool_gradient)(const Stored *y, int rows, int channels, const BnVectors *bn, Activation activation,
                             const float *gradient, Stored *dz, float *sum, float *sum_centred) {
#define BODY(kind)                                                                                                     \
    for (int c = 0; c < channels; c += LANES)                                                                          \
        pool_gradient_block(y, rows, channels, c, channels - c < LANES ? channels - c : 0, bn, kind, gradient, dz,     \
                            sum, sum_centred);
    WITH_ACTIVATION(activation, BODY);
#undef BODY
}

/* ---- residual --------------------------------------------------------------------------------------------- */

INLINE void residual_block(const Value *p, const BnVectors *p_bn, float factor, const Value *x, const BnVectors *x_bn,
                           int rows, int channels, int c, int vectors, int tail, Value *out) {
    BnLanes p_lanes = p_bn ? load_bn(p_bn, c, vectors, tail) : (BnLanes){0};
    BnLanes x_lanes = x_bn ? load_bn(x_bn, c, vectors, tail) : (BnLanes){0};
    for (int row = 0; row < rows; row++) {
        Vector sum[BLOCK_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)row * (size_t)channels + (size_t)(c + v * LANES);
            Vector skip = load_values(x + at, tail);
            if (x_bn) skip = normalise(&x_lanes, v, skip);
            Vector branch = load_values(p + at, tail);
            if (p_bn) branch = normalise(&p_lanes, v, branch);
            sum[v] = vector_fma(branch, vector_all(factor), skip);
        }
        store_vectors(out + (size_t)row * (size_t)channels + c, vectors, tail, sum);
    }
}

void ISA_NAME(residual_rows)(const Stored *p, const BnVectors *p_bn, float factor, const Stored *x,
                             const BnVectors *x_bn, int rows, int channels, Stored *out) {
#define BODY(c, vectors, tail)                                                                                         \
    (!p_bn  ? residual_block(p, NULL, factor, x, NULL, rows, channels, c, vectors, tail, out)                          \
     : x_bn ? residual_block(p, p_bn, factor, x, x_bn, rows, channels, c, vectors, tail, out)                          \
            : residual_block(p, p_bn, factor, x, NULL, rows, channels, c, vectors, tail, out))
    FOR_CHANNEL_BLOCKS(channels, BODY);
#undef BODY
}

void ISA_NAME(add_row)(const Stored *from, int width, int channels, bool add, Stored *to, size_t stride) {
    const Value *values = from;
    Value *out = to;
    for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c += LANES) {
            int tail = channels - c < LANES ? channels - c : 0;
            Vector value = load_values(values + (size_t)x * (size_t)channels + c, tail);
            size_t at = (size_t)x * stride + (size_t)c;
            if (add) value = value + load_values(out + at, tail);
            store_values(out + at, value, tail);
        }
}
