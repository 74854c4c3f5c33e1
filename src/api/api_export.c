/* api_export.c - a model for other programs: ONNX, and C. Both hold a golden picture and its logits. */
#include "api/golden.h"

#include "format/c_source.h"
#include "format/onnx.h"
#include "train/from_recipe.h"

#include <stdlib.h>

/* The card's texts and the golden picture; freed by card_metadata_free. */
static effnet_status describe(const effnet_model *model, char ***out, effnet_error *err) {
    Golden golden;
    TRY(golden_make(model, &golden, err));
    effnet_status status = card_metadata(&model->card, out, err);
    if (status == EFFNET_OK) status = golden_to_metadata(&golden, model->network.config.num_classes, *out, err);
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
    Recipe recipe;
    NEED(model);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_onnx_options", error));
    TRY(describe(model, &metadata, error));
    recipe_defaults(&recipe);
    recipe_from_card(&model->card, &recipe);
    const OnnxOptions write = {.opset = chosen.opset,
                               .keep_batch_norm = chosen.keep_batch_norm,
                               .pictures = chosen.preprocessing ? &recipe : NULL,
                               .several = model->card.several,
                               .metadata = (const char *const *)metadata};
    effnet_status status = onnx_write(path, &model->network, model->parameters, model->statistics, &write, error);
    card_metadata_free(metadata);
    return status;
}

effnet_status effnet_model_save_c(const effnet_model *model, const char *path, effnet_error *error) {
    Golden golden;
    Recipe recipe;
    NEED(model);
    NEED(path);
    const char **labels = model_labels(model, error);
    if (!labels) return error ? error->status : EFFNET_ERROR_MEMORY;
    effnet_status status = golden_make(model, &golden, error);
    if (status == EFFNET_OK) {
        recipe_defaults(&recipe);
        recipe_from_card(&model->card, &recipe);
        const CSourceOptions options = {.pictures = &recipe,
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
