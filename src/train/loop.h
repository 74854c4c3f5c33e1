/* loop.h - the whole run; see effnet_train in effnet.h for the options. */
#ifndef EFFNET_TRAIN_LOOP_H
#define EFFNET_TRAIN_LOOP_H

#include "recipe/recipe.h"

effnet_status train_run(Recipe *recipe, const effnet_train_options *options, effnet_train_result *result,
                        effnet_error *err);

#endif
