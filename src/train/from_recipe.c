/* from_recipe.c - the model that a recipe asks for: the published one by name, with the recipe's differences. */
#include "train/train.h"

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
    return EFFNET_OK;
}
