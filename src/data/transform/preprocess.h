/* preprocess.h - from a picture of any size to the (height, width, 3) floats the network sees. */
#ifndef EFFNET_DATA_TRANSFORM_PREPROCESS_H
#define EFFNET_DATA_TRANSFORM_PREPROCESS_H

#include "base/random.h"
#include "data/transform/augment_erase.h"
#include "data/transform/augment_policy.h"
#include "data/picture/decode_region.h"
#include "data/transform/resize.h"
#include "recipe/evaluation_transform.h"
#include "recipe/recipe.h"

typedef struct PreprocessOptions {
    EvaluationTransform transform; /* size, resizing and colours are training's too */
    int train_crop;                /* training only, as all that follows; recipe.h's choice */
    int crop_padding;
    double scale[2], ratio[2], hflip;
    bool whole; /* levels: whole */
    AugmentPolicy policy;
    EraseOptions erase;
} PreprocessOptions;

/* Everything but policy and erase, which stay empty. */
void preprocess_from_recipe(const Recipe *recipe, TensorShape input, PreprocessOptions *out);
/* Of evaluation alone; what training has is the recipe's defaults. */
PreprocessOptions preprocess_of_transform(const EvaluationTransform *transform);
/* policy and erase: the recipe's keys from `aa` to `recount`. */
effnet_status preprocess_augment_from_recipe(const Recipe *recipe, PreprocessOptions *out, effnet_error *err);

/* out (height, width, 3) floats, (pixel/255 - mean) / std; with mean 0 and std 1/255 (normalize: false) the
 * levels 0..255 exactly. Training: random crop and flip, augmentation, every choice drawn from `key` alone. */
effnet_status preprocess_train(const PreprocessOptions *options, const Picture *picture, RandomKey key, float *out,
                               effnet_error *err);
effnet_status preprocess_eval(const EvaluationTransform *transform, const Picture *picture, float *out,
                              effnet_error *err);

/* The same with buffers that a thread keeps from picture to picture: {0} is a new one. `key` NULL: evaluation. */
typedef struct PreprocessBuffers {
    Resizer resizer;
    uint8_t *region; /* a box that reaches over the picture's edges */
    size_t region_capacity;
    uint8_t *levels[2]; /* a picture of the output's size while it is augmented, and its scratch */
    size_t level_capacity;
    uint8_t *group; /* three channels of a picture that has others */
    float *made;    /* three channels before they are whole levels, or before they are spread over others */
    size_t group_capacity, made_capacity; /* bytes; floats */
} PreprocessBuffers;

void preprocess_release(PreprocessBuffers *buffers);
effnet_status preprocess_picture(const PreprocessOptions *options, const Picture *picture, const RandomKey *key,
                                 PreprocessBuffers *buffers, float *out, effnet_error *err);
/* Whether training's pictures are whole levels before they are normalised, and nothing else comes after that. */
bool preprocess_gives_levels(const PreprocessOptions *options);
/* The same of a region, whose crop is the one that preprocess_crop names, and which must hold it. */
effnet_status preprocess_region(const PreprocessOptions *options, const Region *region, const RandomKey *key,
                                PreprocessBuffers *buffers, float *out, effnet_error *err);
/* Of training, where preprocess_gives_levels: the levels (height, width, channels) instead; byte * scale + bias
 * (evaluation_transform_levels), rounded after each, are the floats of preprocess_region to the last bit. */
effnet_status preprocess_region_levels(const PreprocessOptions *options, const Region *region, RandomKey key,
                                       PreprocessBuffers *buffers, uint8_t *out, effnet_error *err);
/* What a Decoder is asked for: 0, RGB, whose luma makes one channel; else as many samples as they are stored. */
static inline int decoded_channels(TensorShape input) {
    return input.channels == 1 || input.channels == 3 ? 0 : input.channels;
}
/* The part of a picture of this size that is used, in its own pixels; its box may reach over the edges, but for where
 * preprocess_box_is_inside says that training never does. */
PictureCrop preprocess_crop(const PreprocessOptions *options, int height, int width, const RandomKey *key);
PictureCrop preprocess_eval_crop(const EvaluationTransform *transform, int height, int width);
bool preprocess_box_is_inside(const PreprocessOptions *options);
/* Contradictions and values out of range, before any picture is read. */
effnet_status preprocess_check(const PreprocessOptions *options, effnet_error *err);

#endif
