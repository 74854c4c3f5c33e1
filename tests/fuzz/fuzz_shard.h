/* fuzz_shard.h - any bytes as a file of many pictures: opened and every picture read, or an error that says why. */
#ifndef EFFNET_TESTS_FUZZ_SHARD_H
#define EFFNET_TESTS_FUZZ_SHARD_H

#include "data/sources/shard_source.h"
#include "data/sources/source_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef effnet_status OpenFunction(const NameList *paths, Dataset **out, effnet_error *err);

/* Training of "train", "val". */
static inline SplitWanted fuzz_splits(bool *absent, bool *whole) {
    static const char *const train[] = {"train", NULL}, *const val[] = {"val", NULL};
    return (SplitWanted){.names = train, .known = {train, val}, .absent = absent, .whole = whole};
}

static inline effnet_status fuzz_open_tar(const NameList *paths, int64_t hold_limit, Dataset **out, effnet_error *err) {
    bool absent, whole;
    const SplitWanted wanted = fuzz_splits(&absent, &whole);
    return source_tar_open(paths, &wanted, hold_limit, out, err);
}

static inline void fuzz_read_all(const Dataset *dataset) {
    for (int64_t i = 0; i < dataset_size(dataset); i++) {
        Picture picture;
        int label = dataset_label(dataset, i);
        if (label < 0 || label >= dataset_num_classes(dataset)) abort();
        if (dataset_read(dataset, i, &picture, NULL) == EFFNET_OK) picture_free(&picture);
    }
}

/* Opened and every picture read; then of the half of them that a training would have without a split. */
static inline void fuzz_shard_paths(const NameList *paths, OpenFunction *open_source) {
    Dataset *dataset;
    effnet_error err = {0};
    effnet_status status = open_source(paths, &dataset, &err);
    if ((status == EFFNET_OK) != (dataset != NULL)) abort();
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    if (!dataset) return;
    fuzz_read_all(dataset);
    if (source_share(&dataset, false, &(SourcePart){.share = 0.5}, &err) == EFFNET_OK) fuzz_read_all(dataset);
    dataset_free(dataset);
}

static inline void fuzz_shard(const uint8_t *data, size_t size, OpenFunction *open_source) {
    char path[64], *names[1] = {path};
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    fuzz_shard_paths(&(NameList){.names = names, .count = 1}, open_source);
    close(descriptor);
}

#endif
