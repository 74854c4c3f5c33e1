/* api_predict_files.c - many pictures in, classes out: files are read by the model's threads, a picture a task, and
 * those that could be read go through the network as one batch, in the order of their paths. */
#include "api/handles.h"
#include "data/picture/decode.h"

#include "base/memory.h"

#include <string.h>

typedef struct Reading {
    const effnet_model *model;
    const char *const *paths;
    float *images; /* (files, side, side, 3) */
    effnet_error *errors;
} Reading;

static void read_one(void *context, int file, int thread) {
    const Reading *reading = context;
    const effnet_model *model = reading->model;
    size_t side = (size_t)model->card.resolution;
    effnet_error *err = &reading->errors[file];
    Picture picture;
    (void)thread;
    *err = (effnet_error){.status = EFFNET_OK};
    if (picture_read_as(reading->paths[file], model->preprocess.exif_orientation, &picture, err) != EFFNET_OK) return;
    effnet_status status =
        preprocess_eval(&model->preprocess, &picture, reading->images + (size_t)file * side * side * 3, err);
    if (status == EFFNET_OK) err->status = EFFNET_OK;
    picture_free(&picture);
}

/* Moves the pictures that were read to the front; returns their number. */
static int close_ranks(float *images, size_t floats, const effnet_error *errors, int files) {
    int good = 0;
    for (int i = 0; i < files; i++) {
        if (errors[i].status != EFFNET_OK) continue;
        if (good < i) memcpy(images + (size_t)good * floats, images + (size_t)i * floats, floats * sizeof *images);
        good++;
    }
    return good;
}

static effnet_status classify(effnet_model *model, const Reading *reading, int files, float *logits,
                              effnet_prediction *out, int count, effnet_error *err) {
    size_t side = (size_t)model->card.resolution, classes = (size_t)model->network.config.num_classes;
    thread_team_run(model->team, read_one, (void *)reading, files);
    int good = close_ranks(reading->images, side * side * 3, reading->errors, files), next = 0;
    if (!good) return EFFNET_OK;
    TRY(effnet_logits(model, reading->images, good, logits, err));
    for (int i = 0; i < files; i++) {
        if (reading->errors[i].status != EFFNET_OK) continue;
        TRY(model_rank(model, logits + (size_t)next++ * classes, out + (size_t)i * (size_t)count, count, err));
    }
    return EFFNET_OK;
}

effnet_status effnet_predict_files(effnet_model *model, const char *const *paths, int files, effnet_prediction *out,
                                   int count, effnet_error *errors, effnet_error *error) {
    void *images, *logits = NULL;
    NEED(model);
    NEED(paths);
    NEED(out);
    NEED(errors);
    size_t side = (size_t)model->card.resolution, classes = (size_t)model->network.config.num_classes;
    TRY(model_check_count(model, count, error));
    if (files < 0) return fail(error, EFFNET_ERROR_ARGUMENT, "files is %d; allowed: 0 or more", files);
    if (!files) return EFFNET_OK;
    TRY(memory_allocate((size_t)files * side * side * 3, sizeof(float), "the pictures", &images, error));
    effnet_status status = memory_allocate((size_t)files * classes, sizeof(float), "the logits", &logits, error);
    const Reading reading = {.model = model, .paths = paths, .images = images, .errors = errors};
    if (status == EFFNET_OK) status = classify(model, &reading, files, logits, out, count, error);
    memory_free(images);
    memory_free(logits);
    return status;
}
