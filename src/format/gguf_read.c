/* gguf_read.c - reading what gguf_write.c wrote; see gguf.h. The file is hostile until its checksum was right, and read with
 * every length checked against what is left of it all the same. */
#include "format/gguf.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "format/elements.h"

#include <stdlib.h>
#include <string.h>

static const size_t largest_file = (size_t)4 << 30;
enum { MOST_PAIRS = 1000, MOST_TENSORS = 100000 };

typedef struct GgufTensor {
    const char *name; /* of `length` bytes, not ended */
    size_t length;
    int rank, type;
    uint64_t sides[GGUF_MOST_RANK], offset;
} GgufTensor;

struct GgufFile {
    char path[1024];
    char *bytes;
    size_t size, data; /* data: where it begins */
    char **texts;      /* key, value, ... of the pairs that are strings, NULL */
    GgufTensor *tensors;
    int num_tensors;
};

/* What is left to read. */
typedef struct Cursor {
    const GgufFile *file;
    size_t at;
    bool ended; /* it ended too early */
} Cursor;

static const char *take(Cursor *cursor, uint64_t size) {
    if (cursor->ended || size > cursor->file->size - cursor->at) {
        cursor->ended = true;
        return NULL;
    }
    const char *bytes = cursor->file->bytes + cursor->at;
    cursor->at += (size_t)size;
    return bytes;
}

static uint64_t number(Cursor *cursor, int bytes) {
    const unsigned char *from = (const unsigned char *)take(cursor, (uint64_t)bytes);
    uint64_t value = 0;
    for (int i = 0; from && i < bytes; i++) value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static const char *string(Cursor *cursor, size_t *length) {
    const uint64_t size = number(cursor, 8);
    const char *text = take(cursor, size);
    *length = text ? (size_t)size : 0;
    return text;
}

/* Bytes of a value of a type of fixed size; 0: it has none, or there is no such type. */
static uint64_t type_bytes(uint64_t type) {
    static const unsigned char bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < GGUF_TYPES ? bytes[type] : 0;
}

static bool skip_value(Cursor *cursor, uint64_t type) {
    size_t ignored;
    if (type == GGUF_STRING) return string(cursor, &ignored) != NULL;
    if (type != GGUF_ARRAY) return type_bytes(type) && take(cursor, type_bytes(type));
    const uint64_t of = number(cursor, 4), count = number(cursor, 8);
    if (of != GGUF_STRING) { /* arrays of arrays are of no file of ours */
        uint64_t size;
        return type_bytes(of) && !__builtin_mul_overflow(type_bytes(of), count, &size) && take(cursor, size);
    }
    for (uint64_t i = 0; i < count; i++)
        if (!string(cursor, &ignored)) return false;
    return true;
}

static effnet_status broken(const GgufFile *file, const char *what, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is no GGUF file of effnet's, or is damaged: %s", file->path, what);
}

static effnet_status read_pairs(GgufFile *file, Cursor *cursor, uint64_t count, effnet_error *err) {
    int used = 0;
    if (count > MOST_PAIRS) return broken(file, "too many keys", err);
    file->texts = calloc(2 * (size_t)count + 1, sizeof *file->texts);
    if (!file->texts) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
    for (uint64_t i = 0; i < count; i++) {
        size_t lengths[2];
        const char *key = string(cursor, &lengths[0]), *value;
        const uint64_t type = number(cursor, 4);
        if (!key) return broken(file, "it ends in its keys", err);
        if (type != GGUF_STRING) {
            if (!skip_value(cursor, type)) return broken(file, "a value cannot be read", err);
            continue;
        }
        value = string(cursor, &lengths[1]);
        if (!value) return broken(file, "it ends in its keys", err);
        file->texts[used] = strndup(key, lengths[0]);
        if (file->texts[used]) file->texts[used + 1] = strndup(value, lengths[1]);
        if (!file->texts[used] || !file->texts[used + 1])
            return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
        used += 2;
    }
    return EFFNET_OK;
}

static effnet_status read_tensors(GgufFile *file, Cursor *cursor, uint64_t count, effnet_error *err) {
    if (count > MOST_TENSORS) return broken(file, "too many tensors", err);
    file->tensors = calloc((size_t)count + 1, sizeof *file->tensors);
    if (!file->tensors) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", file->path);
    file->num_tensors = (int)count;
    for (int i = 0; i < file->num_tensors; i++) {
        GgufTensor *tensor = &file->tensors[i];
        tensor->name = string(cursor, &tensor->length);
        const uint64_t rank = number(cursor, 4);
        if (!tensor->name || rank > GGUF_MOST_RANK) return broken(file, "a tensor cannot be read", err);
        tensor->rank = (int)rank;
        for (int d = 0; d < tensor->rank; d++) tensor->sides[d] = number(cursor, 8);
        tensor->type = (int)(number(cursor, 4) & 0xFF);
        tensor->offset = number(cursor, 8);
    }
    if (cursor->ended) return broken(file, "it ends in its list of tensors", err);
    file->data = round_up(cursor->at, GGUF_ALIGNMENT);
    return file->data <= file->size ? EFFNET_OK : broken(file, "it has no data", err);
}

/* The digits stand in the file once, as they are in the texts: the only value of that key. */
static effnet_status check_sum(GgufFile *file, effnet_error *err) {
    static const char key[] = GGUF_SUM_KEY;
    const char *told = gguf_metadata(file, key);
    unsigned char head[12] = {GGUF_STRING, 0, 0, 0, GGUF_SUM_DIGITS}, pattern[sizeof key - 1 + sizeof head];
    memcpy(pattern, key, sizeof key - 1);
    memcpy(pattern + sizeof key - 1, head, sizeof head);
    char *place = told ? memmem(file->bytes, file->data, pattern, sizeof pattern) : NULL;
    if (!place) return broken(file, "it has no checksum", err);
    char digits[GGUF_SUM_DIGITS + 1] = "";
    place += sizeof pattern;
    memset(place, '0', GGUF_SUM_DIGITS);
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc32c(0, file->bytes, file->size));
    if (strcmp(digits, told) == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged or was changed: its checksum is %s and should be %.20s",
                file->path, digits, told);
}

