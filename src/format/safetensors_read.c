/* safetensors_read.c - reading; see safetensors.h.
 *
 * The file may come from anywhere, so nothing in it is believed: the header's length is held against the
 * file's size and a limit before anything is allocated, the JSON must have no key twice, shapes are
 * multiplied with overflow checks, and the tensors laid end to end must fill the data exactly, without hole
 * or overlap, as the format demands (a hole could hide another file). Bytes are read with pread and not
 * mapped: a file that shrinks under a mapping kills the process, one that shrinks under pread is an error. */
#include "format/safetensors.h"

#include "base/file.h"
#include "base/crc32c.h"
#include "base/file_kind.h"
#include "base/memory.h"
#include "format/elements.h"
#include "format/safetensors_sum.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, CHUNK_BYTES = 1 << 16 };

typedef struct Entry {
    SafetensorsTensor tensor;
    const ElementType *type;
    uint64_t begin, end; /* bytes from the start of the data */
} Entry;

struct Safetensors {
    int descriptor;
    char *path;
    json_t *header;   /* owns names and metadata */
    json_t *metadata; /* inside header; NULL: none */
    uint64_t data_start, data_bytes;
    Entry *entries; /* sorted by name */
    int count;
    bool summed; /* the file says what its data's checksum is */
    uint32_t data_sum;
    const TensorSource *source; /* NULL: the values are in the file itself */
    void *context;              /* the source's */
};

/* Exactly `size` bytes from `offset`. */
static effnet_status read_at(const Safetensors *file, uint64_t offset, void *bytes, size_t size, effnet_error *err) {
    unsigned char *to = bytes;
    while (size > 0) {
        ssize_t got = pread(file->descriptor, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", file->path, strerror(errno));
        if (got == 0)
            return fail(err, EFFNET_ERROR_IO, "'%s' became shorter while it was read; is it still being written?",
                        file->path);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return EFFNET_OK;
}

static effnet_status parse_shape(const Safetensors *file, const json_t *shape, Entry *entry, effnet_error *err) {
    SafetensorsTensor *tensor = &entry->tensor;
    if (!json_is_array(shape))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': tensor '%.80s' has no \"shape\" array", file->path, tensor->name);
    size_t rank = json_array_size(shape);
    if (rank > SAFETENSORS_MAX_RANK)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': tensor '%.80s' has %zu dimensions; at most %d are allowed",
                    file->path, tensor->name, rank, SAFETENSORS_MAX_RANK);
    tensor->rank = (int)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *side = json_array_get(shape, i);
        if (!json_is_integer(side) || json_integer_value(side) < 0)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s': dimension %zu of tensor '%.80s' is not a whole number of at least 0", file->path, i,
                        tensor->name);
        tensor->shape[i] = json_integer_value(side);
        if (!size_multiply(tensor->count, (size_t)tensor->shape[i], &tensor->count))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': the shape of tensor '%.80s' multiplies to more than 64 bits",
                        file->path, tensor->name);
    }
    return EFFNET_OK;
}

static effnet_status parse_entry(const Safetensors *file, const char *name, const json_t *value, Entry *entry,
                                 effnet_error *err) {
    entry->tensor.name = name;
    if (!json_is_object(value))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': the entry of tensor '%.80s' is not an object", file->path, name);
    const char *type = json_string_value(json_object_get(value, "dtype"));
    if (!type) return fail(err, EFFNET_ERROR_FORMAT, "'%s': tensor '%.80s' has no \"dtype\" string", file->path, name);
    entry->type = element_type_find(type);
    if (!entry->type)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': tensor '%.80s' is of type '%.20s'; known are F32, F16, BF16, F64, I64, I32 and U8",
                    file->path, name, type);
    TRY(parse_shape(file, json_object_get(value, "shape"), entry, err));

    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': \"data_offsets\" of tensor '%.80s' are not two whole numbers, begin and end", file->path,
                    name);
    entry->begin = (uint64_t)json_integer_value(begin);
    entry->end = (uint64_t)json_integer_value(end);
    if (entry->end > file->data_bytes)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': tensor '%.80s' ends at byte %llu of the data, and the file has only %llu: it is truncated",
                    file->path, name, (unsigned long long)entry->end, (unsigned long long)file->data_bytes);
    size_t wanted;
    if (!size_multiply(entry->tensor.count, entry->type->bytes, &wanted) || wanted != entry->end - entry->begin)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': tensor '%.80s' has %zu elements of type %s, and its data_offsets span %llu bytes",
                    file->path, name, entry->tensor.count, type, (unsigned long long)(entry->end - entry->begin));
    return EFFNET_OK;
}

static int compare_places(const void *left, const void *right) {
    const Entry *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return strcmp(a->tensor.name, b->tensor.name);
}

static int compare_names(const void *left, const void *right) {
    return strcmp(((const Entry *)left)->tensor.name, ((const Entry *)right)->tensor.name);
}

/* Laid end to end, the tensors are the data: each begins where the one before ended, the last ends with the
 * file. */
