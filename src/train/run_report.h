/* run_report.h - OUT/report, written where a run ends that was evaluated at its last step. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_REPORT_H
#define EFFNET_TRAIN_RUN_REPORT_H

#include "train/run.h"

/* Whether the evaluation of this step is the one that the report shows. */
bool run_report_wanted(const Run *run);
/* From run->predictions and the log; nothing where there are none. Of the evaluation: its `seconds`, and
 * the pictures that could not be read. Of several workers the first writes, and all have its predictions. */
effnet_status run_report_write(Run *run, double seconds, int64_t skipped, effnet_error *err);

#endif
