/* reference_residual.c - the identity skip with stochastic depth; formula and source in reference.h.
 * Backward: dx = dy * scale, dresidual = dy. */
#include "reference/reference.h"

void reference_residual_forward(size_t count, const real *x, const real *residual, real scale, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * scale + residual[i];
}

void reference_residual_backward(size_t count, const real *dy, real scale, real *dx, real *dresidual) {
    for (size_t i = 0; i < count; i++) {
        dx[i] += dy[i] * scale;
        dresidual[i] += dy[i];
    }
}
