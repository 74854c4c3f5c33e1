/* onnx_graph.c - see onnx_graph.h. */
#include "format/onnx_graph.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 5, MOST_ATTRIBUTES = 6, MOST_OUTPUTS = 2 };
/* A protobuf message, and so a model in one file, ends at 2 GiB. */
static const size_t most_bytes = ((size_t)1 << 31) - 1;

struct OnnxAllocation {
    struct OnnxAllocation *next;
    max_align_t data[];
};

static void *take(OnnxGraph *graph, size_t size) {
    struct OnnxAllocation *block = graph->failed ? NULL : calloc(1, sizeof *block + size);
    if (!block) {
        graph->failed = true;
        return NULL;
    }
    block->next = graph->allocations;
    graph->allocations = block;
    return block->data;
}

void onnx_graph_free(OnnxGraph *graph) {
    while (graph->allocations) {
        struct OnnxAllocation *next = graph->allocations->next;
        free(graph->allocations);
        graph->allocations = next;
    }
    free(graph->nodes);
    free(graph->constants);
    *graph = (OnnxGraph){0};
}

/* Room for one pointer more in a growing list. */
static bool grow(OnnxGraph *graph, void **list, size_t count, size_t *capacity) {
    if (graph->failed) return false;
    if (count < *capacity) return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *larger = realloc(*list, wanted * sizeof(void *));
    if (!larger) {
        graph->failed = true;
        return false;
    }
    *list = larger;
    *capacity = wanted;
    return true;
}

