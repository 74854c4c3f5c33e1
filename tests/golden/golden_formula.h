/* golden_formula.h - weights, pictures, labels and masks of the golden tests out of a formula, so that the committed
 * files hold results only. golden_formula.py is the same in numpy; both give the same bits:
 *   bits24(name, i)  the top 24 bits of splitmix64 (Steele et al., OOPSLA 2014) of crc32(name) * 2^32 + i
 *   signed(name, i)  bits24 * 2^-23 - 1: in [-1, 1), a multiple of 2^-23, so exact in float32
 *   a weight         centre + width * signed(name, i): one rounded product and one rounded sum (no contraction:
 *                    -ffp-contract=off stands on every file); width is a double square root rounded to float32
 * i counts in timm's layout of the tensor.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EFFNET_TESTS_GOLDEN_FORMULA_H
#define EFFNET_TESTS_GOLDEN_FORMULA_H

#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static inline uint32_t golden_name_key(const char *name) {
    return (uint32_t)crc32(0, (const Bytef *)name, (uInt)strlen(name));
}

static inline uint32_t golden_bits24(uint32_t name_key, uint64_t index) {
    uint64_t z = ((uint64_t)name_key << 32) + index + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ (z >> 31)) >> 40);
}

static inline float golden_signed(uint32_t name_key, uint64_t index) {
    return (float)golden_bits24(name_key, index) * 0x1p-23f - 1.0f;
}

/* First values of a parameter or statistic. Convolutions as TensorFlow scales them; a running variance of 1 would let
 * the signal die out on its way through sixteen blocks, .5 would make it explode. */
static inline void golden_initial(const Parameter *parameter, float *out) {
    const int *shape = parameter->shape;
    float centre = 0, width = 0;
    switch (parameter->role) {
    case ROLE_CONV:
        width = (float)sqrt(6.0 / (shape[0] * shape[2] * shape[3]));
        break;
    case ROLE_DEPTHWISE:
        width = (float)sqrt(6.0 / (shape[2] * shape[3]));
        break;
    case ROLE_DENSE:
        width = (float)(1.0 / sqrt(shape[0]));
        break;
    case ROLE_BIAS:
        width = 0.1f;
        break;
    case ROLE_BN_SCALE:
        centre = 1.0f, width = 0.3f;
        break;
    case ROLE_BN_BIAS:
        width = 0.2f;
        break;
    case ROLE_RUNNING_MEAN:
        width = 0.1f;
        break;
    case ROLE_RUNNING_VARIANCE:
        centre = 0.65f, width = 0.325f;
        break;
    }
    uint32_t key = golden_name_key(parameter->name);
    for (size_t i = 0; i < parameter->count; i++) out[i] = centre + width * golden_signed(key, i);
}

static inline uint32_t golden_step_key(const char *what, int step) {
    char name[32];
    snprintf(name, sizeof name, "%s.%d", what, step);
    return golden_name_key(name);
}

/* (N, shape): patches of 8x8 pixels of one colour, with noise on top. */
static inline void golden_images(int step, int batch, TensorShape shape, float *out) {
    uint32_t patches = golden_step_key("patches", step), pixels = golden_step_key("pixels", step);
    uint64_t height = (uint64_t)shape.height, width = (uint64_t)shape.width, channels = (uint64_t)shape.channels;
    uint64_t pixel = 0;
    for (uint64_t n = 0; n < (uint64_t)batch; n++)
        for (uint64_t y = 0; y < height; y++)
            for (uint64_t x = 0; x < width; x++)
                for (uint64_t c = 0; c < channels; c++, pixel++) {
                    uint64_t patch = ((n * height + y / 8) * width + x / 8) * channels + c;
                    out[pixel] = 0.75f * golden_signed(patches, patch) + 0.5f * golden_signed(pixels, pixel);
                }
}

static inline void golden_labels(int step, int batch, int classes, int32_t *out) {
    uint32_t key = golden_step_key("labels", step);
    for (int i = 0; i < batch; i++)
        out[i] = (int32_t)((uint64_t)golden_bits24(key, (uint64_t)i) * (uint64_t)classes >> 24);
}

/* 0 or 1/keep for `count` indices from `first` on. */
static inline void golden_mask(const char *what, int step, size_t first, size_t count, double keep, float *out) {
    uint32_t key = golden_step_key(what, step);
    for (size_t i = 0; i < count; i++)
        out[i] = golden_bits24(key, first + i) * 0x1p-24 < keep ? (float)(1.0 / keep) : 0.0f;
}

/* drop_path_scale (num_residuals, batch) and dropout_scale (batch, features), as EngineForward takes them. */
static inline void golden_masks(const Network *network, int step, int batch, float *drop_path_scale,
                                float *dropout_scale) {
    size_t n = (size_t)batch;
    for (int r = 0; r < network->num_residuals; r++)
        golden_mask("drop_path", step, (size_t)r * n, n, network_keep_probability(network, r),
                    drop_path_scale + (size_t)r * n);
    golden_mask("dropout", step, 0, n * (size_t)network->features, 1 - network->config.drop, dropout_scale);
}

/* The index of the k-th of `samples` elements of a tensor that a golden file holds. */
static inline size_t golden_place(uint32_t samples_key, size_t count, size_t samples, size_t k) {
    return count <= samples ? k : (size_t)((uint64_t)golden_bits24(samples_key, k) * count >> 24);
}

#endif
