/* onnx_bytes.c - see onnx_bytes.h: what docs/maths.md says of int8, in ONNX operators. Nothing is calibrated: of each pixel
 *
 *   low = min(0, x), step = (max(0, x) - low) / 255 over its channels, q = round((x - low) / step)     bytes 0..255
 *   y_o = scale_o (step sum_i q_i w_io + low sum_i w_io) + bias_o                                      w -127..127
 *
 * so that a picture's values do not depend on what is run beside it, as DynamicQuantizeLinear's, whose range is that of the
 * whole batch, would. MatMulInteger wants the channels last; it takes ONNX_WEIGHT_ZERO off the weights' bytes, and is exact. */
#include "format/onnx_bytes.h"

#include <math.h>

typedef struct Builder {
    OnnxGraph *graph;
    const char *name; /* of the output, which begins the names of all that is made */
    int opset;
} Builder;

static Onnx__NodeProto *node(Builder *builder, const char *op, char *output, char *a, char *b) {
    char *const inputs[] = {a, b, NULL};
    return builder->graph->failed ? NULL : onnx_node(builder->graph, op, output, inputs);
}

static char *made(Builder *builder, const char *what, const char *op, char *a, char *b) {
    char *output = onnx_name(builder->graph, "%s/%s", builder->name, what);
    node(builder, op, output, a, b);
    return output;
}

static char *cast(Builder *builder, const char *what, char *input, OnnxType type) {
    char *output = onnx_name(builder->graph, "%s/%s", builder->name, what);
    onnx_attribute_int(builder->graph, node(builder, "Cast", output, input, NULL), "to", type);
    return output;
}

static void transpose(Builder *builder, char *output, char *input, const int64_t order[4]) {
    onnx_attribute_ints(builder->graph, node(builder, "Transpose", output, input, NULL), "perm", 4, order);
}

static char *number(Builder *builder, const char *what, float value) {
    char *name = onnx_name(builder->graph, "%s/%s", builder->name, what);
    float *place = onnx_constant(builder->graph, name, 0, NULL);
    if (place) *place = value;
    return name;
}

/* The least or largest of a pixel's channels, (N, H, W, 1). */
static char *reduced(Builder *builder, const char *what, const char *op, char *input) {
    static const int64_t last = 3;
    const bool as_input = builder->opset >= 18;
    char *output = onnx_name(builder->graph, "%s/%s", builder->name, what), *axes = NULL;
    if (as_input) {
        axes = onnx_name(builder->graph, "%s/%s_axes", builder->name, what);
        int64_t *place = onnx_integers(builder->graph, axes, 1, (int[]){1});
        if (place) *place = last;
    }
    Onnx__NodeProto *reduce = node(builder, op, output, input, axes);
    if (!as_input) onnx_attribute_ints(builder->graph, reduce, "axes", 1, &last);
    onnx_attribute_int(builder->graph, reduce, "keepdims", 1);
    return output;
}

/* The weight's bytes, (inputs, outputs), and what belongs to each output: scale, bias, and the bytes' sum. */
typedef struct Rounded {
    char *bytes, *zero, *scale, *bias, *sum;
} Rounded;

static char *byte(Builder *builder, const char *what, uint8_t value) {
    char *name = onnx_name(builder->graph, "%s/%s", builder->name, what);
    uint8_t *place = onnx_unsigned_bytes(builder->graph, name, 0, NULL);
    if (place) *place = value;
    return name;
}

static Rounded round_weight(Builder *builder, const OnnxBytes *from) {
    OnnxGraph *graph = builder->graph;
    const int shape[2] = {from->inputs, from->outputs};
    Rounded names = {
        onnx_name(graph, "%s" ONNX_QUANTIZED_ENDING, from->weight_name), byte(builder, "weight_zero", ONNX_WEIGHT_ZERO),
        onnx_name(graph, "%s" ONNX_SCALE_ENDING, from->weight_name),
        onnx_name(graph, "%s", from->bias_name ? from->bias_name : ""), onnx_name(graph, "%s/sum", builder->name)};
    uint8_t *bytes = onnx_unsigned_bytes(graph, names.bytes, 2, shape);
    float *scale = onnx_constant(graph, names.scale, 1, shape + 1);
    float *bias = onnx_constant(graph, names.bias, 1, shape + 1);
    float *sum = onnx_constant(graph, names.sum, 1, shape + 1);
    for (int o = 0; o < from->outputs && !graph->failed; o++) {
        const float *weight = from->weight + (size_t)o * (size_t)from->inputs;
        float largest = 0;
        for (int i = 0; i < from->inputs; i++) largest = fmaxf(largest, fabsf(weight[i]));
        scale[o] = largest / 127;
        bias[o] = from->bias[o];
        for (int i = 0; i < from->inputs; i++) {
            const float rounded = scale[o] > 0 ? nearbyintf(weight[i] / scale[o]) : 0;
            bytes[(size_t)i * (size_t)from->outputs + (size_t)o] = (uint8_t)(rounded + ONNX_WEIGHT_ZERO);
            sum[o] += rounded;
        }
    }
    return names;
}

/* Exact sums of products. The pixels' zero is 0, and written: OpenVINO takes no input that is left out. */
static char *multiplied(Builder *builder, char *bytes, Rounded weight) {
    char *output = onnx_name(builder->graph, "%s/products", builder->name);
    char *const inputs[] = {bytes, weight.bytes, byte(builder, "pixel_zero", 0), weight.zero, NULL};
    if (!builder->graph->failed) onnx_node(builder->graph, "MatMulInteger", output, inputs);
    return output;
}

void onnx_add_bytes(OnnxGraph *graph, const OnnxBytes *convolution, char *input, char *output) {
    static const int64_t channels_last[4] = {0, 2, 3, 1}, channels_second[4] = {0, 3, 1, 2};
    if (!output) return; /* the graph has failed */
    Builder builder = {.graph = graph, .name = output, .opset = convolution->opset};
    const Rounded weight = round_weight(&builder, convolution);
    char *x = onnx_name(graph, "%s/pixels", output), *zero = number(&builder, "zero", 0);
    transpose(&builder, x, input, channels_last);
    char *low = made(&builder, "low", "Min", reduced(&builder, "least", "ReduceMin", x), zero);
    char *high = made(&builder, "high", "Max", reduced(&builder, "largest", "ReduceMax", x), zero);
    char *range = made(&builder, "range", "Sub", high, low);
    /* of a pixel of zeros any step will do but 0 */
    char *step = made(&builder, "step", "Max", made(&builder, "step_or_0", "Div", range, number(&builder, "255", 255)),
                      number(&builder, "least_step", 1e-30F));
    char *steps = made(&builder, "steps", "Div", made(&builder, "above_low", "Sub", x, low), step);
    char *bytes = cast(&builder, "bytes", made(&builder, "rounded", "Round", steps, NULL), ONNX_UINT8);
    char *products = multiplied(&builder, bytes, weight);
    char *sums = made(&builder, "sums", "Mul", cast(&builder, "products_float", products, ONNX_FLOAT), step);
    char *with_low = made(&builder, "with_low", "Add", sums, made(&builder, "low_sums", "Mul", low, weight.sum));
    char *scaled = made(&builder, "scaled", "Mul", with_low, weight.scale);
    transpose(&builder, output, made(&builder, "with_bias", "Add", scaled, weight.bias), channels_second);
}
