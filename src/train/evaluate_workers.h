/* evaluate_workers.h - an evaluation by several workers, each of its own part of the pictures: how often they meet, and
 * what all of them know at the end. Internal to train/. */
#ifndef EFFNET_TRAIN_EVALUATE_WORKERS_H
#define EFFNET_TRAIN_EVALUATE_WORKERS_H

#include "dist/workers.h"
#include "report/predictions.h"
#include "train/accuracy.h"
#include "train/set_metrics.h"

/* The most batches that any worker has, and its end: so often all of them meet. Alone: 0. */
effnet_status evaluate_workers_rounds(Workers *workers, int64_t batches, int64_t *out, effnet_error *err);
/* Sums and answers for set metrics (`count` of each), and predictions (NULL: not kept), from this worker's to all
 * workers'; predictions in the pictures' order, as one worker makes them. Alone: as they are. */
effnet_status evaluate_workers_merge(Workers *workers, int count, Accuracy *sets, SetMetrics *metrics,
                                     Predictions *predictions, effnet_error *err);

#endif
