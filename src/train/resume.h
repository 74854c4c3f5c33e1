/* resume.h - may a run go on with this recipe? Internal to train/. */
#ifndef EFFNET_TRAIN_RESUME_H
#define EFFNET_TRAIN_RESUME_H

#include "recipe/recipe.h"

/* Compares the resolved recipe of a run with the one saved in its checkpoint folder. Keys that change what is computed
 * must be the same; the error names those that are not. */
effnet_status resume_check_recipe(const char *checkpoint, const Recipe *recipe, effnet_error *err);

#endif
