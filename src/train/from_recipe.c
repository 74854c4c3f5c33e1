/* from_recipe.c - the model that a recipe asks for: the published one by name, with the recipe's differences; and the
 * card that tells a reader of its weights how pictures are prepared for it. */
#include "train/train.h"

#include <string.h>

effnet_status model_config_from_recipe(const Recipe *recipe, int num_classes, ModelConfig *out, effnet_error *err) {
    TRY(model_config_by_name(recipe->model, out, err));
    out->num_classes = num_classes > 0 ? num_classes : (int)recipe->num_classes;
    if (out->num_classes < 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the number of classes is not known: set num_classes in the recipe");
    if (recipe->resolution > 0) out->resolution = (int)recipe->resolution;
    if (recipe->drop >= 0) out->drop = recipe->drop;
    out->padding = recipe->padding == PADDING_SYMMETRIC ? MODEL_PADDING_SYMMETRIC : MODEL_PADDING_SAME;
    out->bn_momentum = recipe->bn_momentum;
    out->bn_eps = recipe->bn_eps;
    out->bn_unbiased = recipe->bn_variance == BN_VARIANCE_UNBIASED;
    out->drop_path = recipe->drop_path;
    out->head_fixed = recipe->head_width == HEAD_WIDTH_FIXED;
    out->squeeze_even = recipe->se_round == SE_ROUND_EVEN;
    return EFFNET_OK;
}

void model_card_from_recipe(const Recipe *recipe, const ModelConfig *config, ModelCard *out) {
    *out = (ModelCard){
        .config = *config,
        .resolution = config->resolution,
        .crop_pct = recipe->crop_pct,
        .interpolation = recipe->interpolation,
        .resize = recipe->resize,
        .overshoot = recipe->overshoot,
        .val_crop = recipe->val_crop,
        .pad_to = (int)recipe->pad_to,
        .exif_orientation = recipe->exif_orientation,
    };
    recipe_normalisation(recipe, out->mean, out->std);
}

void recipe_from_card(const ModelCard *card, Recipe *recipe) {
    const ModelConfig *config = &card->config;
    snprintf(recipe->model, sizeof recipe->model, "%s", config->name);
    recipe->resolution = card->resolution;
    recipe->padding = config->padding == MODEL_PADDING_SAME ? PADDING_SAME : PADDING_SYMMETRIC;
    recipe->bn_eps = config->bn_eps;
    recipe->bn_momentum = config->bn_momentum;
    recipe->bn_variance = config->bn_unbiased ? BN_VARIANCE_UNBIASED : BN_VARIANCE_BIASED;
    recipe->head_width = config->head_fixed ? HEAD_WIDTH_FIXED : HEAD_WIDTH_SCALED;
    recipe->se_round = config->squeeze_even ? SE_ROUND_EVEN : SE_ROUND_FLOOR;
    recipe->crop_pct = card->crop_pct;
    recipe->interpolation = card->interpolation;
    recipe->resize = card->resize;
    recipe->overshoot = card->overshoot;
    recipe->val_crop = card->val_crop;
    recipe->pad_to = card->pad_to;
    recipe->exif_orientation = card->exif_orientation;
    memcpy(recipe->mean, card->mean, sizeof recipe->mean); /* normalize: true, so that a later mean counts */
    memcpy(recipe->std, card->std, sizeof recipe->std);
}
