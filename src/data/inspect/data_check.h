/* data_check.h - a whole data set read once, to know before a run what it would meet. */
#ifndef EFFNET_DATA_INSPECT_DATA_CHECK_H
#define EFFNET_DATA_INSPECT_DATA_CHECK_H

#include "data/sources/dataset.h"

typedef enum CheckFinding {
    CHECK_BAD,              /* cannot be decoded */
    CHECK_LOST,             /* was found unusable while opening */
    CHECK_DUPLICATE,        /* the same pixels twice in one split */
    CHECK_DUPLICATE_ACROSS, /* in training and in evaluation */
    CHECK_DUPLICATE_LABELS, /* the same pixels with two labels */
    CHECK_REMARK,           /* nothing wrong: what was chosen while opening (dataset_remark) */
} CheckFinding;

typedef struct CheckOptions {
    const char *source;
    int workers;                                                /* 0: one for each processor */
    bool (*progress)(void *context, int64_t done, int64_t all); /* true stops */
    void (*found)(void *context, CheckFinding finding, const char *text);
    void *context;
} CheckOptions;

typedef struct CheckReport {
    int classes;
    char **class_names;  /* (classes) */
    int64_t *counts[2];  /* (classes) readable pictures of training, of evaluation; NULL where there is no such split */
    int64_t pictures[2]; /* listed, readable or not */
    int64_t bad[2], lost[2];
    int64_t duplicates, duplicates_across, duplicates_labels;
    bool one_split; /* training and evaluation are the same pictures: counted once, under training */
} CheckReport;

/* Every picture of both splits decoded once; pictures of equal checksums compared pixel by pixel. */
effnet_status data_check(const CheckOptions *options, CheckReport *out, effnet_error *err);
void check_report_free(CheckReport *report);

#endif
