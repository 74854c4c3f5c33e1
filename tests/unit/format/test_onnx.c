/* test_onnx.c - an exported ONNX file read back with protobuf-c and run node by node, by plain loops written from
 * ONNX's operator descriptions alone: the logits must be the reference engine's. Small networks with either padding,
 * odd and even sides, swish and ReLU6, batch norm folded and kept. No ONNX package is needed; test_onnx_runtime.c asks
 * one. */
#include "base/file.h"
#include "compare.h"
#include "format/onnx_read.h"
#include "recipe/recipe.h"
#include "onnx_example.h"
#include "scratch_folder.h"

#include <onnx.pb-c.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MOST_TENSORS = 2000 };

/* A tensor of the run: (n, c, h, w), trailing ones where it has fewer dimensions. */
typedef struct Value {
    const char *name;
    int shape[4];
    float *data;
} Value;

typedef struct Run {
    Value values[MOST_TENSORS];
    int count;
} Run;

static size_t elements(const Value *value) {
    return (size_t)value->shape[0] * (size_t)value->shape[1] * (size_t)value->shape[2] * (size_t)value->shape[3];
}

static Value *add(Run *run, const char *name, int n, int c, int h, int w) {
    assert_true(run->count < MOST_TENSORS);
    for (int i = 0; i < run->count; i++)
        if (strcmp(run->values[i].name, name) == 0) fail_msg("two tensors are called %s", name);
    Value *value = &run->values[run->count++];
    *value = (Value){.name = name, .shape = {n, c, h, w}};
    value->data = onnx_example_floats(elements(value));
    return value;
}

static const Value *find(const Run *run, const char *name) {
    for (int i = 0; i < run->count; i++)
        if (strcmp(run->values[i].name, name) == 0) return &run->values[i];
    fail_msg("a node reads '%s' before anything makes it", name);
    return NULL;
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0) return node->attribute[i];
    fail_msg("%s lacks the attribute %s", node->name, name);
    return NULL;
}

