/* loader_fixture.h - what tests of the loader begin with: an IDX folder whose pictures tell their number, and calls
 * that must succeed. */
#ifndef EFFNET_TESTS_LOADER_FIXTURE_H
#define EFFNET_TESTS_LOADER_FIXTURE_H

#include "data/feed/loader.h"
#include "make_pictures.h"

/* `pictures` grey ones (63 at most) for either split, picture i with label i % 7 and levels 4 * i, or where `grain`
 * 4 * i to 4 * i + 3. */
static inline ScratchFolder make_idx_folder(int pictures, int height, int width, bool grain) {
    ScratchFolder folder = scratch_folder_create();
    const uint32_t shape[3] = {(uint32_t)pictures, (uint32_t)height, (uint32_t)width};
    int each = height * width;
    Bytes images = make_idx(3, shape, (size_t)(pictures * each), 0, 1);
    Bytes labels = make_idx(1, shape, (size_t)pictures, 1, 7);
    for (int i = 0; i < pictures * each; i++) images.data[16 + i] = (uint8_t)(4 * (i / each) + (grain ? i % 4 : 0));
    const char *names[2] = {"train", "test"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-images-idx3-ubyte", names[i]);
        write_bytes(scratch_path(&folder, name), images);
        snprintf(name, sizeof name, "%s-labels-idx1-ubyte", names[i]);
        write_bytes(scratch_path(&folder, name), labels);
    }
    free(images.data);
    free(labels.data);
    return folder;
}

static inline Dataset *open_split(const char *root, DatasetSplit split) {
    Dataset *dataset;
    effnet_error err = {0};
    bool training = split == SPLIT_TRAIN; /* all of a folder without splits for either */
    if (dataset_open_with(root, training ? split : SPLIT_EVALUATION, NULL, training ? "100%" : NULL, &dataset, &err) !=
        EFFNET_OK)
        fail_msg("%s", err.message);
    return dataset;
}

static inline Loader *create_loader(const LoaderOptions *options) {
    Loader *loader;
    effnet_error err = {0};
    if (loader_create(options, &loader, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return loader;
}

static inline Batch next_batch(Loader *loader) {
    Batch batch;
    effnet_error err = {0};
    if (loader_next(loader, &batch, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return batch;
}

#endif
