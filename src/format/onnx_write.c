/* onnx_write.c - see onnx.h: one op of the network after another becomes ONNX nodes.
 *
 * Batch norm is folded into the convolution before it (model/fold.h; every batch norm here follows one): a third of the
 * nodes. */
#include "format/onnx.h"

#include "engine/engine.h"
#include "format/onnx_bytes.h"
#include "format/onnx_graph.h"
#include "format/onnx_picture.h"
#include "format/onnx_static.h"
#include "model/fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Exporter {
    OnnxGraph graph;
    const Network *network;
    const float *parameters, *statistics;
    bool keep_batch_norm, int8;
    const StaticBytes *fixed; /* NULL: floats */
    int opset;
    char **tensors; /* the ONNX name of each of the network's tensors, as far as made */
} Exporter;

static const float *parameter_values(const Exporter *exporter, int index) {
    return exporter->parameters + exporter->network->parameters[index].offset;
}

static const float *statistic_values(const Exporter *exporter, int index) {
    return exporter->statistics + exporter->network->statistics[index].offset;
}

/* A parameter as it is, in its own shape (OIHW is ONNX's layout too). */
static char *add_parameter(Exporter *exporter, int index) {
    const Parameter *parameter = &exporter->network->parameters[index];
    char *name = onnx_name(&exporter->graph, "%s", parameter->name);
    float *values = onnx_constant(&exporter->graph, name, parameter->rank, parameter->shape);
    if (values) memcpy(values, parameter_values(exporter, index), parameter->count * sizeof *values);
    return name;
}

static char *add_statistic(Exporter *exporter, int index) {
    const Parameter *statistic = &exporter->network->statistics[index];
    char *name = onnx_name(&exporter->graph, "%s", statistic->name);
    float *values = onnx_constant(&exporter->graph, name, statistic->rank, statistic->shape);
    if (values) memcpy(values, statistic_values(exporter, index), statistic->count * sizeof *values);
    return name;
}

/* A node of up to five inputs. */
static Onnx__NodeProto *add_node(Exporter *exporter, const char *op_type, char *output, char *a, char *b, char *c) {
    char *const inputs[] = {a, b, c, NULL};
    return onnx_node(&exporter->graph, op_type, output, inputs);
}

static char *add_activation(Exporter *exporter, Activation activation, const char *layer, char *input) {
    OnnxGraph *graph = &exporter->graph;
    if (activation == ACTIVATION_NONE) return input;
    char *output = onnx_name(graph, "%s/activation", layer);
    if (activation == ACTIVATION_RELU6) {
        add_node(exporter, "Clip", output, input, onnx_name(graph, "zero"), onnx_name(graph, "six"));
        return output;
    }
    char *gate = onnx_name(graph, "%s/sigmoid", layer);
    add_node(exporter, "Sigmoid", gate, input, NULL, NULL);
    add_node(exporter, "Mul", output, input, gate, NULL);
    return output;
}

/* ---- convolutions ---- */

/* Zeros after the last row or column: what the window of the last output still covers beyond the input. */
static int64_t pad_after(int input, int output, int kernel, int stride, int before) {
    int after = (output - 1) * stride + kernel - input - before;
    return after > 0 ? after : 0;
}

/* A tensor behind what rounds it, where tensors are rounded; `name`: of what makes it. */
static char *add_rounding(Exporter *exporter, int tensor, const char *name, char *made) {
    if (!exporter->fixed || !made) return made;
    return onnx_add_rounding(&exporter->graph, name, exporter->fixed->ranges[tensor], made);
}

static void set_convolution(Exporter *exporter, Onnx__NodeProto *node, const Op *op) {
    TensorShape in = exporter->network->tensors[op->input], out = exporter->network->tensors[op->output];
    const int64_t kernel[2] = {op->kernel, op->kernel}, strides[2] = {op->stride, op->stride};
    const int64_t pads[4] = {op->pad_top, op->pad_left,
                             pad_after(in.height, out.height, op->kernel, op->stride, op->pad_top),
                             pad_after(in.width, out.width, op->kernel, op->stride, op->pad_left)};
    onnx_attribute_ints(&exporter->graph, node, "kernel_shape", 2, kernel);
    onnx_attribute_ints(&exporter->graph, node, "strides", 2, strides);
    onnx_attribute_ints(&exporter->graph, node, "pads", 4, pads);
    onnx_attribute_int(&exporter->graph, node, "group", op->kind == OP_DEPTHWISE ? in.channels : 1);
}

