/* gradient_check.h - a backward function held to central finite differences of its forward function.
 *
 * The loss is a fixed random combination of the outputs, L = sum r[i] * y[i], so that dL/dy = r. Each value that the
 * operation reads (double activations and fp32 parameters alike) is moved by +-h and +-2h, and
 *   dL/dv ~ (8 (L(+h) - L(-h)) - (L(+2h) - L(-2h))) / 12h,
 * whose error is h^4/30 of the fifth derivative, about 1e-9 for the h = 2^-7 used here, besides rounding of about
 * 1e-16 * L / h = 1e-13. GRADIENT_TOLERANCE, relative to the tensor's largest gradient, leaves room for both.
 * fp32 values are drawn as multiples of 2^-10, so that adding h to them is exact. */
#ifndef EFFNET_TESTS_GRADIENT_CHECK_H
#define EFFNET_TESTS_GRADIENT_CHECK_H

#include "base/random.h"
#include "compare.h"
#include "reference/reference.h"
#include "step/loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const double GRADIENT_TOLERANCE = 1e-7, GRADIENT_STEP = 0x1p-7;

/* Multiples of 2^-10 in [-1, 1). A key for each tensor. */
static inline double gradient_random(uint32_t key, size_t i) {
    return (double)random_below(random_key(key), i, 2048) / 1024.0 - 1.0;
}
static inline real *random_reals(uint32_t key, size_t count) {
    real *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = gradient_random(key, i);
    return values;
}
static inline float *random_floats(uint32_t key, size_t count) {
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = (float)gradient_random(key, i);
    return values;
}
static inline real *zeros(size_t count) {
    real *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

/* Runs the operation's forward function again and returns sum r*y. */
typedef real LossFunction(void *context);

static inline real combine(const real *r, const real *y, size_t count) {
    real loss = 0;
    for (size_t i = 0; i < count; i++) loss += r[i] * y[i];
    return loss;
}

static inline real loss_moved(LossFunction *loss, void *context, void *values, bool wide, size_t i, double by) {
    real result;
    if (wide) {
        real kept = ((real *)values)[i];
        ((real *)values)[i] = kept + by;
        result = loss(context);
        ((real *)values)[i] = kept;
    } else {
        float kept = ((float *)values)[i];
        ((float *)values)[i] = (float)(kept + by);
        result = loss(context);
        ((float *)values)[i] = kept;
    }
    return result;
}

/* `gradient` (count): what backward said of `values`, which are real (wide) or float. Frees nothing. */
static inline void check_gradient(const char *name, LossFunction *loss, void *context, void *values, bool wide,
                                  size_t count, const real *gradient, double step) {
    real *want = zeros(count);
    for (size_t i = 0; i < count; i++) {
        real near =
            loss_moved(loss, context, values, wide, i, step) - loss_moved(loss, context, values, wide, i, -step);
        real far = loss_moved(loss, context, values, wide, i, 2 * step) -
                   loss_moved(loss, context, values, wide, i, -2 * step);
        want[i] = (8 * near - far) / (12 * step);
    }
    assert_true(compare_doubles(name, gradient, want, count, NULL, 0, GRADIENT_TOLERANCE));
    free(want);
}

#endif
