/* augment_mix.h - Mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899) on a finished batch,
 * as timm's data/mixup.py has them: image i is mixed with image batch - 1 - i, by one share for the whole batch or one
 * for each image. Internal to data/. */
#ifndef EFFNET_DATA_TRANSFORM_AUGMENT_MIX_H
#define EFFNET_DATA_TRANSFORM_AUGMENT_MIX_H

#include "base/random.h"
#include "base/tensor_shape.h"
#include "recipe/recipe.h"

typedef struct MixOptions {
    double mixup, cutmix;      /* alpha of the share's distribution Beta(alpha, alpha); 0: not this one */
    double probability;        /* of a batch (or an image) to be mixed */
    double switch_probability; /* of CutMix where both are on */
    int mode;                  /* recipe.h: MIXUP_MODE_BATCH, MIXUP_MODE_ELEM */
} MixOptions;

MixOptions mix_from_recipe(const Recipe *recipe);
bool mix_is_empty(const MixOptions *options);

/* Changes images (batch, shape) in place; `spare` has room for one. The target of image n becomes
 * shares[n] * labels[n] + (1 - shares[n]) * others[n]. Every choice is a function of the key. */
void mix_batch(const MixOptions *options, RandomKey key, int batch, TensorShape shape, float *images, float *spare,
               const int32_t *labels, int32_t *others, float *shares);

#endif
