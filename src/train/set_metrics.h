/* set_metrics.h - how good answers are where a picture may have any number of labels: mean average precision and F1, over
 * classes, from the logits of all pictures. Internal to train/. */
#ifndef EFFNET_TRAIN_SET_METRICS_H
#define EFFNET_TRAIN_SET_METRICS_H

#include "base/error.h"

#include <stdint.h>

typedef struct SetMetrics {
    int classes;
    int64_t pictures, room;
    float *logits;   /* (pictures, classes) */
    uint8_t *wanted; /* (pictures, classes) 1: the picture has that class */
} SetMetrics;

/* logits and targets (0 or 1) of a batch: (N, classes) each. */
effnet_status set_metrics_add(SetMetrics *metrics, const float *logits, const float *targets, int batch,
                              effnet_error *err);
/* Room for so many pictures, those that are there included. */
effnet_status set_metrics_room(SetMetrics *metrics, int64_t pictures, effnet_error *err);
/* Per cent, each the mean over the classes that a picture has (average precision) or that a picture has or was given (F1).
 * Average precision: the sum over thresholds of precision times the recall that is won, equal logits being one threshold
 * (scikit-learn's average_precision_score). F1: a class is given where its logit is above 0, a probability of a half. NaN
 * counts as the lowest logit. */
effnet_status set_metrics_finish(const SetMetrics *metrics, double *average_precision, double *f1, effnet_error *err);
void set_metrics_free(SetMetrics *metrics);

#endif
