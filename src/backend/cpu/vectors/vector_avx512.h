/* vector_avx512.h - sixteen lanes, AVX-512 F. Tails are masked. Compiled for a processor with AVX512-BF16, conversions
 * and dot products of bf16 are its own instructions; otherwise they are made of others. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#ifdef EFFNET_INTRINSICS
#include EFFNET_INTRINSICS /* tests: the same instructions in C, for processors that lack them */
#else
#include <immintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#if defined(__AVX512BF16__) || defined(EFFNET_EMULATED_BF16)
#define VECTOR_BF16 1
#define VECTOR_ISA  avx512bf16
#else
#define VECTOR_ISA avx512
#endif
enum { LANES = 16, GEMM_ROWS = 12, GEMM_VECTORS = 2, BLOCK_VECTORS = 4, PROJECT_VECTORS = 2 };
enum { DEPTHWISE_PIXELS = 7, ACTIVATION_CHAINS = 1 };

typedef __m512 Vector;

static inline __mmask16 vector_mask(int n) {
    return (__mmask16)((1u << n) - 1u);
}
static inline Vector vector_load(const float *p) {
    return _mm512_loadu_ps(p);
}
/* vector_load for several uses: not to be loaded again as an operand of each, which gcc prefers. */
static inline Vector vector_load_once(const float *p) {
    Vector v = vector_load(p);
#ifndef EFFNET_INTRINSICS
    __asm__("" : "+v"(v));
#endif
    return v;
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
static inline Vector vector_fms(Vector a, Vector b, Vector c) {
    return _mm512_fmsub_ps(a, b, c);
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
/* x with its magnitude held below the limit; of a NaN anything. */
static inline Vector vector_within(Vector x, float limit) {
    return _mm512_range_ps(x, vector_all(limit), 2); /* the smaller magnitude, x's sign: one instruction for two */
}
/* x * 2^n, where n stands in the lowest 9 bits of `shifted`, and x and the result are normal numbers. */
static inline Vector vector_scale_by_bits(Vector x, Vector shifted) {
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), exponent));
}
/* x - floor(x), of numbers just below 0 perhaps 1; and x * 2^floor(y), infinity and 0 where that is out of range. */
#define VECTOR_FRACTIONS 1
static inline Vector vector_fraction(Vector x) {
    return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline Vector vector_scale_by_floor(Vector x, Vector y) {
    return _mm512_scalef_ps(x, y);
}
/* Relative error below 2^-14; 1 at 1. */
static inline Vector vector_reciprocal_estimate(Vector x) {
    return _mm512_rcp14_ps(x);
}
/* 14 bits and one step of Newton: relative error below 2^-23; cheaper than a division, and infinity gives 0 because
 * the step is skipped where the estimate is 0. */
static inline Vector vector_reciprocal(Vector x) {
    Vector estimate = _mm512_rcp14_ps(x);
    Vector residue = _mm512_fnmadd_ps(x, estimate, vector_all(1.0f));
    return _mm512_fmadd_ps(estimate, residue, estimate);
}

/* ---- bf16 ----
 * vector_load_bf16 widens, vector_store_bf16 rounds to the nearest even and returns what it stored. Pairs are LANES
 * pairs of bf16, the first of each in the lower half; vector_dot adds both products of each pair to its lane;
 * pairs_interleave makes pairs of two rows (second NULL: zeros). */
typedef __m512i Pairs;

/* The lower (half 0) or the upper 16 of 32, by one instruction where it is there. */
static inline Vector vector_widen_half(__m512i both, int half) {
#ifdef EFFNET_INTRINSICS
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, half)), 16));
#else
    __m512i places = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0, 3,
                                      0, 2, 0, 1, 0, 0, 0);
    if (half) places = _mm512_add_epi16(places, _mm512_set1_epi16(16));
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaau, places, both));
#endif
}
static inline Vector vector_widen_bf16(__m256i half) {
    return vector_widen_half(_mm512_castsi256_si512(half), 0);
}
static inline Vector vector_load_bf16(const uint16_t *p) {
    return vector_widen_bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline Vector vector_load_bf16_some(const uint16_t *p, int n) {
    return vector_widen_bf16(_mm256_maskz_loadu_epi16(vector_mask(n), p));
}
static inline __m256i vector_narrow_bf16(Vector v) {
#ifdef VECTOR_BF16
    return (__m256i)_mm512_cvtneps_pbh(v);
#else
    __m512i bits = _mm512_castps_si512(v), upper = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, is_nan, upper, _mm512_set1_epi32(0x40)));
