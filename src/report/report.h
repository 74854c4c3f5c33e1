/* report.h - an evaluation, and a run where there was one, as a folder: report.html, report.json, predictions.csv. */
#ifndef EFFNET_REPORT_REPORT_H
#define EFFNET_REPORT_REPORT_H

#include "data/sources/dataset.h"
#include "report/predictions.h"
#include "report/run_curves.h"

typedef struct Report {
    const char *title; /* what was evaluated: a path, as its reader knows it */
    const char *data;  /* path of the pictures */
    char model[300];   /* "efficientnet_b0 at 224x224, averaged weights of step 90" */
    const char *const *class_names;
    const Predictions *predictions;
    const Dataset *dataset;
    int64_t skipped;                 /* pictures that could not be read */
    double seconds;                  /* of the evaluation */
    RunCurves *curves;               /* of the run, or NULL */
    const ReferenceCurve *reference; /* of its recipe, or NULL */
    int64_t steps_per_epoch;
    const char *run_note; /* a sentence on the run, or NULL */
} Report;

/* Writes the three files, each beside and renamed; the folder is made where it is not there. */
effnet_status report_write(const Report *report, const char *folder, effnet_error *err);

#endif
