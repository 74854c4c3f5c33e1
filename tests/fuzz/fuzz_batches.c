/* fuzz_batches.c - any bytes as the tensors of `effnet replay`: opened as batches of two pictures of 4 x 4, every one
 * read, its labels in range. */
#include "fuzz_file.h"
#include "train/batch_file.h"

enum { BATCH = 2, SIDE = 4, CLASSES = 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int descriptor = fuzz_file(data, size, path);
    BatchFile file;
    effnet_error err = {0};
    effnet_status status = batch_file_open(path, BATCH, (TensorShape){SIDE, SIDE, 3}, &file, &err);
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    for (int64_t i = 0; status == EFFNET_OK && i < file.batches && i < 100; i++) {
        float images[BATCH * SIDE * SIDE * 3];
        int32_t labels[BATCH];
        if (batch_file_read(&file, i, CLASSES, images, labels, &err) != EFFNET_OK) continue;
        for (int b = 0; b < BATCH; b++)
            if (labels[b] < 0 || labels[b] >= CLASSES) abort();
        for (int k = 0; k < BATCH * SIDE * SIDE * 3; k++)
            if (!(images[k] - images[k] == 0)) abort(); /* finite */
    }
    if (status == EFFNET_OK) batch_file_close(&file);
    close(descriptor);
    return 0;
}
