/* source_effpack.c - pictures out of an effpack, mapped into memory: nothing is copied, and of pixels (--raw) nothing
 * is decoded either. The table's checksum and every offset are checked at opening, a picture's checksum when it is read
 * first. The table is copied, and before each read the
 * file's length and time are looked at: one that is changed while it is mapped is an error of its pictures. (Between
 * the look and the read lie microseconds; a file that is cut off in just these ends the process with SIGBUS.) */
#include "data/sources/effpack.h"
#include "base/crc32c.h"
#include "data/sources/shard_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct EffpackSource {
    Dataset dataset;
    ShardFiles files;
    int descriptor;
    const uint8_t *map;
    size_t size;
    EffpackEntry *entries; /* (size of the data set) of this split: copies, which stay whatever becomes of the file */
    char *texts;           /* a copy, too */
    atomic_uchar *checked; /* (size of the data set) 1 once the checksum was found right */
} EffpackSource;

static const EffpackEntry *entry_of(const Dataset *dataset, int64_t index) {
    return &((const EffpackSource *)dataset)->entries[index];
}

static void effpack_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    const EffpackSource *source = (const EffpackSource *)dataset;
    snprintf(buffer, size, "%s: %s", source->files.files[0].path, source->texts + entry_of(dataset, index)->name);
}

static int effpack_label(const Dataset *dataset, int64_t index) {
    return entry_of(dataset, index)->label;
}

static effnet_status check_unchanged(const EffpackSource *source, effnet_error *err) {
    const ShardFile *file = &source->files.files[0];
    struct stat status;
    if (fstat(source->descriptor, &status) == 0 && status.st_size == file->size &&
        status.st_mtim.tv_sec == file->changed.tv_sec && status.st_mtim.tv_nsec == file->changed.tv_nsec)
        return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "'%s' was changed since it was opened; begin anew", file->path);
}

static effnet_status effpack_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                   effnet_error *err) {
    (void)decoder;
    const EffpackSource *source = (const EffpackSource *)dataset;
    const EffpackEntry *entry = entry_of(dataset, index);
    const uint8_t *bytes = source->map + entry->payload;
    TRY(check_unchanged(source, err));
    if (!atomic_load_explicit(&source->checked[index], memory_order_relaxed)) {
        if (crc32c(0, bytes, entry->size) != entry->payload_sum)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s: %s' is damaged: its checksum is wrong",
                        source->files.files[0].path, source->texts + entry->name);
        atomic_store_explicit(&source->checked[index], 1, memory_order_relaxed);
    }
    *out = (Blob){.format = entry->format == EFFPACK_RGB ? BLOB_RGB : BLOB_ENCODED,
                  .bytes = bytes,
                  .size = entry->size,
                  .height = entry->height,
                  .width = entry->width,
                  .orientation = entry->orientation};
    return EFFNET_OK;
}

static void effpack_release(Dataset *dataset) {
    EffpackSource *source = (EffpackSource *)dataset;
    if (source->map) munmap((void *)source->map, source->size);
    if (source->descriptor >= 0) close(source->descriptor);
    free(source->entries);
    free(source->texts);
    free(source->checked);
    shard_files_free(&source->files);
}

static const SourceMethods effpack_methods = {
    .fetch = effpack_fetch, .label = effpack_label, .describe = effpack_describe, .release = effpack_release};

/* ---- opening ---- */

static effnet_status damaged(const EffpackSource *source, const char *what, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a damaged or truncated effpack: %s; pack it again",
                source->files.files[0].path, what);
}

static effnet_status check_head(const EffpackSource *source, const EffpackHead *head, effnet_error *err) {
    if (source->size < sizeof *head || !bytes_are_effpack(source->map, source->size))
        return damaged(source, "it does not begin like one", err);
    if (head->version != 1)
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is an effpack of version %u; this program reads version 1",
                    source->files.files[0].path, head->version);
    if (head->sum != effpack_head_sum(head)) return damaged(source, "the checksum of its head is wrong", err);
    if (!head->complete)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not complete: run the `effnet pack` that made it again",
                    source->files.files[0].path);
    bool ordered = head->end == source->size && head->texts <= head->end && head->table <= head->texts &&
                   head->table >= sizeof *head && head->table % EFFPACK_ALIGNMENT == 0 &&
                   head->pictures == (head->texts - head->table) / sizeof(EffpackEntry) &&
                   (head->texts - head->table) % sizeof(EffpackEntry) == 0 && head->pictures <= UINT32_MAX &&
                   head->class_texts <= head->end - head->texts && head->classes <= CLASSES_LIMIT;
    if (!ordered) return damaged(source, "its length is not what its head says", err);
    if (crc32c(0, source->map + head->table, head->end - head->table) != head->table_sum)
        return damaged(source, "the checksum of its table is wrong", err);
    if (head->end == head->texts || source->map[head->end - 1] != 0)
        return damaged(source, "its names do not end", err);
    return EFFNET_OK;
}

