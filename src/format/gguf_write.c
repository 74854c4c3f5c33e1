/* gguf_write.c - writing; see gguf.h. The part before the data is made in memory, the data goes out as it is converted; the
 * checksum, known at the end, is written over its zeros. */
#include "format/gguf.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/float16.h"
#include "base/sizes.h"
#include "format/elements.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 11 };

static const Parameter *parameter_at(const Network *network, int i) {
    return i < network->num_parameters ? &network->parameters[i] : &network->statistics[i - network->num_parameters];
}

static bool is_half(const GgufOptions *options, const Parameter *parameter) {
    return options->half && parameter->rank > 1;
}

static size_t bytes_of(const GgufOptions *options, const Parameter *parameter) {
    return parameter->count * (is_half(options, parameter) ? 2 : 4);
}

/* ---- before the data ---- */

static void put(FILE *stream, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) putc((int)(value >> 8 * i & 255), stream);
}

static void put_float(FILE *stream, double value) {
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    put(stream, bits, 4);
}

static void put_string(FILE *stream, const char *text) {
    put(stream, strlen(text), 8);
    fputs(text, stream);
}

static void put_key(FILE *stream, const char *key, uint32_t type) {
    put_string(stream, key);
    put(stream, type, 4);
}

static void put_text(FILE *stream, const char *key, const char *value) {
    put_key(stream, key, GGUF_STRING);
    put_string(stream, value);
}

static void put_integer(FILE *stream, const char *key, uint32_t value) {
    put_key(stream, key, GGUF_U32);
    put(stream, value, 4);
}

static void put_array(FILE *stream, const char *key, uint32_t type, int count) {
    put_key(stream, key, GGUF_ARRAY);
    put(stream, type, 4);
    put(stream, (uint64_t)count, 8);
}

/* One number of a square, which most readers take it for; rows and columns of another shape. */
static void put_resolution(FILE *stream, TensorShape input) {
    static const char key[] = "efficientnet.resolution";
    if (input.height == input.width) {
        put_integer(stream, key, (uint32_t)input.height);
        return;
    }
    put_array(stream, key, GGUF_U32, 2);
    put(stream, (uint32_t)input.height, 4);
    put(stream, (uint32_t)input.width, 4);
}

/* Ours that stand before options->metadata; *sum_place: where in the stream the checksum's digits begin. */
enum { OWN_PAIRS = 10 };
static void put_own_pairs(FILE *stream, const Network *network, const GgufOptions *options, long *sum_place) {
    put_text(stream, "general.architecture", "efficientnet");
    put_text(stream, "general.name", network->config.name);
    put_integer(stream, "general.alignment", GGUF_ALIGNMENT);
    put_integer(stream, "general.file_type", options->half ? 1 : 0);
    put_text(stream, GGUF_SUM_KEY, "00000000");
    *sum_place = ftell(stream) - GGUF_SUM_DIGITS;
    put_resolution(stream, options->transform->input);
    put_key(stream, "efficientnet.bn_eps", GGUF_F32);
    put_float(stream, network->config.bn_eps);
    const int channels = options->transform->input.channels;
    put_array(stream, "efficientnet.mean", GGUF_F32, channels);
    for (int c = 0; c < channels; c++) put_float(stream, options->transform->mean[c]);
    put_array(stream, "efficientnet.std", GGUF_F32, channels);
    for (int c = 0; c < channels; c++) put_float(stream, options->transform->std[c]);
    put_array(stream, "efficientnet.class_names", GGUF_STRING, network->config.num_classes);
    for (int c = 0; c < network->config.num_classes; c++) put_string(stream, options->labels[c]);
}

