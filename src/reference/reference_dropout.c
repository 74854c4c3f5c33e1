/* reference_dropout.c - dropout by a mask that the caller drew; formula and source in reference.h.
 * Backward: dx = dy * scale. */
#include "reference/reference.h"

void reference_dropout_forward(int features, const real *x, const float *scale, real *y) {
    for (int i = 0; i < features; i++) y[i] = x[i] * (scale ? scale[i] : 1);
}

void reference_dropout_backward(int features, const real *dy, const float *scale, real *dx) {
    for (int i = 0; i < features; i++) dx[i] += dy[i] * (scale ? scale[i] : 1);
}