static effnet_status check_entry(const EffpackSource *source, const EffpackHead *head, const EffpackEntry *entry,
                                 effnet_error *err) {
    bool inside = entry->payload >= sizeof *head && entry->payload <= head->table &&
                  entry->size <= head->table - entry->payload && entry->name < head->end - head->texts;
    if (!inside) return damaged(source, "a picture lies outside of it", err);
    if (entry->label < 0 || entry->label >= (int)head->classes) return damaged(source, "a label is out of range", err);
    if (entry->format == EFFPACK_ENCODED) return EFFNET_OK;
    bool pixels = entry->format == EFFPACK_RGB && entry->height > 0 && entry->width > 0 &&
                  entry->height <= PICTURE_MAX_SIDE && entry->width <= PICTURE_MAX_SIDE &&
                  3 * (int64_t)entry->height * entry->width == entry->size;
    return pixels ? EFFNET_OK : damaged(source, "a picture's size is not that of its pixels", err);
}

static effnet_status choose(EffpackSource *source, const EffpackHead *head, DatasetSplit split, bool *absent,
                            bool *whole, effnet_error *err) {
    uint32_t bit = split == SPLIT_TRAIN ? EFFPACK_TRAIN : EFFPACK_VALIDATION;
    Dataset *dataset = &source->dataset;
    const EffpackEntry *all = (const EffpackEntry *)(source->map + head->table);
    size_t texts = head->end - head->texts, chosen = 0, both = 0;
    for (uint64_t i = 0; i < head->pictures; i++) {
        chosen += (all[i].splits & bit) != 0;
        both += (all[i].splits & EFFPACK_TRAIN) && (all[i].splits & EFFPACK_VALIDATION);
    }
    *whole = both == head->pictures;
    source->entries = malloc((chosen + 1) * sizeof *source->entries);
    source->checked = calloc(chosen + 1, sizeof *source->checked);
    source->texts = malloc(texts);
    if (!source->entries || !source->checked || !source->texts)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for %llu pictures", (unsigned long long)head->pictures);
    for (uint64_t i = 0; i < head->pictures; i++) {
        TRY(check_entry(source, head, &all[i], err));
        if (all[i].splits & bit) source->entries[dataset->size++] = all[i];
    }
    memcpy(source->texts, source->map + head->texts, texts);
    *absent = !dataset->size;
    if (*absent)
        return fail(err, EFFNET_ERROR_IO, "'%s' has no %s pictures%s", source->files.files[0].path,
                    split == SPLIT_TRAIN ? "training" : "validation",
                    split == SPLIT_TRAIN ? "" : "; keep a share of the training pictures apart (val_split: 20%)");
    const char *name = source->texts + head->class_texts, *end = source->texts + texts;
    for (uint32_t i = 0; i < head->classes; i++) {
        if (name >= end) return damaged(source, "it names too few classes", err);
        TRY(name_list_add(&dataset->own_classes, name, err));
        name += strlen(name) + 1;
    }
    dataset->classes_named = head->classes_named != 0;
    return name_list_check_unique(&dataset->own_classes, source->files.files[0].path, err);
}

static effnet_status fill(EffpackSource *source, const char *path, DatasetSplit split, bool *absent, bool *whole,
                          effnet_error *err) {
    TRY(shard_files_add(&source->files, path, err));
    TRY(shard_file_open(&source->files.files[0], &source->descriptor, err));
    source->size = (size_t)source->files.files[0].size;
    if (!source->size) return damaged(source, "it is empty", err);
    void *map = mmap(NULL, source->size, PROT_READ, MAP_SHARED, source->descriptor, 0);
    if (map == MAP_FAILED) return fail(err, EFFNET_ERROR_IO, "cannot map '%s': %s", path, strerror(errno));
    source->map = map;
    const EffpackHead *head = map;
    TRY(check_head(source, head, err));
    return choose(source, head, split, absent, whole, err);
}

effnet_status source_effpack_open(const char *path, DatasetSplit split, bool *absent, bool *whole, Dataset **out,
                                  effnet_error *err) {
    *out = NULL;
    EffpackSource *source = calloc(1, sizeof *source);
    if (!source) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", path);
    source->dataset.methods = &effpack_methods;
    source->descriptor = -1;
    effnet_status status = fill(source, path, split, absent, whole, err);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
