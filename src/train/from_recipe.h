/* from_recipe.h - what a recipe asks for: a step, a model, a network, the card of its weights; and the way back. */
#ifndef EFFNET_TRAIN_FROM_RECIPE_H
#define EFFNET_TRAIN_FROM_RECIPE_H

#include "recipe/recipe.h"
#include "step/step_spec.h"
#include "train/model_card.h"

/* What a step of the recipe computes. */
void step_spec_from_recipe(const Recipe *recipe, StepSpec *out);
/* Model configuration that a recipe asks for. */
effnet_status model_config_from_recipe(const Recipe *recipe, int num_classes, ModelConfig *out, effnet_error *err);
/* The network of it, with what the recipe freezes and the learning rates of its layers. Freed by network_free. */
effnet_status network_from_recipe(const Recipe *recipe, const ModelConfig *config, Network *out, effnet_error *err);
/* The card of a model of that configuration trained by that recipe, without class names, step 0. */
void model_card_from_recipe(const Recipe *recipe, const ModelConfig *config, ModelCard *out);
/* The way back: model, padding, batch norm and pictures as the card has them; everything else stays. */
void recipe_from_card(const ModelCard *card, Recipe *recipe);

#endif
