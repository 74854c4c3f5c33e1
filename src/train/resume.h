/* resume.h - may a run go on with this recipe and these pictures? Internal to train/. */
#ifndef EFFNET_TRAIN_RESUME_H
#define EFFNET_TRAIN_RESUME_H

#include "train/run.h"

/* Compares the resolved recipe of a run with the one saved in its checkpoint folder. Keys that change what is computed
 * must be the same; the error names those that are not. */
effnet_status resume_check_recipe(const char *checkpoint, const Recipe *recipe, effnet_error *err);
/* Names of the keys in which the resolved recipes of two workers differ and must not; "" where there are none. */
void recipe_differences_of_workers(const Recipe *recipe, const Recipe *other, char *names, size_t size);
/* Compares the classes, the training pictures and the engine with those of the checkpoint: others are an error that
 * names the difference, or a note where options->resume_anyway says so. What an older checkpoint doesn't tell is not
 * compared. */
effnet_status resume_check_data(const char *checkpoint, Run *run, effnet_error *err);

#endif
