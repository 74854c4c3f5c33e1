/* finetune_recipe.h - a recipe that fine-tunes a trained model on a data set of some size: what `effnet finetune` runs
 * where its user says nothing else. */
#ifndef EFFNET_TRAIN_FINETUNE_RECIPE_H
#define EFFNET_TRAIN_FINETUNE_RECIPE_H

#include "recipe/recipe.h"
#include "train/model_card.h"

/* Model and pictures as the card has them; `pictures` to train on. */
void finetune_recipe(const ModelCard *card, int64_t pictures, Recipe *out);

#endif
