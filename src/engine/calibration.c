/* calibration.c - see calibration.h. */
#include "engine/calibration.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 8192 };

typedef struct Seen {
    float low, high; /* of the values, and 0 */
    bool broken;     /* a value was no number */
    int64_t *counts; /* (BINS) from low to high */
    int channels;
    double *sums, pixels; /* (channels) of the second round */
} Seen;

struct Calibration {
    const Network *network;
    bool counting; /* the second round */
    Seen *tensors;
    int64_t *counts; /* (tensors, BINS) */
    double *sums;    /* of all tensors, one after the other */
    float *mean_values, **means;
};

void calibration_free(Calibration *calibration) {
    if (!calibration) return;
    free(calibration->tensors);
    free(calibration->counts);
    free(calibration->sums);
    free(calibration->mean_values);
    free(calibration->means);
    free(calibration);
}

effnet_status calibration_create(const Network *network, Calibration **out, effnet_error *err) {
    const size_t tensors = (size_t)network->num_tensors;
    size_t channels = 0;
    for (size_t i = 0; i < tensors; i++) channels += (size_t)network->tensors[i].channels;
    *out = NULL;
    TRY(static_bytes_check(network, err));
    Calibration *made = calloc(1, sizeof *made);
    if (made) {
        made->network = network;
        made->tensors = calloc(tensors, sizeof *made->tensors);
        made->counts = calloc(tensors * BINS, sizeof *made->counts);
        made->sums = calloc(channels, sizeof *made->sums);
        made->mean_values = calloc(channels, sizeof *made->mean_values);
        made->means = calloc(tensors, sizeof *made->means);
    }
    if (!made || !made->tensors || !made->counts || !made->sums || !made->mean_values || !made->means) {
        calibration_free(made);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to calibrate %s", network->config.name);
    }
    size_t at = 0;
    for (size_t i = 0; i < tensors; i++) {
        Seen *seen = &made->tensors[i];
        seen->channels = network->tensors[i].channels;
        seen->counts = made->counts + i * BINS;
        seen->sums = made->sums + at;
        made->means[i] = made->mean_values + at;
        at += (size_t)seen->channels;
    }
    *out = made;
    return EFFNET_OK;
}

static bool is_relu6(const Network *network, int tensor) {
    return tensor > 0 && network->ops[tensor - 1].kind == OP_BATCH_NORM &&
           network->ops[tensor - 1].activation == ACTIVATION_RELU6;
}

static float bounded(float value, float low, float high) {
    return value < low ? low : value > high ? high : value;
}

static void find_bounds(Seen *seen, const float *values, size_t count) {
    float low = seen->low, high = seen->high;
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        if (values[i] != values[i]) seen->broken = true;
    }
    seen->low = low;
    seen->high = high;
}

static void count_values(Seen *seen, const float *values, size_t count) {
    const float range = seen->high - seen->low, bins = range > 0 ? (float)BINS / range : 0;
    const size_t channels = (size_t)seen->channels;
    for (size_t pixel = 0; pixel < count / channels; pixel++, values += channels)
        for (size_t c = 0; c < channels; c++) {
            const float value = bounded(values[c], seen->low, seen->high);
            const int bin = (int)((value - seen->low) * bins);
            seen->counts[bin < BINS ? bin : BINS - 1]++;
            seen->sums[c] += (double)value;
        }
    seen->pixels += (double)(count / channels);
}

void calibration_look(void *context, int tensor, float *values, size_t count) {
    Calibration *calibration = context;
    if (!static_bytes_rounds(calibration->network, tensor)) return;
    if (calibration->counting)
        count_values(&calibration->tensors[tensor], values, count);
    else
        find_bounds(&calibration->tensors[tensor], values, count);
}

effnet_status calibration_second_round(Calibration *calibration, effnet_error *err) {
    const Network *network = calibration->network;
    for (int tensor = 0; tensor < network->num_tensors; tensor++) {
        Seen *seen = &calibration->tensors[tensor];
        if (seen->broken || !isfinite(seen->low) || !isfinite(seen->high))
            return fail(err, EFFNET_ERROR_NUMERIC, "the values of '%s' are not all numbers: no range holds them",
                        tensor ? network->ops[tensor - 1].name : "the pictures");
        if (!is_relu6(network, tensor)) continue;
        seen->low = 0;
        seen->high = bounded(seen->high, 0, 6);
    }
    calibration->counting = true;
    return EFFNET_OK;
}

/* The first bin, from the end that `step` leads away from, with more than `beyond` values up to and in it. */
static int bin_at(const Seen *seen, int first, int step, double beyond) {
    double passed = 0;
    int bin = first;
    for (; bin >= 0 && bin < BINS; bin += step) {
        passed += (double)seen->counts[bin];
        if (passed > beyond) break;
    }
    return bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
}

static ByteRange range_of(const Seen *seen, double percentile) {
    double all = 0;
    for (int bin = 0; bin < BINS; bin++) all += (double)seen->counts[bin];
    const double beyond = all * (1 - percentile / 100);
    const float width = (seen->high - seen->low) / BINS;
    const int lowest = bin_at(seen, 0, 1, beyond), highest = bin_at(seen, BINS - 1, -1, beyond);
    return byte_range(seen->low + (float)lowest * width, seen->low + (float)(highest + 1) * width);
}

effnet_status calibration_ranges(const Calibration *calibration, double percentile, ByteRange **out,
                                 effnet_error *err) {
    const Network *network = calibration->network;
    *out = NULL;
    if (!(percentile > 50 && percentile <= 100))
        return fail(err, EFFNET_ERROR_ARGUMENT, "percentile is %g; allowed: above 50, to 100", percentile);
    ByteRange *ranges = calloc((size_t)network->num_tensors, sizeof *ranges);
    if (!ranges) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the ranges of %s", network->config.name);
    for (int tensor = 0; tensor < network->num_tensors; tensor++)
        if (static_bytes_rounds(network, tensor)) ranges[tensor] = range_of(&calibration->tensors[tensor], percentile);
    *out = ranges;
    return EFFNET_OK;
}

float *const *calibration_means(const Calibration *calibration) {
    for (int tensor = 0; tensor < calibration->network->num_tensors; tensor++) {
        const Seen *seen = &calibration->tensors[tensor];
        for (int c = 0; c < seen->channels && seen->pixels > 0; c++)
            calibration->means[tensor][c] = (float)(seen->sums[c] / seen->pixels);
    }
    return calibration->means;
}
