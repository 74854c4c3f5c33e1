/* onnx_read.c - see onnx_read.h. The file may come from anywhere: protobuf-c checks lengths against it, and each tensor's
 * type, shape and bytes are held against what the network needs before anything is copied. */
#include "format/onnx_read.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "format/onnx_bytes.h"
#include "format/onnx_graph.h"
#include "format/onnx_static.h"
#include "model/fold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t most_bytes = ((size_t)1 << 31) - 1; /* of a protobuf message */

struct OnnxFile {
    char *path;
    Onnx__ModelProto *model;
};

void onnx_close(OnnxFile *file) {
    if (!file) return;
    if (file->model) onnx__model_proto__free_unpacked(file->model, NULL);
    free(file->path);
    free(file);
}

effnet_status onnx_open(const char *path, OnnxFile **out, effnet_error *err) {
    char *bytes;
    size_t size;
    *out = NULL;
    TRY(file_read(path, most_bytes, &bytes, &size, err));
    OnnxFile *file = calloc(1, sizeof *file);
    if (file) {
        file->path = strdup(path);
        file->model = onnx__model_proto__unpack(NULL, size, (const uint8_t *)bytes);
    }
    const char *kind = file_kind_of(bytes, size);
    free(bytes);
    if (!file || !file->path) {
        onnx_close(file);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", path);
    }
    if (!file->model || !file->model->graph) {
        onnx_close(file);
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is no ONNX model%s%s", path, kind ? " but " : "", kind ? kind : "");
    }
    *out = file;
    return EFFNET_OK;
}

const char *onnx_metadata(const OnnxFile *file, const char *key) {
    for (size_t i = 0; i < file->model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = file->model->metadata_props[i];
        if (entry->key && entry->value && strcmp(entry->key, key) == 0) return entry->value;
    }
    return NULL;
}

effnet_status onnx_verify(const OnnxFile *file, effnet_error *err) {
    const char *text = onnx_metadata(file, ONNX_SUM_KEY);
    if (!text)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' has no checksum ('" ONNX_SUM_KEY "' in its metadata): it was not "
                    "written by this version's 'effnet export'",
                    file->path);
    char sum[16];
    snprintf(sum, sizeof sum, "%08x", (unsigned)onnx_graph_sum(file->model->graph));
    if (strcmp(sum, text) == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged or was changed: its graph's checksum is %s, not %.20s",
                file->path, sum, text);
}

static const Onnx__TensorProto *find(const OnnxFile *file, const char *name) {
    for (size_t i = 0; i < file->model->graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = file->model->graph->initializer[i];
        if (tensor->name && strcmp(tensor->name, name) == 0) return tensor;
    }
    return NULL;
}

/* A tensor of that type and shape, its bytes `size` an element. */
static effnet_status find_tensor(const OnnxFile *file, const char *name, OnnxType type, size_t size, int rank,
                                 const int *shape, const uint8_t **data, size_t *elements, effnet_error *err) {
    const Onnx__TensorProto *tensor = find(file, name);
    if (!tensor) return fail(err, EFFNET_ERROR_FORMAT, "'%s': there is no tensor '%s'", file->path, name);
    bool same = tensor->data_type == (int32_t)type && tensor->n_dims == (size_t)rank;
    size_t count = 1;
    for (int i = 0; same && i < rank; i++) {
        same = tensor->dims[i] == shape[i];
        count *= (size_t)shape[i];
    }
    if (!same || tensor->raw_data.len != size * count)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': the tensor '%s' has another type, shape or size than the model's",
                    file->path, name);
    *data = tensor->raw_data.data;
    *elements = count;
    return EFFNET_OK;
}

/* Little-endian, and aligned to nothing. */
static uint32_t bits_at(const uint8_t *data, size_t index) {
    const uint8_t *b = data + 4 * index;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static effnet_status read_floats(const OnnxFile *file, const char *name, int rank, const int *shape, float *values,
                                 effnet_error *err) {
    const uint8_t *data;
    size_t count;
    TRY(find_tensor(file, name, ONNX_FLOAT, 4, rank, shape, &data, &count, err));
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = bits_at(data, i);
        memcpy(&values[i], &bits, sizeof bits);
    }
    return EFFNET_OK;
}

/* The scales of `name`'s outputs; freed by free(). */
static effnet_status read_scales(const OnnxFile *file, const char *name, int outputs, float **out, effnet_error *err) {
    char scale[160];
    *out = malloc((size_t)outputs * sizeof **out);
    if (!*out) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
    snprintf(scale, sizeof scale, "%s" ONNX_SCALE_ENDING, name);
    effnet_status status = read_floats(file, scale, 1, &outputs, *out, err);
    if (status == EFFNET_OK) return status;
    free(*out);
    *out = NULL;
    return status;
}

/* A tensor of floats of that shape, or of bytes or integers and a scale for each output: a weight in its own shape, or, of a
 * 1x1 convolution whose pixels have ranges of their own, turned, (inputs, outputs). `name` may be another's than the
 * parameter's. */