static int integer(const Onnx__NodeProto *node, const char *name, size_t place) {
    const Onnx__AttributeProto *found = attribute(node, name);
    assert_int_equal(found->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    assert_true(place < found->n_ints);
    return (int)found->ints[place];
}

static void run_conv(Run *run, const Onnx__NodeProto *node) {
    const Value *x = find(run, node->input[0]), *w = find(run, node->input[1]);
    const Value *b = node->n_input > 2 ? find(run, node->input[2]) : NULL;
    bool plain = node->n_attribute == 0; /* squeeze-excite's: 1x1, stride 1 */
    int group = plain ? 1 : (int)attribute(node, "group")->i, stride = plain ? 1 : integer(node, "strides", 0);
    int pads[4] = {0};
    for (size_t i = 0; i < 4 && !plain; i++) pads[i] = integer(node, "pads", i);
    int kernel = w->shape[2], outputs = w->shape[0], per_group = w->shape[1];
    assert_int_equal(x->shape[1], per_group * group);
    if (!plain) assert_int_equal(integer(node, "kernel_shape", 0), kernel);
    int height = (x->shape[2] + pads[0] + pads[2] - kernel) / stride + 1;
    int width = (x->shape[3] + pads[1] + pads[3] - kernel) / stride + 1;
    Value *y = add(run, node->output[0], x->shape[0], outputs, height, width);
    size_t place = 0;
    for (int n = 0; n < x->shape[0]; n++)
        for (int o = 0; o < outputs; o++)
            for (int i = 0; i < height; i++)
                for (int j = 0; j < width; j++) {
                    double sum = b ? b->data[o] : 0;
                    for (int c = 0; c < per_group; c++)
                        for (int u = 0; u < kernel; u++)
                            for (int v = 0; v < kernel; v++) {
                                int row = i * stride + u - pads[0], column = j * stride + v - pads[1];
                                int channel = o / (outputs / group) * per_group + c;
                                if (row < 0 || column < 0 || row >= x->shape[2] || column >= x->shape[3]) continue;
                                sum +=
                                    (double)w->data[((o * per_group + c) * kernel + u) * kernel + v] *
                                    x->data[((n * x->shape[1] + channel) * x->shape[2] + row) * x->shape[3] + column];
                            }
                    y->data[place++] = (float)sum;
                }
}

static void run_batch_norm(Run *run, const Onnx__NodeProto *node) {
    const Value *x = find(run, node->input[0]), *p[4];
    for (int i = 0; i < 4; i++) p[i] = find(run, node->input[i + 1]);
    double epsilon = attribute(node, "epsilon")->f;
    Value *y = add(run, node->output[0], x->shape[0], x->shape[1], x->shape[2], x->shape[3]);
    size_t area = (size_t)(x->shape[2] * x->shape[3]);
    for (size_t i = 0; i < elements(y); i++) {
        size_t c = i / area % (size_t)x->shape[1];
        y->data[i] =
            (float)((x->data[i] - p[2]->data[c]) / sqrt(p[3]->data[c] + epsilon) * p[0]->data[c] + p[1]->data[c]);
    }
}

/* Sigmoid, Clip, Mul and Add; the second operand may be (n, c, 1, 1). */
static void run_elementwise(Run *run, const Onnx__NodeProto *node) {
    const Value *a = find(run, node->input[0]), *b = node->n_input > 1 ? find(run, node->input[1]) : a;
    const char *op = node->op_type;
    Value *y = add(run, node->output[0], a->shape[0], a->shape[1], a->shape[2], a->shape[3]);
    size_t area = (size_t)(a->shape[2] * a->shape[3]);
    bool scalar = elements(b) == 1 && elements(a) != 1, broadcast = b->shape[2] == 1 && area > 1 && !scalar;
    for (size_t i = 0; i < elements(y); i++) {
        float other = b->data[scalar ? 0 : broadcast ? i / area : i];
        if (strcmp(op, "Sigmoid") == 0)
            y->data[i] = (float)(1 / (1 + exp(-(double)a->data[i])));
        else if (strcmp(op, "Clip") == 0)
            y->data[i] = fminf(fmaxf(a->data[i], other), find(run, node->input[2])->data[0]);
        else if (strcmp(op, "Mul") == 0)
            y->data[i] = a->data[i] * other;
        else
            y->data[i] = a->data[i] + other;
    }
}

static void run_pool(Run *run, const Onnx__NodeProto *node) {
    const Value *x = find(run, node->input[0]);
    Value *y = add(run, node->output[0], x->shape[0], x->shape[1], 1, 1);
    size_t area = (size_t)(x->shape[2] * x->shape[3]);
    for (size_t i = 0; i < elements(y); i++) {
        double sum = 0;
        for (size_t k = 0; k < area; k++) sum += x->data[i * area + k];
        y->data[i] = (float)(sum / (double)area);
    }
}

static void run_gemm(Run *run, const Onnx__NodeProto *node) {
    const Value *x = find(run, node->input[0]), *w = find(run, node->input[1]), *b = find(run, node->input[2]);
    assert_int_equal(attribute(node, "transB")->i, 1);
    Value *y = add(run, node->output[0], x->shape[0], w->shape[0], 1, 1);
    for (int n = 0; n < x->shape[0]; n++)
        for (int o = 0; o < w->shape[0]; o++) {
            double sum = b->data[o];
            for (int i = 0; i < w->shape[1]; i++)
                sum += (double)x->data[n * w->shape[1] + i] * w->data[o * w->shape[1] + i];
            y->data[n * w->shape[0] + o] = (float)sum;
        }
}

static void run_node(Run *run, const Onnx__NodeProto *node) {
    const char *op = node->op_type;
    assert_int_equal(node->n_output, 1);
    if (strcmp(op, "Conv") == 0) {
        run_conv(run, node);
    } else if (strcmp(op, "BatchNormalization") == 0) {
        run_batch_norm(run, node);
    } else if (strcmp(op, "GlobalAveragePool") == 0) {
        run_pool(run, node);
    } else if (strcmp(op, "Gemm") == 0) {
        run_gemm(run, node);
    } else if (strcmp(op, "Flatten") == 0) {
        const Value *x = find(run, node->input[0]);
        Value *y = add(run, node->output[0], x->shape[0], x->shape[1] * x->shape[2] * x->shape[3], 1, 1);
        memcpy(y->data, x->data, elements(y) * sizeof(float));
    } else {
        assert_true(strcmp(op, "Sigmoid") == 0 || strcmp(op, "Clip") == 0 || strcmp(op, "Mul") == 0 ||
                    strcmp(op, "Add") == 0);
        run_elementwise(run, node);
    }
}

static void check_ports(const Onnx__ModelProto *model, const Network *network) {
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(model->n_opset_import, 1);
    assert_int_equal(model->opset_import[0]->version, 17);
    assert_string_equal(model->opset_import[0]->domain, "");
    assert_string_equal(model->producer_name, "effnet");
    assert_int_equal(model->n_metadata_props, 2);
    assert_string_equal(model->metadata_props[0]->value, "example");
    assert_string_equal(model->metadata_props[1]->key, "effnet.graph_crc32c");
    const Onnx__TensorShapeProto *in = model->graph->input[0]->type->tensor_type->shape;
    const Onnx__TensorShapeProto *out = model->graph->output[0]->type->tensor_type->shape;
    assert_int_equal(in->n_dim, 4);
    assert_string_equal(in->dim[0]->dim_param, "N"); /* any number of pictures */
    assert_string_equal(out->dim[0]->dim_param, "N");
    const int64_t shape[3] = {3, network->config.input.height, network->config.input.width};
    for (int i = 0; i < 3; i++) assert_int_equal(in->dim[i + 1]->dim_value, shape[i]);
    assert_int_equal(out->dim[1]->dim_value, network->config.num_classes);
}

static void add_constants(Run *run, const Onnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = graph->initializer[i];
        int shape[4] = {1, 1, 1, 1};
        assert_true(tensor->n_dims <= 4);
        assert_int_equal(tensor->data_type, 1);
        for (size_t d = 0; d < tensor->n_dims; d++) shape[d] = (int)tensor->dims[d];
        Value *value = add(run, tensor->name, shape[0], shape[1], shape[2], shape[3]);
        assert_int_equal(tensor->raw_data.len, elements(value) * sizeof(float));
        memcpy(value->data, tensor->raw_data.data, tensor->raw_data.len);
    }
}

