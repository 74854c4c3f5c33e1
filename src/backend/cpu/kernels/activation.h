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
 * fp32 values: degree 5 (minimax with p(0) = 1; relative error below 1.1e-7, where Taylor's degree 6 has 1.6e-7); relative
 * error of swish below 2e-6 with a fused multiply-add. bf16 values, which keep 8 bits (4e-3): degree 3 (minimax, 1e-4)
 * and a reciprocal to 14 bits; relative error of swish below 3e-4. Measured over all magnitudes in
 * tests/kernels/test_kernels.c. */
#ifndef EFFNET_ACTIVATION_H
#define EFFNET_ACTIVATION_H

#include "backend/cpu/kernels/common.h"
#include "model/activation_kind.h"

#define LOG2_E 1.44269504088896341f

/* A swish is one chain of some twenty operations, each waiting for the one before. Where a processor does not look far
 * enough ahead to find others to do meanwhile, CHAINS of them stand side by side in the program. */
enum { CHAINS = ACTIVATION_CHAINS };
#define EACH                UNROLL for (int i = 0; i < n; i++)
#define FACTOR(coefficient) EACH p[i] = vector_fma(p[i], f[i], vector_all(coefficient))

#if defined(EFFNET_VALUES_BF16) && defined(VECTOR_FRACTIONS)
/* z of `n` vectors, CHAINS at most, becomes its sigmoid. */
INLINE void sigmoid_chains(Vector *z, int n) {
    Vector t[CHAINS], f[CHAINS], p[CHAINS];
    EACH t[i] = z[i] * vector_all(-LOG2_E);
    EACH f[i] = vector_fraction(t[i]);
    EACH p[i] = vector_all(7.8024194e-2f);
    FACTOR(2.2606721e-1f);
    FACTOR(6.9583374e-1f);
    FACTOR(9.9992517e-1f);
    EACH z[i] = vector_reciprocal_estimate(vector_all(1.0f) + vector_scale_by_floor(p[i], t[i]));
}

static inline Vector vector_sigmoid(Vector z) {
    sigmoid_chains(&z, 1);
    return z;
}

/* For what is multiplied by z: of a NaN it may be any number. */
INLINE void sigmoid_factors(Vector *z, int n) {
    sigmoid_chains(z, n);
}
#else
/* z of `n` vectors, CHAINS at most, within [-86.6, 86.6], becomes its sigmoid; of a NaN anything. */
INLINE void sigmoid_chains(Vector *z, int n) {
    const Vector log2_e = vector_all(-LOG2_E); /* of -z */
    Vector shifted[CHAINS], f[CHAINS], p[CHAINS];
    /* Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits. */
    EACH shifted[i] = vector_fma(z[i], log2_e, vector_all(0x1.8p23f));
    EACH f[i] = vector_fms(z[i], log2_e, shifted[i] - vector_all(0x1.8p23f));
#ifdef EFFNET_VALUES_BF16
    EACH p[i] = vector_all(5.5171667e-2f);
    FACTOR(2.4261113e-1f);
    FACTOR(6.9326099e-1f);
    FACTOR(9.9992807e-1f);
    EACH z[i] = vector_reciprocal_estimate(vector_all(1.0f) + vector_scale_by_bits(p[i], shifted[i]));
#else
    EACH p[i] = vector_all(0x1.5bba00p-10f);
    FACTOR(0x1.3cea88p-7f);
    FACTOR(0x1.c6b754p-5f);
    FACTOR(0x1.ebf9bcp-3f);
    FACTOR(0x1.62e42ap-1f);
    FACTOR(1.0f);
    EACH z[i] = vector_reciprocal(vector_all(1.0f) + vector_scale_by_bits(p[i], shifted[i]));
#endif
}

static inline Vector vector_sigmoid(Vector z) {
    Vector held = vector_max(vector_all(-86.6f), vector_min(vector_all(86.6f), z)), sigmoid = held;
    sigmoid_chains(&sigmoid, 1);
    return sigmoid + (held - held); /* NaN where z is */
}

/* For what is multiplied by z: of a NaN it may be any number. */
INLINE void sigmoid_factors(Vector *z, int n) {
    EACH z[i] = vector_within(z[i], 86.6f);
    sigmoid_chains(z, n);
}
#endif

/* z of `n` vectors becomes its activation; `slope`, NULL where it is not wanted, the derivative: they share the
 * exponential. */
INLINE void activate_chains(Vector *z, Vector *slope, int n, Activation activation) {
    if (activation == ACTIVATION_SWISH) {
        Vector s[CHAINS];
        EACH s[i] = z[i];
        sigmoid_factors(s, n);
        EACH z[i] = z[i] * s[i];
        if (slope) EACH slope[i] = vector_fma(z[i], vector_all(1.0f) - s[i], s[i]); /* s + z s (1 - s) */
    } else if (activation == ACTIVATION_RELU6) {
        if (slope) EACH slope[i] = vector_inside(z[i], 0.0f, 6.0f);
        EACH z[i] = vector_max(vector_all(0.0f), vector_min(vector_all(6.0f), z[i]));
    } else if (slope) {
        EACH slope[i] = vector_all(1.0f);
    }
}

/* The same of a block of any number of vectors, CHAINS at a time. */
INLINE void activate(Vector *z, Vector *slope, int vectors, Activation activation) {
    UNROLL for (int v = 0; v < vectors; v += CHAINS)
        activate_chains(z + v, slope ? slope + v : NULL, vectors - v < CHAINS ? vectors - v : CHAINS, activation);
}

#undef EACH
#undef FACTOR

#endif