char *onnx_name(OnnxGraph *graph, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = take(graph, strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

Onnx__NodeProto *onnx_node(OnnxGraph *graph, const char *op_type, char *output, char *const *inputs) {
    int count = 0;
    while (inputs[count]) count++;
    Onnx__NodeProto *node = take(graph, sizeof *node);
    char **names = take(graph, (MOST_INPUTS + 1) * sizeof *names);
    if (!node || !names || !output || count == 0 || count > MOST_INPUTS ||
        !grow(graph, (void **)&graph->nodes, graph->num_nodes, &graph->node_capacity)) {
        graph->failed = true;
        return NULL;
    }
    onnx__node_proto__init(node);
    memcpy(names, inputs, (size_t)count * sizeof *names);
    names[MOST_INPUTS] = output;
    node->n_input = (size_t)count;
    node->input = names;
    node->n_output = 1;
    node->output = names + MOST_INPUTS;
    node->name = output;
    node->op_type = onnx_name(graph, "%s", op_type);
    node->attribute = take(graph, MOST_ATTRIBUTES * sizeof(Onnx__AttributeProto *));
    graph->nodes[graph->num_nodes++] = node;
    return graph->failed ? NULL : node;
}

static Onnx__AttributeProto *attribute(OnnxGraph *graph, Onnx__NodeProto *node, const char *name,
                                       Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *made = node && node->n_attribute < MOST_ATTRIBUTES ? take(graph, sizeof *made) : NULL;
    if (!made) {
        graph->failed = true;
        return NULL;
    }
    onnx__attribute_proto__init(made);
    made->name = onnx_name(graph, "%s", name);
    made->has_type = true;
    made->type = type;
    node->attribute[node->n_attribute++] = made;
    return made;
}

void onnx_attribute_int(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *made = attribute(graph, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!made) return;
    made->has_i = true;
    made->i = value;
}

void onnx_attribute_float(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, float value) {
    Onnx__AttributeProto *made = attribute(graph, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!made) return;
    made->has_f = true;
    made->f = value;
}

void onnx_attribute_ints(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, int count, const int64_t *values) {
    Onnx__AttributeProto *made = attribute(graph, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = take(graph, (size_t)count * sizeof *copy);
    if (!made || !copy) return;
    memcpy(copy, values, (size_t)count * sizeof *copy);
    made->n_ints = (size_t)count;
    made->ints = copy;
}

static size_t type_size(int type) {
    return type == ONNX_INT64 ? 8 : type == ONNX_INT8 || type == ONNX_UINT8 ? 1 : 4;
}

static void *constant(OnnxGraph *graph, char *name, OnnxType type, int rank, const int *shape) {
    size_t count = 1, bytes = 0;
    bool fits = true;
    for (int i = 0; i < rank; i++) fits = fits && size_multiply(count, (size_t)shape[i], &count);
    fits = fits && size_multiply(count, type_size(type), &bytes);
    Onnx__TensorProto *tensor = take(graph, sizeof *tensor);
    int64_t *dims = take(graph, (size_t)(rank + 1) * sizeof *dims);
    void *values = fits ? take(graph, bytes) : NULL;
    if (!tensor || !dims || !values || !name ||
        !grow(graph, (void **)&graph->constants, graph->num_constants, &graph->constant_capacity)) {
        graph->failed = true;
        return NULL;
    }
    onnx__tensor_proto__init(tensor);
    for (int i = 0; i < rank; i++) dims[i] = shape[i];
    tensor->n_dims = (size_t)rank;
    tensor->dims = dims;
    tensor->has_data_type = true;
    tensor->data_type = (int32_t)type;
    tensor->name = name;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){.len = bytes, .data = values};
    graph->constants[graph->num_constants++] = tensor;
    return values;
}

float *onnx_constant(OnnxGraph *graph, char *name, int rank, const int *shape) {
    return constant(graph, name, ONNX_FLOAT, rank, shape);
}

int64_t *onnx_integers(OnnxGraph *graph, char *name, int rank, const int *shape) {
    return constant(graph, name, ONNX_INT64, rank, shape);
}

int32_t *onnx_integers32(OnnxGraph *graph, char *name, int rank, const int *shape) {
    return constant(graph, name, ONNX_INT32, rank, shape);
}

int8_t *onnx_bytes(OnnxGraph *graph, char *name, int rank, const int *shape) {
    return constant(graph, name, ONNX_INT8, rank, shape);
}

uint8_t *onnx_unsigned_bytes(OnnxGraph *graph, char *name, int rank, const int *shape) {
    return constant(graph, name, ONNX_UINT8, rank, shape);
}

/* ---- writing ---- */

/* Where protobuf-c appends: a stream. */
typedef struct StreamBuffer {
    ProtobufCBuffer base;
    FILE *stream;
    bool failed;
} StreamBuffer;

static void append_to_stream(ProtobufCBuffer *base, size_t length, const uint8_t *data) {
    StreamBuffer *buffer = (StreamBuffer *)base;
    if (!buffer->failed && length && fwrite(data, 1, length, buffer->stream) != length) buffer->failed = true;
}

/* The file is little-endian, whatever the machine. */
static void make_little_endian(OnnxGraph *graph) {
    const uint16_t one = 1;
    if (*(const uint8_t *)&one == 1) return;
    for (size_t i = 0; i < graph->num_constants; i++) {
        ProtobufCBinaryData *raw = &graph->constants[i]->raw_data;
        const size_t size = type_size(graph->constants[i]->data_type);
        for (size_t k = 0; k + size <= raw->len; k += size)
            for (size_t low = k, high = k + size - 1; low < high; low++, high--) {
                uint8_t byte = raw->data[low];
                raw->data[low] = raw->data[high];
                raw->data[high] = byte;
            }
    }
}

static Onnx__TensorShapeProto__Dimension *dimension(OnnxGraph *graph, int value) {
    Onnx__TensorShapeProto__Dimension *made = take(graph, sizeof *made);
    if (!made) return NULL;
    onnx__tensor_shape_proto__dimension__init(made);
    if (value < 0) { /* free: of the batch, any number of pictures */
        made->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        made->dim_param = onnx_name(graph, "%c", -value);
    } else {
        made->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        made->dim_value = value;
    }
    return made;
}

static Onnx__ValueInfoProto *value_info(OnnxGraph *graph, const OnnxPort *port) {
    Onnx__ValueInfoProto *info = take(graph, sizeof *info);
    Onnx__TypeProto *type = take(graph, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = take(graph, sizeof *tensor);
    Onnx__TensorShapeProto *shape = take(graph, sizeof *shape);
    Onnx__TensorShapeProto__Dimension **dims = take(graph, 4 * sizeof(*dims));
    if (!info || !type || !tensor || !shape || !dims) return NULL;
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    dims[0] = dimension(graph, -'N');
    for (int i = 0; i < port->rank; i++) dims[i + 1] = dimension(graph, port->shape[i]);
    shape->n_dim = (size_t)port->rank + 1;
    shape->dim = dims;
    tensor->has_elem_type = true;
    tensor->elem_type = (int32_t)port->type;
    tensor->shape = shape;
    type->tensor_type = tensor;
    info->name = onnx_name(graph, "%s", port->name);
    info->type = type;
    return info;
}

/* A buffer that keeps nothing but the checksum of what is appended. */
typedef struct SumBuffer {
    ProtobufCBuffer base;
    uint32_t sum;
} SumBuffer;

static void append_to_sum(ProtobufCBuffer *base, size_t length, const uint8_t *data) {
    SumBuffer *buffer = (SumBuffer *)base;
    buffer->sum = crc32c(buffer->sum, data, length);
}

uint32_t onnx_graph_sum(const Onnx__GraphProto *graph) {
    SumBuffer buffer = {.base = {.append = append_to_sum}};
    onnx__graph_proto__pack_to_buffer(graph, &buffer.base);
    return buffer.sum;
}

/* The caller's pairs and the graph's checksum. */
static void add_metadata(OnnxGraph *graph, Onnx__ModelProto *model, const char *const *metadata) {
    size_t count = 0;
    while (metadata && metadata[2 * count]) count++;
    Onnx__StringStringEntryProto *entries = take(graph, (count + 1) * sizeof *entries);
    Onnx__StringStringEntryProto **list = take(graph, (count + 1) * sizeof(*list));
    if (!entries || !list) return;
    for (size_t i = 0; i <= count; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        if (i < count) { /* read only, for as long as this call */
            entries[i].key = (char *)metadata[2 * i];
            entries[i].value = (char *)metadata[2 * i + 1];
        }
        list[i] = &entries[i];
    }
    entries[count].key = onnx_name(graph, ONNX_SUM_KEY);
    entries[count].value = onnx_name(graph, "%08x", (unsigned)onnx_graph_sum(model->graph));
    model->n_metadata_props = count + 1;
    model->metadata_props = list;
}

static effnet_status write_model(const Onnx__ModelProto *model, const char *path, effnet_error *err) {
    size_t bytes = onnx__model_proto__get_packed_size(model);
    if (bytes > most_bytes)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "cannot write '%s': the model has %zu bytes and an ONNX file at most 2 GiB; export .safetensors",
                    path, bytes);
    AtomicFile file;
    TRY(atomic_file_open(&file, path, err));
    StreamBuffer buffer = {.base = {.append = append_to_stream}, .stream = file.stream};
    onnx__model_proto__pack_to_buffer(model, &buffer.base);
    if (buffer.failed) {
        int reason = errno;
        atomic_file_abort(&file);
        return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s; the file there before, if any, is untouched", path,
                    strerror(reason));
    }
    return atomic_file_commit(&file, err);
}

/* The version of the file's format that came with an operator set (ONNX's Versioning.md): who reads that set reads it. */
static int format_version(int opset) {
    return opset >= 21 ? 10 : opset >= 19 ? 9 : opset >= 15 ? 8 : 7;
}

effnet_status onnx_graph_write(OnnxGraph *graph, const char *path, const OnnxModel *wanted, effnet_error *err) {
    Onnx__GraphProto body;
    Onnx__ModelProto model;
    Onnx__OperatorSetIdProto operators, *operator_list = &operators;
    onnx__graph_proto__init(&body);
    onnx__model_proto__init(&model);
    onnx__operator_set_id_proto__init(&operators);
    Onnx__ValueInfoProto *input = value_info(graph, &wanted->input), *outputs[MOST_OUTPUTS];
    if (wanted->num_outputs > MOST_OUTPUTS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%d outputs; allowed: 1 or %d", wanted->num_outputs, MOST_OUTPUTS);
    for (int i = 0; i < wanted->num_outputs; i++) outputs[i] = value_info(graph, &wanted->outputs[i]);
    body.name = onnx_name(graph, "%s", wanted->name);
    body.n_node = graph->num_nodes;
    body.node = graph->nodes;
    body.n_initializer = graph->num_constants;
    body.initializer = graph->constants;
    body.n_input = 1;
    body.input = &input;
    body.n_output = (size_t)wanted->num_outputs;
    body.output = outputs;
    operators.domain = onnx_name(graph, "%s", "");
    operators.has_version = true;
    operators.version = wanted->opset;
    model.has_ir_version = true;
    model.ir_version = format_version(wanted->opset);
    model.producer_name = onnx_name(graph, "effnet");
    model.producer_version = onnx_name(graph, "%s", EFFNET_VERSION);
    model.graph = &body;
    model.n_opset_import = 1;
    model.opset_import = &operator_list;
    if (!graph->failed) {
        make_little_endian(graph);
        add_metadata(graph, &model, wanted->metadata);
    }
    if (graph->failed) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    return write_model(&model, path, err);
}
