/* api_export.c - a model for other programs: ONNX, GGUF, and C. Each holds a golden picture and its logits. */
#include "api/golden.h"

#include "base/memory.h"
#include "format/c_source.h"
#include "format/gguf.h"
#include "format/onnx.h"

#include <stdlib.h>
#include <string.h>

/* The card's texts and the golden picture; freed by card_metadata_free. */
static effnet_status describe(const effnet_model *model, bool int8, char ***out, effnet_error *err) {
    Golden golden;
    TRY(golden_make(model, int8, &golden, err));
    effnet_status status = card_metadata(&model->card, out, err);
    if (status == EFFNET_OK) status = golden_to_metadata(&golden, model->network.config.num_classes, *out, err);
    if (status == EFFNET_OK && int8)
        status = card_metadata_add(*out, GOLDEN_DTYPE_KEY, model->bytes ? GOLDEN_DTYPE_STATIC : GOLDEN_DTYPE, err);
    golden_free(&golden);
    if (status != EFFNET_OK) {
        card_metadata_free(*out);
        *out = NULL;
    }
    return status;
}

effnet_status effnet_model_save_onnx(const effnet_model *model, const char *path, const effnet_onnx_options *options,
                                     effnet_error *error) {
    effnet_onnx_options chosen;
    char **metadata;
    NEED(model);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_onnx_options", error));
    TRY(describe(model, chosen.int8, &metadata, error));
    const StaticBytes *fixed = chosen.int8 ? model->bytes : NULL;
    const OnnxOptions write = {.opset = chosen.opset,
                               .keep_batch_norm = chosen.keep_batch_norm,
                               .int8 = chosen.int8 && !fixed,
                               .fixed = fixed,
                               .pictures = chosen.preprocessing ? &model->card.transform : NULL,
                               .several = model->card.several,
                               .metadata = (const char *const *)metadata};
    effnet_status status = onnx_write(path, &model->network, fixed ? fixed->parameters : model->parameters,
                                      fixed ? fixed->statistics : model->statistics, &write, error);
    card_metadata_free(metadata);
    return status;
}

effnet_status effnet_model_save_gguf(const effnet_model *model, const char *path, const effnet_gguf_options *options,
                                     effnet_error *error) {
    effnet_gguf_options chosen;
    char **metadata = NULL;
    NEED(model);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_gguf_options", error));
    const char **labels = model_labels(model, error);
    if (!labels) return error ? error->status : EFFNET_ERROR_MEMORY;
    effnet_model written = *model; /* the weights as the file has them: the golden logits are theirs */
    written.idle = NULL;
    written.parameters = NULL;
    const size_t count = model->network.parameter_floats;
    effnet_status status = memory_allocate_floats(1, count, "the weights", &written.parameters, error);
    if (status == EFFNET_OK) memcpy(written.parameters, model->parameters, count * sizeof(float));
    if (status == EFFNET_OK && chosen.half) status = gguf_round(&model->network, written.parameters, error);
    if (status == EFFNET_OK) status = describe(&written, false, &metadata, error);
    if (status == EFFNET_OK) {
        const GgufOptions write = {.half = chosen.half,
                                   .transform = &model->card.transform,
                                   .labels = labels,
                                   .metadata = (const char *const *)metadata};
        status = gguf_write(path, &model->network, written.parameters, model->statistics, &write, error);
        card_metadata_free(metadata);
    }
    memory_free(written.parameters);
    free(labels);
    return status;
}

effnet_status effnet_model_save_c(const effnet_model *model, const char *path, effnet_error *error) {
    Golden golden;
    NEED(model);
    NEED(path);
    const char **labels = model_labels(model, error);
    if (!labels) return error ? error->status : EFFNET_ERROR_MEMORY;
    effnet_status status = golden_make(model, false, &golden, error);
    if (status == EFFNET_OK) {
        const CSourceOptions options = {.pictures = &model->card.transform,
                                        .labels = labels,
                                        .several = model->card.several,
                                        .notes = effnet_model_notes(model),
                                        .golden = golden.picture.pixels,
                                        .golden_height = golden.picture.height,
                                        .golden_width = golden.picture.width,
                                        .golden_logits = golden.logits};
        status = c_source_write(path, &model->network, model->parameters, model->statistics, &options, error);
        golden_free(&golden);
    }
    free(labels);
    return status;
}
