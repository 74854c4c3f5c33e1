/* resize.c - separable resampling in floats; resize_axis.c says which source pixels an output pixel is made of, and
 * resize_rows.h has the loops.
 *
 * Rows are resampled across first, four at once and only when they are needed, into a ring of as many rows as the
 * filter is high; then each output row is a weighted sum of ring rows, clipped, normalised and written where it is
 * wanted. Pillow clips to 0..255 after both passes, which bicubic's overshoot makes visible; so do we, unless asked to
 * keep it. The other methods know no clipping between the passes. Sums run in a fixed order: the same bits on every
 * machine. */
#include "data/transform/resize.h"
#include "base/memory.h"
#include "data/transform/resize_rows.h"
#include "recipe/recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void resizer_release(Resizer *resizer) {
    free(resizer->block);
    *resizer = (Resizer){0};
}

static ResizeKind kind_of(const ResizeOptions *options) {
    return (ResizeKind){options->method, options->interpolation};
}

/* ---- memory ---- */

typedef struct Workspace {
    ResizeAxis across, down;
    float *levels;       /* four source rows, (box width, PIXEL_FLOATS) */
    float *ring;         /* ring_rows + 1 rows of ring_stride floats; the last for rows that nobody wants */
    float **rows;        /* the ring rows of one output row */
    float *scale, *bias; /* (output width, 3) and ROW_PADDING */
    size_t ring_stride;
    int ring_rows;
} Workspace;

/* `count` elements of `size` bytes at *used, 64-aligned. */
static void *carve(char *block, size_t *used, size_t count, size_t size) {
    void *place = block ? block + *used : NULL;
    *used += round_up(count * size, MEMORY_ALIGNMENT);
    return place;
}

/* Called with block NULL to learn the size. No overflow: a side is at most 30,000 and so are taps, so that each part
 * is far below 2^40 bytes. */
static size_t lay_out(Workspace *space, char *block, const ResizeSpan spans[2], const ResizeOptions *options) {
    size_t used = 0, width = (size_t)options->width;
    ResizeAxis *axes[2] = {&space->across, &space->down};
    int output[2] = {options->width, options->height};
    for (int i = 0; i < 2; i++) {
        axes[i]->taps = resize_axis_taps(spans[i], output[i], kind_of(options));
        axes[i]->first = carve(block, &used, (size_t)output[i], sizeof(int));
        axes[i]->count = carve(block, &used, (size_t)output[i], sizeof(int));
        axes[i]->weights = carve(block, &used, (size_t)output[i] * (size_t)axes[i]->taps, sizeof(float));
    }
    space->ring_stride = round_up(3 * width, 16) + ROW_PADDING;
    space->ring_rows = space->down.taps + ROWS_AT_ONCE - 1; /* those of an output row, and three made with the last */
    space->levels = carve(block, &used, (size_t)spans[0].pixels * PIXEL_FLOATS, sizeof(float));
    space->ring = carve(block, &used, ((size_t)space->ring_rows + 1) * space->ring_stride, sizeof(float));
    space->rows = carve(block, &used, (size_t)space->down.taps, sizeof(float *));
    space->scale = carve(block, &used, 3 * width + ROW_PADDING, sizeof(float));
    space->bias = carve(block, &used, 3 * width + ROW_PADDING, sizeof(float));
    return used;
}

/* spans: across, down. */
static effnet_status prepare(Resizer *resizer, Workspace *space, const ResizeSpan spans[2],
                             const ResizeOptions *options, effnet_error *err) {
    size_t needed = lay_out(space, NULL, spans, options);
    if (needed > resizer->capacity) {
        resizer_release(resizer);
        resizer->block = aligned_alloc(MEMORY_ALIGNMENT, needed);
        if (!resizer->block) return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) to resize a picture", needed);
        resizer->capacity = needed;
    }
    lay_out(space, resizer->block, spans, options);
    resize_axis_fill(&space->across, spans[0], options->width, kind_of(options), options->flip);
    resize_axis_fill(&space->down, spans[1], options->height, kind_of(options), false);
    size_t length = 3 * (size_t)options->width;
    for (size_t i = 0; i < length + ROW_PADDING; i++) {
        space->scale[i] = i < length ? options->scale[i % 3] : 0;
        space->bias[i] = i < length ? options->bias[i % 3] : 0;
    }
    for (int r = 0; r <= space->ring_rows; r++) /* read into lanes that nobody keeps */
        memset(space->ring + (size_t)r * space->ring_stride + length, 0, ROW_PADDING * sizeof(float));
    return EFFNET_OK;
}

