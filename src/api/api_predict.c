/* api_predict.c - pictures in, classes out. */
#include "api/handles.h"
#include "data/picture/decode.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOGITS_BATCH = 32 }; /* a larger batch is cut into such parts, so that memory stays bounded */

effnet_status effnet_logits(effnet_model *model, const float *images, int batch, float *logits, effnet_error *error) {
    NEED(model);
    NEED(images);
    NEED(logits);
    if (batch < 1) return fail(error, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 or more", batch);
    int part = batch < LOGITS_BATCH ? batch : LOGITS_BATCH;
    size_t side = (size_t)model->card.resolution, classes = (size_t)model->network.config.num_classes;
    TRY(model_engine(model, part, error));
    for (int first = 0; first < batch; first += part) {
        const EngineForward call = {
            .batch = batch - first < part ? batch - first : part,
            .images = images + (size_t)first * side * side * 3,
            .parameters = model->parameters,
            .statistics = model->statistics,
            .logits = logits + (size_t)first * classes,
            .version = model->writes + 1,
        };
        TRY(engine_forward(model->engine, &call, error));
    }
    return EFFNET_OK;
}

/* Turns logits into probabilities; false where one is not finite. */
static bool softmax(float *values, int count) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
        if (values[i] > largest) largest = values[i];
    }
    for (int i = 0; i < count; i++) sum += exp(values[i] - largest);
    for (int i = 0; i < count; i++) values[i] = (float)(exp(values[i] - largest) / sum);
    return true;
}

/* Likelier first; among equals the lower index. */
static int compare_predictions(const void *a, const void *b) {
    const effnet_prediction *left = a, *right = b;
    if (left->probability != right->probability) return left->probability < right->probability ? 1 : -1;
    return left->index < right->index ? -1 : 1;
}

effnet_status model_rank(const effnet_model *model, float *logits, effnet_prediction *out, int count,
                         effnet_error *err) {
    int classes = model->network.config.num_classes;
    if (!softmax(logits, classes))
        return fail(err, EFFNET_ERROR_NUMERIC, "the output of %s is not finite; its weights are damaged",
                    model->network.config.name);
    effnet_prediction *all = malloc((size_t)classes * sizeof *all);
    if (!all) return fail(err, EFFNET_ERROR_MEMORY, "no memory to rank %d classes", classes);
    for (int i = 0; i < classes; i++)
        all[i] = (effnet_prediction){.index = i, .probability = logits[i], .label = effnet_model_label(model, i)};
    qsort(all, (size_t)classes, sizeof *all, compare_predictions);
    memcpy(out, all, (size_t)count * sizeof *out);
    free(all);
    return EFFNET_OK;
}

static effnet_status classify(effnet_model *model, const Picture *picture, float *image, float *logits,
                              effnet_prediction *out, int count, effnet_error *err) {
    TRY(preprocess_eval(&model->preprocess, picture, image, err));
    TRY(effnet_logits(model, image, 1, logits, err));
    return model_rank(model, logits, out, count, err);
}

effnet_status model_check_count(const effnet_model *model, int count, effnet_error *err) {
    int classes = model->network.config.num_classes;
    if (count < 1 || count > classes)
        return fail(err, EFFNET_ERROR_ARGUMENT, "count is %d; allowed: 1 to the model's %d classes", count, classes);
    return EFFNET_OK;
}

static effnet_status predict_picture(effnet_model *model, const Picture *picture, effnet_prediction *out, int count,
                                     effnet_error *err) {
    size_t side = (size_t)model->card.resolution;
    void *image, *logits = NULL;
    TRY(memory_allocate(side * side * 3, sizeof(float), "a picture", &image, err));
    effnet_status status =
        memory_allocate((size_t)model->network.config.num_classes, sizeof(float), "the logits", &logits, err);
    if (status == EFFNET_OK) status = classify(model, picture, image, logits, out, count, err);
    memory_free(image);
    memory_free(logits);
    return status;
}

effnet_status effnet_predict(effnet_model *model, const uint8_t *pixels, int height, int width, size_t stride,
                             effnet_prediction *out, int count, effnet_error *error) {
    NEED(model);
    NEED(pixels);
    NEED(out);
    TRY(model_check_count(model, count, error));
    if (height < 1 || width < 1 || height > PICTURE_MAX_SIDE || width > PICTURE_MAX_SIDE ||
        (int64_t)height * width > PICTURE_MAX_PIXELS)
        return fail(error, EFFNET_ERROR_ARGUMENT, "the picture is %d x %d; allowed: sides of 1 to %d, %d pixels in all",
                    height, width, PICTURE_MAX_SIDE, PICTURE_MAX_PIXELS);
    size_t row = (size_t)width * 3;
    if (stride == 0) stride = row;
    if (stride < row)
        return fail(error, EFFNET_ERROR_ARGUMENT, "stride is %zu bytes; a row of %d pixels has %zu", stride, width,
                    row);
    Picture picture = {.height = height, .width = width, .pixels = malloc(row * (size_t)height)};
    if (!picture.pixels) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a picture of %d x %d", height, width);
    for (int y = 0; y < height; y++) memcpy(picture.pixels + (size_t)y * row, pixels + (size_t)y * stride, row);
    effnet_status status = predict_picture(model, &picture, out, count, error);
    free(picture.pixels);
    return status;
}

effnet_status effnet_predict_file(effnet_model *model, const char *path, effnet_prediction *out, int count,
                                  effnet_error *error) {
    Picture picture;
    NEED(model);
    NEED(path);
    NEED(out);
    TRY(model_check_count(model, count, error));
    TRY(picture_read_as(path, model->preprocess.exif_orientation, &picture, error));
    effnet_status status = predict_picture(model, &picture, out, count, error);
    picture_free(&picture);
    return status;
}
