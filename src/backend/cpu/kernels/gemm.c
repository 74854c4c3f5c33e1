/* gemm.c - the matrix kernels: a block of GEMM_ROWS x (GEMM_VECTORS * LANES) outputs held in registers.
 *
 * AVX-512: 12 x 32 = 24 accumulators, 2 vectors of B, 1 broadcast of A: 27 of 32 registers; 24 multiply-adds for 14
 * loads. AVX2: 6 x 16 = 12 accumulators of 16 registers. Rows are shared out evenly (49 rows: 10, 10, 10, 10, 9), so
 * that no block is left with a single row.
 *
 * In bf16 a step along the depth takes two values: a dot product of pairs. Along channels (gemm_tile) the pairs lie
 * together in a tile; along pixels (gemm_transposed) two rows are interleaved first, a block of 64 channels and a panel
 * at a time, in the first-level cache. Sums are fp32 either way. */
#include "backend/cpu/kernels/common.h"
#include "backend/cpu/kernels/row_blocks.h"

#include "base/sizes.h"

enum { PANEL = GEMM_VECTORS * LANES, STEPS = TILE_CHANNELS / DEPTH_UNIT, SIDE_PANELS = 4 };

#ifdef EFFNET_VALUES_BF16
typedef Pairs Step; /* of each lane, DEPTH_UNIT values along the depth */
INLINE Step step_load(const Value *p) {
    return pairs_load((const uint32_t *)(const void *)p);
}
INLINE Step step_all(const Value *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pairs_all(pair);
}
INLINE Vector step_multiply_add(Step a, Step b, Vector sum) {
    return vector_dot(sum, a, b);
}
#else
typedef Vector Step;
INLINE Step step_load(const Value *p) {
    return vector_load(p);
}
INLINE Step step_all(const Value *p) {
    return vector_all(*p);
}
INLINE Vector step_multiply_add(Step a, Step b, Vector sum) {
    return vector_fma(a, b, sum);
}
#endif

/* acc (rows, vectors) += sum over steps k of a[r * row_stride + k * a_stride ...] * b[k * b_stride ...]; b[... + ahead]
 * is asked into the cache on the way (0: nothing is). */
INLINE void multiply_add(Vector acc[GEMM_ROWS][GEMM_VECTORS], int rows, int vectors, const Value *a, size_t row_stride,
                         size_t a_stride, const Value *b, size_t b_stride, int steps, size_t ahead) {
    for (int k = 0; k < steps; k++) {
        Step bk[GEMM_VECTORS];
        if (ahead)
            for (int v = 0; v < vectors; v++) __builtin_prefetch(b + ahead + v * LANES * DEPTH_UNIT, 0, 2);
        UNROLL for (int v = 0; v < vectors; v++) bk[v] = step_load(b + v * LANES * DEPTH_UNIT);
        UNROLL for (int r = 0; r < rows; r++) {
            Step ar = step_all(a + (size_t)r * row_stride);
            UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = step_multiply_add(ar, bk[v], acc[r][v]);
        }
        a += a_stride;
        b += b_stride;
    }
}

/* The last value of an odd depth: what lies behind it in the tile may be anything. */
INLINE void multiply_add_single(Vector acc[][GEMM_VECTORS], int rows, int vectors, const Value *a, const Value *b) {
    UNROLL for (int r = 0; r < rows; r++) {
        const Value pair[2] = {a[r * TILE_CHANNELS], 0};
        Step ar = step_all(pair);
        UNROLL for (int v = 0; v < vectors; v++) acc[r][v] =
            step_multiply_add(ar, step_load(b + v * LANES * DEPTH_UNIT), acc[r][v]);
    }
}

