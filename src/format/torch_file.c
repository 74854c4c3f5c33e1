/* torch_file.c - see torch_file.h. */
#include "format/torch_file.h"

#include "base/file.h"
#include "format/torch_container.h"
#include "format/torch_state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 512, WIDEST = 8 };

typedef struct TorchFile {
    TorchContainer container;
    TorchState state;
    TorchTensor *tensors; /* beside state.tensors */
    TorchStorage *storages;
    int storage_count;
    pthread_mutex_t mutex; /* over loading */
    bool loaded;
} TorchFile;

static void file_free(void *context) {
    TorchFile *file = context;
    for (int i = 0; i < file->storage_count; i++) free(file->storages[i].bytes);
    free(file->storages);
    free(file->tensors);
    torch_state_free(&file->state);
    torch_container_close(&file->container);
    pthread_mutex_destroy(&file->mutex);
    free(file);
}

/* ---- values ---- */

static effnet_status load(TorchFile *file, effnet_error *err) {
    pthread_mutex_lock(&file->mutex);
    effnet_status status =
        file->loaded ? EFFNET_OK : torch_container_load(&file->container, file->storages, file->storage_count, err);
    file->loaded = status == EFFNET_OK;
    pthread_mutex_unlock(&file->mutex);
    return status;
}

/* Row by row, the last dimension fastest. */
static bool is_contiguous(const TorchTensor *tensor) {
    uint64_t expected = 1;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        if (tensor->shape[d] != 1 && (uint64_t)tensor->stride[d] != expected) return false;
        expected *= (uint64_t)tensor->shape[d];
    }
    return true;
}

/* Where in its storage the i-th element is. */
static uint64_t element_place(const TorchTensor *tensor, size_t i) {
    uint64_t place = tensor->offset;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        const uint64_t side = (uint64_t)tensor->shape[d];
        place += i % side * (uint64_t)tensor->stride[d];
        i /= side;
    }
    return place;
}

static void copy_element(unsigned char *to, const unsigned char *from, size_t size, bool turned) {
    for (size_t b = 0; b < size; b++) to[b] = from[turned ? size - 1 - b : b];
}

static effnet_status file_read_values(void *context, int index, size_t first, float *values, size_t count,
                                      effnet_error *err) {
    TorchFile *file = context;
    const TorchTensor *tensor = &file->tensors[index];
    const size_t size = tensor->type->bytes;
    unsigned char chunk[CHUNK * WIDEST];
    if (tensor->type->kind == ELEMENT_OTHER)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s': tensor '%.80s' is of type %s; read are F32, F16, BF16, F64, I64, I32 and U8",
                    file->container.path, file->state.tensors[index].name, tensor->type->name);
    if (count == 0) return EFFNET_OK;
    TRY(load(file, err));
    const unsigned char *bytes = torch_storage_find(file->storages, file->storage_count, tensor->key)->bytes;
    if (is_contiguous(tensor) && !file->container.big_endian) {
        elements_to_float(tensor->type->kind, bytes + (tensor->offset + first) * size, values, count);
        return EFFNET_OK;
    }
    for (size_t done = 0; done < count;) {
        const size_t part = count - done < CHUNK ? count - done : CHUNK;
        for (size_t i = 0; i < part; i++)
            copy_element(chunk + i * size, bytes + element_place(tensor, first + done + i) * size, size,
                         file->container.big_endian);
        elements_to_float(tensor->type->kind, chunk, values + done, part);
        done += part;
    }
    return EFFNET_OK;
}

/* ---- opening ---- */

static int compare_storages(const void *left, const void *right) {
    return strcmp(((const TorchStorage *)left)->key, ((const TorchStorage *)right)->key);
}

