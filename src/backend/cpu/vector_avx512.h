/* vector_avx512.h - sixteen lanes, AVX-512 F. Tails are masked. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#include <immintrin.h>
#include <stdint.h>

#define VECTOR_ISA avx512
enum { LANES = 16, GEMM_ROWS = 12, GEMM_VECTORS = 2, BLOCK_VECTORS = 4, DEPTHWISE_PIXELS = 7 };

typedef __m512 Vector;

static inline __mmask16 vector_mask(int n) {
    return (__mmask16)((1u << n) - 1u);
}
static inline Vector vector_load(const float *p) {
    return _mm512_loadu_ps(p);
}
static inline Vector vector_load_some(const float *p, int n) {
    return _mm512_maskz_loadu_ps(vector_mask(n), p);
}
static inline void vector_store(float *p, Vector v) {
    _mm512_storeu_ps(p, v);
}
static inline void vector_store_some(float *p, Vector v, int n) {
    _mm512_mask_storeu_ps(p, vector_mask(n), v);
}
static inline Vector vector_all(float x) {
    return _mm512_set1_ps(x);
}
static inline Vector vector_fma(Vector a, Vector b, Vector c) {
    return _mm512_fmadd_ps(a, b, c);
}
/* Second operand where either is NaN, so that a NaN in x survives max(low, x). */
static inline Vector vector_max(Vector a, Vector b) {
    return _mm512_max_ps(a, b);
}
static inline Vector vector_min(Vector a, Vector b) {
    return _mm512_min_ps(a, b);
}
static inline Vector vector_inside(Vector x, float low, float high) {
    __mmask16 inside =
        _mm512_cmp_ps_mask(x, vector_all(low), _CMP_GT_OQ) & _mm512_cmp_ps_mask(x, vector_all(high), _CMP_LT_OQ);
    return _mm512_maskz_mov_ps(inside, vector_all(1.0f));
}
static inline Vector vector_round(Vector x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* x * 2^n, n integral */
static inline Vector vector_scale_by_power(Vector x, Vector n) {
    return _mm512_scalef_ps(x, n);
}
/* 14 bits and one step of Newton: relative error below 2^-23; cheaper than a division, and infinity gives 0 because
 * the step is skipped where the estimate is 0. */
static inline Vector vector_reciprocal(Vector x) {
    Vector estimate = _mm512_rcp14_ps(x);
    Vector residue = _mm512_fnmadd_ps(x, estimate, vector_all(1.0f));
    return _mm512_fmadd_ps(estimate, residue, estimate);
}

#endif
