/* label_audit.h - which labels are likely to be wrong, from a model's answers. */
#ifndef EFFNET_REPORT_LABEL_AUDIT_H
#define EFFNET_REPORT_LABEL_AUDIT_H

#include "base/error.h"
#include "report/predictions.h"

typedef struct LabelSuspect {
    int64_t place;   /* in the predictions */
    int32_t meant;   /* the class that it is likely to be */
    float certainty; /* probability of `meant` less that of the label */
} LabelSuspect;

/* Confident learning (Northcutt, Jiang, Chuang, arXiv 1911.00068): a class's threshold is the mean probability that
 * pictures labelled so are given for it; a picture whose label is below another class, whose probability reaches that
 * class's own threshold, is a suspect. So a class of which the model is never sure needs less to be believed. The surest
 * come first. *list is freed with free(); *count may be 0. */
effnet_status label_audit(const Predictions *predictions, LabelSuspect **list, int64_t *count, effnet_error *err);

#endif
