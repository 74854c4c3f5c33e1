/* batch_norm_estimate.h - running means and variances of every batch norm, found anew for weights that no training step has
 * seen: the mean of the statistics of batches of training pictures (Izmailov et al., arXiv 1803.05407, section 3.2;
 * PyTorch's torch.optim.swa_utils.update_bn, with momentum None). */
#ifndef EFFNET_TRAIN_BATCH_NORM_ESTIMATE_H
#define EFFNET_TRAIN_BATCH_NORM_ESTIMATE_H

#include "base/threads.h"
#include "data/sources/dataset.h"
#include "data/transform/preprocess.h"
#include "model/network.h"

#include <stdint.h>

typedef struct BatchNormEstimate {
    const Network *network;
    const float *parameters;
    float *statistics;                    /* network->statistic_floats; what stood there does not matter */
    const EvaluationTransform *transform; /* pictures as those see them of whom the statistics will be used */
    const Dataset *dataset; /* in an order drawn at random, for batches of one class have other statistics */
    int batch;              /* pictures whose statistics are taken together; all, where there are fewer */
    int64_t pictures;       /* that many suffice, rounded up to whole batches */
    int workers;            /* threads that read; 0: one for each processor */
    ThreadTeam *team;
    effnet_progress_function *progress; /* phase "statistics", with pictures done; may be NULL */
    void *progress_context;
} BatchNormEstimate;

/* *used: pictures that went through the network. EFFNET_INTERRUPTED where the progress function says so. */
effnet_status batch_norm_estimate(const BatchNormEstimate *estimate, int64_t *used, effnet_error *err);

#endif
