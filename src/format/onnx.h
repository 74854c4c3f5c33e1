/* onnx.h - a network with its weights as an ONNX model (opset 17), for ONNX Runtime and what reads its files.
 *
 * Input "input" (N, 3, R, R), normalised as the model was trained; output "logits" (N, classes); N is free.
 * Convolutions carry explicit pads, which for SAME padding depend on R. Dropout and drop path are gone. */
#ifndef EFFNET_FORMAT_ONNX_H
#define EFFNET_FORMAT_ONNX_H

#include "model/network.h"

typedef struct OnnxOptions {
    bool keep_batch_norm;        /* BatchNormalization nodes; else folded into the convolutions before them */
    const char *const *metadata; /* pairs key, value, ..., NULL; may be NULL */
} OnnxOptions;

effnet_status onnx_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                         const OnnxOptions *options, effnet_error *err);

#endif
