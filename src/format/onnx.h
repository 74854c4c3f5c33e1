/* onnx.h - a network with its weights as an ONNX model (opset 13 to 21), for ONNX Runtime and what reads its files.
 *
 * Bare: input "input" (N, 3, R, R), normalised as the model was trained; output "logits" (N, classes); N is free. Or with
 * what comes before and after it inside (onnx_picture.c): input "image" (N, H, W, 3), bytes RGB, any N, H and W; outputs
 * "probabilities" and "logits", (N, classes).
 * Convolutions carry explicit pads, which for SAME padding depend on R. Dropout and drop path are gone. */
#ifndef EFFNET_FORMAT_ONNX_H
#define EFFNET_FORMAT_ONNX_H

#include "engine/static_bytes.h"
#include "recipe/evaluation_transform.h"

enum { ONNX_OPSET_LEAST = 13, ONNX_OPSET_MOST = 21, ONNX_OPSET = 17 };

typedef struct OnnxOptions {
    int opset;            /* ONNX_OPSET_LEAST to ONNX_OPSET_MOST; 0: ONNX_OPSET */
    bool keep_batch_norm; /* BatchNormalization nodes; else folded into the convolutions before them */
    bool int8; /* 1x1 convolutions (engine_multiplies_bytes) multiply bytes (onnx_bytes.c); not with keep_batch_norm */
    const StaticBytes *fixed;            /* every layer in bytes of these ranges, and of its weights, which are then
                                 the parameters and statistics given; NULL: in floats. Not with the two above */
    const EvaluationTransform *pictures; /* pictures go in, prepared as its keys say; NULL: bare */
    bool several;                        /* with pictures in: each class's own probability (Sigmoid); else Softmax */
    const char *const *metadata;         /* pairs key, value, ..., NULL; may be NULL */
} OnnxOptions;

effnet_status onnx_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                         const OnnxOptions *options, effnet_error *err);

#endif
