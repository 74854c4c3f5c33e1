/* reference_dense.c - the classifier; formula and shapes in reference.h.
 * Backward: dx = W' dy, dW = dy x', db = dy. */
#include "reference/reference.h"

void reference_dense_forward(int in, int out, const real *x, const float *weight, const float *bias, real *y) {
    for (int o = 0; o < out; o++) {
        y[o] = bias[o];
        for (int i = 0; i < in; i++) y[o] += weight[(size_t)o * in + i] * x[i];
    }
}

void reference_dense_backward(int in, int out, const real *x, const float *weight, const real *dy, real *dx,
                              real *dweight, real *dbias) {
    for (int o = 0; o < out; o++) {
        dbias[o] += dy[o];
        for (int i = 0; i < in; i++) {
            dx[i] += dy[o] * weight[(size_t)o * in + i];
            dweight[(size_t)o * in + i] += dy[o] * x[i];
        }
    }
}
