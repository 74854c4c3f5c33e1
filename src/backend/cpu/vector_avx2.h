/* vector_avx2.h - eight lanes, AVX2 and FMA. Tails are masked loads and stores. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#include <immintrin.h>
#include <stdint.h>

#define VECTOR_ISA avx2
enum { LANES = 8, GEMM_ROWS = 6, GEMM_VECTORS = 2, BLOCK_VECTORS = 2, DEPTHWISE_PIXELS = 4 };

typedef __m256 Vector;

static inline __m256i vector_mask(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}
static inline Vector vector_load(const float *p) {
    return _mm256_loadu_ps(p);
}
static inline Vector vector_load_some(const float *p, int n) {
    return _mm256_maskload_ps(p, vector_mask(n));
}
static inline void vector_store(float *p, Vector v) {
    _mm256_storeu_ps(p, v);
}
static inline void vector_store_some(float *p, Vector v, int n) {
    _mm256_maskstore_ps(p, vector_mask(n), v);
}
static inline Vector vector_all(float x) {
    return _mm256_set1_ps(x);
}
static inline Vector vector_fma(Vector a, Vector b, Vector c) {
    return _mm256_fmadd_ps(a, b, c);
}
/* Second operand where either is NaN, so that a NaN in x survives max(low, x). */
static inline Vector vector_max(Vector a, Vector b) {
    return _mm256_max_ps(a, b);
}
static inline Vector vector_min(Vector a, Vector b) {
    return _mm256_min_ps(a, b);
}
static inline Vector vector_inside(Vector x, float low, float high) {
    __m256 inside =
        _mm256_and_ps(_mm256_cmp_ps(x, vector_all(low), _CMP_GT_OQ), _mm256_cmp_ps(x, vector_all(high), _CMP_LT_OQ));
    return _mm256_and_ps(inside, vector_all(1.0f));
}
static inline Vector vector_round(Vector x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* x * 2^n, n integral, -126 <= n <= 127 */
static inline Vector vector_scale_by_power(Vector x, Vector n) {
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(power));
}
static inline Vector vector_reciprocal(Vector x) {
    return _mm256_div_ps(vector_all(1.0f), x);
}

#endif
