/* resize.c - separable resampling in floats; resize_axis.c says which source pixels an output pixel is made of.
 *
 * Rows are resampled across first, each as it is needed, into a ring of as many rows as the filter is high; then each
 * output row is a weighted sum of ring rows. Pillow clips to 0..255 after both passes, which bicubic's overshoot makes
 * visible; so do we, unless asked to keep it. The other methods know no clipping between the passes. Sums run in a
 * fixed order: the same bits on every machine. */
#include "data/resize.h"
#include "base/memory.h"
#include "data/resize_axis.h"
#include "recipe/recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef float Float4 __attribute__((vector_size(16)));

void resizer_release(Resizer *resizer) {
    free(resizer->block);
    *resizer = (Resizer){0};
}

static ResizeKind kind_of(const ResizeOptions *options) {
    return (ResizeKind){options->method, options->interpolation};
}

/* ---- passes ---- */

/* One source row to floats, then across: out (side, 3), with room for one float more. */
static void resample_row(const uint8_t *row, int width, const ResizeAxis *axis, int side, bool clip, float *levels,
                         float *out) {
    for (int i = 0; i < 3 * width; i++) levels[i] = row[i];
    for (int x = 0; x < side; x++) {
        const float *source = levels + 3 * axis->first[x], *weights = axis->weights + (size_t)x * (size_t)axis->taps;
        Float4 sum = {0}; /* the fourth lane is the next pixel's first: written, then overwritten */
        for (int k = 0; k < axis->count[x]; k++) {
            Float4 pixel;
            memcpy(&pixel, source + 3 * k, sizeof pixel);
            sum += weights[k] * pixel;
        }
        memcpy(out + 3 * x, &sum, sizeof sum);
    }
    if (!clip) return;
    for (int i = 0; i < 3 * side; i++) {
        float level = out[i] > 0 ? out[i] : 0;
        out[i] = level < 255 ? level : 255;
    }
}

/* total += the rows times their weights, four rows at a time. */
static void add_rows(float *restrict total, float *const *rows, const float *weights, int count, int length) {
    int k = 0;
    for (; k + 4 <= count; k += 4) {
        const float *restrict a = rows[k], *restrict b = rows[k + 1], *restrict c = rows[k + 2],
                              *restrict d = rows[k + 3];
        float wa = weights[k], wb = weights[k + 1], wc = weights[k + 2], wd = weights[k + 3];
        for (int i = 0; i < length; i++) total[i] += wa * a[i] + wb * b[i] + (wc * c[i] + wd * d[i]);
    }
    for (; k < count; k++) {
        const float *restrict a = rows[k];
        float wa = weights[k];
        for (int i = 0; i < length; i++) total[i] += wa * a[i];
    }
}

/* Clips and normalises in place; scale and bias (length) repeat the three channels. */
static void finish_row(float *restrict row, const float *restrict scale, const float *restrict bias, int length,
                       bool keep_overshoot) {
    if (keep_overshoot) {
        for (int i = 0; i < length; i++) row[i] = row[i] * scale[i] + bias[i];
        return;
    }
    for (int i = 0; i < length; i++) {
        float level = row[i] > 0 ? row[i] : 0;
        level = level < 255 ? level : 255;
        row[i] = level * scale[i] + bias[i];
    }
}

/* ---- memory ---- */

typedef struct Workspace {
    ResizeAxis across, down;
    float *levels;       /* a source row, (box width + 1) * 3 */
    float *ring;         /* down.taps rows of ring_stride floats */
    float **rows;        /* the ring rows of one output row */
    float *scale, *bias; /* (side, 3) */
    size_t ring_stride;
} Workspace;

/* `count` elements of `size` bytes at *used, 64-aligned. */
static void *carve(char *block, size_t *used, size_t count, size_t size) {
    void *place = block ? block + *used : NULL;
    *used += round_up(count * size, MEMORY_ALIGNMENT);
    return place;
}

static int height_of(const ResizeOptions *options) {
    return options->height ? options->height : options->side;
}

/* Called with block NULL to learn the size. No overflow: a side is at most 30,000 and so are taps, so that each part
 * is far below 2^40 bytes. */