static effnet_status make_head(const Network *network, const GgufOptions *options, char **head, size_t *size,
                               long *sum_place, effnet_error *err) {
    const int tensors = network->num_parameters + network->num_statistics;
    uint64_t pairs = OWN_PAIRS;
    size_t offset = 0;
    FILE *stream = open_memstream(head, size);
    if (!stream) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a GGUF file's header");
    for (int i = 0; options->metadata[i]; i += 2) pairs++;
    fputs("GGUF", stream);
    put(stream, GGUF_VERSION, 4);
    put(stream, (uint64_t)tensors, 8);
    put(stream, pairs, 8);
    put_own_pairs(stream, network, options, sum_place);
    for (int i = 0; options->metadata[i]; i += 2) put_text(stream, options->metadata[i], options->metadata[i + 1]);
    for (int i = 0; i < tensors; i++) {
        const Parameter *parameter = parameter_at(network, i);
        put_string(stream, parameter->name);
        put(stream, (uint64_t)parameter->rank, 4);
        for (int d = parameter->rank - 1; d >= 0; d--) put(stream, (uint64_t)parameter->shape[d], 8);
        put(stream, is_half(options, parameter) ? GGUF_TENSOR_F16 : GGUF_TENSOR_F32, 4);
        put(stream, offset, 8);
        offset = round_up(offset + bytes_of(options, parameter), GGUF_ALIGNMENT);
    }
    for (size_t at = (size_t)ftell(stream); at % GGUF_ALIGNMENT; at++) putc(0, stream);
    if (fclose(stream) == 0) return EFFNET_OK;
    free(*head);
    *head = NULL;
    return fail(err, EFFNET_ERROR_MEMORY, "no memory for a GGUF file's header");
}

/* ---- the data ---- */

static bool write_block(FILE *stream, uint32_t *sum, const void *bytes, size_t size) {
    *sum = crc32c(*sum, bytes, size);
    return fwrite(bytes, 1, size, stream) == size;
}

static bool write_tensor(FILE *stream, uint32_t *sum, const float *values, const Parameter *parameter, bool half) {
    static const unsigned char zeros[GGUF_ALIGNMENT];
    unsigned char chunk[CHUNK * 4];
    const size_t width = half ? 2 : 4, size = parameter->count * width;
    for (size_t done = 0; done < parameter->count;) {
        const size_t part = parameter->count - done < CHUNK ? parameter->count - done : CHUNK;
        for (size_t i = 0; i < part; i++) {
            uint32_t bits;
            memcpy(&bits, values + done + i, sizeof bits);
            if (half) bits = float16_bits(values[done + i]);
            for (size_t b = 0; b < width; b++) chunk[i * width + b] = (unsigned char)(bits >> 8 * b);
        }
        if (!write_block(stream, sum, chunk, part * width)) return false;
        done += part;
    }
    return write_block(stream, sum, zeros, round_up(size, GGUF_ALIGNMENT) - size);
}

static bool write_all(FILE *stream, const char *head, size_t size, long sum_place, const Network *network,
                      const float *parameters, const float *statistics, const GgufOptions *options) {
    uint32_t sum = 0;
    if (!write_block(stream, &sum, head, size)) return false;
    for (int i = 0; i < network->num_parameters + network->num_statistics; i++) {
        const Parameter *parameter = parameter_at(network, i);
        const float *block = i < network->num_parameters ? parameters : statistics;
        if (!write_tensor(stream, &sum, block + parameter->offset, parameter, is_half(options, parameter)))
            return false;
    }
    return fseek(stream, sum_place, SEEK_SET) == 0 && fprintf(stream, "%08x", (unsigned)sum) == GGUF_SUM_DIGITS;
}

effnet_status gguf_round(const Network *network, float *parameters, effnet_error *err) {
    for (int i = 0; i < network->num_parameters; i++) {
        const Parameter *parameter = &network->parameters[i];
        for (size_t k = 0; parameter->rank > 1 && k < parameter->count; k++) {
            float *value = parameters + parameter->offset + k;
            const uint16_t bits = float16_bits(*value);
            const unsigned char stored[2] = {(unsigned char)bits, (unsigned char)(bits >> 8)};
            if ((bits >> 10 & 31) == 31) /* infinity, NaN */
                return fail(err, EFFNET_ERROR_NUMERIC,
                            "'%s' has the value %g, which float16 cannot hold; write float32", parameter->name,
                            (double)*value);
            elements_to_float(ELEMENT_F16, stored, value, 1);
        }
    }
    return EFFNET_OK;
}

effnet_status gguf_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                         const GgufOptions *options, effnet_error *err) {
    char *head;
    size_t size;
    long sum_place = 0;
    AtomicFile file = {0};
    TRY(make_head(network, options, &head, &size, &sum_place, err));
    effnet_status status = atomic_file_open(&file, path, err);
    if (status == EFFNET_OK && !write_all(file.stream, head, size, sum_place, network, parameters, statistics, options))
        status = fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", path, strerror(errno));
    if (status == EFFNET_OK) status = atomic_file_commit(&file, err);
    atomic_file_abort(&file);
    free(head);
    return status;
}
