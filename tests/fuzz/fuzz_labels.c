/* fuzz_labels.c - any bytes as the lists beside ImageNet's validation tar: the first byte chooses which of the three
 * kinds it is, a zero byte ends the first list and begins the second. Labels, or an error that says why. */
#include "data/sources/imagenet_labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const kinds[3][2] = {
    {"imagenet_2012_validation_synset_labels.txt", "unused.txt"},
    {"ILSVRC2012_validation_ground_truth.txt", "ILSVRC2012_synsets.txt"},
    {"val.txt", "synsets.txt"},
};

static char folder[64];

static void remove_folder(void) {
    rmdir(folder);
}

/* In memory where the machine has such a folder. */
static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/effnet-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) abort();
    atexit(remove_folder);
}

static void write_list(const char *path, const uint8_t *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!folder[0]) make_folder();
    if (size == 0) return 0;
    const char *const *names = kinds[data[0] % 3];
    const uint8_t *zero = memchr(data + 1, 0, size - 1);
    size_t first = zero ? (size_t)(zero - data) - 1 : size - 1;
    char paths[2][128], tar[128];
    for (int i = 0; i < 2; i++) snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    snprintf(tar, sizeof tar, "%s/ILSVRC2012_img_val.tar", folder);
    write_list(paths[0], data + 1, first);
    if (zero) write_list(paths[1], zero + 1, size - 2 - first);
    ImagenetLabels labels;
    bool found;
    effnet_error err = {0};
    if (imagenet_labels_read(tar, &labels, &found, &err) == EFFNET_OK) {
        if (!found) abort(); /* the list lies there */
        imagenet_labels_find(&labels, "ILSVRC2012_val_00000001.JPEG");
        imagenet_labels_find(&labels, "ILSVRC2012_val_99999999999999999999.JPEG");
        imagenet_labels_find(&labels, "a");
        imagenet_labels_free(&labels);
    } else if (!err.message[0]) {
        abort(); /* never silence */
    }
    for (int i = 0; i < 2; i++) unlink(paths[i]);
    return 0;
}