static effnet_status parse(GgufFile *file, effnet_error *err) {
    Cursor cursor = {.file = file};
    const char *magic = take(&cursor, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0) return broken(file, "it does not begin with GGUF", err);
    if (number(&cursor, 4) != GGUF_VERSION) return broken(file, "its version is not 3", err);
    const uint64_t tensors = number(&cursor, 8), pairs = number(&cursor, 8);
    TRY(read_pairs(file, &cursor, pairs, err));
    TRY(read_tensors(file, &cursor, tensors, err));
    return check_sum(file, err);
}

effnet_status gguf_open(const char *path, GgufFile **out, effnet_error *err) {
    *out = NULL;
    GgufFile *file = calloc(1, sizeof *file);
    if (!file) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", path);
    snprintf(file->path, sizeof file->path, "%s", path);
    effnet_status status = file_read(path, largest_file, &file->bytes, &file->size, err);
    if (status == EFFNET_OK) status = parse(file, err);
    if (status == EFFNET_OK)
        *out = file;
    else
        gguf_close(file);
    return status;
}

void gguf_close(GgufFile *file) {
    if (!file) return;
    for (size_t i = 0; file->texts && file->texts[i]; i++) free(file->texts[i]);
    free(file->texts);
    free(file->tensors);
    free(file->bytes);
    free(file);
}

const char *gguf_metadata(const GgufFile *file, const char *key) {
    for (char **text = file->texts; text && text[0] && text[1]; text += 2)
        if (strcmp(text[0], key) == 0) return text[1];
    return NULL;
}

static const GgufTensor *find(const GgufFile *file, const char *name) {
    const size_t length = strlen(name);
    for (int i = 0; i < file->num_tensors; i++)
        if (file->tensors[i].length == length && memcmp(file->tensors[i].name, name, length) == 0)
            return &file->tensors[i];
    return NULL;
}

static effnet_status read_tensor(const GgufFile *file, const Parameter *parameter, float *values, effnet_error *err) {
    const GgufTensor *tensor = find(file, parameter->name);
    bool fits = tensor && tensor->rank == parameter->rank &&
                (tensor->type == GGUF_TENSOR_F32 || tensor->type == GGUF_TENSOR_F16);
    for (int d = 0; fits && d < tensor->rank; d++)
        fits = tensor->sides[d] == (uint64_t)parameter->shape[tensor->rank - 1 - d];
    if (!fits)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no tensor '%s' of the model's shape in float32 or float16",
                    file->path, parameter->name);
    const size_t size = parameter->count * (tensor->type == GGUF_TENSOR_F16 ? 2 : 4), left = file->size - file->data;
    if (tensor->offset > left || size > left - (size_t)tensor->offset)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': '%s' reaches over the file's end", file->path, parameter->name);
    elements_to_float(tensor->type == GGUF_TENSOR_F16 ? ELEMENT_F16 : ELEMENT_F32,
                      (const unsigned char *)file->bytes + file->data + tensor->offset, values, parameter->count);
    return EFFNET_OK;
}

effnet_status gguf_read_weights(const GgufFile *file, const Network *network, float *parameters, float *statistics,
                                effnet_error *err) {
    for (int i = 0; i < network->num_parameters; i++)
        TRY(read_tensor(file, &network->parameters[i], parameters + network->parameters[i].offset, err));
    for (int i = 0; i < network->num_statistics; i++)
        TRY(read_tensor(file, &network->statistics[i], statistics + network->statistics[i].offset, err));
    return EFFNET_OK;
}
