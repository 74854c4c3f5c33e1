/* api_export.c - a model for other programs: ONNX, with a golden picture and its logits in the metadata. */
#include "api/golden.h"

#include "format/onnx.h"
#include "train/from_recipe.h"

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
                               .metadata = (const char *const *)metadata};
    effnet_status status = onnx_write(path, &model->network, model->parameters, model->statistics, &write, error);
    card_metadata_free(metadata);
    return status;
}