#endif
}
static inline Vector vector_store_bf16(uint16_t *p, Vector v) {
    __m256i narrow = vector_narrow_bf16(v);
    _mm256_storeu_si256((__m256i *)(void *)p, narrow);
    return vector_widen_bf16(narrow);
}
static inline Vector vector_store_bf16_some(uint16_t *p, Vector v, int n) {
    __m256i narrow = vector_narrow_bf16(v);
    _mm256_mask_storeu_epi16(p, vector_mask(n), narrow);
    return vector_widen_bf16(narrow);
}
/* Two vectors next to each other, which become what was stored. */
static inline void vector_store_bf16_two(uint16_t *p, Vector v[2]) {
#if defined(VECTOR_BF16) && !defined(EFFNET_INTRINSICS)
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(v[1], v[0]); /* costs what rounding one of them does */
    _mm512_storeu_si512(p, both);
    v[0] = vector_widen_half(both, 0);
    v[1] = vector_widen_half(both, 1);
#else
    v[0] = vector_store_bf16(p, v[0]);
    v[1] = vector_store_bf16(p + LANES, v[1]);
#endif
}
static inline Pairs pairs_load(const uint32_t *p) {
    return _mm512_loadu_si512(p);
}
static inline Pairs pairs_all(uint32_t pair) {
    return _mm512_set1_epi32((int)pair);
}
static inline void pairs_interleave(const uint16_t *first, const uint16_t *second, uint32_t *to) {
    __m512i pairs = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)first));
    if (second) {
        __m512i upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)second));
        pairs = _mm512_or_si512(pairs, _mm512_slli_epi32(upper, 16));
    }
    _mm512_storeu_si512(to, pairs);
}
/* 16 x 16 pairs turned round: to[c][r] = from[r][c], rows from_stride and to_stride apart. Rows r, r + 4, r + 8, r + 12
 * are loaded a quarter each into one register, so that turning 4 x 4 within its quarters is all that is left. */
static inline void pairs_transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride) {
    for (int quarter = 0; quarter < 4; quarter++) {
        __m512i in[4];
        for (int r = 0; r < 4; r++) {
            const uint32_t *row = from + (size_t)r * from_stride + 4 * quarter;
            in[r] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)row));
            for (int l = 1; l < 4; l++)
                in[r] = _mm512_mask_broadcast_i32x4(
                    in[r], (__mmask16)(0xf << (4 * l)),
                    _mm_loadu_si128((const __m128i *)(const void *)(row + (size_t)(4 * l) * from_stride)));
        }
        __m512i low = _mm512_unpacklo_epi32(in[0], in[1]), high = _mm512_unpackhi_epi32(in[0], in[1]);
        __m512i low2 = _mm512_unpacklo_epi32(in[2], in[3]), high2 = _mm512_unpackhi_epi32(in[2], in[3]);
        uint32_t *out = to + (size_t)(4 * quarter) * to_stride;
        _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low, low2));
        _mm512_storeu_si512(out + to_stride, _mm512_unpackhi_epi64(low, low2));
        _mm512_storeu_si512(out + 2 * to_stride, _mm512_unpacklo_epi64(high, high2));
        _mm512_storeu_si512(out + 3 * to_stride, _mm512_unpackhi_epi64(high, high2));
    }
}
static inline Vector vector_dot(Vector sum, Pairs a, Pairs b) {
#ifdef VECTOR_BF16
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#else
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)),
                          sum);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(a, upper)),
                           _mm512_castsi512_ps(_mm512_and_si512(b, upper)), sum);
#endif
}

static inline float vector_smallest(Vector v) {
    return _mm512_reduce_min_ps(v);
}
static inline float vector_largest(Vector v) {
    return _mm512_reduce_max_ps(v);
}
static inline float vector_sum(Vector v) {
    return _mm512_reduce_add_ps(v);
}

/* ---- int8 ----
 * Quads are LANES times four bytes; integers_dot adds the four products of each lane, bytes of a without a sign, of b
 * with one; vector_store_bytes rounds to the nearest even and keeps within 0..255. */
typedef __m512i Quads, Integers;

static inline Quads quads_load(const void *p) {
    return _mm512_loadu_si512(p);
}
static inline Quads quads_all(const void *p) {
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return _mm512_set1_epi32(quad);
}
static inline Integers integers_load(const int32_t *p) {
    return _mm512_loadu_si512(p);
}
static inline Integers integers_zero(void) {
    return _mm512_setzero_si512();
}
static inline Integers integers_dot(Integers sum, Quads a, Quads b) {
#ifdef VECTOR_BF16 /* every processor with bf16 dot products has those of bytes: isa.c */
#if defined(EFFNET_INTRINSICS)
    return _mm512_dpbusd_epi32(sum, a, b);
#else /* gcc 12 moves every sum of _mm512_dpbusd_epi32 through memory */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#endif
#else /* products of 16 bits: those of bytes and their sum of two (maddubs) would not fit */
    const __m512i low = _mm512_set1_epi16(0x00ff);
    sum = _mm512_add_epi32(sum,
                           _mm512_madd_epi16(_mm512_and_si512(a, low), _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8)));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_srli_epi16(a, 8), _mm512_srai_epi16(b, 8)));
#endif
}
static inline Vector vector_from_integers(Integers x) {
    return _mm512_cvtepi32_ps(x);
}
static inline void vector_store_bytes(uint8_t *p, Vector v) {
    __m512i integers = _mm512_max_epi32(_mm512_cvtps_epi32(v), _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtusepi32_epi8(integers));
}

#endif
