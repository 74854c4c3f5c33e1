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
static inline __m256i over_round_bf16(__m512 v) {
    float lanes[16];
    uint16_t halves[16];
    __m256i narrow;
    _mm512_storeu_ps(lanes, v);
    for (int i = 0; i < 16; i++) halves[i] = bfloat16_from_float(lanes[i]);
    memcpy(&narrow, halves, sizeof narrow);
    return narrow;
}
#define _mm512_maskz_loadu_ps    over_load
#define _mm512_mask_storeu_ps    over_store
#define _mm256_maskz_loadu_epi16 over_load_halves
#define _mm256_mask_storeu_epi16 over_store_halves
#define _mm512_cvtepu16_epi32    over_widen
#define _mm512_cvtepi32_epi16    over_narrow
#define _mm512_rcp14_ps          over_reciprocal
#define _mm512_cvtneps_pbh(v)    over_round_bf16(v)

#endif
