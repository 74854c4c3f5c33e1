/* evaluation_transform.h - how a picture of any size becomes the network's input where nothing is random: the one
 * description of it that recipe, card, loader, API, server and every export share. data/transform carries it out;
 * format/ writes it down as ONNX operators and as C. */
#ifndef EFFNET_RECIPE_EVALUATION_TRANSFORM_H
#define EFFNET_RECIPE_EVALUATION_TRANSFORM_H

#include "base/tensor_shape.h"
#include "recipe/recipe_struct.h"

/* A picture (H, W, channels) of bytes -> `input` floats, rows from the top, channels last; of one channel the luma of a
 * picture of RGB:
 * (byte / 255 - mean) / std of its part that is used, resized. */
typedef struct EvaluationTransform {
    TensorShape input;                              /* the network's */
    int val_crop, interpolation, resize, overshoot; /* recipe_struct.h's choices */
    int pad_to;                                     /* smaller pictures lie in a black canvas of this side; 0: never */
    bool exif_orientation; /* they stand upright before anything else: the decoder's business */
    double crop_pct;       /* of val_crop */
    double mean[MOST_CHANNELS],
        std[MOST_CHANNELS]; /* of each channel; mean 0 and std 1 / 255: the levels as they are */
} EvaluationTransform;

/* As the recipe's keys say, for such an input. */
void evaluation_transform_from_recipe(const Recipe *recipe, TensorShape input, EvaluationTransform *out);
/* The way back: the recipe's keys that say the same. normalize becomes true, so that a later mean counts. */
void recipe_take_transform(const EvaluationTransform *transform, Recipe *recipe);
/* input = byte * scale + bias, per channel. */
void evaluation_transform_levels(const EvaluationTransform *transform, double scale[MOST_CHANNELS],
                                 double bias[MOST_CHANNELS]);

#endif