static effnet_status check_places(Safetensors *file, effnet_error *err) {
    if (file->count > 0) qsort(file->entries, (size_t)file->count, sizeof file->entries[0], compare_places);
    uint64_t expected = 0;
    for (int i = 0; i < file->count; i++) {
        const Entry *entry = &file->entries[i];
        if (entry->begin != expected)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s': tensor '%.80s' begins at byte %llu of the data, not at %llu where the one "
                        "before ends; "
                        "holes and overlaps are not allowed",
                        file->path, entry->tensor.name, (unsigned long long)entry->begin, (unsigned long long)expected);
        expected = entry->end;
    }
    if (expected != file->data_bytes)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': the tensors end at byte %llu of the data, and the file goes on to %llu", file->path,
                    (unsigned long long)expected, (unsigned long long)file->data_bytes);
    if (file->count > 0) qsort(file->entries, (size_t)file->count, sizeof file->entries[0], compare_names);
    return EFFNET_OK;
}

static effnet_status parse_header(Safetensors *file, effnet_error *err) {
    size_t keys = json_object_size(file->header);
    file->entries = calloc(keys ? keys : 1, sizeof file->entries[0]);
    if (!file->entries)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu tensors of '%s'", keys, file->path);
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            file->metadata = value;
        else
            TRY(parse_entry(file, name, value, &file->entries[file->count++], err));
    }
    if (file->metadata && !json_is_object(file->metadata))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': __metadata__ is not an object of strings", file->path);
    json_object_foreach(file->metadata, name, value) if (!json_is_string(value)) return fail(
        err, EFFNET_ERROR_FORMAT, "'%s': '%.80s' in __metadata__ is not a string", file->path, name);
    return check_places(file, err);
}

static effnet_status changed(const Safetensors *file, const char *part, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is damaged: its %s are not those that were written (the checksum '" SUM_KEY
                "' in its __metadata__ differs); take another copy, or remove that key where a program changed the "
                "file on purpose",
                file->path, part);
}

/* Holds the header against its own checksum, where it has one. */
static effnet_status check_header_sum(Safetensors *file, const unsigned char *length_bytes, char *text, size_t size,
                                      effnet_error *err) {
    const char *value = safetensors_metadata(file, SUM_KEY);
    if (!value) return EFFNET_OK;
    const char *place = strlen(value) == SUM_LENGTH ? sum_place(text, size) : NULL;
    uint32_t sum;
    if (!place || !sum_load(place, &sum) || place[SUM_DIGITS] != '-' ||
        !sum_load(place + SUM_DIGITS + 1, &file->data_sum) || sum != sum_header(length_bytes, text, size, place))
        return changed(file, "names, shapes or metadata", err);
    file->summed = true;
    return EFFNET_OK;
}

static effnet_status read_header(Safetensors *file, effnet_error *err) {
    struct stat status;
    if (fstat(file->descriptor, &status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", file->path, strerror(errno));
    uint64_t size = (uint64_t)status.st_size;
    if (size == 0) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is empty; wanted a safetensors file", file->path);
    if (size < LENGTH_BYTES + 2)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a safetensors file: it has only %llu bytes", file->path,
                    (unsigned long long)size);
    unsigned char length_bytes[LENGTH_BYTES];
    TRY(read_at(file, 0, length_bytes, sizeof length_bytes, err));
    uint64_t length = elements_load_u64(length_bytes);
    char begin[512];
    size_t told = size < sizeof begin ? (size_t)size : sizeof begin;
    TRY(read_at(file, 0, begin, told, err));
    const char *kind = file_kind_of(begin, told);
    if (kind && begin[LENGTH_BYTES] != '{')
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is %s; wanted a safetensors file", file->path, kind);
    if (length > size - LENGTH_BYTES)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' says that its header has %llu bytes, and the whole file has %llu: it is truncated, "
                    "or not a "
                    "safetensors file",
                    file->path, (unsigned long long)length, (unsigned long long)size);
    if (length > SAFETENSORS_MAX_HEADER)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' says that its header has %llu bytes; at most %d are allowed",
                    file->path, (unsigned long long)length, SAFETENSORS_MAX_HEADER);
    file->data_start = LENGTH_BYTES + length;
    file->data_bytes = size - file->data_start;

    char *text = malloc((size_t)length + 1);
    if (!text) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the header of '%s'", file->path);
    effnet_status result = read_at(file, LENGTH_BYTES, text, (size_t)length, err);
    if (result == EFFNET_OK && (length == 0 || text[0] != '{'))
        result = fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a safetensors file: its header does not begin with '{'",
                      file->path);
    if (result == EFFNET_OK) {
        json_error_t problem;
        file->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &problem);
        if (!file->header && (json_error_code(&problem) == json_error_out_of_memory || !problem.text[0]))
            result = fail(err, EFFNET_ERROR_MEMORY, "no memory for the header of '%s'", file->path);
        else if (!file->header)
            result = fail(err, EFFNET_ERROR_FORMAT, "'%s': the header is not valid JSON at byte %d: %s", file->path,
                          problem.position, problem.text);
    }
    if (result == EFFNET_OK) result = parse_header(file, err);
    if (result == EFFNET_OK) result = check_header_sum(file, length_bytes, text, (size_t)length, err);
    free(text);
    return result;
}

