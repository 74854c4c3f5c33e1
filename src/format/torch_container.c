/* torch_container.c - see torch_container.h. The old form and its magic number: torch/serialization.py, _legacy_save. */
#include "format/torch_container.h"

#include "base/file.h"
#include "format/torch_zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool torch_container_begins(const void *bytes, size_t size) {
    const unsigned char *from = bytes;
    return (size >= 4 && memcmp(from, "PK\3\4", 4) == 0) ||
           (size >= 2 && from[0] == 0x80 && from[1] >= 2 && from[1] <= 5);
}

/* Exactly `size` bytes from `offset`. */
static effnet_status read_at(const TorchContainer *container, uint64_t offset, void *bytes, size_t size,
                             effnet_error *err) {
    unsigned char *to = bytes;
    while (size > 0) {
        ssize_t got = pread(container->descriptor, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", container->path, strerror(errno));
        if (got == 0)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' ends at byte %llu, in the middle of its tensors: it is truncated; take another copy",
                        container->path, (unsigned long long)offset);
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return EFFNET_OK;
}

/* ---- the old form ---- */

static bool is_magic(const Pickle *pickle) { /* 0x1950a86a20f9469cfc6c */
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const PickleValue *value = pickle_value(pickle, pickle->result);
    return value->kind == PICKLE_LONG && value->count == sizeof magic && memcmp(value->text, magic, sizeof magic) == 0;
}

/* One pickle after another: magic number, version, the machine it was written on, the checkpoint, its storages' keys. */
static effnet_status read_old(TorchContainer *container, effnet_error *err) {
    const size_t size = container->size < TORCH_MAX_PICKLE ? (size_t)container->size : TORCH_MAX_PICKLE;
    size_t at = 0;
    container->bytes = malloc(size);
    if (!container->bytes) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", container->path);
    TRY(read_at(container, 0, container->bytes, size, err));
    for (int i = 0; i < 5; i++) {
        Pickle pickle;
        PickleRef little;
        effnet_status status = pickle_read(container->path, at, container->bytes + at, size - at, &pickle, err);
        at += pickle.size;
        if (status == EFFNET_OK && i == 0 && !is_magic(&pickle))
            status = fail(err, EFFNET_ERROR_FORMAT,
                          "'%s' is a Python pickle and no file of torch.save; save the weights with torch.save or as "
                          "safetensors",
                          container->path);
        const PickleValue *result = status == EFFNET_OK ? pickle_value(&pickle, pickle.result) : NULL;
        if (result && i == 1 && (result->kind != PICKLE_INT || result->integer != 1001))
            status = fail(err, EFFNET_ERROR_UNSUPPORTED,
                          "'%s' has another version of PyTorch's old format than 1001; load it and save it again",
                          container->path);
        if (result && i == 2 && pickle_find(&pickle, pickle.result, "little_endian", &little))
            container->big_endian = pickle_value(&pickle, little)->integer == 0;
        if (i == 3)
            container->pickle = pickle;
        else if (i == 4)
            container->keys = pickle;
        else
            pickle_free(&pickle);
        TRY(status);
    }
    container->storages_begin = at;
    return EFFNET_OK;
}

/* Bytes of an element of each storage: of any that the pickle names, as all of them stand in the file. */
typedef struct KeyedSize {
    PickleRef key;
    size_t bytes;
} KeyedSize;

static const PickleValue *sorted_text(const Pickle *pickle, PickleRef key) {
    const PickleValue *value = pickle_value(pickle, key);
    return value->kind == PICKLE_TEXT ? value : NULL;
}

static int compare_texts(const PickleValue *a, const PickleValue *b) {
    const uint32_t shorter = a->count < b->count ? a->count : b->count;
    int order = memcmp(a->text, b->text, shorter);
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

static int compare_sizes(const void *left, const void *right, void *pickle) {
    return compare_texts(pickle_value(pickle, ((const KeyedSize *)left)->key),
                         pickle_value(pickle, ((const KeyedSize *)right)->key));
}

static int list_sizes(const Pickle *pickle, KeyedSize *sizes) {
    int count = 0;
    for (uint32_t i = 0; i < pickle->count; i++) {
        KeyedSize size = {0};
        if (pickle_value(pickle, i)->kind != PICKLE_STORED) continue;
        size.bytes = torch_storage_element(pickle, i, &size.key);
        if (size.bytes && sorted_text(pickle, size.key)) sizes[count++] = size;
    }
    qsort_r(sizes, (size_t)count, sizeof *sizes, compare_sizes, (void *)pickle);
    return count;
}

static size_t find_size(const Pickle *pickle, const KeyedSize *sizes, int count, const PickleValue *key) {
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = compare_texts(key, pickle_value(pickle, sizes[middle].key));
        if (order == 0) return sizes[middle].bytes;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

/* The storages lie one behind the other in the order of the list of keys, each after its number of elements. */
static effnet_status walk_old(const TorchContainer *container, const KeyedSize *sizes, int size_count,
                              TorchStorage *storages, int count, effnet_error *err) {
    const PickleValue *list = pickle_value(&container->keys, container->keys.result);
    uint64_t at = container->storages_begin;
    int found = 0;
    if (list->kind != PICKLE_LIST)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no list of storages: it is damaged; take another copy",
                    container->path);
    for (uint32_t i = 0; i < list->count && found < count; i++) {
        const PickleValue *key = sorted_text(&container->keys, list->items[i]);
        const size_t element = key ? find_size(&container->pickle, sizes, size_count, key) : 0;
        unsigned char number[8];
        char text[TORCH_KEY_BYTES] = "";
        TRY(read_at(container, at, number, sizeof number, err));
        const uint64_t elements = elements_load_u64(number);
        uint64_t bytes;
        at += sizeof number;
        if (!element || key->count >= sizeof text)
            return fail(err, EFFNET_ERROR_UNSUPPORTED,
                        "'%s': storage %u, at byte %llu, is of a type that is not known here; load it and save the "
                        "weights alone",
                        container->path, i, (unsigned long long)at);
        if (__builtin_mul_overflow(elements, element, &bytes) || bytes > (uint64_t)container->size - at)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s': storage %u, at byte %llu, would have %llu elements and the file ends before: it is "
                        "truncated; take another copy",
                        container->path, i, (unsigned long long)at, (unsigned long long)elements);
        memcpy(text, key->text, key->count);
        TorchStorage *storage = torch_storage_find(storages, count, text);
        if (storage && !storage->place) {
            if (bytes < storage->needed)
                return fail(
                    err, EFFNET_ERROR_FORMAT,
                    "'%s': storage '%s', at byte %llu, has %llu bytes and its tensors need %llu: it is damaged; "
                    "take another copy",
                    container->path, text, (unsigned long long)at, (unsigned long long)bytes,
                    (unsigned long long)storage->needed);
            storage->place = at;
            found++;
        }
        at += bytes;
    }
    return EFFNET_OK;
}

effnet_status torch_container_place(const TorchContainer *container, TorchStorage *storages, int count,
                                    effnet_error *err) {
    if (container->zip) return EFFNET_OK;
    KeyedSize *sizes = malloc(((size_t)container->pickle.count + 1) * sizeof *sizes);
    if (!sizes) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the storages of '%s'", container->path);
    int size_count = list_sizes(&container->pickle, sizes);
    effnet_status status = walk_old(container, sizes, size_count, storages, count, err);
    free(sizes);
    return status;
}

static effnet_status load_old(const TorchContainer *container, TorchStorage *storages, int count, effnet_error *err) {
    for (int i = 0; i < count; i++) {
        TorchStorage *storage = &storages[i];
        if (!storage->place)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' has no storage '%s', which a tensor is in: it is damaged; take "
                        "another copy",
                        container->path, storage->key);
        if (storage->bytes) continue;
        storage->bytes = malloc((size_t)storage->needed + 1);
        if (!storage->bytes)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %llu bytes of a tensor of '%s'",
                        (unsigned long long)storage->needed, container->path);
        TRY(read_at(container, storage->place, storage->bytes, (size_t)storage->needed, err));
    }
    return EFFNET_OK;
}

