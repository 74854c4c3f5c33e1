/* onnx_static.c - see onnx_static.h. */
#include "format/onnx_static.h"

#include <math.h>

static char *add_dequantize(OnnxGraph *graph, char *bytes, char *scale, char *zero, bool per_output) {
    char *const inputs[] = {bytes, scale, zero, NULL};
    char *output = onnx_name(graph, "%s/float", bytes ? bytes : "");
    Onnx__NodeProto *node = graph->failed ? NULL : onnx_node(graph, "DequantizeLinear", output, inputs);
    if (per_output) onnx_attribute_int(graph, node, "axis", 0);
    return output;
}

char *onnx_add_rounding(OnnxGraph *graph, const char *name, ByteRange range, char *input) {
    char *scale = onnx_name(graph, "%s" ONNX_STATIC_SCALE_ENDING, name);
    char *zero = onnx_name(graph, "%s" ONNX_STATIC_ZERO_ENDING, name);
    char *bytes = onnx_name(graph, "%s" ONNX_STATIC_BYTES_ENDING, name);
    float *scale_value = onnx_constant(graph, scale, 0, NULL);
    uint8_t *zero_value = onnx_unsigned_bytes(graph, zero, 0, NULL);
    if (!scale_value || !zero_value) return NULL;
    *scale_value = range.scale;
    *zero_value = (uint8_t)range.zero;
    char *const inputs[] = {input, scale, zero, NULL};
    onnx_node(graph, "QuantizeLinear", bytes, inputs);
    return add_dequantize(graph, bytes, scale, zero, false);
}

void onnx_add_static_layer(OnnxGraph *graph, const OnnxStaticLayer *layer, char **weight, char **bias) {
    const Parameter *kernel = layer->kernel;
    const size_t outputs = (size_t)kernel->shape[0], each = kernel->count / outputs;
    char *weight_bytes = onnx_name(graph, "%s" ONNX_STATIC_BYTES_ENDING, kernel->name);
    char *weight_scale = onnx_name(graph, "%s" ONNX_STATIC_SCALE_ENDING, kernel->name);
    char *bias_integers = onnx_name(graph, "%s" ONNX_STATIC_BYTES_ENDING, layer->bias_name);
    char *bias_scale = onnx_name(graph, "%s" ONNX_STATIC_SCALE_ENDING, layer->bias_name);
    int8_t *bytes = onnx_bytes(graph, weight_bytes, kernel->rank, kernel->shape);
    float *scales = onnx_constant(graph, weight_scale, 1, kernel->shape);
    int32_t *integers = onnx_integers32(graph, bias_integers, 1, kernel->shape);
    float *bias_scales = onnx_constant(graph, bias_scale, 1, kernel->shape);
    for (size_t o = 0; o < outputs && !graph->failed; o++) {
        const float *values = layer->weight + o * each;
        const float scale = static_weight_scale(values, each);
        scales[o] = scale > 0 ? scale : 1; /* an output of no weights: any scale will do but 0 */
        for (size_t k = 0; k < each; k++) bytes[o * each + k] = (int8_t)nearbyintf(values[k] / scales[o]);
        bias_scales[o] = scales[o] * layer->input_scale;
        const double whole = nearbyint((double)layer->bias[o] / (double)bias_scales[o]);
        integers[o] = (int32_t)fmin(fmax(whole, INT32_MIN), INT32_MAX);
    }
    *weight = add_dequantize(graph, weight_bytes, weight_scale, NULL, true);
    *bias = add_dequantize(graph, bias_integers, bias_scale, NULL, true);
}
