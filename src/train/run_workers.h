/* run_workers.h - a run of several workers (dist/workers.h) at its beginning: that all are about the same, and where it
 * begins. Alone, each returns at once. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_WORKERS_H
#define EFFNET_TRAIN_RUN_WORKERS_H

#include "train/run.h"

/* After run_prepare: EFFNET_ERROR_ARGUMENT on every worker, naming what differs, where program, processor, recipe,
 * pictures or the last step are not those of worker 0. */
effnet_status run_workers_check(Run *run, effnet_error *err);
/* The blocks of worker 0's state in everybody's, which have the same; `what` names them in messages. */
effnet_status run_workers_share_blocks(Run *run, TrainState *state, const char *what, effnet_error *err);
/* Worker 0 has read what the run begins with; everybody gets it. */
effnet_status run_workers_share_state(Run *run, effnet_error *err);

#endif
