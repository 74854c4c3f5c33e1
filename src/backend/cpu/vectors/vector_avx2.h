/* vector_avx2.h - eight lanes, AVX2 and FMA. Tails are masked loads and stores. Compiled for a processor with AVX-VNNI, dot
 * products of bytes are its own instruction. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#ifdef EFFNET_INTRINSICS
#include EFFNET_INTRINSICS /* tests: the same instructions in C, for processors that lack them */
#else
#include <immintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#ifdef __AVXVNNI__
#define VECTOR_ISA avxvnni
#else
#define VECTOR_ISA avx2
#endif
enum { LANES = 8, GEMM_ROWS = 6, GEMM_VECTORS = 2, BLOCK_VECTORS = 4, PROJECT_VECTORS = 1 };
enum { DEPTHWISE_PIXELS = 7, ACTIVATION_CHAINS = 4 };

typedef __m256 Vector;

static inline __m256i vector_mask(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}
static inline Vector vector_load(const float *p) {
    return _mm256_loadu_ps(p);
}
static inline Vector vector_load_once(const float *p) {
    Vector v = vector_load(p);
#ifndef EFFNET_INTRINSICS
    __asm__("" : "+x"(v));
#endif
    return v;
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
static inline Vector vector_fms(Vector a, Vector b, Vector c) {
    return _mm256_fmsub_ps(a, b, c);
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
static inline Vector vector_within(Vector x, float limit) {
    return vector_max(vector_all(-limit), vector_min(vector_all(limit), x));
}
/* x * 2^n, where n stands in the lowest 9 bits of `shifted`, and x and the result are normal numbers. */
static inline Vector vector_scale_by_bits(Vector x, Vector shifted) {
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}
static inline Vector vector_reciprocal(Vector x) {
    return _mm256_div_ps(vector_all(1.0f), x);
}
/* The processor's own estimate has 12 bits, and is not 1 at 1: z (1 - sigmoid(z)) would be far off for a large z. */
static inline Vector vector_reciprocal_estimate(Vector x) {
    return vector_reciprocal(x);
}

/* ---- bf16: see vector_avx512.h ---- */
typedef __m256i Pairs;

static inline Vector vector_load_bf16(const uint16_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline Vector vector_load_bf16_some(const uint16_t *p, int n) {
    uint16_t held[8] = {0};
    for (int i = 0; i < n; i++) held[i] = p[i];
    return vector_load_bf16(held);
}
/* The rounded numbers' bits in the lower halves. */
static inline __m256i vector_narrow_bf16(Vector v) {
    __m256i bits = _mm256_castps_si256(v), upper = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, _mm256_set1_epi32(0x40)), is_nan);
}
static inline Vector vector_store_bf16(uint16_t *p, Vector v) {
    __m256i narrow = vector_narrow_bf16(v);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(narrow, narrow), 0x08);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(packed));
    return _mm256_castsi256_ps(_mm256_slli_epi32(narrow, 16));
}
static inline Vector vector_store_bf16_some(uint16_t *p, Vector v, int n) {
    uint16_t held[8];
    Vector stored = vector_store_bf16(held, v);
    for (int i = 0; i < n; i++) p[i] = held[i];
    return stored;
}
static inline void vector_store_bf16_two(uint16_t *p, Vector v[2]) {
    __m256i first = vector_narrow_bf16(v[0]), second = vector_narrow_bf16(v[1]);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)p, packed);
    v[0] = _mm256_castsi256_ps(_mm256_slli_epi32(first, 16));
    v[1] = _mm256_castsi256_ps(_mm256_slli_epi32(second, 16));
}
static inline Pairs pairs_load(const uint32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline Pairs pairs_all(uint32_t pair) {
    return _mm256_set1_epi32((int)pair);
}
static inline void pairs_interleave(const uint16_t *first, const uint16_t *second, uint32_t *to) {
    __m256i pairs = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)first));
    if (second) {
        __m256i upper = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)second));
        pairs = _mm256_or_si256(pairs, _mm256_slli_epi32(upper, 16));
    }
    _mm256_storeu_si256((__m256i *)(void *)to, pairs);
}
static inline Vector vector_dot(Vector sum, Pairs a, Pairs b) {
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000u);
    sum = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)),
                          sum);
    return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a, upper)),
                           _mm256_castsi256_ps(_mm256_and_si256(b, upper)), sum);
}

static inline float vector_smallest(Vector v) {
    __m128 half = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_min_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_min_ss(half, _mm_shuffle_ps(half, half, 1)));
}
static inline float vector_largest(Vector v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}
static inline float vector_sum(Vector v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

/* ---- int8: see vector_avx512.h ---- */
typedef __m256i Quads, Integers;

static inline Quads quads_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline Quads quads_all(const void *p) {
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return _mm256_set1_epi32(quad);
}
static inline Integers integers_load(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline Integers integers_zero(void) {
    return _mm256_setzero_si256();
}
static inline Integers integers_dot(Integers sum, Quads a, Quads b) {
#ifdef __AVXVNNI__ /* as vector_avx512.h's: the intrinsic moves every sum through memory */
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
#else /* products of 16 bits: those of bytes and their sum of two (maddubs) would not fit */
    const __m256i low = _mm256_set1_epi16(0x00ff);
    sum = _mm256_add_epi32(sum,
                           _mm256_madd_epi16(_mm256_and_si256(a, low), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8)));
#endif
}
static inline Vector vector_from_integers(Integers x) {
    return _mm256_cvtepi32_ps(x);
}
static inline void vector_store_bytes(uint8_t *p, Vector v) {
    __m256i integers = _mm256_cvtps_epi32(v), halves = _mm256_packus_epi32(integers, integers);
    __m256i bytes = _mm256_packus_epi16(halves, halves); /* in each half of the register its own four */
    int32_t first = _mm256_extract_epi32(bytes, 0), second = _mm256_extract_epi32(bytes, 4);
    memcpy(p, &first, sizeof first);
    memcpy(p + sizeof first, &second, sizeof second);
}

#endif
