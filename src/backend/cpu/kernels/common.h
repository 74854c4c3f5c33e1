/* common.h - what the kernel bodies share: loops over a tensor's channels in blocks of vectors, and loads and
 * stores with a tail. A body is an always-inlined function whose `vectors` and `tail` are constants after inlining:
 * whole blocks of BLOCK_VECTORS vectors first, then two, then single ones, then what is left below one vector, masked.
 *
 * A set of vectors (vectors/) says what fits its registers and keeps its units busy:
 *   GEMM_ROWS, GEMM_VECTORS   a block of a product: rows, and vectors of columns
 *   BLOCK_VECTORS             vectors of channels that an elementwise kernel takes at a time
 *   PROJECT_VECTORS           the same of project_gradient_tile, which has ten sums and twelve parameters for each two
 *   DEPTHWISE_PIXELS          neighbouring outputs of a depthwise row, a chain of multiply-adds each
 *   ACTIVATION_CHAINS         vectors whose swish is computed side by side, operation by operation */
#ifndef EFFNET_COMMON_BODY_H
#define EFFNET_COMMON_BODY_H

#include "backend/cpu/kernels.h"

#include EFFNET_VECTOR_HEADER /* of the table being compiled: CMakeLists.txt */

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#if defined(SANITIZED) || defined(EFFNET_INTRINSICS)
#define UNROLL /* checks, or instructions in C, in every copy of the body would take the compiler minutes */
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define JOIN_(a, b) a##_##b
#define JOIN(a, b)  JOIN_(a, b)
#ifdef EFFNET_INTRINSICS
#define SET_NAME(name) JOIN(JOIN(name, VECTOR_ISA), emulated)
#else
#define SET_NAME(name) JOIN(name, VECTOR_ISA)
#endif
#ifdef EFFNET_VALUES_BF16
#define ISA_NAME(name) JOIN(SET_NAME(name), bf16) /* gemm_tile -> gemm_tile_avx512_bf16 */
#else
#define ISA_NAME(name) SET_NAME(name) /* gemm_tile -> gemm_tile_avx512 */
#endif

#define KERNEL(name, arguments) void ISA_NAME(name) arguments;
#include "backend/cpu/kernels.def"
#undef KERNEL

#define FOR_BLOCKS_OF(block_vectors, channels, BODY)                                                                   \
    do {                                                                                                               \
        int c_ = 0;                                                                                                    \
        for (; c_ + (block_vectors)*LANES <= (channels); c_ += (block_vectors)*LANES) BODY(c_, block_vectors, 0);      \
        if ((block_vectors) > 2)                                                                                       \
            for (; c_ + 2 * LANES <= (channels); c_ += 2 * LANES) BODY(c_, 2, 0);                                      \
        for (; c_ + LANES <= (channels); c_ += LANES) BODY(c_, 1, 0);                                                  \
        if (c_ < (channels)) BODY(c_, 1, (channels)-c_);                                                               \
    } while (0)
#define FOR_CHANNEL_BLOCKS(channels, BODY) FOR_BLOCKS_OF(BLOCK_VECTORS, channels, BODY)

/* Calls BODY(ACTIVATION_...) with the activation as a constant. */
#define WITH_ACTIVATION(activation, BODY)                                                                              \
    do {                                                                                                               \
        if ((activation) == ACTIVATION_SWISH) {                                                                        \
            BODY(ACTIVATION_SWISH);                                                                                    \
        } else if ((activation) == ACTIVATION_RELU6) {                                                                 \
            BODY(ACTIVATION_RELU6);                                                                                    \
        } else {                                                                                                       \
            BODY(ACTIVATION_NONE);                                                                                     \
        }                                                                                                              \
    } while (0)

INLINE Vector load_lanes(const float *p, int tail) {
    return tail ? vector_load_some(p, tail) : vector_load(p);
}
INLINE void store_lanes(float *p, Vector v, int tail) {
    if (tail)
        vector_store_some(p, v, tail);
    else
        vector_store(p, v);
}
INLINE void add_lanes(float *p, Vector v, int tail) {
    store_lanes(p, load_lanes(p, tail) + v, tail);
}

