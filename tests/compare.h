/* compare.h - tensors compared in tests: the worst element, its place and both values are printed.
 *
 * The allowed difference is tolerance * scale, where scale is the largest |finite value| of `want` (1 where
 * all are zero): rounding errors of a sum follow the size of its terms, not of each result. The comparison is
 * written
 * !(difference <= allowed), so that NaN, and infinity against anything but what a test asks for, fail.
 * `shape` (rank numbers) turns the place into coordinates; shape NULL, rank 0 prints the flat index.
 *
 *     const int shape[4] = {batch, height, width, channels};
 *     assert_true(compare_floats("depthwise output", got, want, count, shape, 4, 1e-5));
 *
 * Free of cmocka: every function prints one line to stderr where it fails and returns false. */
#ifndef EFFNET_TESTS_COMPARE_H
#define EFFNET_TESTS_COMPARE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static inline double compare_read(const void *values, bool wide, size_t i) {
    return wide ? ((const double *)values)[i] : (double)((const float *)values)[i];
}

/* "(1,3,2,16)" of flat index i. */
static inline void compare_place(char out[64], size_t i, const int *shape, int rank) {
    int coordinates[8] = {0}, used = 0;
    if (!shape || rank < 1 || rank > 8) {
        snprintf(out, 64, "[%zu]", i);
        return;
    }
    for (int d = rank - 1; d >= 0; d--) {
        coordinates[d] = (int)(i % (size_t)shape[d]);
        i /= (size_t)shape[d];
    }
    for (int d = 0; d < rank && used < 63; d++)
        used +=
            snprintf(out + used, 64 - (size_t)used, "%s%d%s", d ? "," : "(", coordinates[d], d == rank - 1 ? ")" : "");
}

static inline double compare_scale(const void *values, bool wide, size_t count) {
    double scale = 0;
    for (size_t i = 0; i < count; i++) {
        double size = fabs(compare_read(values, wide, i));
        if (isfinite(size) && size > scale) scale = size;
    }
    return scale;
}

static inline bool compare_values(const char *name, const void *got, const void *want, bool wide, size_t count,
                                  const int *shape, int rank, double tolerance, double scale) {
    double worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs(compare_read(got, wide, i) - compare_read(want, wide, i));
        if (difference <= worst) continue;
        worst = difference;
        at = i;
        if (isnan(difference)) break;
    }
    double allowed = tolerance * (scale > 0 ? scale : 1);
    if (count == 0 || worst <= allowed) return true;
    char place[64];
    compare_place(place, at, shape, rank);
    fprintf(stderr, "FAIL %s: |difference| %.3e > %.3e (tolerance %.1e x scale %.3e) at %s, got %.9g, want %.9g\n",
            name, worst, allowed, tolerance, scale, place, compare_read(got, wide, at), compare_read(want, wide, at));
    return false;
}

/* Relative to the largest value of `want`. */
static inline bool compare_floats(const char *name, const float *got, const float *want, size_t count, const int *shape,
                                  int rank, double tolerance) {
    return compare_values(name, got, want, false, count, shape, rank, tolerance, compare_scale(want, false, count));
}
static inline bool compare_doubles(const char *name, const double *got, const double *want, size_t count,
                                   const int *shape, int rank, double tolerance) {
    return compare_values(name, got, want, true, count, shape, rank, tolerance, compare_scale(want, true, count));
}

/* Relative to a scale that the caller knows better: where `want` is what is left after terms cancelled. */
static inline bool compare_floats_at_scale(const char *name, const float *got, const float *want, size_t count,
                                           const int *shape, int rank, double tolerance, double scale) {
    return compare_values(name, got, want, false, count, shape, rank, tolerance, scale);
}

/* The same bits, NaN and the sign of zero included. */
static inline bool compare_bits(const char *name, const float *got, const float *want, size_t count, const int *shape,
                                int rank) {
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&got[i], &want[i], sizeof got[i]) == 0) continue;
        char place[64];
        compare_place(place, i, shape, rank);
        fprintf(stderr, "FAIL %s: bits differ at %s, got %.9g (%a), want %.9g (%a)\n", name, place, (double)got[i],
                (double)got[i], (double)want[i], (double)want[i]);
        return false;
    }
    return true;
}

#endif
