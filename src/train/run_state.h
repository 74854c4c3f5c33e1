/* run_state.h - where a run begins: afresh, from --init, or from the newest whole checkpoint. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_STATE_H
#define EFFNET_TRAIN_RUN_STATE_H

#include "train/run.h"

/* EFFNET_ERROR_ARGUMENT where the folder holds a run's checkpoints. */
effnet_status run_state_check_new(const char *out, effnet_error *err);
/* Reads what the options say into the trainer's state; nothing is written. A folder with checkpoints is only taken to
 * go on with them. */
effnet_status run_state_open(Run *run, effnet_error *err);
/* Once the run's log is locked: makes sure that nobody has written since, sets damaged checkpoints aside, and puts
 * `last` and `best` right where a kill came between a checkpoint and its names. */
effnet_status run_state_settle(Run *run, effnet_error *err);

#endif
