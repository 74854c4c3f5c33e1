/* run_curves.h - a run's log read back as curves: for its report, for the comparison of two runs, for a reference. */
#ifndef EFFNET_REPORT_RUN_CURVES_H
#define EFFNET_REPORT_RUN_CURVES_H

#include "base/error.h"
#include "report/reference_curve.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The numbers of a line of log.jsonl that are curves, each an array over the lines; NaN where a line has none. */
enum {
    CURVE_EPOCH,
    CURVE_STEP,
    CURVE_LOSS,
    CURVE_LR,
    CURVE_IMAGES_PER_S,
    CURVE_SECONDS,
    CURVE_GRADIENT_NORM,
    CURVE_WEIGHT_NORM,
    CURVE_UPDATE_NORM,
    CURVE_DATA_WAIT,
    CURVE_TOP1,
    CURVE_EMA_TOP1,
    CURVE_AVERAGE_PRECISION,
    CURVES
};

typedef struct RunCurves {
    double *values[CURVES];
    char (*fingerprints)[9]; /* "" where a line has none */
    bool *ends_epoch;        /* the line of an epoch: its means are over the whole of it */
    int64_t count, capacity;
} RunCurves;

/* FOLDER/log.jsonl, or the file itself; a torn last line is passed over. */
effnet_status run_curves_read(const char *path, RunCurves *out, effnet_error *err);
void run_curves_free(RunCurves *curves);

/* The section of a report that shows them, beside the reference (may be NULL) as far as the run goes; an epoch's means,
 * which belong on no curve of intervals, become NaN. */
void run_curves_write(FILE *out, RunCurves *curves, const ReferenceCurve *reference, int64_t steps_per_epoch);

#endif