/* The storages of all tensors, each once. */
static effnet_status list_storages(TorchFile *file, effnet_error *err) {
    int kept = 0;
    for (int i = 0; i < file->state.count; i++) {
        const TorchTensor *tensor = &file->tensors[i];
        TorchStorage *storage = &file->storages[i];
        memcpy(storage->key, tensor->key, sizeof storage->key);
        if (__builtin_mul_overflow(tensor->extent, tensor->type->bytes, &storage->needed) ||
            __builtin_mul_overflow(tensor->storage_elements, tensor->type->bytes, &storage->whole) ||
            storage->whole > INT64_MAX)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': the storage of tensor '%.80s' has more bytes than a file can",
                        file->container.path, file->state.tensors[i].name);
    }
    qsort(file->storages, (size_t)file->state.count, sizeof *file->storages, compare_storages);
    for (int i = 0; i < file->state.count; i++) {
        TorchStorage *next = &file->storages[i], *last = kept ? &file->storages[kept - 1] : NULL;
        if (last && strcmp(last->key, next->key) == 0) {
            if (next->needed > last->needed) last->needed = next->needed;
            if (next->whole > last->whole) last->whole = next->whole;
        } else
            file->storages[kept++] = *next;
    }
    file->storage_count = kept;
    return EFFNET_OK;
}

static effnet_status read_tensors(TorchFile *file, effnet_error *err) {
    const Pickle *pickle = &file->container.pickle;
    const char *path = file->container.path;
    TRY(torch_state_find(pickle, path, &file->state, err));
    const size_t count = (size_t)file->state.count;
    file->tensors = calloc(count, sizeof *file->tensors);
    file->storages = calloc(count, sizeof *file->storages);
    if (!file->tensors || !file->storages)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu tensors of '%s'", count, path);
    for (size_t i = 0; i < count; i++) {
        const TorchNamed *named = &file->state.tensors[i];
        TRY(torch_tensor_read(pickle, named->tensor, path, named->name, &file->tensors[i], err));
    }
    TRY(list_storages(file, err));
    return torch_container_place(&file->container, file->storages, file->storage_count, err);
}

static effnet_status hand_out(TorchFile *file, Safetensors **out, effnet_error *err) {
    static const TensorSource source = {file_read_values, file_free};
    const char *metadata[5] = {0};
    int used = 0;
    const int count = file->state.count;
    SafetensorsTensor *tensors = calloc((size_t)count, sizeof *tensors);
    if (!tensors) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the tensors of '%s'", file->container.path);
    for (int i = 0; i < count; i++) {
        const TorchTensor *tensor = &file->tensors[i];
        tensors[i] =
            (SafetensorsTensor){.name = file->state.tensors[i].name, .rank = tensor->rank, .count = tensor->count};
        memcpy(tensors[i].shape, tensor->shape, sizeof tensor->shape);
    }
    if (file->state.taken[0]) {
        metadata[used++] = "torch.taken";
        metadata[used++] = file->state.taken;
    }
    if (file->state.config) {
        metadata[used++] = "config";
        metadata[used++] = file->state.config;
    }
    effnet_status status =
        safetensors_of_source(file->container.path, tensors, count, metadata, &source, file, out, err);
    free(tensors);
    return status;
}

effnet_status torch_file_open(const char *path, Safetensors **out, effnet_error *err) {
    TorchFile *file = calloc(1, sizeof *file);
    *out = NULL;
    if (!file) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", path);
    pthread_mutex_init(&file->mutex, NULL);
    effnet_status status = torch_container_open(path, &file->container, err);
    if (status == EFFNET_OK) status = read_tensors(file, err);
    if (status == EFFNET_OK) torch_container_forget(&file->container);
    if (status == EFFNET_OK) status = hand_out(file, out, err);
    if (status != EFFNET_OK) file_free(file);
    return status;
}

bool torch_file_is(const char *path) {
    char begin[4];
    int descriptor;
    effnet_error ignored;
    if (file_open(path, &descriptor, NULL, &ignored) != EFFNET_OK) return false;
    ssize_t got = pread(descriptor, begin, sizeof begin, 0);
    close(descriptor);
    return got > 0 && torch_container_begins(begin, (size_t)got);
}

effnet_status weight_file_open(const char *path, Safetensors **out, effnet_error *err) {
    return torch_file_is(path) ? torch_file_open(path, out, err) : safetensors_open(path, out, err);
}
