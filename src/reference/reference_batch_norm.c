/* reference_batch_norm.c - batch normalisation with its activation; formulas, shapes and source in reference.h.
 *
 * Backward, with h = (x - mean) / sqrt(variance + eps) and dz = dy * slope(z):
 *   dbias = sum dz,  dscale = sum dz*h,
 *   dx = scale / sqrt(variance + eps) * (dz - dbias/rows - h * dscale/rows)
 * where the two means are the gradient's way through the batch's mean and variance (Ioffe and Szegedy, section 3).
 * z is computed again rather than kept. */
#include "reference/reference.h"

#include <math.h>

void reference_batch_norm_statistics(const BatchNorm *norm, const real *x, real *mean, real *variance) {
    const size_t rows = norm->rows;
    for (int c = norm->first; c < norm->last; c++) mean[c] = variance[c] = 0;
    for (size_t row = 0; row < rows; row++)
        for (int c = norm->first; c < norm->last; c++) mean[c] += x[row * norm->channels + c];
    for (int c = norm->first; c < norm->last; c++) mean[c] /= (real)rows;
    for (size_t row = 0; row < rows; row++)
        for (int c = norm->first; c < norm->last; c++) {
            real centred = x[row * norm->channels + c] - mean[c];
            variance[c] += centred * centred;
        }
    for (int c = norm->first; c < norm->last; c++) variance[c] /= (real)rows;
}

void reference_batch_norm_forward(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                  const float *scale, const float *bias, real *y) {
    for (size_t row = 0; row < norm->rows; row++)
        for (int c = norm->first; c < norm->last; c++) {
            size_t i = row * norm->channels + c;
            real z = (x[i] - mean[c]) / sqrt(variance[c] + norm->eps) * scale[c] + bias[c];
            y[i] = reference_activate(norm->activation, z);
        }
}

/* For one element: h and dz of the essay above. */
static inline real normalise(const BatchNorm *norm, real x, real mean, real variance, real scale, real bias, real dy,
                             real *dz) {
    real h = (x - mean) / sqrt(variance + norm->eps);
    *dz = dy * reference_activation_slope(norm->activation, h * scale + bias);
    return h;
}

void reference_batch_norm_sums(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                               const float *scale, const float *bias, const real *dy, real *dscale, real *dbias) {
    real dz;
    for (int c = norm->first; c < norm->last; c++) dscale[c] = dbias[c] = 0;
    for (size_t row = 0; row < norm->rows; row++)
        for (int c = norm->first; c < norm->last; c++) {
            size_t i = row * norm->channels + c;
            real h = normalise(norm, x[i], mean[c], variance[c], scale[c], bias[c], dy[i], &dz);
            dbias[c] += dz;
            dscale[c] += dz * h;
        }
}

void reference_batch_norm_input_gradient(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                         const float *scale, const float *bias, const real *dy, real total,
                                         const real *dscale, const real *dbias, real *dx) {
    real dz;
    for (size_t row = 0; row < norm->rows; row++)
        for (int c = norm->first; c < norm->last; c++) {
            size_t i = row * norm->channels + c;
            real h = normalise(norm, x[i], mean[c], variance[c], scale[c], bias[c], dy[i], &dz);
            dx[i] += scale[c] / sqrt(variance[c] + norm->eps) * (dz - dbias[c] / total - h * dscale[c] / total);
        }
}

void reference_batch_norm_backward(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                   const float *scale, const float *bias, const real *dy, real *dx, real *dscale,
                                   real *dbias) {
    reference_batch_norm_sums(norm, x, mean, variance, scale, bias, dy, dscale, dbias);
    reference_batch_norm_input_gradient(norm, x, mean, variance, scale, bias, dy, (real)norm->rows, dscale, dbias, dx);
}

void reference_batch_norm_update(const BatchNorm *norm, const real *mean, const real *variance, real momentum,
                                 bool unbiased, float *running_mean, float *running_variance) {
    /* A single row has variance 0 and stays 0 (TensorFlow's fused kernel; PyTorch refuses it). */
    real correction = unbiased && norm->rows > 1 ? (real)norm->rows / (real)(norm->rows - 1) : 1;
    for (int c = norm->first; c < norm->last; c++) {
        running_mean[c] = (float)(momentum * running_mean[c] + (1 - momentum) * mean[c]);
        running_variance[c] = (float)(momentum * running_variance[c] + (1 - momentum) * variance[c] * correction);
    }
}
