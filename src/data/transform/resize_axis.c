/* resize_axis.c - see resize_axis.h.
 *
 * Pillow (libImaging/Resample.c; torchvision and PyTorch with antialias=True the same): centre = (x + 1/2) * scale,
 * scale = source / output; source pixels i weigh filter((i + 1/2 - centre) / max(scale, 1)), normalised to 1: when
 * shrinking the filter is widened, so that every source pixel counts.
 *
 * The others sample at a point, the filter as narrow as it is, whatever the scale:
 *   TensorFlow 2  tf.image.resize: point (x + 1/2) * scale - 1/2; Keys's cubic, a = -1/2; what lies outside is left out
 *                 and the rest normalised
 *   TensorFlow 1  tf.compat.v1.image.resize_bicubic, align_corners=False: point x * scale (so the picture shifts by
 * half a pixel); a = -3/4; pixels at the edge stand for those outside PyTorch       interpolate(antialias=False,
 * align_corners=False): point (x + 1/2) * scale - 1/2; a = -3/4; edges as TensorFlow 1 TensorFlow's bicubic looks its
 * weights up in a table of 1,024 steps of a pixel (core/kernels/image/resize_bicubic_op.cc), so its weights are off by
 * up to 1/2048 of their slope; so are ours. Points are computed in float32 as there. */
#include "data/transform/resize_axis.h"
#include "recipe/recipe.h"

#include <math.h>

enum { TABLE_STEPS = 1024 };

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* R. Keys, "Cubic convolution interpolation for digital image processing" (1981). */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* ---- Pillow ---- */

/* Of how many output positions the source is the whole. */
static int whole_of(ResizeSpan source, int output) {
    return source.whole ? source.whole : output;
}

static double support_of(ResizeSpan source, int output, ResizeKind kind) {
    double scale = source.extent / whole_of(source, output);
    return (kind.interpolation == INTERPOLATION_BICUBIC ? 2.0 : 1.0) * (scale < 1 ? 1 : scale);
}

static double filter_of(ResizeKind kind, double x) {
    return kind.interpolation == INTERPOLATION_BICUBIC ? cubic(x, -0.5) : triangle(x);
}

/* Weights of output position x; returns how many. */
static int widened_weights(const ResizeAxis *axis, ResizeSpan source, int output, ResizeKind kind, int x,
                           int *first_out, float *weights) {
    double scale = source.extent / whole_of(source, output), widened = scale < 1 ? 1 : scale;
    double support = support_of(source, output, kind);
    double centre = source.start + (x + source.offset + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > source.pixels) end = source.pixels;
    if (end - first > axis->taps) end = first + axis->taps;
    for (int i = first; i < end; i++) sum += filter_of(kind, (i + 0.5 - centre) / widened);
    for (int i = first; i < end; i++) weights[i - first] = (float)(filter_of(kind, (i + 0.5 - centre) / widened) / sum);
    *first_out = first;
    return end - first;
}

/* ---- sampling at a point ---- */

static int point_taps(ResizeKind kind) {
    return kind.interpolation == INTERPOLATION_BICUBIC ? 4 : 2;
}

/* Weight of the k-th of the taps where the point lies `fraction` behind the one before it (k = 1 of 4, 0 of 2). */
static double point_weight(ResizeKind kind, int k, float fraction) {
    if (kind.interpolation != INTERPOLATION_BICUBIC) return k ? (double)fraction : 1 - (double)fraction;
    double between = (double)fraction;
    if (kind.method != RESIZE_TORCH) between = (double)lrintf(fraction * TABLE_STEPS) / TABLE_STEPS;
    return cubic(k - 1 - between, kind.method == RESIZE_TENSORFLOW ? -0.5 : -0.75);
}

static int point_weights(int source, int output, ResizeKind kind, int x, int *first_out, float *weights) {
    float scale = (float)source / (float)output;
    float point = kind.method == RESIZE_TENSORFLOW1 ? (float)x * scale : ((float)x + 0.5f) * scale - 0.5f;
    int taps = point_taps(kind), before = (int)floorf(point), lowest = before - (taps == 4);
    float fraction = point - (float)before;
    int first = lowest < 0 ? 0 : lowest > source - 1 ? source - 1 : lowest;
    int last = lowest + taps - 1 > source - 1 ? source - 1 : lowest + taps - 1 < 0 ? 0 : lowest + taps - 1;
    bool leave_out = kind.method == RESIZE_TENSORFLOW && taps == 4; /* else the edge stands for what is outside */
    double totals[4] = {0}, sum = 0;
    for (int k = 0; k < taps; k++) {
        int place = lowest + k;
        if (leave_out && (place < 0 || place >= source)) continue;
        double weight = point_weight(kind, k, fraction);
        place = place < first ? first : place > last ? last : place;
        totals[place - first] += weight;
        sum += weight;
    }
    for (int k = 0; k <= last - first; k++) weights[k] = (float)(leave_out && sum != 0 ? totals[k] / sum : totals[k]);
    *first_out = first;
    return last - first + 1;
}

/* ---- both ---- */

int resize_axis_taps(ResizeSpan source, int output, ResizeKind kind) {
    int taps = kind.method == RESIZE_PILLOW ? 2 * (int)ceil(support_of(source, output, kind)) + 1 : point_taps(kind);
    return taps < source.pixels ? taps : source.pixels;
}

void resize_axis_fill(ResizeAxis *axis, ResizeSpan source, int output, ResizeKind kind, bool reversed) {
    for (int x = 0; x < output; x++) {
        int place = reversed ? output - 1 - x : x;
        float *weights = axis->weights + (size_t)place * (size_t)axis->taps;
        axis->count[place] = kind.method == RESIZE_PILLOW
                                 ? widened_weights(axis, source, output, kind, x, &axis->first[place], weights)
                                 : point_weights(source.pixels, whole_of(source, output), kind, x + source.offset,
                                                 &axis->first[place], weights);
    }
}
