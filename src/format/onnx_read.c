/* onnx_read.c - see onnx_read.h. The file may come from anywhere: protobuf-c checks lengths against it, and each tensor's
 * type, shape and bytes are held against what the network needs before anything is copied. */
#include "format/onnx_read.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "format/onnx_bytes.h"
#include "format/onnx_graph.h"

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

/* A tensor of floats of that shape; `name` may be another's than the parameter's. */
static effnet_status read_tensor(const OnnxFile *file, const char *name, int rank, const int *shape, float *values,
                                 effnet_error *err) {
    const Onnx__TensorProto *tensor = find(file, name);
    if (!tensor) return fail(err, EFFNET_ERROR_FORMAT, "'%s': there is no tensor '%s'", file->path, name);
    bool same = tensor->data_type == ONNX_FLOAT && tensor->n_dims == (size_t)rank;
    size_t count = 1;
    for (int i = 0; same && i < rank; i++) {
        same = tensor->dims[i] == shape[i];
        count *= (size_t)shape[i];
    }
    if (!same || tensor->raw_data.len != 4 * count)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': the tensor '%s' has another type, shape or size than the model's",
                    file->path, name);
    for (size_t i = 0; i < count; i++) { /* little-endian, and aligned to nothing */
        const uint8_t *b = tensor->raw_data.data + 4 * i;
        uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return EFFNET_OK;
}

/* A weight (outputs, inputs, 1, 1) of bytes and scales. */
static effnet_status read_bytes(const OnnxFile *file, const Onnx__TensorProto *tensor, const Parameter *parameter,
                                float *values, effnet_error *err) {
    const int outputs = parameter->shape[0], inputs = parameter->shape[1];
    char name[128];
    float *scale = malloc((size_t)outputs * sizeof *scale);
    if (!scale) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
    snprintf(name, sizeof name, "%s" ONNX_SCALE_ENDING, parameter->name);
    effnet_status status = read_tensor(file, name, 1, &outputs, scale, err);
    if (status == EFFNET_OK && (tensor->data_type != ONNX_INT8 || tensor->n_dims != 2 || tensor->dims[0] != inputs ||
                                tensor->dims[1] != outputs || tensor->raw_data.len != parameter->count))
        status =
            fail(err, EFFNET_ERROR_FORMAT, "'%s': the tensor '%s' has another type, shape or size than the model's",
                 file->path, tensor->name);
    for (int o = 0; o < outputs && status == EFFNET_OK; o++)
        for (int i = 0; i < inputs; i++)
            values[(size_t)o * (size_t)inputs + (size_t)i] =
                scale[o] * (float)(int8_t)tensor->raw_data.data[(size_t)i * (size_t)outputs + (size_t)o];
    free(scale);
    return status;
}

static effnet_status read_parameter(const OnnxFile *file, const Parameter *parameter, float *block, effnet_error *err) {
    char name[128];
    snprintf(name, sizeof name, "%s" ONNX_QUANTIZED_ENDING, parameter->name);
    const Onnx__TensorProto *bytes = find(file, name);
    if (bytes && parameter->rank == 4 && parameter->shape[2] == 1 && parameter->shape[3] == 1)
        return read_bytes(file, bytes, parameter, block + parameter->offset, err);
    return read_tensor(file, parameter->name, parameter->rank, parameter->shape, block + parameter->offset, err);
}

static void fill(const Parameter *parameter, float *block, float value) {
    for (size_t i = 0; i < parameter->count; i++) block[parameter->offset + i] = value;
}

/* The batch norm behind `convolution`, which was folded into it. */
static effnet_status read_folded(const OnnxFile *file, const Network *network, const Op *convolution, const Op *norm,
                                 float *parameters, float *statistics, effnet_error *err) {
    const Parameter *bias = &network->parameters[norm->bias];
    char name[96];
    snprintf(name, sizeof name, "%s.bias", convolution->name);
    TRY(read_tensor(file, name, 1, bias->shape, parameters + bias->offset, err));
    fill(&network->parameters[norm->weight], parameters, 1);
    fill(&network->statistics[norm->running_mean], statistics, 0);
    fill(&network->statistics[norm->running_variance], statistics, (float)(1 - network->config.bn_eps));
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
