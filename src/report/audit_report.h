/* audit_report.h - what an audit of a data set found, as a page and two tables. */
#ifndef EFFNET_REPORT_AUDIT_REPORT_H
#define EFFNET_REPORT_AUDIT_REPORT_H

#include "data/sources/dataset.h"
#include "report/label_audit.h"
#include "report/near_duplicates.h"

/* One split: its pictures, the model's answers, what is suspicious. */
typedef struct AuditedSplit {
    Dataset *dataset; /* NULL: there is none */
    Predictions predictions;
    PictureHash *hashes; /* (hash_count) */
    int64_t hash_count, hash_capacity;
    LabelSuspect *suspects;
    int64_t num_suspects;
} AuditedSplit;

typedef struct AuditReport {
    const AuditedSplit *splits; /* (2) training, evaluation */
    const NearPair *pairs;      /* training, evaluation */
    int64_t num_pairs;
    const char *const *class_names;
    int classes;
    const char *data, *model;
} AuditReport;

/* folder/audit.html, suspects.csv, duplicates.csv. */
effnet_status audit_report_write(const AuditReport *report, const char *folder, effnet_error *err);
/* The name of a label, "?" where it is none. */
const char *audit_label(const AuditReport *report, int label);

#endif
