/* over_simde.h - x86's vector instructions in portable C, so that the kernels of every instruction set can be compiled
 * and tested on a processor that lacks it: SIMDe (libsimde-dev) and, lane by lane, what its release in Debian 12 lacks.
 * tests/CMakeLists.txt compiles the kernels over it, the vector headers include it instead of <immintrin.h>. */
#ifndef EFFNET_OVER_SIMDE_H
#define EFFNET_OVER_SIMDE_H

#include "base/bfloat16.h"

#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#pragma GCC diagnostic pop

#include <math.h>
#include <string.h>

typedef simde__mmask16 __mmask16;
#ifndef _MM_FROUND_NO_EXC
#define _MM_FROUND_NO_EXC SIMDE_MM_FROUND_NO_EXC
#endif

static inline __m512 over_load(__mmask16 mask, const float *p) {
    float lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) lanes[i] = p[i];
    return _mm512_loadu_ps(lanes);
}
static inline void over_store(float *p, __mmask16 mask, __m512 v) {
    float lanes[16];
    _mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) p[i] = lanes[i];
}
static inline __m256i over_load_halves(__mmask16 mask, const void *from) {
    uint16_t lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy(&lanes[i], (const char *)from + 2 * i, 2);
    __m256i v;
    memcpy(&v, lanes, sizeof v);
    return v;
}
static inline void over_store_halves(void *to, __mmask16 mask, __m256i v) {
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) memcpy((char *)to + 2 * i, (const char *)&v + 2 * i, 2);
}
static inline __m512i over_widen(__m256i v) {
    uint16_t halves[16];
    uint32_t words[16];
    __m512i wide;
    memcpy(halves, &v, sizeof halves);
    for (int i = 0; i < 16; i++) words[i] = halves[i];
    memcpy(&wide, words, sizeof wide);
    return wide;
}
static inline __m256i over_narrow(__m512i v) {
    uint16_t halves[16];
    uint32_t words[16];
    __m256i narrow;
    memcpy(words, &v, sizeof words);
    for (int i = 0; i < 16; i++) halves[i] = (uint16_t)words[i];
    memcpy(&narrow, halves, sizeof narrow);
    return narrow;
}
/* To 14 bits, as the instruction has it: the rest cut off, which is exact for powers of two. */
static inline __m512 over_reciprocal(__m512 v) {
    float lanes[16];
    _mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        lanes[i] = 1.0f / lanes[i];
        memcpy(&bits, &lanes[i], sizeof bits);
        bits &= 0xfffffe00u;
        memcpy(&lanes[i], &bits, sizeof bits);
    }
    return _mm512_loadu_ps(lanes);
}
/* vreduceps without kept bits, rounding down. */
static inline __m512 over_fraction(__m512 v) {
    float lanes[16];
    _mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++) lanes[i] = isinf(lanes[i]) ? 0 : lanes[i] - floorf(lanes[i]);
    return _mm512_loadu_ps(lanes);
}
static inline __m256i over_round_bf16(__m512 v) {
    float lanes[16];
    uint16_t halves[16];
    __m256i narrow;
    _mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++) halves[i] = bfloat16_from_float(lanes[i]);
    memcpy(&narrow, halves, sizeof narrow);
    return narrow;
}
static inline __m512i over_multiply_halves(__m512i a, __m512i b) {
    int16_t x[32], y[32];
    int32_t sums[16];
    __m512i v;
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 16; i++) sums[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    memcpy(&v, sums, sizeof v);
    return v;
}
static inline __m512i over_dot_bytes(__m512i sum, __m512i a, __m512i b) {
    uint8_t x[64];
    int8_t y[64];
    int32_t sums[16];
    memcpy(sums, &sum, sizeof sums);
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 64; i++) sums[i / 4] += x[i] * y[i];
    memcpy(&sum, sums, sizeof sum);
    return sum;
}
static inline __m128i over_narrow_bytes(__m512i v) {
    uint32_t words[16];
    uint8_t bytes[16];
    __m128i narrow;
    memcpy(words, &v, sizeof words);
    for (int i = 0; i < 16; i++) bytes[i] = words[i] > 255 ? 255 : (uint8_t)words[i];
    memcpy(&narrow, bytes, sizeof narrow);
    return narrow;
}
static inline __m512i over_round(__m512 v) {
    float lanes[16];
    int32_t integers[16];
    __m512i rounded;
    memcpy(lanes, &v, sizeof lanes);
    for (int i = 0; i < 16; i++) integers[i] = (int32_t)nearbyintf(lanes[i]);
    memcpy(&rounded, integers, sizeof rounded);
    return rounded;
}
static inline __m512 over_from_integers(__m512i v) {
    int32_t integers[16];
    float lanes[16];
    memcpy(integers, &v, sizeof integers);
    for (int i = 0; i < 16; i++) lanes[i] = (float)integers[i];
    return _mm512_loadu_ps(lanes);
}
static inline float over_reduce(__m512 v, int what) {
    float lanes[16], result;
    _mm512_storeu_ps(lanes, v);
    result = lanes[0];
    for (int i = 1; i < 16; i++)
        result = what == 0 ? result + lanes[i] : (what < 0 ? lanes[i] < result : lanes[i] > result) ? lanes[i] : result;
    return result;
}
#undef _mm512_reduce_min_ps
#define _mm512_reduce_min_ps(v) over_reduce(v, -1)
#undef _mm512_reduce_max_ps
#define _mm512_reduce_max_ps(v) over_reduce(v, 1)
#undef _mm512_reduce_add_ps
#define _mm512_reduce_add_ps(v) over_reduce(v, 0)
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps over_from_integers
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 over_multiply_halves
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32 over_dot_bytes
#undef _mm512_cvtusepi32_epi8
#define _mm512_cvtusepi32_epi8 over_narrow_bytes
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32       over_round
#define _mm512_maskz_loadu_ps    over_load
#define _mm512_mask_storeu_ps    over_store
#define _mm256_maskz_loadu_epi16 over_load_halves
#define _mm256_mask_storeu_epi16 over_store_halves
#define _mm512_cvtepu16_epi32    over_widen
#define _mm512_cvtepi32_epi16    over_narrow
#define _mm512_rcp14_ps          over_reciprocal
#define _mm512_reduce_ps(v, how) over_fraction(v)
#define _mm512_cvtneps_pbh(v)    over_round_bf16(v)

#endif
