/* evaluation_transform.c - see evaluation_transform.h. */
#include "recipe/evaluation_transform.h"

#include "recipe/recipe.h"

#include <string.h>

void evaluation_transform_from_recipe(const Recipe *recipe, TensorShape input, EvaluationTransform *out) {
    *out = (EvaluationTransform){
        .input = input,
        .val_crop = recipe->val_crop,
        .interpolation = recipe->interpolation,
        .resize = recipe->resize,
        .overshoot = recipe->overshoot,
        .pad_to = (int)recipe->pad_to,
        .exif_orientation = recipe->exif_orientation,
        .crop_pct = recipe->crop_pct,
    };
    recipe_normalisation(recipe, input.channels, out->mean, out->std);
}

void recipe_take_transform(const EvaluationTransform *transform, Recipe *recipe) {
    recipe->resolution = (PictureSize){transform->input.height, transform->input.width};
    recipe->val_crop = transform->val_crop;
    recipe->interpolation = transform->interpolation;
    recipe->resize = transform->resize;
    recipe->overshoot = transform->overshoot;
    recipe->pad_to = transform->pad_to;
    recipe->exif_orientation = transform->exif_orientation;
    recipe->crop_pct = transform->crop_pct;
    recipe->normalize = true;
    recipe->in_chans = transform->input.channels;
    recipe->mean = recipe->std = (ChannelValues){.count = transform->input.channels};
    memcpy(recipe->mean.values, transform->mean, (size_t)transform->input.channels * sizeof *transform->mean);
    memcpy(recipe->std.values, transform->std, (size_t)transform->input.channels * sizeof *transform->std);
}

void evaluation_transform_levels(const EvaluationTransform *transform, double scale[MOST_CHANNELS],
                                 double bias[MOST_CHANNELS]) {
    for (int c = 0; c < transform->input.channels; c++) { /* (byte / 255 - mean) / std */
        scale[c] = 1 / (255 * transform->std[c]);
        bias[c] = -transform->mean[c] / transform->std[c];
    }
}