static void check_file(const char *path, const OnnxExample *example, const char *what) {
    char *bytes;
    size_t size;
    effnet_error err;
    assert_int_equal(file_read(path, (size_t)1 << 30, &bytes, &size, &err), EFFNET_OK);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
    assert_non_null(model);
    check_ports(model, &example->network);
    Run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    add_constants(run, model->graph);
    const TensorShape shape = example->network.config.input;
    const int pixels = shape.height * shape.width, batch = example->batch, channels = shape.channels;
    const int classes = example->network.config.num_classes;
    Value *input = add(run, model->graph->input[0]->name, batch, channels, shape.height, shape.width);
    for (int n = 0; n < batch; n++)
        for (int pixel = 0; pixel < pixels; pixel++)
            for (int c = 0; c < channels; c++)
                input->data[(n * channels + c) * pixels + pixel] = example->images[(n * pixels + pixel) * channels + c];
    for (size_t i = 0; i < model->graph->n_node; i++) run_node(run, model->graph->node[i]);
    const Value *logits = find(run, model->graph->output[0]->name);
    float largest = 0;
    for (int i = 0; i < batch * classes; i++) largest = fmaxf(largest, fabsf(example->logits[i]));
    assert_true(largest > 0.01f);
    for (int i = 0; i < batch * classes; i++)
        if (!(fabsf(logits->data[i] - example->logits[i]) <= 1e-4f * largest))
            fail_msg("%s: logit %d is %.7g in ONNX, %.7g in the reference engine", what, i, (double)logits->data[i],
                     (double)example->logits[i]);
    size_t norms = 0;
    for (size_t i = 0; i < model->graph->n_node; i++)
        norms += strcmp(model->graph->node[i]->op_type, "BatchNormalization") == 0;
    print_message("%s: %zu nodes, %zu of batch norm\n", what, model->graph->n_node, norms);
    assert_true((norms > 0) == (strstr(what, "kept") != NULL));
    for (int i = 0; i < run->count; i++) free(run->values[i].data);
    free(run);
    onnx__model_proto__free_unpacked(model, NULL);
    free(bytes);
}