static void add_folded_bytes(Exporter *exporter, const Op *op, const Op *norm, char *output) {
    const Parameter *kernel = &exporter->network->parameters[op->weight];
    const size_t outputs = (size_t)kernel->shape[0];
    float *weight = malloc((kernel->count + outputs) * sizeof *weight);
    if (!weight) {
        exporter->graph.failed = true;
        return;
    }
    network_fold(exporter->network, op, norm, exporter->parameters, exporter->statistics, weight,
                 weight + kernel->count);
    const OnnxBytes convolution = {.weight_name = kernel->name,
                                   .bias_name = onnx_name(&exporter->graph, "%s.bias", op->name),
                                   .weight = weight,
                                   .bias = weight + kernel->count,
                                   .inputs = kernel->shape[1],
                                   .outputs = kernel->shape[0],
                                   .opset = exporter->opset};
    onnx_add_bytes(&exporter->graph, &convolution, exporter->tensors[op->input], output);
    free(weight);
}

/* Weight and bias of an op in bytes, as its node reads them. */
static void add_static_layer(Exporter *exporter, const Op *op, const float *weight, const char *bias_name,
                             const float *bias, char **weight_in, char **bias_in) {
    const OnnxStaticLayer layer = {.kernel = &exporter->network->parameters[op->weight],
                                   .bias_name = bias_name,
                                   .weight = weight,
                                   .bias = bias,
                                   .input_scale =
                                       exporter->fixed->ranges[static_bytes_input(exporter->network, op)].scale};
    onnx_add_static_layer(&exporter->graph, &layer, weight_in, bias_in);
}

static char *add_folded_static(Exporter *exporter, const Op *op, const Op *norm, char *output) {
    char *weight, *bias, name[96];
    snprintf(name, sizeof name, "%s.bias", op->name);
    add_static_layer(exporter, op, parameter_values(exporter, op->weight), name, parameter_values(exporter, norm->bias),
                     &weight, &bias);
    set_convolution(exporter, add_node(exporter, "Conv", output, exporter->tensors[op->input], weight, bias), op);
    return output;
}

/* A convolution with the batch norm behind it; its output stands for the batch norm's, before activation. */
static char *add_folded(Exporter *exporter, const Op *op, const Op *norm) {
    OnnxGraph *graph = &exporter->graph;
    char *output = onnx_name(graph, "%s", norm->name);
    if (exporter->fixed) return add_folded_static(exporter, op, norm, output);
    if (exporter->int8 && engine_multiplies_bytes(exporter->network, op)) {
        add_folded_bytes(exporter, op, norm, output);
        return output;
    }
    const Parameter *kernel = &exporter->network->parameters[op->weight];
    char *weight_name = onnx_name(graph, "%s", kernel->name), *bias_name = onnx_name(graph, "%s.bias", op->name);
    float *weight = onnx_constant(graph, weight_name, kernel->rank, kernel->shape);
    float *bias = onnx_constant(graph, bias_name, 1, kernel->shape);
    if (!weight || !bias) return NULL;
    network_fold(exporter->network, op, norm, exporter->parameters, exporter->statistics, weight, bias);
    set_convolution(exporter, add_node(exporter, "Conv", output, exporter->tensors[op->input], weight_name, bias_name),
                    op);
    return output;
}

static char *add_convolution(Exporter *exporter, const Op *op, const Op *next) {
    if (!exporter->keep_batch_norm && network_folds(op, next)) return add_folded(exporter, op, next);
    char *output = onnx_name(&exporter->graph, "%s", op->name);
    char *weight = add_parameter(exporter, op->weight);
    set_convolution(exporter, add_node(exporter, "Conv", output, exporter->tensors[op->input], weight, NULL), op);
    return output;
}