static effnet_status read_tensor(const OnnxFile *file, const char *name, int rank, const int *shape, float *values,
                                 effnet_error *err) {
    char stored[160];
    const uint8_t *data;
    size_t count;
    float *scales;
    snprintf(stored, sizeof stored, "%s" ONNX_QUANTIZED_ENDING, name);
    const Onnx__TensorProto *tensor = find(file, stored);
    if (!tensor) return read_floats(file, name, rank, shape, values, err);
    const int turned[2] = {rank > 1 ? shape[1] : 0, shape[0]};
    const bool is_turned = rank == 4 && shape[2] == 1 && shape[3] == 1 && tensor->n_dims == 2, is_bias = rank == 1;
    const OnnxType type = is_bias ? ONNX_INT32 : is_turned ? ONNX_UINT8 : ONNX_INT8;
    TRY(find_tensor(file, stored, type, is_bias ? 4 : 1, is_turned ? 2 : rank, is_turned ? turned : shape, &data,
                    &count, err));
    TRY(read_scales(file, name, shape[0], &scales, err));
    const size_t outputs = (size_t)shape[0], each = count / outputs;
    for (size_t o = 0; o < outputs; o++)
        for (size_t k = 0; k < each; k++) {
            const size_t at = is_turned ? k * outputs + o : o * each + k;
            const int whole = is_bias     ? (int32_t)bits_at(data, at)
                              : is_turned ? (int)data[at] - ONNX_WEIGHT_ZERO
                                          : (int8_t)data[at];
            values[o * each + k] = scales[o] * (float)whole;
        }
    free(scales);
    return EFFNET_OK;
}

static effnet_status read_parameter(const OnnxFile *file, const Parameter *parameter, float *block, effnet_error *err) {
    return read_tensor(file, parameter->name, parameter->rank, parameter->shape, block + parameter->offset, err);
}

/* The batch norm behind `convolution`, which was folded into it. */
static effnet_status read_folded(const OnnxFile *file, const Network *network, const Op *convolution, const Op *norm,
                                 float *parameters, float *statistics, effnet_error *err) {
    const Parameter *bias = &network->parameters[norm->bias];
    char name[96];
    snprintf(name, sizeof name, "%s.bias", convolution->name);
    TRY(read_tensor(file, name, 1, bias->shape, parameters + bias->offset, err));
    network_unfold(network, norm, parameters, statistics);
    return EFFNET_OK;
}

effnet_status onnx_read_weights(const OnnxFile *file, const Network *network, float *parameters, float *statistics,
                                effnet_error *err) {
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        const int indices[] = {op->weight, op->bias, op->expand_weight, op->expand_bias};
        if (op->kind == OP_BATCH_NORM) {
            if (!find(file, network->parameters[op->weight].name) && i > 0) {
                TRY(read_folded(file, network, &network->ops[i - 1], op, parameters, statistics, err));
                continue;
            }
            TRY(read_parameter(file, &network->statistics[op->running_mean], statistics, err));
            TRY(read_parameter(file, &network->statistics[op->running_variance], statistics, err));
        }
        bool has[4] = {op->kind == OP_CONV || op->kind == OP_DEPTHWISE || op->kind == OP_BATCH_NORM ||
                       op->kind == OP_SQUEEZE_EXCITE || op->kind == OP_DENSE};
        has[1] = has[0] && op->kind != OP_CONV && op->kind != OP_DEPTHWISE;
        has[2] = has[3] = op->kind == OP_SQUEEZE_EXCITE;
        for (int k = 0; k < 4; k++)
            if (has[k]) TRY(read_parameter(file, &network->parameters[indices[k]], parameters, err));
    }
    return EFFNET_OK;
}

static effnet_status read_range(const OnnxFile *file, const char *tensor, ByteRange *out, effnet_error *err) {
    char name[160];
    const uint8_t *zero;
    size_t count;
    snprintf(name, sizeof name, "%s" ONNX_STATIC_SCALE_ENDING, tensor);
    TRY(read_floats(file, name, 0, NULL, &out->scale, err));
    if (!(out->scale > 0 && isfinite(out->scale)))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': '%s' is %g; a scale is above 0", file->path, name,
                    (double)out->scale);
    snprintf(name, sizeof name, "%s" ONNX_STATIC_ZERO_ENDING, tensor);
    TRY(find_tensor(file, name, ONNX_UINT8, 1, 0, NULL, &zero, &count, err));
    out->zero = *zero;
    return EFFNET_OK;
}

effnet_status onnx_read_ranges(const OnnxFile *file, const Network *network, ByteRange **out, effnet_error *err) {
    *out = NULL;
    if (!find(file, ONNX_STATIC_PICTURE ONNX_STATIC_ZERO_ENDING)) return EFFNET_OK;
    ByteRange *ranges = calloc((size_t)network->num_tensors, sizeof *ranges);
    effnet_status status = EFFNET_OK;
    if (!ranges) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
    for (int i = 0; i < network->num_tensors && status == EFFNET_OK; i++)
        if (static_bytes_rounds(network, i))
            status = read_range(file, i ? network->ops[i - 1].name : ONNX_STATIC_PICTURE, &ranges[i], err);
    if (status != EFFNET_OK) {
        free(ranges);
        return status;
    }
    *out = ranges;
    return EFFNET_OK;
}
