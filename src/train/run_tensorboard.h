/* run_tensorboard.h - a sink that tells a run to TensorBoard: OUT/events.out.tfevents... beside log.jsonl. Internal to
 * train/. */
#ifndef EFFNET_TRAIN_RUN_TENSORBOARD_H
#define EFFNET_TRAIN_RUN_TENSORBOARD_H

#include "train/run.h"

/* Opens the file of this process; closed by event_file_close(&run->events). */
effnet_status run_tensorboard_open(Run *run, effnet_error *err);
/* The sink (`context`: the Run). Scalars of every interval and epoch; after the last evaluation also its confusion matrix
 * and worst mistakes as pictures. */
RunSinkFunction run_tensorboard_take;

#endif