static char *add_batch_norm(Exporter *exporter, const Op *op, const Op *before) {
    char *normalised = exporter->tensors[op->input];
    bool folded = !exporter->keep_batch_norm && before && network_folds(before, op);
    if (!folded) {
        char *const inputs[] = {normalised,
                                add_parameter(exporter, op->weight),
                                add_parameter(exporter, op->bias),
                                add_statistic(exporter, op->running_mean),
                                add_statistic(exporter, op->running_variance),
                                NULL};
        normalised = onnx_name(&exporter->graph, "%s", op->name);
        Onnx__NodeProto *node =
            exporter->graph.failed ? NULL : onnx_node(&exporter->graph, "BatchNormalization", normalised, inputs);
        onnx_attribute_float(&exporter->graph, node, "epsilon", (float)exporter->network->config.bn_eps);
    }
    if (exporter->fixed) return add_rounding(exporter, op->output, op->name, normalised); /* ReLU6 is in its range */
    return add_activation(exporter, op->activation, op->name, normalised);
}

/* ---- the other ops ---- */

static char *add_squeeze_excite(Exporter *exporter, const Op *op) {
    OnnxGraph *graph = &exporter->graph;
    char *input = exporter->tensors[op->input], *mean = onnx_name(graph, "%s/mean", op->name);
    char *reduced = onnx_name(graph, "%s/reduce", op->name), *expanded = onnx_name(graph, "%s/expand", op->name);
    char *gate = onnx_name(graph, "%s/gate", op->name), *output = onnx_name(graph, "%s", op->name);
    add_node(exporter, "GlobalAveragePool", mean, input, NULL, NULL);
    char *weight = add_parameter(exporter, op->weight), *bias = add_parameter(exporter, op->bias);
    add_node(exporter, "Conv", reduced, mean, weight, bias);
    char *active = add_activation(exporter, op->activation, reduced ? reduced : "", reduced);
    weight = add_parameter(exporter, op->expand_weight), bias = add_parameter(exporter, op->expand_bias);
    add_node(exporter, "Conv", expanded, active, weight, bias);
    add_node(exporter, "Sigmoid", gate, expanded, NULL, NULL);
    add_node(exporter, "Mul", output, input, gate, NULL);
    return output;
}

static char *add_dense(Exporter *exporter, const Op *op) {
    OnnxGraph *graph = &exporter->graph;
    char *flat = onnx_name(graph, "%s/flat", op->name), *output = onnx_name(graph, "logits");
    onnx_attribute_int(graph, add_node(exporter, "Flatten", flat, exporter->tensors[op->input], NULL, NULL), "axis", 1);
    char *weight, *bias;
    if (exporter->fixed) {
        add_static_layer(exporter, op, parameter_values(exporter, op->weight),
                         exporter->network->parameters[op->bias].name, parameter_values(exporter, op->bias), &weight,
                         &bias);
    } else {
        weight = add_parameter(exporter, op->weight);
        bias = add_parameter(exporter, op->bias);
    }
    onnx_attribute_int(graph, add_node(exporter, "Gemm", output, flat, weight, bias), "transB", 1);
    return output;
}

/* Adds the nodes of op `i`; NULL where memory ran out or the op is not known here. */
static char *add_op(Exporter *exporter, int i) {
    const Network *network = exporter->network;
    const Op *op = &network->ops[i];
    char *input = exporter->tensors[op->input], *output;
    switch (op->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
        return add_convolution(exporter, op, i + 1 < network->num_ops ? &network->ops[i + 1] : NULL);
    case OP_BATCH_NORM:
        return add_batch_norm(exporter, op, i > 0 ? &network->ops[i - 1] : NULL);
    case OP_SQUEEZE_EXCITE:
        return add_squeeze_excite(exporter, op);
    case OP_RESIDUAL:
        output = onnx_name(&exporter->graph, "%s", op->name);
        add_node(exporter, "Add", output, input, exporter->tensors[op->residual], NULL);
        return add_rounding(exporter, op->output, op->name, output);
    case OP_GLOBAL_POOL:
        output = onnx_name(&exporter->graph, "%s", op->name);
        add_node(exporter, "GlobalAveragePool", output, input, NULL, NULL);
        return add_rounding(exporter, op->output, op->name, output);
    case OP_DROPOUT:
        return input;
    case OP_DENSE:
        return add_dense(exporter, op);
    }
    return NULL;
}

