/* peaks.c - what the processor can do at most, measured by the same vectors that the kernels use: multiply-adds
 * on registers alone, and reads of memory. Each returns something that depends on all of its work, so that no compiler
 * leaves it out. */
#include "backend/cpu/kernels/common.h"

#ifdef EFFNET_VALUES_BF16
typedef Pairs Factor;
INLINE Factor factor_all(void) {
    return pairs_all(0x3f003f00u); /* two halves */
}
INLINE Vector peak_step(Vector chain, Factor a, Factor b, Vector term) {
    (void)term;
    return vector_dot(chain, a, b);
}
#else
typedef Vector Factor;
INLINE Factor factor_all(void) {
    return vector_all(0.999f);
}
INLINE Vector peak_step(Vector chain, Factor a, Factor b, Vector term) {
    (void)b;
    return vector_fma(chain, a, term);
}
#endif

void ISA_NAME(peak_multiply_adds)(long rounds, float *sink) {
    Vector chain[PEAK_CHAINS], term = vector_all(0.001f);
    const Factor factor = factor_all();
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = vector_all((float)i);
    for (long round = 0; round < rounds; round++) UNROLL for (int i = 0; i < PEAK_CHAINS; i++) {
            chain[i] = peak_step(chain[i], factor, factor, term);
#if defined(__x86_64__) && !defined(EFFNET_INTRINSICS)
            __asm__("" : "+x"(chain[i])); /* or a compiler would fold the rounds */
#endif
        }
    Vector sum = vector_all(0.0f);
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum = sum + chain[i];
    vector_store(sink, sum);
}

void ISA_NAME(peak_byte_dots)(long rounds, float *sink) {
    static const uint8_t ones[4] = {1, 1, 1, 1};
    Integers chain[PEAK_CHAINS];
    const Quads factor = quads_all(ones);
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = integers_zero();
    for (long round = 0; round < rounds; round++) UNROLL for (int i = 0; i < PEAK_CHAINS; i++) {
            chain[i] = integers_dot(chain[i], factor, factor);
#if defined(__x86_64__) && !defined(EFFNET_INTRINSICS)
            if (LANES > 1) __asm__("" : "+x"(chain[i])); /* as above; one lane is not in a vector */
#endif
        }
    Vector sum = vector_all(0.0f);
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum = sum + vector_from_integers(chain[i]);
    vector_store(sink, sum);
}

void ISA_NAME(peak_read)(const float *x, size_t floats, float *sink) {
    Vector sum[8];
    UNROLL for (int i = 0; i < 8; i++) sum[i] = vector_all(0.0f);
    for (size_t at = 0; at + 8 * LANES <= floats; at += 8 * LANES)
        UNROLL for (int i = 0; i < 8; i++) sum[i] = sum[i] + vector_load(x + at + (size_t)i * LANES);
    UNROLL for (int i = 1; i < 8; i++) sum[0] = sum[0] + sum[i];
    vector_store(sink, sum[0]);
}
