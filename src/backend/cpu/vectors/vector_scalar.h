/* vector_scalar.h - the vector type of processors without any: one lane. */
#ifndef EFFNET_VECTOR_H
#define EFFNET_VECTOR_H

#include "base/bfloat16.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VECTOR_ISA scalar
enum { LANES = 1, GEMM_ROWS = 4, GEMM_VECTORS = 4, BLOCK_VECTORS = 4, PROJECT_VECTORS = 2 };
enum { DEPTHWISE_PIXELS = 4, ACTIVATION_CHAINS = 1 };

typedef float Vector;

static inline Vector vector_load(const float *p) {
    return *p;
}
static inline Vector vector_load_once(const float *p) {
    return vector_load(p);
}
static inline Vector vector_load_some(const float *p, int n) {
    return n > 0 ? *p : 0.0f;
}
static inline void vector_store(float *p, Vector v) {
    *p = v;
}
static inline void vector_store_some(float *p, Vector v, int n) {
    if (n > 0) *p = v;
}
static inline Vector vector_all(float x) {
    return x;
}
static inline Vector vector_fma(Vector a, Vector b, Vector c) {
    return a * b + c;
}
static inline Vector vector_fms(Vector a, Vector b, Vector c) {
    return a * b - c;
}
static inline Vector vector_max(Vector a, Vector b) {
    return a > b ? a : b;
}
static inline Vector vector_min(Vector a, Vector b) {
    return a < b ? a : b;
}
/* 1 where low < x < high, else 0. */
static inline Vector vector_inside(Vector x, float low, float high) {
    return x > low && x < high ? 1.0f : 0.0f;
}
static inline Vector vector_within(Vector x, float limit) {
    return vector_max(-limit, vector_min(limit, x));
}
/* x * 2^n, where n stands in the lowest 9 bits of `shifted`, and x and the result are normal numbers. */
static inline Vector vector_scale_by_bits(Vector x, Vector shifted) {
    uint32_t bits, n;
    memcpy(&bits, &x, sizeof bits);
    memcpy(&n, &shifted, sizeof n);
    bits += n << 23;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline Vector vector_reciprocal(Vector x) {
    return 1.0f / x;
}
static inline Vector vector_reciprocal_estimate(Vector x) {
    return vector_reciprocal(x);
}

/* ---- bf16: see vector_avx512.h ---- */
typedef uint32_t Pairs;

static inline Vector vector_load_bf16(const uint16_t *p) {
    return float_from_bfloat16(*p);
}
static inline Vector vector_load_bf16_some(const uint16_t *p, int n) {
    return n > 0 ? float_from_bfloat16(*p) : 0.0f;
}
static inline Vector vector_store_bf16(uint16_t *p, Vector v) {
    *p = bfloat16_from_float(v);
    return float_from_bfloat16(*p);
}
static inline Vector vector_store_bf16_some(uint16_t *p, Vector v, int n) {
    return n > 0 ? vector_store_bf16(p, v) : v;
}
static inline void vector_store_bf16_two(uint16_t *p, Vector v[2]) {
    v[0] = vector_store_bf16(p, v[0]);
    v[1] = vector_store_bf16(p + LANES, v[1]);
}
static inline Pairs pairs_load(const uint32_t *p) {
    return *p;
}
static inline Pairs pairs_all(uint32_t pair) {
    return pair;
}
static inline void pairs_interleave(const uint16_t *first, const uint16_t *second, uint32_t *to) {
    *to = *first | (second ? (uint32_t)*second << 16 : 0);
}
/* 16 x 16 pairs turned round: to[c][r] = from[r][c], rows from_stride and to_stride apart. */
static inline void pairs_transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride) {
    for (size_t r = 0; r < 16; r++)
        for (size_t c = 0; c < 16; c++) to[c * to_stride + r] = from[r * from_stride + c];
}
static inline Vector vector_dot(Vector sum, Pairs a, Pairs b) {
    float low = sum + float_from_bfloat16((uint16_t)a) * float_from_bfloat16((uint16_t)b);
    return low + float_from_bfloat16((uint16_t)(a >> 16)) * float_from_bfloat16((uint16_t)(b >> 16));
}

static inline float vector_smallest(Vector v) {
    return v;
}
static inline float vector_largest(Vector v) {
    return v;
}
static inline float vector_sum(Vector v) {
    return v;
}

/* ---- int8: see vector_avx512.h ---- */
typedef uint32_t Quads;
typedef int32_t Integers;

static inline Quads quads_load(const void *p) {
    Quads quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}
static inline Quads quads_all(const void *p) {
    return quads_load(p);
}
static inline Integers integers_load(const int32_t *p) {
    return *p;
}
static inline Integers integers_zero(void) {
    return 0;
}
static inline Integers integers_dot(Integers sum, Quads a, Quads b) {
    for (int i = 0; i < 4; i++) sum += (int32_t)(a >> 8 * i & 255) * (int8_t)(b >> 8 * i & 255);
    return sum;
}
static inline Vector vector_from_integers(Integers x) {
    return (float)x;
}
static inline void vector_store_bytes(uint8_t *p, Vector v) {
    *p = v > 0 ? (uint8_t)nearbyintf(vector_min(v, 255)) : 0;
}

#endif
