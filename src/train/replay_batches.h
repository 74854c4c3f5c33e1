/* replay_batches.h - training on batches given as tensors; see effnet_replay in effnet.h. */
#ifndef EFFNET_TRAIN_REPLAY_BATCHES_H
#define EFFNET_TRAIN_REPLAY_BATCHES_H

#include "recipe/recipe.h"

effnet_status replay_run(const Recipe *recipe, const effnet_replay_options *options, effnet_error *err);

#endif
