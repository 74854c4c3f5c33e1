/* onnx_bytes.h - a 1x1 convolution whose products are of bytes, as ONNX nodes. Private to src/format. */
#ifndef EFFNET_FORMAT_ONNX_BYTES_H
#define EFFNET_FORMAT_ONNX_BYTES_H

#include "format/onnx_graph.h"

/* What follows the weight's name in the file. */
#define ONNX_QUANTIZED_ENDING "_quantized" /* (inputs, outputs) uint8, 1 to 255 */
#define ONNX_SCALE_ENDING     "_scale"     /* (outputs) float: the weight is it times (byte - ONNX_WEIGHT_ZERO) */

/* The byte that stands for a weight of 0. Weights are bytes without a sign because of processors that have AVX2 and no VNNI:
 * there ONNX Runtime multiplies bytes without a sign by bytes with one in vpmaddubsw, whose sums of two products do not fit
 * into its 16 bits, and bytes without a sign by others of that kind exactly (docs/deploy.md). */
enum { ONNX_WEIGHT_ZERO = 128 };

typedef struct OnnxBytes {
    const char *weight_name, *bias_name; /* of the convolution's weight, and its bias in the file */
    const float *weight;                 /* (outputs, inputs), batch norm folded in; read during the call */
    const float *bias;                   /* (outputs) */
    int inputs, outputs;
    int opset; /* the graph's: from 18 on the axes of ReduceMax are an input */
} OnnxBytes;

/* The nodes from `input` (N, inputs, H, W) to `output` (N, outputs, H, W). */
void onnx_add_bytes(OnnxGraph *graph, const OnnxBytes *convolution, char *input, char *output);

#endif