effnet_status safetensors_open(const char *path, Safetensors **out, effnet_error *err) {
    *out = NULL;
    Safetensors *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", path);
    }
    file->path = copy;
    effnet_status result = file_open(path, &file->descriptor, NULL, err);
    if (result == EFFNET_OK) result = read_header(file, err);
    if (result != EFFNET_OK) {
        safetensors_close(file);
        return result;
    }
    *out = file;
    return EFFNET_OK;
}

void safetensors_close(Safetensors *file) {
    if (!file) return;
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->source) file->source->free(file->context);
    json_decref(file->header);
    free(file->entries);
    free(file->path);
    free(file);
}

effnet_status safetensors_of_source(const char *path, const SafetensorsTensor *tensors, int count,
                                    const char *const *metadata, const TensorSource *source, void *context,
                                    Safetensors **out, effnet_error *err) {
    Safetensors *file = calloc(1, sizeof *file);
    bool enough = file != NULL;
    *out = NULL;
    if (file) {
        file->descriptor = -1;
        file->path = strdup(path);
        file->header = json_object(); /* of the metadata alone */
        file->metadata = file->header;
        file->entries = calloc((size_t)count + 1, sizeof file->entries[0]);
        enough = file->path && file->header && file->entries;
    }
    for (const char *const *pair = metadata; enough && pair && *pair; pair += 2)
        enough = json_object_set_new(file->header, pair[0], json_string(pair[1])) == 0;
    if (!enough) {
        safetensors_close(file); /* which has no source yet: the context stays the caller's */
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %d tensors of '%s'", count, path);
    }
    for (int i = 0; i < count; i++) file->entries[i].tensor = tensors[i];
    file->count = count;
    file->source = source;
    file->context = context;
    *out = file;
    return EFFNET_OK;
}

const char *safetensors_path(const Safetensors *file) {
    return file->path;
}

int safetensors_count(const Safetensors *file) {
    return file->count;
}

SafetensorsTensor safetensors_tensor(const Safetensors *file, int index) {
    return file->entries[index].tensor;
}

int safetensors_find(const Safetensors *file, const char *name) {
    int low = 0, high = file->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(file->entries[middle].tensor.name, name);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

const char *safetensors_metadata(const Safetensors *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}

bool safetensors_has_sum(const Safetensors *file) {
    return file->summed;
}

effnet_status safetensors_verify(const Safetensors *file, effnet_error *err) {
    if (!file->summed) return EFFNET_OK;
    unsigned char chunk[CHUNK_BYTES];
    uint32_t sum = 0;
    for (uint64_t done = 0; done < file->data_bytes;) {
        uint64_t left = file->data_bytes - done;
        size_t part = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        TRY(read_at(file, file->data_start + done, chunk, part, err));
        sum = crc32c(sum, chunk, part);
        done += part;
    }
    return sum == file->data_sum ? EFFNET_OK : changed(file, "values", err);
}

effnet_status safetensors_read_part(const Safetensors *file, int index, size_t first, float *values, size_t count,
                                    effnet_error *err) {
    const Entry *entry = &file->entries[index];
    if (first > entry->tensor.count || count > entry->tensor.count - first)
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s': tensor '%.80s' has %zu elements, not %zu from %zu on",
                    file->path, entry->tensor.name, entry->tensor.count, count, first);
    if (file->source) return file->source->read(file->context, index, first, values, count, err);
    if (entry->type->kind == ELEMENT_OTHER)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s': tensor '%.80s' is of type %s; read are F32, F16, BF16, F64, I64, I32 and U8", file->path,
                    entry->tensor.name, entry->type->name);
    unsigned char chunk[CHUNK_BYTES];
    const size_t size = entry->type->bytes;
    for (size_t done = 0; done < count;) {
        size_t part = count - done < CHUNK_BYTES / size ? count - done : CHUNK_BYTES / size;
        TRY(read_at(file, file->data_start + entry->begin + (first + done) * size, chunk, part * size, err));
        elements_to_float(entry->type->kind, chunk, values + done, part);
        done += part;
    }
    return EFFNET_OK;
}

effnet_status safetensors_read(const Safetensors *file, int index, float *values, size_t count, effnet_error *err) {
    const SafetensorsTensor *tensor = &file->entries[index].tensor;
    if (count != tensor->count)
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s': tensor '%.80s' has %zu elements, not %zu", file->path,
                    tensor->name, tensor->count, count);
    return safetensors_read_part(file, index, 0, values, count, err);
}

void shape_print(char out[SHAPE_TEXT], int rank, const int64_t *shape) {
    int used = snprintf(out, SHAPE_TEXT, "[");
    for (int i = 0; i < rank && used < SHAPE_TEXT - 30; i++)
        used += snprintf(out + used, SHAPE_TEXT - (size_t)used, "%s%lld", i ? "," : "", (long long)shape[i]);
    snprintf(out + used, SHAPE_TEXT - (size_t)used, "]");
}
