/* batch_file.c - see batch_file.h. */
#include "train/batch_file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static effnet_status find_tensor(const Safetensors *file, const char *name, const char *form, int *index,
                                 effnet_error *err) {
    *index = safetensors_find(file, name);
    if (*index >= 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' has no tensor '%s'; it needs images (N, H, W, 3) or (batches, N, H, W, 3) "
                "and labels %s",
                safetensors_path(file), name, form);
}

/* images: rank 4 or 5, (..., height, width, channels). */
static effnet_status check_images(const char *path, const SafetensorsTensor *images, TensorShape input,
                                  effnet_error *err) {
    char shape[SHAPE_TEXT];
    shape_print(shape, images->rank, images->shape);
    if (images->rank != 4 && images->rank != 5)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': images is %s; it must be (N, H, W, 3) or (batches, N, H, W, 3)",
                    path, shape);
    const int64_t *last = images->shape + images->rank - 3;
    if (last[2] != input.channels)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': images is %s; the last axis is the channels and must be %d%s",
                    path, shape, input.channels,
                    last[0] == input.channels ? " (these look like channels first: transpose them)" : "");
    if (last[0] != input.height || last[1] != input.width)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': images is %s and the network takes %dx%d; set the recipe's resolution, or resize the images",
                    path, shape, input.height, input.width);
    return EFFNET_OK;
}

/* How the images make batches; labels must have the axes before the last three. */
static effnet_status cut(BatchFile *file, const SafetensorsTensor *images, const SafetensorsTensor *labels, int batch,
                         effnet_error *err) {
    const char *path = safetensors_path(file->file);
    int leading = images->rank - 3;
    int64_t count = images->shape[leading - 1];
    bool same = labels->rank == leading;
    for (int i = 0; same && i < leading; i++) same = labels->shape[i] == images->shape[i];
    if (!same) {
        char shape[SHAPE_TEXT], label_shape[SHAPE_TEXT];
        shape_print(shape, images->rank, images->shape);
        shape_print(label_shape, labels->rank, labels->shape);
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': images is %s and labels %s; there must be one label an image",
                    path, shape, label_shape);
    }
    if (leading == 2 && count != batch)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': the batches are of %lld images and the recipe's batch_size is %d; set batch_size=%lld", path,
                    (long long)count, batch, (long long)count);
    if (leading == 1 && count % batch != 0)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has %lld images, not a multiple of the recipe's batch_size of %d",
                    path, (long long)count, batch);
    file->batch = batch;
    file->batches = leading == 2 ? images->shape[0] : count / batch;
    if (file->batches < 1) return fail(err, EFFNET_ERROR_FORMAT, "'%s' holds no images", path);
    return EFFNET_OK;
}

static effnet_status check_tensors(BatchFile *out, int batch, TensorShape input, effnet_error *err) {
    TRY(find_tensor(out->file, "images", "(N) or (batches, N)", &out->images, err));
    TRY(find_tensor(out->file, "labels", "(N) or (batches, N)", &out->labels, err));
    SafetensorsTensor images = safetensors_tensor(out->file, out->images);
    SafetensorsTensor labels = safetensors_tensor(out->file, out->labels);
    TRY(check_images(safetensors_path(out->file), &images, input, err));
    out->image_floats = shape_floats(input);
    return cut(out, &images, &labels, batch, err);
}

effnet_status batch_file_open(const char *path, int batch, TensorShape input, BatchFile *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    TRY(safetensors_open(path, &out->file, err));
    effnet_status status = check_tensors(out, batch, input, err);
    if (status != EFFNET_OK) batch_file_close(out);
    return status;
}

void batch_file_close(BatchFile *file) {
    safetensors_close(file->file);
    file->file = NULL;
}

/* Labels come as floats, which hold every whole number that can be a class; `images` is room for a while. */
static effnet_status read_labels(const BatchFile *file, int64_t index, int classes, float *room, int32_t *labels,
                                 effnet_error *err) {
    size_t batch = (size_t)file->batch;
    TRY(safetensors_read_part(file->file, file->labels, (size_t)index * batch, room, batch, err));
    for (size_t n = 0; n < batch; n++) {
        float label = room[n];
        if (!(label >= 0 && label < (float)classes && label == floorf(label)))
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s': the label of image %zu of batch %lld is %g; %d classes allow whole numbers from 0 to %d",
                        safetensors_path(file->file), n, (long long)index, (double)label, classes, classes - 1);
        labels[n] = (int32_t)label;
    }
    return EFFNET_OK;
}

effnet_status batch_file_read(const BatchFile *file, int64_t index, int classes, float *images, int32_t *labels,
                              effnet_error *err) {
    TRY(read_labels(file, index, classes, images, labels, err));
    size_t floats = (size_t)file->batch * file->image_floats;
    TRY(safetensors_read_part(file->file, file->images, (size_t)index * floats, images, floats, err));
    for (size_t i = 0; i < floats; i++)
        if (!isfinite(images[i]))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': image %zu of batch %lld has a value that is not finite",
                        safetensors_path(file->file), i / file->image_floats, (long long)index);
    return EFFNET_OK;
}
