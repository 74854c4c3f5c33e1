/* golden_compare.h - tensors held against rows of a golden file, and the tolerance between them.
 *
 * A row is [norm, noise, noise_max, sample, ...] (golden_formula.py, describe()): L2 norm in float64; L2 norm and
 * largest element of the difference that PyTorch or JAX itself makes on that tensor when it computes in float32 what
 * it computed in float64; a few elements in float64. What float32 can give depends on how far each tensor amplifies
 * rounding errors, from 1e-7 of its size for running statistics to 1e-3 for Lite's gradients (ReLU6 switches), so the
 * framework's own error is the yardstick:
 *   an element may be off by  MARGIN * max(noise_max, typical * rms) + 2^-22 * |element|
 *   the norm may be off by    MARGIN * max(noise, typical * norm) + 2^-22 * norm
 * where rms = norm / sqrt(count), and `typical` is the median of noise / norm over the quantity's tensors: a tensor on
 * which the framework was lucky is not held to its luck. MARGIN allows for another order of summation, which each
 * instruction set has; the worst of ten cases on three sets was 10 (docs/parity.md), on a bias of few elements.
 * The bias of a batch norm before an expansion has no gradient in exact arithmetic: the next batch norm takes it out.
 * A row whose norm is below 1e-9 of the median says only that: its elements may be up to
 * max(ZERO * the median rms, MARGIN * noise_max).
 * An engine that computes in double and rounds once (the reference engine, in its first step) owes more than a
 * framework in float32: with `exact` an element may be off by EXACT * rms + 2^-22 * |element|, a norm by EXACT * norm.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EFFNET_TESTS_GOLDEN_COMPARE_H
#define EFFNET_TESTS_GOLDEN_COMPARE_H

#include "golden/golden_formula.h"

#include <jansson.h>
#include <stdlib.h>

#define GOLDEN_MARGIN 16.0
#define GOLDEN_ZERO   1e-4
#define GOLDEN_EXACT  2e-6

typedef struct GoldenReport {
    double worst_relative; /* largest difference of an element, in rms of its tensor; of a loss, of its value */
    double worst_ratio;    /* largest difference / allowed */
    char worst_name[96];
    int failures;
} GoldenReport;

static inline double golden_number(const json_t *array, size_t i) {
    return json_number_value(json_array_get(array, i));
}

static inline void golden_check(GoldenReport *report, const char *name, const char *what, double got, double want,
                                double allowed, double scale) {
    double difference = fabs(got - want);
    if (scale > 0 && difference / scale > report->worst_relative) report->worst_relative = difference / scale;
    if (difference / allowed > report->worst_ratio) {
        report->worst_ratio = difference / allowed;
        snprintf(report->worst_name, sizeof report->worst_name, "%s", name);
    }
    if (difference <= allowed) return; /* NaN goes on */
    if (report->failures++ < 5)
        fprintf(stderr, "FAIL %s %s: got %.9g, want %.9g, |difference| %.2e > %.2e\n", name, what, got, want,
                difference, allowed);
}

static inline int golden_ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double golden_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, golden_ascending);
    return count ? values[count / 2] : 0;
}

/* What a quantity's rows have in common. */
typedef struct GoldenScale {
    double norm, rms, typical; /* medians */
    bool exact;
} GoldenScale;

/* counts: elements of each row's tensor. */
static inline GoldenScale golden_scale(const json_t *rows, const size_t *counts) {
    size_t rows_count = json_array_size(rows);
    double *norms = calloc(3 * rows_count + 1, sizeof *norms), *rms = norms + rows_count, *noise = rms + rows_count;
    if (!norms) abort();
    for (size_t i = 0; i < rows_count; i++) {
        const json_t *row = json_array_get(rows, i);
        norms[i] = golden_number(row, 0);
        rms[i] = norms[i] / sqrt((double)counts[i]);
        noise[i] = norms[i] > 0 ? golden_number(row, 1) / norms[i] : 0;
    }
    GoldenScale scale = {golden_median(norms, rows_count), golden_median(rms, rows_count),
                         golden_median(noise, rows_count), false};
    free(norms);
    return scale;
}

static inline void golden_compare_row(GoldenReport *report, const char *name, const json_t *row, GoldenScale scale,
                                      const float *got, size_t count) {
    double squares = 0, norm = golden_number(row, 0), noise = golden_number(row, 1), noise_max = golden_number(row, 2);
    for (size_t i = 0; i < count; i++) squares += (double)got[i] * got[i];
    double rms = norm / sqrt((double)count);
    bool zero = norm < 1e-9 * scale.norm;
    double allowed_norm = scale.exact ? GOLDEN_EXACT * norm : GOLDEN_MARGIN * fmax(noise, scale.typical * norm);
    double allowed_element = scale.exact ? GOLDEN_EXACT * rms : GOLDEN_MARGIN * fmax(noise_max, scale.typical * rms);
    if (zero) {
        allowed_element = fmax(GOLDEN_ZERO * scale.rms, GOLDEN_MARGIN * noise_max);
        allowed_norm = allowed_element * sqrt((double)count);
    }
    golden_check(report, name, "norm", sqrt(squares), norm, allowed_norm + 0x1p-22 * norm, zero ? 0 : norm);
    size_t samples = json_array_size(row) - 3;
    char label[96];
    snprintf(label, sizeof label, "samples.%s", name);
    uint32_t key = golden_name_key(label);
    for (size_t k = 0; k < samples; k++) {
        size_t place = golden_place(key, count, samples, k);
        double want = golden_number(row, k + 3);
        double allowed = allowed_element + 0x1p-22 * fabs(want);
        char what[32];
        snprintf(what, sizeof what, "[%zu]", place);
        golden_check(report, name, what, (double)got[place], want, allowed, zero ? 0 : rms);
    }
}

#endif
