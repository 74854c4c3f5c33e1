/* batch_fit.h - batch_size: auto, the largest batch whose steps fit into the memory that is free. Internal to train/. */
#ifndef EFFNET_TRAIN_BATCH_FIT_H
#define EFFNET_TRAIN_BATCH_FIT_H

#include "train/run.h"

/* Where the recipe says auto (0), writes the number into it and tells it: that of the run that is
 * resumed, or the largest power of two times replicas * accumulate, at most 4,096 and a tenth of the training pictures
 * (16 where these are few), that needs no more than 80 % of the free memory by the plan of its steps. Needs the run's data,
 * network and team. */
effnet_status run_fit_batch(Run *run, effnet_error *err);
/* Its two parts: the limit of so many training pictures, and the batch below it that needs no more bytes than allowed, `unit`
 * at least. */
typedef struct BatchNeeds {
    double fixed, each; /* bytes, and bytes a picture */
} BatchNeeds;
int64_t batch_most(int64_t pictures, int64_t unit);
int64_t batch_that_fits(const BatchNeeds *needs, double allowed, int64_t unit, int64_t most);
/* The number that a run in `folder` began with, where the recipe says auto. */
effnet_status batch_of_run(const char *folder, Recipe *recipe, effnet_error *err);

#endif