static size_t lay_out(Workspace *space, char *block, const ResizeSpan spans[2], const ResizeOptions *options) {
    size_t used = 0, side = (size_t)options->side;
    ResizeAxis *axes[2] = {&space->across, &space->down};
    int output[2] = {options->side, height_of(options)};
    for (int i = 0; i < 2; i++) {
        axes[i]->taps = resize_axis_taps(spans[i], output[i], kind_of(options));
        axes[i]->first = carve(block, &used, (size_t)output[i], sizeof(int));
        axes[i]->count = carve(block, &used, (size_t)output[i], sizeof(int));
        axes[i]->weights = carve(block, &used, (size_t)output[i] * (size_t)axes[i]->taps, sizeof(float));
    }
    space->ring_stride = round_up(3 * side + 1, 16);
    space->levels = carve(block, &used, 3 * ((size_t)spans[0].pixels + 1), sizeof(float));
    space->ring = carve(block, &used, (size_t)space->down.taps * space->ring_stride, sizeof(float));
    space->rows = carve(block, &used, (size_t)space->down.taps, sizeof(float *));
    space->scale = carve(block, &used, 3 * side, sizeof(float));
    space->bias = carve(block, &used, 3 * side, sizeof(float));
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
    resize_axis_fill(&space->across, spans[0], options->side, kind_of(options), options->flip);
    resize_axis_fill(&space->down, spans[1], height_of(options), kind_of(options), false);
    for (int i = 0; i < 3 * options->side; i++) {
        space->scale[i] = options->scale[i % 3];
        space->bias[i] = options->bias[i % 3];
    }
    for (int i = 0; i < 3; i++) space->levels[3 * spans[0].pixels + i] = 0; /* read into a lane that nobody keeps */
    return EFFNET_OK;
}

/* pixels: the first that is touched. */
static effnet_status resize_spans(Resizer *resizer, const uint8_t *pixels, size_t stride, const ResizeSpan spans[2],
                                  const ResizeOptions *options, float *out, effnet_error *err) {
    Workspace space;
    TRY(prepare(resizer, &space, spans, options, err));
    const ResizeAxis *down = &space.down;
    bool clip =
        options->method == RESIZE_PILLOW && options->interpolation == INTERPOLATION_BICUBIC && !options->keep_overshoot;
    int side = options->side, made = 0; /* source rows [0, made) were resampled; the last `taps` are in the ring */
    for (int y = 0; y < height_of(options); y++) {
        int first = down->first[y], end = first + down->count[y];
        if (made < first) made = first;
        for (; made < end; made++) {
            resample_row(pixels + (size_t)made * stride, spans[0].pixels, &space.across, side, clip, space.levels,
                         space.ring + (size_t)(made % down->taps) * space.ring_stride);
        }
        for (int i = first; i < end; i++)
            space.rows[i - first] = space.ring + (size_t)(i % down->taps) * space.ring_stride;
        float *row = out + (size_t)y * 3 * (size_t)side;
        memset(row, 0, 3 * (size_t)side * sizeof *row);
        add_rows(row, space.rows, down->weights + (size_t)y * (size_t)down->taps, down->count[y], 3 * side);
        finish_row(row, space.scale, space.bias, 3 * side, options->keep_overshoot);
    }
    return EFFNET_OK;
}

effnet_status resize_box(Resizer *resizer, const uint8_t *pixels, size_t stride, Box box, const ResizeOptions *options,
                         float *out, effnet_error *err) {
    const ResizeSpan spans[2] = {{0, box.width, box.width}, {0, box.height, box.height}};
    return resize_spans(resizer, pixels + (size_t)box.top * stride + 3 * (size_t)box.left, stride, spans, options, out,
                        err);
}

static ResizeSpan span_of(double start, double extent, int *first) {
    *first = (int)start;
    return (ResizeSpan){start - *first, extent, (int)ceil(start + extent) - *first};
}

effnet_status resize_window(Resizer *resizer, const uint8_t *pixels, size_t stride, FractionalBox window,
                            const ResizeOptions *options, float *out, effnet_error *err) {
    int top, left;
    const ResizeSpan spans[2] = {span_of(window.left, window.width, &left), span_of(window.top, window.height, &top)};
    return resize_spans(resizer, pixels + (size_t)top * stride + 3 * (size_t)left, stride, spans, options, out, err);
}