/* Source rows made, made + 1, ... below `end` into the ring, four at most; returns behind the last. */
static int make_rows(const Workspace *space, const ResizeRows *loops, const uint8_t *pixels, size_t stride, int width,
                     int columns, bool clip, int made, int end) {
    const uint8_t *rows[ROWS_AT_ONCE];
    float *out[ROWS_AT_ONCE];
    int count = end - made < ROWS_AT_ONCE ? end - made : ROWS_AT_ONCE;
    for (int r = 0; r < ROWS_AT_ONCE; r++) {
        int row = r < count ? made + r : made, place = r < count ? row % space->ring_rows : space->ring_rows;
        rows[r] = pixels + (size_t)row * stride;
        out[r] = space->ring + (size_t)place * space->ring_stride;
    }
    loops->across(rows, width, &space->across, columns, clip, space->levels, out);
    return made + count;
}

/* pixels: the first that is touched. */
static effnet_status resize_spans(Resizer *resizer, const uint8_t *pixels, size_t stride, const ResizeSpan spans[2],
                                  const ResizeOptions *options, float *out, effnet_error *err) {
    Workspace space;
    TRY(prepare(resizer, &space, spans, options, err));
    const ResizeAxis *down = &space.down;
    const ResizeRows *loops = resize_rows(0);
    bool pillow = options->method == RESIZE_PILLOW;
    bool clip = pillow && options->interpolation == INTERPOLATION_BICUBIC && !options->keep_overshoot;
    int columns = options->width, made = 0; /* of source rows [0, made) the last are in the ring */
    for (int y = 0; y < options->height; y++) {
        int first = down->first[y], end = first + down->count[y];
        if (made < first) made = first;
        while (made < end) /* Pillow's filter needs every row; the others may skip those behind `end` */
            made = make_rows(&space, loops, pixels, stride, spans[0].pixels, columns, clip, made,
                             pillow ? spans[1].pixels : end);
        for (int i = first; i < end; i++)
            space.rows[i - first] = space.ring + (size_t)(i % space.ring_rows) * space.ring_stride;
        loops->down(space.rows, down->weights + (size_t)y * (size_t)down->taps, down->count[y], 3 * columns,
                    space.scale, space.bias, options->keep_overshoot, out + (size_t)y * 3 * (size_t)columns);
    }
    return EFFNET_OK;
}

effnet_status resize_box(Resizer *resizer, const uint8_t *pixels, size_t stride, Box box, const ResizeOptions *options,
                         float *out, effnet_error *err) {
    const ResizeSpan spans[2] = {{0, box.width, box.width, 0, 0}, {0, box.height, box.height, 0, 0}};
    return resize_spans(resizer, pixels + (size_t)box.top * stride + 3 * (size_t)box.left, stride, spans, options, out,
                        err);
}

effnet_status resize_then_crop(Resizer *resizer, const uint8_t *pixels, size_t stride, Box box, ResizedCrop resized,
                               const ResizeOptions *options, float *out, effnet_error *err) {
    const ResizeSpan spans[2] = {{0, box.width, box.width, resized.width, resized.left},
                                 {0, box.height, box.height, resized.height, resized.top}};
    return resize_spans(resizer, pixels + (size_t)box.top * stride + 3 * (size_t)box.left, stride, spans, options, out,
                        err);
}

static ResizeSpan span_of(double start, double extent, int *first) {
    *first = (int)start;
    return (ResizeSpan){start - *first, extent, (int)ceil(start + extent) - *first, 0, 0};
}

effnet_status resize_window(Resizer *resizer, const uint8_t *pixels, size_t stride, FractionalBox window,
                            const ResizeOptions *options, float *out, effnet_error *err) {
    int top, left;
    const ResizeSpan spans[2] = {span_of(window.left, window.width, &left), span_of(window.top, window.height, &top)};
    return resize_spans(resizer, pixels + (size_t)top * stride + 3 * (size_t)left, stride, spans, options, out, err);
}
