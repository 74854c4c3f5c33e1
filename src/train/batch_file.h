/* batch_file.h - batches as tensors in a safetensors file, for replay_batches.c; the file's form is told in effnet.h
 * (effnet_replay_options). Read one batch at a time, so the file may be larger than memory. */
#ifndef EFFNET_TRAIN_BATCH_FILE_H
#define EFFNET_TRAIN_BATCH_FILE_H

#include "base/tensor_shape.h"
#include "format/safetensors.h"

typedef struct BatchFile {
    Safetensors *file;
    int images, labels; /* indices of the tensors */
    int batch;          /* images a batch */
    int64_t batches;
    size_t image_floats; /* of one image */
} BatchFile;

/* Checks both tensors' shapes against batches of `batch` images of that shape. Closed by batch_file_close. */
effnet_status batch_file_open(const char *path, int batch, TensorShape input, BatchFile *out, effnet_error *err);
void batch_file_close(BatchFile *file);
/* Batch `index` (below batches): images (batch, input), finite, and labels (batch), whole numbers from 0 to
 * classes - 1. */
effnet_status batch_file_read(const BatchFile *file, int64_t index, int classes, float *images, int32_t *labels,
                              effnet_error *err);

#endif
