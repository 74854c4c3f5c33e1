/* run_reference.h - a run beside its recipe's reference curve: what is told at the end of an epoch. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_REFERENCE_H
#define EFFNET_TRAIN_RUN_REFERENCE_H

#include "train/run.h"

/* "at epoch 5 you are at 41.20 %, the reference at 40.80 (+- 0.60)" of an accuracy in per cent; false where the recipe has
 * no reference for the epoch. */
bool run_reference_describe(const Run *run, int64_t epoch, double accuracy, char *text, size_t size);

#endif