INLINE void tile_block(int rows, int vectors, const Value *tile, int tile_rows, int depth, const Value *packed,
                       int columns, Value *c, size_t c_stride, const Value *add, const float *bias) {
    Vector acc[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        Vector start = left <= 0 || !bias ? vector_all(0.0f) : load_lanes(bias + v * LANES, tail);
        UNROLL for (int r = 0; r < rows; r++) acc[r][v] = start;
    }
    const int steps = depth / DEPTH_UNIT;
    const size_t next_panel = round_up((size_t)depth, DEPTH_UNIT) * PANEL;
    for (int k = 0; k < steps; k += STEPS) {
        int count = steps - k < STEPS ? steps - k : STEPS;
        multiply_add(acc, rows, vectors, tile + tile_offset(k * DEPTH_UNIT, tile_rows), TILE_CHANNELS, DEPTH_UNIT,
                     packed + (size_t)k * PANEL * DEPTH_UNIT, PANEL * DEPTH_UNIT, count, next_panel);
    }
    if (depth % DEPTH_UNIT)
        multiply_add_single(acc, rows, vectors, tile + tile_offset(depth - 1, tile_rows),
                            packed + (size_t)steps * PANEL * DEPTH_UNIT);
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        if (left <= 0) break;
        UNROLL for (int r = 0; r < rows; r++) {
            Vector value = acc[r][v];
            if (add) value = value + load_values(add + (size_t)r * c_stride + v * LANES, tail);
            store_values(c + (size_t)r * c_stride + v * LANES, value, tail);
        }
    }
}

/* A single row times SIDE_PANELS whole panels: one panel alone would have a chain of multiply-adds or two, each of which
 * waits for the one before. The order of a column's sum is tile_block's. */
INLINE void single_row(const Value *tile, int tile_rows, int depth, const Value *packed, size_t panel_values, Value *c,
                       const Value *add, const float *bias) {
    Vector acc[SIDE_PANELS][1][GEMM_VECTORS];
    UNROLL for (int p = 0; p < SIDE_PANELS; p++) UNROLL for (int v = 0; v < GEMM_VECTORS; v++) acc[p][0][v] =
        bias ? vector_load(bias + p * PANEL + v * LANES) : vector_all(0.0f);
    const int steps = depth / DEPTH_UNIT;
    for (int k = 0; k < steps; k++) {
        const Step a = step_all(tile + tile_offset(k * DEPTH_UNIT, tile_rows));
        const Value *b = packed + (size_t)k * PANEL * DEPTH_UNIT;
        UNROLL for (int p = 0; p < SIDE_PANELS; p++) UNROLL for (int v = 0; v < GEMM_VECTORS; v++) acc[p][0][v] =
            step_multiply_add(a, step_load(b + (size_t)p * panel_values + v * LANES * DEPTH_UNIT), acc[p][0][v]);
    }
    UNROLL for (int p = 0; p < SIDE_PANELS; p++) {
        if (depth % DEPTH_UNIT)
            multiply_add_single(acc[p], 1, GEMM_VECTORS, tile + tile_offset(depth - 1, tile_rows),
                                packed + (size_t)p * panel_values + (size_t)steps * PANEL * DEPTH_UNIT);
        UNROLL for (int v = 0; v < GEMM_VECTORS; v++) {
            const int at = p * PANEL + v * LANES;
            if (add) acc[p][0][v] = acc[p][0][v] + load_values(add + at, 0);
            store_values(c + at, acc[p][0][v], 0);
        }
    }
}

/* `steps` of pixels; a and b: values of one channel and pixel step lie together, channels next to each other. */
INLINE void transposed_block(int rows, int vectors, const Value *a, size_t a_stride, const Value *b, size_t b_stride,
                             int steps, int columns, bool add, float *c, size_t c_stride) {
    Vector acc[GEMM_ROWS][GEMM_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        UNROLL for (int r = 0; r < rows; r++) acc[r][v] =
            left <= 0 || !add ? vector_all(0.0f) : load_lanes(c + (size_t)r * c_stride + v * LANES, tail);
    }
    multiply_add(acc, rows, vectors, a, DEPTH_UNIT, a_stride, b, b_stride, steps, 0);
    UNROLL for (int v = 0; v < vectors; v++) {
        int left = columns - v * LANES, tail = left < LANES ? left : 0;
        if (left <= 0) break;
        UNROLL for (int r = 0; r < rows; r++) store_lanes(c + (size_t)r * c_stride + v * LANES, acc[r][v], tail);
    }
}

