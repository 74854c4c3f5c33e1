/* run_log.h - OUT/log.jsonl: one JSON object a line, one line a log interval and one an epoch; internal to train/.
 *
 * Every line: epoch (from 1), step, loss, lr, images_per_s, seconds (since this process began the run), gradient_norm,
 * weight_norm, update_norm, data_wait (run_event.h); fingerprint (eight hexadecimal digits) where weights are at hand;
 * ends_epoch (true) in an epoch's; after an evaluation also top1, top5, ema_top1, ema_top5 (per cent; the last two where
 * averages are kept), average_precision and f1 (of several labels a picture). Numbers that are not finite are null. A line
 * is written and flushed whole. While it is open the file is locked, so two runs cannot write into one folder. */
#ifndef EFFNET_TRAIN_RUN_LOG_H
#define EFFNET_TRAIN_RUN_LOG_H

#include "train/run_event.h"

#include <stdio.h>

/* What the lines of steps say of an epoch that an earlier process began: sums over `steps` of them, for its means. */
typedef struct LoggedSteps {
    int64_t steps;
    double loss, gradient_norm;
} LoggedSteps;

typedef struct RunLog {
    FILE *stream;
    char path[1024];
    int64_t evaluated_step; /* of the last line with a top1; -1 where there is none */
    LoggedSteps epoch;      /* of the epoch that the log ends in, after run_log_cut */
} RunLog;

/* Opens folder/log.jsonl to append, and locks it; nothing in it is changed. */
effnet_status run_log_open(RunLog *log, const char *folder, effnet_error *err);
/* Lines of steps after `step` (those that a killed run wrote after the checkpoint it goes on from) and a torn last line
 * are cut off: the log stays one curve. Lines between that are none, damage, are left out, and the log as it was kept
 * as log.jsonl.damaged. Closes the log where that fails. */
effnet_status run_log_cut(RunLog *log, int64_t step, effnet_error *err);
/* The sink (`context`: the RunLog) of intervals and epochs. */
RunSinkFunction run_log_take;
void run_log_close(RunLog *log); /* harmless on a zeroed struct */

#endif
