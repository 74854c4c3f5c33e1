/* api_verify.c - does an exported file still hold what was exported? Its checksum, and its weights run on the golden
 * picture beside the logits that were written with it. */
#include "api/golden.h"
#include "base/text_ends.h"
#include "format/gguf.h"
#include "format/onnx_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the largest golden logit: folding batch norm and another machine's order of sums move logits by about 1e-6. */
static const double tolerance = 1e-4;
/* The same of bytes: where a value falls to the other side between two steps, the next layers magnify it. Lite0 to Lite2 and a
 * B0, on AVX2 and on plain C: up to 1.2 % where each pixel has a range of its own, 2.6 % where the ranges are fixed. */
static const double byte_tolerance = 0.04, static_tolerance = 0.1;

static const char *find_in_onnx(const void *file, const char *key) {
    return onnx_metadata(file, key);
}

static const char *find_in_gguf(const void *file, const char *key) {
    return gguf_metadata(file, key);
}

static const char *find_in_safetensors(const void *file, const char *key) {
    return safetensors_metadata(file, key);
}

/* The model's logits of the golden picture beside those of the file. */
static effnet_status compare(const effnet_model *model, bool int8, const Golden *golden, const char *path,
                             effnet_verification *told, effnet_error *err) {
    const int classes = model->network.config.num_classes;
    float *logits = calloc((size_t)classes, sizeof *logits);
    if (!logits) return fail(err, EFFNET_ERROR_MEMORY, "no memory to verify '%s'", path);
    effnet_status status = golden_run(model, int8, &golden->picture, logits, err);
    int worst = 0;
    for (int i = 0; i < classes && status == EFFNET_OK; i++) {
        const double difference = fabs((double)logits[i] - (double)golden->logits[i]);
        if (!(difference <= told->worst)) { /* NaN too */
            told->worst = difference;
            worst = i;
        }
        told->largest = fmax(told->largest, fabs((double)golden->logits[i]));
    }
    const double allowed = !int8 ? tolerance : model->bytes ? static_tolerance : byte_tolerance;
    if (status == EFFNET_OK && !(told->worst <= allowed * fmax(told->largest, 1)))
        status = fail(err, EFFNET_ERROR_FORMAT,
                      "'%s': logit %d of its golden picture is %.7g and should be %.7g: the weights are not those that "
                      "were exported",
                      path, worst, (double)logits[worst], (double)golden->logits[worst]);
    free(logits);
    return status;
}

static effnet_status verify_model(const CardTexts *texts, const effnet_model *model, effnet_verification *told,
                                  effnet_error *err) {
    Golden golden;
    bool found;
    snprintf(told->model, sizeof told->model, "%s", model->network.config.name);
    told->num_classes = model->network.config.num_classes;
    TRY(golden_from_metadata(texts, told->num_classes, &golden, &found, err));
    told->has_golden = found;
    if (!found) return EFFNET_OK;
    const char *dtype = texts->find(texts->file, GOLDEN_DTYPE_KEY);
    effnet_status status = compare(model, dtype != NULL, &golden, texts->path, told, err);
    golden_free(&golden);
    return status;
}

static effnet_status verify_onnx(const OnnxFile *file, const char *path, effnet_verification *told, effnet_error *err) {
    const CardTexts texts = {path, find_in_onnx, file};
    ModelCard card;
    bool found;
    effnet_model *model = NULL;
    TRY(onnx_verify(file, err));
    told->has_checksum = true;
    TRY(card_from_texts(&texts, &card, &found, err));
    if (!found) return fail(err, EFFNET_ERROR_FORMAT, "'%s' does not say which model it is", path);
    TRY(model_allocate(&card, NULL, 0, NULL, &model, err));
    ByteRange *ranges = NULL;
    effnet_status status = onnx_read_weights(file, &model->network, model->parameters, model->statistics, err);
    if (status == EFFNET_OK) status = onnx_read_ranges(file, &model->network, &ranges, err);
    if (status == EFFNET_OK && ranges) status = model_set_ranges(model, ranges, NULL, err);
    if (status == EFFNET_OK) status = verify_model(&texts, model, told, err);
    effnet_model_free(model);
    return status;
}

static effnet_status verify_gguf(const GgufFile *file, const char *path, effnet_verification *told, effnet_error *err) {
    const CardTexts texts = {path, find_in_gguf, file};
    ModelCard card;
    bool found;
    effnet_model *model = NULL;
    told->has_checksum = true; /* or it would not have been opened */
    TRY(card_from_texts(&texts, &card, &found, err));
    if (!found) return fail(err, EFFNET_ERROR_FORMAT, "'%s' does not say which model it is", path);
    TRY(model_allocate(&card, NULL, 0, NULL, &model, err));
    effnet_status status = gguf_read_weights(file, &model->network, model->parameters, model->statistics, err);
    if (status == EFFNET_OK) status = verify_model(&texts, model, told, err);
    effnet_model_free(model);
    return status;
}

static effnet_status verify_safetensors(const char *path, effnet_verification *told, effnet_error *err) {
    Safetensors *file;
    effnet_model *model = NULL;
    TRY(safetensors_open(path, &file, err));
    const CardTexts texts = {path, find_in_safetensors, file};
    told->has_checksum = safetensors_has_sum(file);
    effnet_status status = effnet_model_open(path, NULL, &model, err); /* reads every tensor, and checks the sum */
    if (status == EFFNET_OK) status = verify_model(&texts, model, told, err);
    effnet_model_free(model);
    safetensors_close(file);
    return status;
}

effnet_status effnet_verify(const char *path, effnet_verification *out, effnet_error *error) {
    effnet_verification told = {0};
    effnet_status status;
    NEED(path);
    NEED(out);
    TRY(result_clear(out, "effnet_verification", error));
    if (text_ends_with(path, ".safetensors")) {
        status = verify_safetensors(path, &told, error);
    } else if (text_ends_with(path, ".gguf")) {
        GgufFile *file;
        TRY(gguf_open(path, &file, error));
        status = verify_gguf(file, path, &told, error);
        gguf_close(file);
    } else {
        OnnxFile *file;
        TRY(onnx_open(path, &file, error));
        status = verify_onnx(file, path, &told, error);
        onnx_close(file);
    }
    if (status == EFFNET_OK) result_write(out, &told, sizeof told);
    return status;
}