static void same_logits(void **state) {
    (void)state;
    static const struct {
        const char *what;
        bool lite, symmetric;
        int height, width;
    } cases[] = {
        {"swish, same padding, even sides", false, false, 40, 40},
        {"swish, same padding, odd sides", false, false, 33, 33},
        {"swish, symmetric padding", false, true, 40, 40},
        {"ReLU6, same padding", true, false, 32, 32},
        {"swish, same padding, no square", false, false, 33, 56},
    };
    ScratchFolder folder = scratch_folder_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ModelConfig config;
        assert_int_equal(model_config_by_name("efficientnet_b0", &config, NULL), EFFNET_OK);
        config.width = 0.35;
        config.depth = 0.5;
        config.lite = cases[i].lite;
        config.padding = cases[i].symmetric ? MODEL_PADDING_SYMMETRIC : MODEL_PADDING_SAME;
        config.input = (TensorShape){cases[i].height, cases[i].width, 3};
        config.num_classes = 7;
        OnnxExample example = onnx_example_make(&config, 2);
        for (int keep = 0; keep < 2; keep++) {
            char what[100];
            snprintf(what, sizeof what, "%s, batch norm %s", cases[i].what, keep ? "kept" : "folded");
            const char *path = scratch_path(&folder, "model.onnx");
            onnx_example_write(&example, path, keep == 1);
            check_file(path, &example, what);
        }
        onnx_example_free(&example);
    }
    scratch_folder_remove(&folder);
}

/* Every operator set that is allowed, with the version of the file that came with it; no other. */
static void operator_sets(void **state) {
    (void)state;
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_lite0", &config, NULL), EFFNET_OK);
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 2;
    config.width = config.depth = 0.35;
    OnnxExample example = onnx_example_make(&config, 1);
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "model.onnx");
    static const int format_versions[] = {7, 7, 8, 8, 8, 8, 9, 9, 10}; /* of sets 13 to 21: ONNX's Versioning.md */
    for (int opset = 12; opset <= 22; opset++) {
        const OnnxOptions options = {.opset = opset};
        effnet_error err = {0};
        effnet_status status =
            onnx_write(path, &example.network, example.parameters, example.statistics, &options, &err);
        if (opset == 12 || opset == 22) {
            assert_int_equal(status, EFFNET_ERROR_ARGUMENT);
            assert_non_null(strstr(err.message, "13 to 21"));
            continue;
        }
        char *bytes;
        size_t size;
        assert_int_equal(status, EFFNET_OK);
        assert_int_equal(file_read(path, (size_t)1 << 30, &bytes, &size, &err), EFFNET_OK);
        Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
        assert_non_null(model);
        assert_int_equal(model->opset_import[0]->version, opset);
        assert_int_equal(model->ir_version, format_versions[opset - 13]);
        onnx__model_proto__free_unpacked(model, NULL);
        free(bytes);
    }
    scratch_folder_remove(&folder);
    onnx_example_free(&example);
}

/* ---- pictures inside ---- */

static bool is_made(const Onnx__ModelProto *model, size_t nodes, const char *name) {
    const Onnx__GraphProto *graph = model->graph;
    bool made = strcmp(name, graph->input[0]->name) == 0;
    for (size_t i = 0; i < graph->n_initializer; i++) made = made || strcmp(name, graph->initializer[i]->name) == 0;
    for (size_t i = 0; i < nodes; i++) made = made || strcmp(name, graph->node[i]->output[0]) == 0;
    return made;
}

/* Every tensor is made once and before it is read; nothing stands for the network's input but what becomes of the
 * picture. What the nodes compute is ONNX Runtime's test (test_onnx_pictures.sh). */
static void check_picture_graph(const char *path, const EvaluationTransform *how) {
    char *bytes;
    size_t size;
    effnet_error err;
    assert_int_equal(file_read(path, (size_t)1 << 30, &bytes, &size, &err), EFFNET_OK);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
    assert_non_null(model);
    const Onnx__GraphProto *graph = model->graph;
    bool has_canvas = false, has_crop = false;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        if (is_made(model, i, node->output[0])) fail_msg("'%s' is made twice", node->output[0]);
        for (size_t k = 0; k < node->n_input; k++)
            if (!is_made(model, i, node->input[k]))
                fail_msg("%s reads '%s' before it is made", node->name, node->input[k]);
        has_canvas = has_canvas || strcmp(node->op_type, "Pad") == 0;
        has_crop = has_crop || strcmp(node->op_type, "Slice") == 0;
    }
    assert_int_equal(has_canvas, how->pad_to > 0);
    assert_int_equal(has_crop, how->val_crop == VAL_CROP_CENTER);
    const Onnx__TypeProto__Tensor *in = graph->input[0]->type->tensor_type;
    assert_string_equal(graph->input[0]->name, "image");
    assert_int_equal(in->elem_type, 2); /* uint8 */
    assert_int_equal(in->shape->n_dim, 4);
    assert_string_equal(in->shape->dim[1]->dim_param, "H");
    assert_string_equal(in->shape->dim[2]->dim_param, "W");
    assert_int_equal(in->shape->dim[3]->dim_value, 3);
    assert_int_equal(graph->n_output, 2);
    assert_string_equal(graph->output[0]->name, "probabilities");
    assert_string_equal(graph->output[1]->name, "logits");
    assert_true(is_made(model, graph->n_node, "probabilities") && is_made(model, graph->n_node, "logits"));
    onnx__model_proto__free_unpacked(model, NULL);
    free(bytes);
}

