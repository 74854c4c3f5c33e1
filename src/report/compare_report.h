/* compare_report.h - two models on the same pictures, as a page: who is better, by how much, and where they differ. */
#ifndef EFFNET_REPORT_COMPARE_REPORT_H
#define EFFNET_REPORT_COMPARE_REPORT_H

#include "data/sources/dataset.h"
#include "report/predictions.h"

typedef struct ComparedModel {
    const char *title; /* its file */
    char about[300];
    const char *const *class_names;
    const Predictions *predictions; /* in the order of the data set's pictures */
} ComparedModel;

typedef struct CompareReport {
    ComparedModel models[2];
    const char *data;
    const Dataset *dataset; /* its labels in the first model's order */
} CompareReport;

/* Counts of the pictures that both could read. */
PairedTest compare_predictions(const Predictions *first, const Predictions *second);
/* folder/compare.html, and differences.csv: each picture that one of the two has right. */
effnet_status compare_report_write(const CompareReport *report, const PairedTest *test, const char *folder,
                                   effnet_error *err);

#endif
