/* probe.h - a linear classifier on features that do not change: multinomial logistic regression, the start of a
 * fine-tuning and its measure (Kornblith, Shlens and Le, arXiv 1805.08974, evaluate features by it). */
#ifndef EFFNET_TRAIN_PROBE_H
#define EFFNET_TRAIN_PROBE_H

#include "base/error.h"
#include "base/threads.h"

#include <stdint.h>

typedef struct ProbeData {
    int64_t rows;
    int features, classes;
    const float *values;   /* (rows, features) */
    const int32_t *labels; /* (rows) */
    /* Rows of one picture, seen in several ways, have the same number, and are never on two sides of a cross-validation;
     * numbers count from 0. NULL: each row is a picture of its own. */
    const int32_t *pictures;
} ProbeData;

typedef struct ProbeResult {
    double l2;       /* of the standardised weights, chosen */
    double accuracy; /* of the cross-validation that chose it, per cent */
    double loss;     /* and its mean cross-entropy */
} ProbeResult;

/* Fits weight (classes, features) and bias (classes), of the features as they are, so that mean cross-entropy +
 * l2 / 2 * |weights of standardised features|^2 is least; l2 is the one whose loss is least in a cross-validation of
 * three folds. stop (may be NULL) is asked between fits: EFFNET_INTERRUPTED where it says so. The result does not depend
 * on the team. */
effnet_status probe_fit(const ProbeData *data, ThreadTeam *team, bool (*stop)(void *context), void *context,
                        float *weight, float *bias, ProbeResult *out, effnet_error *err);

#endif
