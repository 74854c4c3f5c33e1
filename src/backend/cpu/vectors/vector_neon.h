/* vector_neon.h - four lanes, NEON, which every 64-bit ARM processor has; with the dot products of bf16 and of bytes
 * (BF16 and I8MM, Armv8.6) where the table is compiled for them. Tails go through memory. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#ifdef EFFNET_INTRINSICS
#include EFFNET_INTRINSICS /* tests: the same instructions in C, for processors that lack them */
#else
#include <arm_neon.h>
#endif
#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(__ARM_FEATURE_MATMUL_INT8)
#define VECTOR_BF16 1
#define VECTOR_ISA  neonbf16
#else
#define VECTOR_ISA neon
#endif
enum { LANES = 4, GEMM_ROWS = 6, GEMM_VECTORS = 4, BLOCK_VECTORS = 4, PROJECT_VECTORS = 2 };
enum { DEPTHWISE_PIXELS = 7, ACTIVATION_CHAINS = 4 };

typedef float32x4_t Vector;

static inline Vector vector_load(const float *p) {
    return vld1q_f32(p);
}
static inline Vector vector_load_once(const float *p) {
    return vector_load(p); /* no instruction here takes an operand from memory */
}
static inline Vector vector_load_some(const float *p, int n) {
    float held[4] = {0};
    for (int i = 0; i < n; i++) held[i] = p[i];
    return vld1q_f32(held);
}
static inline void vector_store(float *p, Vector v) {
    vst1q_f32(p, v);
}
static inline void vector_store_some(float *p, Vector v, int n) {
    float held[4];
    vst1q_f32(held, v);
    for (int i = 0; i < n; i++) p[i] = held[i];
}
static inline Vector vector_all(float x) {
    return vdupq_n_f32(x);
}
static inline Vector vector_fma(Vector a, Vector b, Vector c) {
    return vfmaq_f32(c, a, b);
}
static inline Vector vector_fms(Vector a, Vector b, Vector c) {
    return vfmaq_f32(vnegq_f32(c), a, b);
}
/* Second operand where either is NaN, so that a NaN in x survives max(low, x). */
static inline Vector vector_max(Vector a, Vector b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
static inline Vector vector_min(Vector a, Vector b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
static inline Vector vector_inside(Vector x, float low, float high) {
    uint32x4_t inside = vandq_u32(vcgtq_f32(x, vector_all(low)), vcltq_f32(x, vector_all(high)));
    return vreinterpretq_f32_u32(vandq_u32(inside, vreinterpretq_u32_f32(vector_all(1.0f))));
}
/* x with its magnitude held below the limit; of a NaN it is NaN. */
static inline Vector vector_within(Vector x, float limit) {
    return vmaxq_f32(vector_all(-limit), vminq_f32(vector_all(limit), x));
}
/* x * 2^n, where n stands in the lowest 9 bits of `shifted`, and x and the result are normal numbers. */
static inline Vector vector_scale_by_bits(Vector x, Vector shifted) {
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(x), exponent));
}
static inline Vector vector_reciprocal(Vector x) {
    return vdivq_f32(vector_all(1.0f), x);
}
/* The processor's own estimate has 8 bits. */
static inline Vector vector_reciprocal_estimate(Vector x) {
    return vector_reciprocal(x);
}

/* ---- bf16: see vector_avx512.h ---- */
typedef uint32x4_t Pairs;

static inline Vector vector_widen_bf16(uint16x4_t half) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(half), 16));
}
static inline Vector vector_load_bf16(const uint16_t *p) {
    return vector_widen_bf16(vld1_u16(p));
}
static inline Vector vector_load_bf16_some(const uint16_t *p, int n) {
    uint16_t held[4] = {0};
    for (int i = 0; i < n; i++) held[i] = p[i];
    return vector_load_bf16(held);
}
static inline uint16x4_t vector_narrow_bf16(Vector v) {
#ifdef VECTOR_BF16
    return vreinterpret_u16_bf16(vcvt_bf16_f32(v));
#else
    uint32x4_t bits = vreinterpretq_u32_f32(v), upper = vshrq_n_u32(bits, 16);
    uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16);
    return vmovn_u32(vbslq_u32(vceqq_f32(v, v), rounded, vorrq_u32(upper, vdupq_n_u32(0x40))));
