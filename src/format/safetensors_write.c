/* safetensors_write.c - writing; see safetensors.h.
 *
 * The header lists __metadata__ first, then the tensors in bytewise order of their names, as compact JSON
 * padded with spaces until the data begins at a multiple of eight bytes; the data follows in the same order
 * without holes. So equal content gives equal bytes. A file with metadata carries its checksums (safetensors_sum.h).
 * Everything goes through an AtomicFile: the old file
 * stands until the new one is whole on the disk. */
#include "format/safetensors.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "format/safetensors_sum.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, CHUNK_FLOATS = 1 << 14 };

static void store_u32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(value >> 8 * i);
}

static int compare_names(const void *left, const void *right) {
    return strcmp(((const SafetensorsEntry *)left)->name, ((const SafetensorsEntry *)right)->name);
}

static effnet_status check_entry(const char *path, const SafetensorsEntry *entry, effnet_error *err) {
    size_t product = 1;
    bool fits = entry->rank >= 0 && entry->rank <= SAFETENSORS_MAX_RANK;
    for (int i = 0; fits && i < entry->rank; i++)
        fits = entry->shape[i] >= 0 && size_multiply(product, (size_t)entry->shape[i], &product);
    if (!fits || product != entry->count || strcmp(entry->name, "__metadata__") == 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "cannot write '%s': tensor '%.80s' has %zu values, its shape says %zu",
                    path, entry->name, entry->count, product);
    return EFFNET_OK;
}

/* The header's JSON object from the sorted entries; NULL where memory ran out or a string is not UTF-8. */
static json_t *make_header(const SafetensorsEntry *sorted, int count, const char *const *metadata) {
    json_t *header = json_object();
    bool good = header != NULL;
    if (metadata && metadata[0]) {
        json_t *strings = json_object();
        good = good && strings;
        for (int i = 0; good && metadata[i]; i += 2)
            good = json_object_set_new(strings, metadata[i], json_string(metadata[i + 1])) == 0;
        good = good && json_object_set_new(strings, SUM_KEY, json_string(SUM_PLACEHOLDER)) == 0;
        if (!good || json_object_set_new(header, "__metadata__", json_incref(strings)) != 0) good = false;
        json_decref(strings);
    }
    size_t offset = 0;
    for (int i = 0; good && i < count; i++) {
        json_t *shape = json_array();
        for (int d = 0; good && d < sorted[i].rank; d++)
            good = json_array_append_new(shape, json_integer(sorted[i].shape[d])) == 0;
        size_t end = offset + sorted[i].count * 4;
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                                  (json_int_t)offset, (json_int_t)end);
        good = json_object_set_new(header, sorted[i].name, entry) == 0 && good;
        offset = end;
    }
    if (!good) {
        json_decref(header);
        header = NULL;
    }
    return header;
}

/* As little-endian bytes, a chunk at a time. */
static bool each_chunk(const float *values, size_t count, bool (*use)(void *context, const void *bytes, size_t size),
                       void *context) {
    unsigned char chunk[CHUNK_FLOATS * 4];
    for (size_t done = 0; done < count;) {
        size_t part = count - done < CHUNK_FLOATS ? count - done : CHUNK_FLOATS;
        for (size_t i = 0; i < part; i++) {
            uint32_t bits;
            memcpy(&bits, values + done + i, sizeof bits);
            store_u32(chunk + 4 * i, bits);
        }
        if (!use(context, chunk, 4 * part)) return false;
        done += part;
    }
    return true;
}

static bool write_chunk(void *stream, const void *bytes, size_t size) {
    return fwrite(bytes, 1, size, stream) == size;
}

static bool sum_chunk(void *sum, const void *bytes, size_t size) {
    *(uint32_t *)sum = crc32c(*(uint32_t *)sum, bytes, size);
    return true;
}

/* The checksums into the header's text, which is `padded` bytes long; nothing where there is no place for them. */
static void fill_sums(char *text, size_t padded, const unsigned char *length_bytes, const SafetensorsEntry *sorted,
                      int count) {
    char *place = sum_place(text, padded);
    if (!place) return;
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) each_chunk(sorted[i].values, sorted[i].count, sum_chunk, &sum);
    sum_store(place + SUM_DIGITS + 1, sum);
    sum_store(place, sum_header(length_bytes, text, padded, place));
}

/* `text`: the header, `padded` bytes. */
static effnet_status write_sorted(const char *path, const SafetensorsEntry *sorted, int count, char *text,
                                  size_t padded, effnet_error *err) {
    unsigned char length_bytes[LENGTH_BYTES];
    store_u32(length_bytes, (uint32_t)padded);
    store_u32(length_bytes + 4, (uint32_t)((uint64_t)padded >> 32));
    fill_sums(text, padded, length_bytes, sorted, count);

    AtomicFile file;
    TRY(atomic_file_open(&file, path, err));
    bool good = fwrite(length_bytes, 1, sizeof length_bytes, file.stream) == sizeof length_bytes &&
                fwrite(text, 1, padded, file.stream) == padded;
    for (int i = 0; good && i < count; i++)
        good = each_chunk(sorted[i].values, sorted[i].count, write_chunk, file.stream);
    if (!good) {
        int reason = errno;
        atomic_file_abort(&file);
        return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s; the file there before, if any, is untouched", path,
                    strerror(reason));
    }
    return atomic_file_commit(&file, err);
}

/* Compact JSON and spaces up to a multiple of eight bytes; NULL as make_header. */
static char *padded_text(const json_t *header, size_t *padded) {
    char *text = json_dumps(header, JSON_COMPACT);
    if (!text) return NULL;
    size_t length = strlen(text);
    *padded = round_up(length, LENGTH_BYTES);
    char *larger = realloc(text, *padded + 1);
    if (!larger) {
        free(text);
        return NULL;
    }
    memset(larger + length, ' ', *padded - length);
    larger[*padded] = 0;
    return larger;
}

effnet_status safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                                const char *const *metadata, effnet_error *err) {
    SafetensorsEntry *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    if (!sorted) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    if (count > 0) {
        memcpy(sorted, entries, (size_t)count * sizeof *sorted);
        qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
    }
    effnet_status result = EFFNET_OK;
    for (int i = 0; i < count && result == EFFNET_OK; i++) {
        result = check_entry(path, &sorted[i], err);
        if (result == EFFNET_OK && i > 0 && strcmp(sorted[i].name, sorted[i - 1].name) == 0)
            result = fail(err, EFFNET_ERROR_ARGUMENT, "cannot write '%s': two tensors are called '%.80s'", path,
                          sorted[i].name);
    }
    json_t *header = NULL;
    char *text = NULL;
    size_t padded = 0;
    if (result == EFFNET_OK) {
        header = make_header(sorted, count, metadata);
        text = header ? padded_text(header, &padded) : NULL;
        if (!text)
            result =
                fail(err, EFFNET_ERROR_MEMORY,
                     "cannot make the header of '%s': no memory, or a name or a metadata value is not UTF-8", path);
    }
    if (result == EFFNET_OK) result = write_sorted(path, sorted, count, text, padded, err);
    free(text);
    json_decref(header);
    free(sorted);
    return result;
}
