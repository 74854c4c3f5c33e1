/* fuzz_idx.c - any bytes as an IDX file of images, with ten labels beside it that are right: opened and every picture
 * read, or an error that says why. */
#include "data/sources/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file without a name; its path stands in `path`. */
static int make_file(const uint8_t *bytes, size_t size, char path[64]) {
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, bytes, size) != (ssize_t)size) abort();
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t labels[18] = {0, 0, 8, 1, 0, 0, 0, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    char images_path[64], labels_path[64];
    int images_file = make_file(data, size, images_path), labels_file = make_file(labels, sizeof labels, labels_path);
    Dataset *dataset;
    effnet_error err = {0};
    effnet_status status = source_idx_open("/nowhere", images_path, labels_path, &dataset, &err);
    if ((status == EFFNET_OK) != (dataset != NULL)) abort();
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    for (int64_t i = 0; dataset && i < dataset_size(dataset); i++) {
        Picture picture;
        if (dataset_label(dataset, i) != i) abort();
        if (dataset_read(dataset, i, &picture, &err) == EFFNET_OK) picture_free(&picture);
    }
    dataset_free(dataset);
    close(images_file);
    close(labels_file);
    return 0;
}
