/* activation.h - swish and ReLU6 with their slopes, on vectors.
 *
 * sigmoid(z) = 1 / (1 + exp(-z)), exp(t) = 2^n * 2^f with n + f = t log2 e, 2^f by a polynomial. A NaN stays a NaN.
 *
 *   bits        |f| <= 1/2. z is held within [-86.6, 86.6], so that the power of two stays a normal number; there sigmoid is
 *               0 or 1 to fp32. f comes from a fused multiply-add, so that the product's rounding does not become an error
 *               of the exponent.
 *   fractions   0 <= f < 1, where the processor has instructions for t - floor(t) and p * 2^floor(t), the latter infinite or
 *               0 at the ends, so that nothing has to be held; for bf16 values, to which the product's rounding is nothing
 *
 * fp32 values: degree 6 (Taylor coefficients ln(2)^k / k!; truncation error below 2e-7 relative at |f| = 1/2); relative
 * error of swish below 2e-6 with a fused multiply-add. bf16 values, which keep 8 bits (4e-3): degree 3 (minimax, 1e-4)
 * and a reciprocal to 14 bits; relative error of swish below 3e-4. Measured over all magnitudes in
 * tests/kernels/test_kernels.c. */
#ifndef EFFNET_ACTIVATION_H
#define EFFNET_ACTIVATION_H

#include "model/activation_kind.h"

#define LOG2_E 1.44269504088896341f

#if defined(EFFNET_VALUES_BF16) && defined(VECTOR_FRACTIONS)
static inline Vector vector_sigmoid(Vector z) {
    Vector t = z * vector_all(-LOG2_E), f = vector_fraction(t);
    Vector p = vector_all(7.8024194e-2f);
    p = vector_fma(p, f, vector_all(2.2606721e-1f));
    p = vector_fma(p, f, vector_all(6.9583374e-1f));
    p = vector_fma(p, f, vector_all(9.9992517e-1f));
    return vector_reciprocal_estimate(vector_all(1.0f) + vector_scale_by_floor(p, t));
}

/* For what is multiplied by z: of a NaN it may be any number. */
static inline Vector vector_sigmoid_factor(Vector z) {
    return vector_sigmoid(z);
}
#else
/* `held` lies within [-86.6, 86.6]; of a NaN anything. */
static inline Vector vector_sigmoid_held(Vector held) {
    const Vector log2_e = vector_all(-LOG2_E); /* of -z */
    /* Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits. */
    Vector shifted = vector_fma(held, log2_e, vector_all(0x1.8p23f)), n = shifted - vector_all(0x1.8p23f);
    Vector f = vector_fms(held, log2_e, n);
#ifdef EFFNET_VALUES_BF16
    Vector p = vector_all(5.5171667e-2f);
    p = vector_fma(p, f, vector_all(2.4261113e-1f));
    p = vector_fma(p, f, vector_all(6.9326099e-1f));
    p = vector_fma(p, f, vector_all(9.9992807e-1f));
    return vector_reciprocal_estimate(vector_all(1.0f) + vector_scale_by_bits(p, shifted));
#else
    Vector p = vector_all(1.5403530393381608e-4f);
    p = vector_fma(p, f, vector_all(1.3333558146428443e-3f));
    p = vector_fma(p, f, vector_all(9.6181291076284772e-3f));
    p = vector_fma(p, f, vector_all(5.5504108664821580e-2f));
    p = vector_fma(p, f, vector_all(2.4022650695910072e-1f));
    p = vector_fma(p, f, vector_all(6.9314718055994531e-1f));
    p = vector_fma(p, f, vector_all(1.0f));
    return vector_reciprocal(vector_all(1.0f) + vector_scale_by_bits(p, shifted));
#endif
}

static inline Vector vector_sigmoid(Vector z) {
    Vector held = vector_max(vector_all(-86.6f), vector_min(vector_all(86.6f), z));
    return vector_sigmoid_held(held) + (held - held); /* NaN where z is */
}

/* For what is multiplied by z: of a NaN it may be any number. */
static inline Vector vector_sigmoid_factor(Vector z) {
    return vector_sigmoid_held(vector_within(z, 86.6f));
}
#endif

static inline Vector vector_activate(Vector z, Activation activation) {
    if (activation == ACTIVATION_SWISH) return z * vector_sigmoid_factor(z);
    if (activation == ACTIVATION_RELU6) return vector_max(vector_all(0.0f), vector_min(vector_all(6.0f), z));
    return z;
}

/* Value and derivative together: they share the exponential. */
static inline Vector vector_activate_slope(Vector z, Activation activation, Vector *slope) {
    if (activation == ACTIVATION_SWISH) {
        Vector s = vector_sigmoid_factor(z), value = z * s;
        *slope = vector_fma(value, vector_all(1.0f) - s, s); /* s + z s (1 - s) */
        return value;
    }
    if (activation == ACTIVATION_RELU6) {
        *slope = vector_inside(z, 0.0f, 6.0f);
        return vector_activate(z, activation);
    }
    *slope = vector_all(1.0f);
    return z;
}

#endif