/* ---- values: what a stored tensor and a tile consist of, fp32 or bf16; computed with as fp32 ---- */
#ifdef EFFNET_VALUES_BF16
typedef uint16_t Value;
enum { DEPTH_UNIT = 2 };
INLINE Vector load_values(const Value *p, int tail) {
    return tail ? vector_load_bf16_some(p, tail) : vector_load_bf16(p);
}
/* Returns what the stored values will be read as: sums that go with them take this, so that what should cancel does. */
INLINE Vector store_values(Value *p, Vector v, int tail) {
    return tail ? vector_store_bf16_some(p, v, tail) : vector_store_bf16(p, v);
}
INLINE void store_two(Value *p, Vector *v) {
    vector_store_bf16_two(p, v);
}
enum { TILE_ZEROS = TILE_STEP };
#else
typedef float Value;
enum { DEPTH_UNIT = 1 };
INLINE Vector load_values(const Value *p, int tail) {
    return load_lanes(p, tail);
}
INLINE Vector store_values(Value *p, Vector v, int tail) {
    store_lanes(p, v, tail);
    return v;
}
INLINE void store_two(Value *p, Vector *v) {
    vector_store(p, v[0]);
    vector_store(p + LANES, v[1]);
}
enum { TILE_ZEROS = LANES }; /* a tile is filled in whole vectors */
#endif
/* A block of vectors, two at a time; they become what the stored values will be read as. */
INLINE void store_vectors(Value *p, int vectors, int tail, Vector *v) {
    if (vectors == 1) v[0] = store_values(p, v[0], tail);
    UNROLL for (int i = 0; i + 2 <= vectors; i += 2) store_two(p + i * LANES, v + i);
}

enum { AHEAD_BYTES = 4096 };
/* Asks for what a loop over rows will read of its block of channels AHEAD_BYTES later. A processor looks some hundred
 * instructions ahead, a kilobyte of tensors that come from memory; what an activation takes to compute and what it takes
 * to fetch then add up instead of overlapping. */
INLINE void ask_ahead(const Value *row, size_t stride, int vectors) {
    enum { LINE = 64 };
    const int bytes = vectors * LANES * (int)sizeof(Value), rows = AHEAD_BYTES / bytes;
    UNROLL for (int at = 0; at < bytes; at += LINE)
        __builtin_prefetch((const char *)(row + (size_t)rows * stride) + at, 0, 3);
}

/* Batch norm's three vectors for a block of channels, in registers. */
typedef struct BnLanes {
    Vector mean[BLOCK_VECTORS], scale[BLOCK_VECTORS], bias[BLOCK_VECTORS];
} BnLanes;

INLINE BnLanes load_bn(const BnVectors *bn, int channel, int vectors, int tail) {
    BnLanes lanes = {0};
    UNROLL for (int v = 0; v < vectors; v++) {
        lanes.mean[v] = load_lanes(bn->mean + channel + v * LANES, tail);
        lanes.scale[v] = load_lanes(bn->scale + channel + v * LANES, tail);
        lanes.bias[v] = load_lanes(bn->bias + channel + v * LANES, tail);
    }
    return lanes;
}
INLINE Vector normalise(const BnLanes *bn, int v, Vector x) {
    return vector_fma(x - bn->mean[v], bn->scale[v], bn->bias[v]);
}

/* Batch norm's backward formula for a block of channels, in registers. */
typedef struct BnGradientLanes {
    Vector mean[BLOCK_VECTORS], alpha[BLOCK_VECTORS], beta[BLOCK_VECTORS], delta[BLOCK_VECTORS];
} BnGradientLanes;

INLINE BnGradientLanes load_bn_gradient(const BnGradient *bn, int c, int vectors, int tail, float factor) {
    BnGradientLanes lanes = {0};
    UNROLL for (int v = 0; v < vectors; v++) {
        lanes.mean[v] = load_lanes(bn->mean + c + v * LANES, tail);
        lanes.alpha[v] = load_lanes(bn->alpha + c + v * LANES, tail) * vector_all(factor);
        lanes.beta[v] = load_lanes(bn->beta + c + v * LANES, tail);
        lanes.delta[v] = load_lanes(bn->delta + c + v * LANES, tail);
    }
    return lanes;
}
INLINE Vector bn_gradient(const BnGradientLanes *bn, int v, Vector dz, Vector y) {
    return vector_fma(dz, bn->alpha[v], vector_fma(y - bn->mean[v], bn->beta[v], bn->delta[v]));
}

/* Where channel `c` of row 0 of a tile lies. */
INLINE size_t tile_offset(int c, int tile_rows) {
    return (size_t)(c / TILE_CHANNELS) * (size_t)tile_rows * TILE_CHANNELS + (size_t)(c % TILE_CHANNELS);
}

/* The zeros after a tile's channels, which were filled in whole vectors. */
INLINE void tile_close(Value *tile, int tile_rows, int rows, int channels) {
    for (int c = (channels + LANES - 1) / LANES * LANES; c % TILE_ZEROS; c += LANES)
        for (int row = 0; row < rows; row++)
            store_values(tile + tile_offset(c, tile_rows) + (size_t)row * TILE_CHANNELS, vector_all(0.0f), 0);
}

#endif