#endif
}
static inline Vector vector_store_bf16(uint16_t *p, Vector v) {
    uint16x4_t narrow = vector_narrow_bf16(v);
    vst1_u16(p, narrow);
    return vector_widen_bf16(narrow);
}
static inline Vector vector_store_bf16_some(uint16_t *p, Vector v, int n) {
    uint16_t held[4];
    Vector stored = vector_store_bf16(held, v);
    for (int i = 0; i < n; i++) p[i] = held[i];
    return stored;
}
static inline void vector_store_bf16_two(uint16_t *p, Vector v[2]) {
    v[0] = vector_store_bf16(p, v[0]);
    v[1] = vector_store_bf16(p + LANES, v[1]);
}
static inline Pairs pairs_load(const uint32_t *p) {
    return vld1q_u32(p);
}
static inline Pairs pairs_all(uint32_t pair) {
    return vdupq_n_u32(pair);
}
static inline void pairs_interleave(const uint16_t *first, const uint16_t *second, uint32_t *to) {
    Pairs pairs = vmovl_u16(vld1_u16(first));
    if (second) pairs = vorrq_u32(pairs, vshlq_n_u32(vmovl_u16(vld1_u16(second)), 16));
    vst1q_u32(to, pairs);
}
static inline Vector vector_dot(Vector sum, Pairs a, Pairs b) {
#ifdef VECTOR_BF16
    return vbfdotq_f32(sum, vreinterpretq_bf16_u32(a), vreinterpretq_bf16_u32(b));
#else
    const uint32x4_t upper = vdupq_n_u32(0xffff0000u);
    sum = vfmaq_f32(sum, vreinterpretq_f32_u32(vshlq_n_u32(a, 16)), vreinterpretq_f32_u32(vshlq_n_u32(b, 16)));
    return vfmaq_f32(sum, vreinterpretq_f32_u32(vandq_u32(a, upper)), vreinterpretq_f32_u32(vandq_u32(b, upper)));
#endif
}

static inline float vector_smallest(Vector v) {
    return vminvq_f32(v);
}
static inline float vector_largest(Vector v) {
    return vmaxvq_f32(v);
}
static inline float vector_sum(Vector v) {
    return vaddvq_f32(v);
}

/* ---- int8: see vector_avx512.h ---- */
typedef uint8x16_t Quads;
typedef int32x4_t Integers;

static inline Quads quads_load(const void *p) {
    return vld1q_u8((const uint8_t *)p);
}
static inline Quads quads_all(const void *p) {
    uint32_t quad;
    memcpy(&quad, p, sizeof quad);
    return vreinterpretq_u8_u32(vdupq_n_u32(quad));
}
static inline Integers integers_load(const int32_t *p) {
    return vld1q_s32(p);
}
static inline Integers integers_zero(void) {
    return vdupq_n_s32(0);
}
static inline Integers integers_dot(Integers sum, Quads a, Quads b) {
#ifdef VECTOR_BF16
    return vusdotq_s32(sum, a, vreinterpretq_s8_u8(b));
#else /* products of 16 bits, then neighbours twice: two of a lane, and the lane's four */
    int8x16_t signed_b = vreinterpretq_s8_u8(b);
    int16x8_t a0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a))), b0 = vmovl_s8(vget_low_s8(signed_b));
    int16x8_t a1 = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a))), b1 = vmovl_s8(vget_high_s8(signed_b));
    int32x4_t first =
        vpaddq_s32(vmull_s16(vget_low_s16(a0), vget_low_s16(b0)), vmull_s16(vget_high_s16(a0), vget_high_s16(b0)));
    int32x4_t second =
        vpaddq_s32(vmull_s16(vget_low_s16(a1), vget_low_s16(b1)), vmull_s16(vget_high_s16(a1), vget_high_s16(b1)));
    return vaddq_s32(sum, vpaddq_s32(first, second));
#endif
}
static inline Vector vector_from_integers(Integers x) {
    return vcvtq_f32_s32(x);
}
static inline void vector_store_bytes(uint8_t *p, Vector v) {
    uint16x4_t halves = vqmovun_s32(vcvtnq_s32_f32(v));
    uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(halves, halves))), 0);
    memcpy(p, &bytes, sizeof bytes);
}

#endif
