/* pack.c - weights into the panels that gemm_tile multiplies by; the layout: kernels.h. Weights may lie with their
 * columns next to each other (depth_stride rows apart) or with their depth next to each other; in the second case they
 * are turned in blocks that stay in the first-level cache. */
#include "backend/cpu/kernels/common.h"

enum { PANEL = GEMM_VECTORS * LANES, TURNED_DEPTH = 16 };

#ifdef EFFNET_VALUES_BF16

/* Rounds `count` weights times a factor, and zeros up to `room`. */
INLINE void round_row(const float *from, int count, int room, float factor, Value *to) {
    memset(to, 0, (size_t)room * sizeof *to);
    for (int i = 0; i < count; i += LANES) {
        int tail = count - i < LANES ? count - i : 0;
        store_values(to + i, load_lanes(from + i, tail) * vector_all(factor), tail);
    }
}

/* Rows d and d + 1 of a panel, interleaved. */
INLINE void pack_rows(const float *weights, size_t depth_stride, int depth, int width, Value *panel) {
    Value rows[2][PANEL];
    for (int d = 0; d < depth; d += 2, panel += 2 * PANEL) {
        round_row(weights + (size_t)d * depth_stride, width, PANEL, 1, rows[0]);
        round_row(weights + (size_t)(d + 1) * depth_stride, d + 1 < depth ? width : 0, PANEL, 1, rows[1]);
        for (int n = 0; n < PANEL; n += LANES)
            pairs_interleave(rows[0] + n, rows[1] + n, (uint32_t *)(void *)(panel + 2 * n));
    }
}

INLINE void pack_columns(const float *weights, size_t column_stride, int depth, int width, const float *scale,
                         Value *panel) {
    Value column[TURNED_DEPTH];
    for (int d = 0; d < depth; d += TURNED_DEPTH) {
        int count = depth - d < TURNED_DEPTH ? depth - d : TURNED_DEPTH;
        for (int n = 0; n < PANEL; n++) {
            round_row(weights + (size_t)n * column_stride + d, n < width ? count : 0, TURNED_DEPTH,
                      scale && n < width ? scale[n] : 1, column);
            for (int pair = 0; 2 * pair < count; pair++)
                memcpy(panel + (size_t)(d / 2 + pair) * 2 * PANEL + 2 * n, column + 2 * pair, 2 * sizeof *panel);
        }
    }
}

#else

INLINE void pack_rows(const float *weights, size_t depth_stride, int depth, int width, Value *panel) {
    for (int d = 0; d < depth; d++, panel += PANEL) {
        memcpy(panel, weights + (size_t)d * depth_stride, (size_t)width * sizeof *panel);
        memset(panel + width, 0, (size_t)(PANEL - width) * sizeof *panel);
    }
}

INLINE void pack_columns(const float *weights, size_t column_stride, int depth, int width, const float *scale,
                         Value *panel) {
    for (int d = 0; d < depth; d += TURNED_DEPTH) {
        int end = d + TURNED_DEPTH < depth ? d + TURNED_DEPTH : depth;
        for (int n = 0; n < PANEL; n++) {
            float factor = scale && n < width ? scale[n] : 1;
            for (int i = d; i < end; i++)
                panel[(size_t)i * PANEL + (size_t)n] =
                    n < width ? weights[(size_t)n * column_stride + (size_t)i] * factor : 0;
        }
    }
}

#endif

void ISA_NAME(pack_panel)(const float *weights, size_t depth_stride, size_t column_stride, int depth, int width,
                          const float *scale, Packed *panel) {
    if (column_stride == 1 && !scale)
        pack_rows(weights, depth_stride, depth, width, panel);
    else
        pack_columns(weights, column_stride, depth, width, scale, panel);
}