static effnet_status build(Exporter *exporter, const char *path, effnet_error *err) {
    OnnxGraph *graph = &exporter->graph;
    if (exporter->network->config.lite && !exporter->fixed) { /* Clip's bounds are inputs */
        float *zero = onnx_constant(graph, onnx_name(graph, "zero"), 0, NULL);
        float *six = onnx_constant(graph, onnx_name(graph, "six"), 0, NULL);
        if (zero && six) *zero = 0, *six = 6;
    }
    exporter->tensors[0] = add_rounding(exporter, 0, ONNX_STATIC_PICTURE, exporter->tensors[0]);
    for (int i = 0; i < exporter->network->num_ops && !graph->failed; i++) {
        char *made = add_op(exporter, i);
        if (!made && !graph->failed)
            return fail(err, EFFNET_ERROR_UNSUPPORTED, "cannot write '%s': ONNX export does not know the op '%s'", path,
                        exporter->network->ops[i].name);
        exporter->tensors[exporter->network->ops[i].output] = made;
    }
    return EFFNET_OK;
}

/* With pictures in: the probabilities, and the logits beside them. */
static void add_softmax(Exporter *exporter, bool several) {
    add_node(exporter, several ? "Sigmoid" : "Softmax", onnx_name(&exporter->graph, "probabilities"),
             onnx_name(&exporter->graph, "logits"), NULL, NULL);
}

effnet_status onnx_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                         const OnnxOptions *options, effnet_error *err) {
    const int opset = options->opset ? options->opset : ONNX_OPSET, classes = network->config.num_classes;
    if (opset < ONNX_OPSET_LEAST || opset > ONNX_OPSET_MOST)
        return fail(err, EFFNET_ERROR_ARGUMENT, "cannot write '%s': opset is %d; allowed: %d to %d, or 0 for %d", path,
                    opset, ONNX_OPSET_LEAST, ONNX_OPSET_MOST, ONNX_OPSET);
    if (options->fixed && (options->int8 || options->keep_batch_norm))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "cannot write '%s': bytes of fixed ranges exclude keep_batch_norm and ranges by pixel", path);
    if (options->int8 && options->keep_batch_norm)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "cannot write '%s': int8 rounds weights with batch norm folded in; leave keep_batch_norm", path);
    Exporter exporter = {.network = network,
                         .parameters = parameters,
                         .statistics = statistics,
                         .keep_batch_norm = options->keep_batch_norm,
                         .int8 = options->int8,
                         .fixed = options->fixed,
                         .opset = opset,
                         .tensors = calloc((size_t)network->num_tensors, sizeof(char *))};
    if (!exporter.tensors) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    const OnnxPort outputs[] = {{"probabilities", ONNX_FLOAT, 1, {classes}}, {"logits", ONNX_FLOAT, 1, {classes}}};
    const bool pictures = options->pictures != NULL;
    OnnxModel model = {
        .opset = opset,
        .name = network->config.name,
        .input = {"input",
                  ONNX_FLOAT,
                  3,
                  {network->config.input.channels, network->config.input.height, network->config.input.width}},
        .outputs = outputs + !pictures,
        .num_outputs = 1 + pictures,
        .metadata = options->metadata};
    if (pictures) {
        model.input = (OnnxPort){ONNX_PICTURE, ONNX_UINT8, 3, {-'H', -'W', network->config.input.channels}};
        exporter.tensors[0] = onnx_add_picture(&exporter.graph, options->pictures);
    } else {
        exporter.tensors[0] = onnx_name(&exporter.graph, "input");
    }
    effnet_status status = build(&exporter, path, err);
    if (pictures) add_softmax(&exporter, options->several);
    if (status == EFFNET_OK) status = onnx_graph_write(&exporter.graph, path, &model, err);
    onnx_graph_free(&exporter.graph);
    free(exporter.tensors);
    return status;
}
