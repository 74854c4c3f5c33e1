/* static_bytes.h - a network whose stored tensors and weights are bytes of fixed ranges: what an ONNX file of QuantizeLinear
 * and DequantizeLinear computes, in floats that have only the values which those bytes stand for.
 *
 *   tensor   scale (byte - zero), byte 0 to 255: one scale and zero for all of it; ranges are calibration.h's
 *   weight   scale_o byte, byte -63 to 63: a scale for each output channel
 *   bias     scale_o scale_of_the_input integer
 *
 * Weights have 7 bits: x86 processors without VNNI add two products of a byte without and a byte with sign in 16 bits
 * (vpmaddubsw), which 2 * 255 * 63 fits into and 2 * 255 * 127 does not; so the file's numbers are the same everywhere.
 *
 * Rounding a weight shifts what a layer gives by the difference times the mean of what it reads, which for values above 0
 * is no noise but the same for every picture. The bias takes that back (bias correction: Nagel et al., arXiv 1906.04721).
 *
 * Rounded are the picture, each convolution's output with its batch norm folded in, residual sums and the pooled features;
 * weights of convolutions and classifier. A ReLU6 needs no step of its own, for the range of what it reads lies within 0
 * to 6. Swish and squeeze-excite have no such form: networks with them are refused (docs/deploy.md has the measurement). */
#ifndef EFFNET_ENGINE_STATIC_BYTES_H
#define EFFNET_ENGINE_STATIC_BYTES_H

#include "engine/engine.h"

enum { STATIC_WEIGHT_MOST = 63 };

typedef struct ByteRange {
    float scale; /* 0: the tensor is not rounded */
    int zero;    /* the byte that stands for 0 */
} ByteRange;

typedef struct StaticBytes {
    ByteRange *ranges;              /* by tensor of the network */
    float *parameters, *statistics; /* the network's blocks, batch norm folded into the kernels, all rounded */
} StaticBytes;

/* EFFNET_ERROR_UNSUPPORTED where the network has what cannot be in bytes. */
effnet_status static_bytes_check(const Network *network, effnet_error *err);
/* The range that has low, high and 0 in it; scale never 0. */
ByteRange byte_range(float low, float high);
/* `ranges` (tensors) is taken over, also where it fails; parameters and statistics are copied. means: of each tensor that is
 * read by a layer the mean of each channel, (tensors)(channels), for the biases; NULL: they stay. A tensor that must be rounded
 * and has no range is EFFNET_ERROR_ARGUMENT. */
effnet_status static_bytes_make(const Network *network, const float *parameters, const float *statistics,
                                ByteRange *ranges, float *const *means, StaticBytes *out, effnet_error *err);
void static_bytes_free(StaticBytes *bytes);
/* Rounds a tensor's values where they stand; `context` is a StaticBytes: a look for StoredTensors. The caller does so with
 * the pictures, tensor 0. */
void static_bytes_look(void *context, int tensor, float *values, size_t count);

/* Whether the tensor is one that is rounded. */
bool static_bytes_rounds(const Network *network, int tensor);
/* The tensor that an op's input is: dropout, which does nothing here, is looked through. */
int static_bytes_input(const Network *network, const Op *op);
/* The scale of an output channel of `count` weights; 0 where they are all 0. */
float static_weight_scale(const float *weights, size_t count);

#endif
