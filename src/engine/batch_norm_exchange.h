/* batch_norm_exchange.h - batch norm over the images of several replicas (synchronised batch norm).
 *
 * A replica is an engine with a part of a batch. Each batch norm's moments are merged over the replicas of a group
 * before its vectors are set, and in backward the two sums that the gradient's way through mean and variance takes.
 * The replicas call in the same order, since each runs the same plan: engines of a group must have the same network and
 * options but for the batch, which may differ. So one collective operation is enough, a sum: over MPI an all-reduce;
 * for replicas of one process a thread for each, with a team of its own, that meets the others in the function.
 *
 * Moments are merged in double from each replica's own mean: first the counts and means, then the squared differences
 * about the group's mean, which is Chan, Golub and LeVeque's (1983) formula with the group's mean found first. */
#ifndef EFFNET_ENGINE_BATCH_NORM_EXCHANGE_H
#define EFFNET_ENGINE_BATCH_NORM_EXCHANGE_H

#include "base/error.h"

#include <stddef.h>

typedef struct BatchNormExchange {
    /* Replaces `count` values by their sums over the group's replicas: the same bits in every one, so added in one
     * order. Called on the thread that called engine_forward or engine_backward, never on a team's; may wait for the
     * others. What it fails with, the engine's call returns; the step is lost, and running statistics of the batch
     * norms before are moved already. */
    effnet_status (*sum)(void *context, double *values, size_t count, effnet_error *err);
    void *context;
} BatchNormExchange;

/* The group's number of values in *count and mean of each channel in `mean`, from the replica's own. work
 * (channels + 1): out, the replica's mean less the group's in the first `channels`. */
effnet_status exchange_means(const BatchNormExchange *exchange, size_t channels, double *count, double *mean,
                             double *work, effnet_error *err);
/* The same, and m2 (channels), the sums of squared differences from the mean, from the replica's own to the group's. */
effnet_status exchange_moments(const BatchNormExchange *exchange, size_t channels, double *count, double *mean,
                               double *m2, double *work, effnet_error *err);

#endif
