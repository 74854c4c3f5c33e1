/* schedule.h - the learning rate of a step. */
#ifndef EFFNET_TRAIN_SCHEDULE_H
#define EFFNET_TRAIN_SCHEDULE_H

#include "recipe/recipe.h"

/* Of a 0-based step. */
double schedule_learning_rate(const Recipe *recipe, int64_t step, int64_t steps_per_epoch);

#endif
