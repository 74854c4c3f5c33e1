/* reference_global_pool.c - the mean over an image's pixels; formula in reference.h. Backward: dx = dy / pixels. */
#include "reference/reference.h"

void reference_global_pool_forward(size_t pixels, int channels, const real *x, real *y) {
    for (int c = 0; c < channels; c++) y[c] = 0;
    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (int c = 0; c < channels; c++) y[c] += x[pixel * channels + c];
    for (int c = 0; c < channels; c++) y[c] /= (real)pixels;
}

void reference_global_pool_backward(size_t pixels, int channels, const real *dy, real *dx) {
    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (int c = 0; c < channels; c++) dx[pixel * channels + c] += dy[c] / (real)pixels;
}