static void pictures_inside(void **state) {
    (void)state;
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_lite0", &config, NULL), EFFNET_OK);
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 2;
    config.width = config.depth = 0.35;
    OnnxExample example = onnx_example_make(&config, 1);
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "model.onnx");
    for (int i = 0; i < 3 * 4 * 2 * 2 * 2; i++) {
        effnet_error err = {0};
        Recipe recipe;
        EvaluationTransform how;
        recipe_defaults(&recipe);
        evaluation_transform_from_recipe(&recipe, (TensorShape){32, i / 48 ? 48 : 32, 3}, &how);
        how.val_crop = i % 3;
        how.resize = i / 3 % 4;
        how.interpolation = i / 12 % 2;
        how.pad_to = i / 24 % 2 ? 40 : 0;
        const OnnxOptions options = {.pictures = &how};
        onnx_example_must(onnx_write(path, &example.network, example.parameters, example.statistics, &options, &err),
                          &err);
        check_picture_graph(path, &how);
    }
    scratch_folder_remove(&folder);
    onnx_example_free(&example);
}

/* ---- read back ---- */

/* The weights of a file give the same logits by the reference engine, folded or kept; a file whose bytes changed is
 * told. */
static void read_back(void **state) {
    (void)state;
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, NULL), EFFNET_OK);
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 3;
    config.width = config.depth = 0.35;
    OnnxExample example = onnx_example_make(&config, 2);
    float *logits = onnx_example_floats(6);
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "model.onnx");
    for (int keep = 0; keep < 2; keep++) {
        effnet_error err = {0};
        OnnxFile *file;
        onnx_example_write(&example, path, keep == 1);
        onnx_example_must(onnx_open(path, &file, &err), &err);
        onnx_example_must(onnx_verify(file, &err), &err);
        assert_string_equal(onnx_metadata(file, "effnet.model"), "example");
        assert_null(onnx_metadata(file, "effnet.nothing"));
        float *parameters = onnx_example_floats(example.network.parameter_floats);
        float *statistics = onnx_example_floats(example.network.statistic_floats);
        onnx_example_must(onnx_read_weights(file, &example.network, parameters, statistics, &err), &err);
        onnx_example_run(&example, parameters, statistics, logits);
        for (int i = 0; i < 6; i++)
            if (!(fabsf(logits[i] - example.logits[i]) <= 1e-4F))
                fail_msg("keep %d: logit %d is %.7g, was %.7g", keep, i, (double)logits[i], (double)example.logits[i]);
        Network other = example.network; /* another number of classes than the file's */
        ModelConfig larger = config;
        larger.num_classes = 4;
        onnx_example_must(network_build(&larger, &other, &err), &err);
        float *more = onnx_example_floats(other.parameter_floats);
        assert_int_equal(onnx_read_weights(file, &other, more, statistics, &err), EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "classifier"));
        network_free(&other);
        free(more);
        free(parameters);
        free(statistics);
        onnx_close(file);
    }
    scratch_folder_remove(&folder);
    free(logits);
    onnx_example_free(&example);
}

static void errors_name_the_file(void **state) {
    (void)state;
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_lite0", &config, NULL), EFFNET_OK);
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 2;
    config.width = config.depth = 0.35;
    OnnxExample example = onnx_example_make(&config, 1);
    effnet_error err = {0};
    const OnnxOptions options = {0};
    effnet_status status =
        onnx_write("/nowhere/model.onnx", &example.network, example.parameters, example.statistics, &options, &err);
    assert_int_equal(status, EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "/nowhere/model.onnx"));
    onnx_example_free(&example);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_logits), cmocka_unit_test(operator_sets),
                                       cmocka_unit_test(pictures_inside), cmocka_unit_test(read_back),
                                       cmocka_unit_test(errors_name_the_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
