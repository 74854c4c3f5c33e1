/* run_check.h - what would make a run learn nothing, or something else than its user thinks: refused or told before the
 * first step. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_CHECK_H
#define EFFNET_TRAIN_RUN_CHECK_H

#include "train/run.h"

/* One class. `data`: the source, for the message. */
effnet_status run_check_classes(const Dataset *train, const char *data, effnet_error *err);
/* The same, and classes of which a split has no picture. */
effnet_status run_check_data(Run *run, effnet_error *err);
/* A batch norm that sees one value a channel; a learning rate of 0. */
effnet_status run_check_training(Run *run, effnet_error *err);

#endif
