/* resize_rows.h - the two inner loops of resizing: four source rows across at once, and one output row out of ring
 * rows. Written once (resize_rows_body.h) and compiled for what a machine may have; every instance makes the same bits,
 * since sums run in one order and products are never fused with them. Internal to data/. */
#ifndef EFFNET_DATA_TRANSFORM_RESIZE_ROWS_H
#define EFFNET_DATA_TRANSFORM_RESIZE_ROWS_H

#include "data/transform/resize_axis.h"

#include <stdint.h>

enum {
    ROWS_AT_ONCE = 4,
    PIXEL_FLOATS = 4 * ROWS_AT_ONCE, /* of `levels`, a source pixel of all rows: red, green, blue and one unused */
    ROW_PADDING = 32,                /* floats behind a row that may be read, and written in ring rows */
};

typedef struct ResizeRows {
    const char *isa; /* "plain", "avx2", "avx512" */
    /* rows (width, 3) bytes -> out (side, 3) floats, with ROW_PADDING behind; levels (width, PIXEL_FLOATS) is scratch.
     * `clip`: to 0..255. */
    void (*across)(const uint8_t *const rows[ROWS_AT_ONCE], int width, const ResizeAxis *axis, int side, bool clip,
                   float *levels, float *const out[ROWS_AT_ONCE]);
    /* out (length) = the weighted sum of the rows, clipped to 0..255 unless keep_overshoot, * scale + bias; all but out
     * have ROW_PADDING behind. */
    void (*down)(float *const *rows, const float *weights, int count, int length, const float *scale, const float *bias,
                 bool keep_overshoot, float *out);
} ResizeRows;

/* The instances that this machine can run, the best first; `which` counts from 0, NULL beyond the last. */
const ResizeRows *resize_rows(int which);

#endif
