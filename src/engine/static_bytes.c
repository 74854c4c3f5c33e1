/* static_bytes.c - see static_bytes.h. */
#include "engine/static_bytes.h"

#include "base/memory.h"
#include "model/fold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float byte_most = 255;

effnet_status static_bytes_check(const Network *network, effnet_error *err) {
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i], *next = i + 1 < network->num_ops ? op + 1 : NULL;
        const bool plain = op->kind == OP_CONV || op->kind == OP_DEPTHWISE ? network_folds(op, next)
                           : op->kind == OP_BATCH_NORM                     ? op->activation != ACTIVATION_SWISH
                                                                           : op->kind != OP_SQUEEZE_EXCITE;
        if (!plain)
            return fail(err, EFFNET_ERROR_UNSUPPORTED,
                        "%s has swish and squeeze-excite, whose values fit no fixed ranges; calibrated bytes are for "
                        "efficientnet_lite0 to lite4",
                        network->config.name);
    }
    return EFFNET_OK;
}

bool static_bytes_rounds(const Network *network, int tensor) {
    if (tensor == 0) return true;
    const OpKind made_by = network->ops[tensor - 1].kind;
    return made_by == OP_BATCH_NORM || made_by == OP_RESIDUAL || made_by == OP_GLOBAL_POOL;
}

int static_bytes_input(const Network *network, const Op *op) {
    int tensor = op->input;
    while (tensor > 0 && network->ops[tensor - 1].kind == OP_DROPOUT) tensor = network->ops[tensor - 1].input;
    return tensor;
}

ByteRange byte_range(float low, float high) {
    low = fminf(low, 0);
    high = fmaxf(high, 0);
    const float scale = fmaxf((high - low) / byte_most, 1e-30F);
    return (ByteRange){scale, (int)fminf(nearbyintf(-low / scale), byte_most)};
}

void static_bytes_look(void *context, int tensor, float *values, size_t count) {
    const StaticBytes *bytes = context;
    const float scale = bytes->ranges[tensor].scale, zero = (float)bytes->ranges[tensor].zero;
    /* Added and subtracted, 1.5 * 2^23 rounds a float of that size to the nearest integer, halves to even: as nearbyintf,
     * in vectors. */
    const float rounder = 12582912;
    if (scale == 0) return;
    for (size_t i = 0; i < count; i++) {
        float byte = values[i] / scale;
        byte = byte < -zero ? -zero : byte > byte_most - zero ? byte_most - zero : byte; /* a NaN stays one */
        values[i] = scale * (byte + rounder - rounder);
    }
}

float static_weight_scale(const float *weights, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(weights[i]));
    return largest / STATIC_WEIGHT_MOST;
}

/* A layer's weights (outputs, ...), its bias, and what it reads. */
typedef struct Layer {
    float *weights, *bias;
    size_t outputs, each, taps; /* each: weights of an output, taps: of them those of one channel */
    bool depthwise;
    float input_scale;
    const float *means; /* of the channels that it reads; NULL: not known */
} Layer;

static void round_layer(const Layer *layer) {
    for (size_t o = 0; o < layer->outputs; o++) {
        float *weights = layer->weights + o * layer->each;
        const float scale = static_weight_scale(weights, layer->each);
        const double step = (double)scale * (double)layer->input_scale;
        double bias = (double)layer->bias[o];
        if (scale == 0) continue;
        for (size_t k = 0; k < layer->each; k++) {
            const float rounded = scale * nearbyintf(weights[k] / scale);
            if (layer->means)
                bias += ((double)weights[k] - (double)rounded) *
                        (double)layer->means[layer->depthwise ? o : k / layer->taps];
            weights[k] = rounded;
        }
        layer->bias[o] = (float)(step * nearbyint(bias / step));
    }
}

static void round_all(const Network *network, const float *parameters, const float *statistics, float *const *means,
                      StaticBytes *out) {
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        const bool convolution = op->kind == OP_CONV || op->kind == OP_DEPTHWISE;
        if (!convolution && op->kind != OP_DENSE) continue;
        const Parameter *kernel = &network->parameters[op->weight];
        const Parameter *added = &network->parameters[convolution ? op[1].bias : op->bias];
        const int input = static_bytes_input(network, op);
        const size_t outputs = (size_t)kernel->shape[0];
        const Layer layer = {.weights = out->parameters + kernel->offset,
                             .bias = out->parameters + added->offset,
                             .outputs = outputs,
                             .each = kernel->count / outputs,
                             .taps = convolution ? (size_t)op->kernel * (size_t)op->kernel : 1,
                             .depthwise = op->kind == OP_DEPTHWISE,
                             .input_scale = out->ranges[input].scale,
                             .means = means ? means[input] : NULL};
        if (convolution) {
            network_fold(network, op, op + 1, parameters, statistics, layer.weights, layer.bias);
            network_unfold(network, op + 1, out->parameters, out->statistics);
        }
        round_layer(&layer);
    }
}

effnet_status static_bytes_make(const Network *network, const float *parameters, const float *statistics,
                                ByteRange *ranges, float *const *means, StaticBytes *out, effnet_error *err) {
    *out = (StaticBytes){.ranges = ranges};
    effnet_status status = static_bytes_check(network, err);
    for (int tensor = 0; tensor < network->num_tensors && status == EFFNET_OK; tensor++)
        if (static_bytes_rounds(network, tensor) && !(ranges[tensor].scale > 0))
            status = fail(err, EFFNET_ERROR_ARGUMENT, "tensor %d of %s has no range", tensor, network->config.name);
    if (status == EFFNET_OK)
        status = memory_allocate_floats(1, network->parameter_floats, "the rounded weights", &out->parameters, err);
    if (status == EFFNET_OK)
        status = memory_allocate_floats(1, network->statistic_floats, "their statistics", &out->statistics, err);
    if (status != EFFNET_OK) {
        static_bytes_free(out);
        return status;
    }
    memcpy(out->parameters, parameters, network->parameter_floats * sizeof(float));
    memcpy(out->statistics, statistics, network->statistic_floats * sizeof(float));
    round_all(network, parameters, statistics, means, out);
    return EFFNET_OK;
}

void static_bytes_free(StaticBytes *bytes) {
    memory_free(bytes->parameters);
    memory_free(bytes->statistics);
    free(bytes->ranges);
    *bytes = (StaticBytes){0};
}
