/* class_weights.h - the recipe's class_weights: what a picture of each class counts in the loss. Internal to train/. */
#ifndef EFFNET_TRAIN_CLASS_WEIGHTS_H
#define EFFNET_TRAIN_CLASS_WEIGHTS_H

#include "data/feed/loader.h"
#include "recipe/recipe.h"

typedef struct ClassWeights {
    float *of_class;   /* (classes); NULL: every picture counts 1 */
    float *of_picture; /* (batch) of the batch that was asked for last */
} ClassWeights;

/* auto: pictures / (classes * pictures of the class), over the classes that have pictures, so that a picture counts 1 on
 * average (scikit-learn's "balanced"); or the list. EFFNET_ERROR_ARGUMENT, naming the key, for a list of another length
 * or with what is no number of 0 or more. */
effnet_status class_weights_create(const Recipe *recipe, const Dataset *dataset, int classes, ClassWeights *out,
                                   effnet_error *err);
void class_weights_free(ClassWeights *weights);
/* (batch.size) of a batch, of a mixed picture as its targets are mixed; NULL where every picture counts 1. Good until the
 * next call. */
const float *class_weights_of(const ClassWeights *weights, const Batch *batch);

#endif