/* ---- both ---- */

effnet_status torch_container_open(const char *path, TorchContainer *out, effnet_error *err) {
    unsigned char begin[4] = {0};
    *out = (TorchContainer){.descriptor = -1};
    out->path = strdup(path);
    if (!out->path) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", path);
    TRY(file_open(path, &out->descriptor, &out->size, err));
    if (out->size < 4) return fail(err, EFFNET_ERROR_FORMAT, "'%s' has only %lld bytes", path, (long long)out->size);
    TRY(read_at(out, 0, begin, sizeof begin, err));
    out->zip = begin[0] == 'P';
    if (!out->zip) return read_old(out, err);
    size_t size;
    char name[TORCH_MAX_ROOT + 200];
    TRY(torch_zip_find(out, &size, err));
    snprintf(name, sizeof name, "%.190s: %sdata.pkl", path, out->root);
    return pickle_read(name, 0, out->bytes, size, &out->pickle, err);
}

void torch_container_forget(TorchContainer *container) {
    pickle_free(&container->pickle);
    pickle_free(&container->keys);
    free(container->bytes);
    container->bytes = NULL;
}

effnet_status torch_container_load(const TorchContainer *container, TorchStorage *storages, int count,
                                   effnet_error *err) {
    return container->zip ? torch_zip_load(container, storages, count, err) : load_old(container, storages, count, err);
}

void torch_container_close(TorchContainer *container) {
    torch_container_forget(container);
    if (container->descriptor >= 0) close(container->descriptor);
    free(container->path);
    *container = (TorchContainer){.descriptor = -1};
}
