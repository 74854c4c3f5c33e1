/* onnx_static.h - bytes of fixed ranges (engine/static_bytes.h) as ONNX nodes: QuantizeLinear and DequantizeLinear around
 * the float operators, which ONNX Runtime and OpenVINO put together into operators over bytes. Private to src/format. */
#ifndef EFFNET_FORMAT_ONNX_STATIC_H
#define EFFNET_FORMAT_ONNX_STATIC_H

#include "engine/static_bytes.h"
#include "format/onnx_bytes.h"

/* What follows a tensor's, weight's or bias's name in the file. */
#define ONNX_STATIC_BYTES_ENDING ONNX_QUANTIZED_ENDING /* int8 of a weight, in its own shape; int32 of a bias */
#define ONNX_STATIC_SCALE_ENDING ONNX_SCALE_ENDING     /* float: one of a tensor, one an output of weight or bias */
#define ONNX_STATIC_ZERO_ENDING  "_zero_point"         /* uint8 of a tensor */
#define ONNX_STATIC_PICTURE      "picture"             /* how the network's input is called for that */

/* The pair behind the tensor `input`; returns what the next operators read. `name`: of the tensor. */
char *onnx_add_rounding(OnnxGraph *graph, const char *name, ByteRange range, char *input);

typedef struct OnnxStaticLayer {
    const Parameter *kernel; /* name and shape */
    const char *bias_name;   /* in the file */
    const float *weight,
        *bias; /* values that bytes stand for, as static_bytes_make leaves them; read during the call */
    float input_scale;
} OnnxStaticLayer;

/* The constants and their DequantizeLinear; *weight and *bias are what Conv or Gemm reads. */
void onnx_add_static_layer(OnnxGraph *graph, const OnnxStaticLayer *layer, char **weight, char **bias);

#endif
