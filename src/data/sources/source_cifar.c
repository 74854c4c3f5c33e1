/* source_cifar.c - CIFAR-10 and CIFAR-100 in their binary version (https://www.cs.toronto.edu/~kriz/cifar.html):
 * records of a label byte (CIFAR-100: a coarse one and a fine one, which counts) and 3,072 bytes, the red, green and
 * blue planes of 32 x 32 pixels. Kept in memory as they are. Names come from batches.meta.txt or fine_label_names.txt
 * beside, where there is one. A file that ends within a record loses that one. */
#include "data/sources/shard_source.h"
#include "base/file.h"
#include "base/file_kind.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE };

typedef struct CifarSource {
    ShardSource shards; /* its members' offsets count from the beginning of `bytes` */
    uint8_t *bytes;
} CifarSource;

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Bytes of labels before the pixels; 0: not such a file. */
static int label_bytes(const char *path) {
    const char *name = base_name(path);
    if (fnmatch("data_batch_[0-9]*.bin", name, 0) == 0 || strcmp(name, "test_batch.bin") == 0) return 1;
    return strcmp(name, "train.bin") == 0 || strcmp(name, "test.bin") == 0 ? 2 : 0;
}

bool file_is_cifar(const char *path) {
    return label_bytes(path) > 0;
}

static effnet_status add_file(CifarSource *source, int file, int64_t *used, effnet_error *err) {
    const ShardFile *shard = &source->shards.files.files[file];
    int labels = label_bytes(shard->path);
    int64_t record = labels + PIXELS, records = shard->size / record;
    const char *known = file_kind_at(shard->path);
    if (known && shard->size < record) { /* a record may begin with any bytes */
        dataset_lose(&source->shards.dataset, "'%s' is not a file of CIFAR's binary version but %s", shard->path,
                     known);
        return EFFNET_OK;
    }
    TRY(shard_file_read(shard, 0, source->bytes + *used, (size_t)(records * record), err));
    for (int64_t i = 0; i < records; i++) {
        const uint8_t *bytes = source->bytes + *used + i * record;
        int classes = labels == 2 ? 100 : 10, label = bytes[labels - 1];
        if (label >= classes) {
            dataset_lose(&source->shards.dataset, "'%s#%lld': its label %d is out of range (0 to %d)", shard->path,
                         (long long)i, label, classes - 1);
            continue;
        }
        const Member member = {
            .file = file, .offset = *used + i * record + labels, .size = PIXELS, .label = label, .number = (uint32_t)i};
        TRY(shard_source_add(&source->shards, &member, NULL, err));
    }
    if (shard->size % record)
        dataset_lose(&source->shards.dataset, "'%s' ends in the middle of record %lld: it is truncated", shard->path,
                     (long long)records);
    *used += records * record;
    return EFFNET_OK;
}

static effnet_status name_classes(CifarSource *source, effnet_error *err) {
    Dataset *dataset = &source->shards.dataset;
    const char *first = source->shards.files.files[0].path;
    int classes = label_bytes(first) == 2 ? 100 : 10;
    char path[SOURCE_PATH_BYTES];
    TRY(path_beside(path, sizeof path, first, classes == 100 ? "fine_label_names.txt" : "batches.meta.txt", err));
    if (!path_exists(path)) return name_list_count(&dataset->own_classes, classes, err);
    TRY(name_list_read(path, &dataset->own_classes, err));
    dataset->classes_named = true;
    if (dataset->own_classes.count != classes)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' names %d classes; wanted %d, one a line", path,
                    dataset->own_classes.count, classes);
    return name_list_check_unique(&dataset->own_classes, path, err);
}

static effnet_status cifar_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                 effnet_error *err) {
    (void)decoder, (void)err;
    const CifarSource *source = (const CifarSource *)dataset;
    *out = (Blob){.format = BLOB_PLANES,
                  .bytes = source->bytes + source->shards.members[index].offset,
                  .size = PIXELS,
                  .height = SIDE,
                  .width = SIDE};
    return EFFNET_OK;
}

static void cifar_release(Dataset *dataset) {
    free(((CifarSource *)dataset)->bytes);
    shard_source_release(dataset);
}

static const SourceMethods cifar_methods = {.fetch = cifar_fetch,
                                            .label = shard_source_label,
                                            .describe = shard_source_describe_number,
                                            .release = cifar_release};

static effnet_status fill(CifarSource *source, effnet_error *err) {
    int64_t total = 0, used = 0;
    ShardFiles *files = &source->shards.files;
    source->shards.dataset.in_memory = true;
    for (int i = 0; i < files->count; i++) {
        if (label_bytes(files->files[i].path) != label_bytes(files->files[0].path))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is CIFAR-%s and '%s' is not", files->files[0].path,
                        label_bytes(files->files[0].path) == 2 ? "100" : "10", files->files[i].path);
        total += files->files[i].size;
    }
    source->bytes = malloc((size_t)total + 1);
    if (!source->bytes)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %lld bytes of '%s'", (long long)total,
                    files->files[0].path);
    for (int i = 0; i < files->count; i++) TRY(add_file(source, i, &used, err));
    TRY(name_classes(source, err));
    return shard_source_finish(&source->shards, err);
}

effnet_status source_cifar_open(const NameList *paths, Dataset **out, effnet_error *err) {
    ShardSource *source;
    *out = NULL;
    TRY(shard_source_create(&cifar_methods, paths, sizeof(CifarSource), &source, err));
    effnet_status status = fill((CifarSource *)source, err);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
