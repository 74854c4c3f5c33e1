/* small_math.h - scalar activations for the few values of a squeeze, and the drop path factor of an image. */
#ifndef EFFNET_BACKEND_CPU_SMALL_MATH_H
#define EFFNET_BACKEND_CPU_SMALL_MATH_H

#include "backend/cpu/cpu_engine.h"

#include <math.h>

static inline float sigmoid(float z) {
    return 1.0f / (1.0f + expf(-z));
}

static inline float activate(float z, Activation activation) {
    if (activation == ACTIVATION_SWISH) return z * sigmoid(z);
    if (activation == ACTIVATION_RELU6) return z < 0 ? 0 : z > 6 ? 6 : z;
    return z;
}

static inline float activation_slope(float z, Activation activation) {
    if (activation == ACTIVATION_SWISH) {
        float s = sigmoid(z);
        return s + z * s * (1 - s);
    }
    if (activation == ACTIVATION_RELU6) return z > 0 && z < 6 ? 1 : 0;
    return 1;
}

/* 0 or 1/keep; 1 outside a residual or without masks. */
static inline float drop_path_factor(const PassRun *run, int residual_op, int image) {
    if (residual_op < 0 || !run->call->drop_path_scale || !run->call->training) return 1.0f;
    int row = run->engine->network->ops[residual_op].drop_path_index;
    return run->call->drop_path_scale[(size_t)row * (size_t)run->call->batch + (size_t)image];
}

#endif