void ISA_NAME(gemm_tile)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                         Stored *c, size_t c_stride, const Stored *add, const float *bias) {
    const size_t panel_values = round_up((size_t)depth, DEPTH_UNIT) * PANEL;
    const Value *panel = packed;
    int n = 0;
    for (; rows == 1 && columns - n >= SIDE_PANELS * PANEL; n += SIDE_PANELS * PANEL)
        single_row(tile, tile_rows, depth, panel + (size_t)(n / PANEL) * panel_values, panel_values, (Value *)c + n,
                   add ? (const Value *)add + n : NULL, bias ? bias + n : NULL);
    for (panel += (size_t)(n / PANEL) * panel_values; n < columns; n += PANEL, panel += panel_values) {
        int left = columns - n;
        for (int r = 0; r < rows;) {
            int share = even_share(rows - r);
            const Value *from = (const Value *)tile + (size_t)r * TILE_CHANNELS;
            const Value *plus = add ? (const Value *)add + (size_t)r * c_stride + n : NULL;
            Value *to = (Value *)c + (size_t)r * c_stride + n;
            const float *start = bias ? bias + n : NULL;
#define BLOCK(count, vectors) tile_block(count, vectors, from, tile_rows, depth, panel, left, to, c_stride, plus, start)
            WITH_BLOCK(share, left, BLOCK);
#undef BLOCK
            r += share;
        }
    }
}

/* Rows of `count` channels and steps of pixels as transposed_block wants them: the tile itself in fp32, interleaved in
 * `pairs` in bf16. */
INLINE const Value *pixel_steps(const Value *tile, int pixels, int count, Value *pairs) {
#ifdef EFFNET_VALUES_BF16
    for (int pixel = 0; pixel < pixels; pixel += 2, pairs += 2 * count) {
        const Value *first = tile + (size_t)pixel * TILE_CHANNELS;
        const Value *second = pixel + 1 < pixels ? first + TILE_CHANNELS : NULL;
        for (int c = 0; c < count; c += LANES)
            pairs_interleave(first + c, second ? second + c : NULL, (uint32_t *)(void *)(pairs + 2 * c));
    }
    return pairs - (size_t)(pixels + 1) / 2 * 2 * (size_t)count;
#else
    (void)pixels, (void)count, (void)pairs;
    return tile;
#endif
}

static void transposed_pixels(const Value *a_tile, const Value *b_tile, int tile_rows, int pixels, int m, int n,
                              bool add, float *c, size_t c_stride) {
    const int steps = (pixels + DEPTH_UNIT - 1) / DEPTH_UNIT;
#ifdef EFFNET_VALUES_BF16
    _Alignas(64) Value a_pairs[TILE_ROWS * TILE_CHANNELS], b_pairs[TILE_ROWS * PANEL];
    const size_t a_stride = 2 * TILE_CHANNELS, b_stride = 2 * PANEL;
#else
    Value *const a_pairs = NULL, *const b_pairs = NULL;
    const size_t a_stride = TILE_CHANNELS, b_stride = TILE_CHANNELS;
#endif
    for (int block = 0; block < m; block += TILE_CHANNELS) {
        const Value *a_block = pixel_steps(a_tile + tile_offset(block, tile_rows), pixels, TILE_CHANNELS, a_pairs);
        int block_end = block + TILE_CHANNELS < m ? block + TILE_CHANNELS : m;
        for (int column = 0; column < n; column += PANEL) {
            int left = n - column;
            const Value *b = pixel_steps(b_tile + tile_offset(column, tile_rows), pixels, PANEL, b_pairs);
            for (int row = block; row < block_end;) {
                int share = even_share(block_end - row);
                const Value *a = a_block + (size_t)(row - block) * DEPTH_UNIT;
                float *to = c + (size_t)row * c_stride + column;
#define BLOCK(count, vectors) transposed_block(count, vectors, a, a_stride, b, b_stride, steps, left, add, to, c_stride)
                WITH_BLOCK(share, left, BLOCK);
#undef BLOCK
                row += share;
            }
        }
    }
}

void ISA_NAME(gemm_transposed)(const Tile *a_tile, const Tile *b_tile, int tile_rows, int pixels, int m, int n,
                               bool add, float *c, size_t c_stride) {
    int parts = DEPTH_UNIT == 1 ? 1 : (pixels + TILE_ROWS - 1) / TILE_ROWS; /* that fit into the interleaved blocks */
    int most = (int)round_up((size_t)(pixels + parts - 1) / (size_t)parts, DEPTH_UNIT);
    const Value *a = a_tile, *b = b_tile;
    for (int first = 0; first < pixels; first += most)
        transposed_pixels(a + (size_t)first * TILE_CHANNELS, b + (size_t)first * TILE_CHANNELS, tile_rows,
                          pixels - first < most ? pixels - first : most, m, n, add || first > 0, c, c_stride);
}
