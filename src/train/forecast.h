/* forecast.h - a run told before its first step: everything that it would open is opened, a few steps are done on its
 * own pictures and timed, and nothing is written. Internal to the library; see effnet_plan in effnet.h. */
#ifndef EFFNET_TRAIN_FORECAST_H
#define EFFNET_TRAIN_FORECAST_H

#include "train/run.h"

/* `recipe` is resolved as in train_run. pictures: 0, or how many to plan for where the recipe and options name no
 * data. forecast_free after an error too. */
effnet_status forecast_run(Recipe *recipe, const effnet_train_options *options, int64_t pictures, effnet_plan *out,
                           effnet_error *err);
void forecast_free(effnet_plan *plan);

/* forecast_warnings.c: notes about settings that are legal and seldom meant, and about pictures whose mean and deviation
 * are far from what a network expects. */
void forecast_warn(const effnet_plan *plan, const Recipe *recipe, RunNotes *notes);

#endif
