/* fold.h - a convolution and the batch norm behind it as one convolution with a bias, for inference, where both are linear.
 *
 * Batch norm in evaluation is y = x s + (b - m s), s = scale / sqrt(variance + eps), for each channel: s goes into the
 * kernel, the rest becomes the bias. The same function, two roundings apart; computed in double. */
#ifndef EFFNET_MODEL_FOLD_H
#define EFFNET_MODEL_FOLD_H

#include "model/network.h"

/* Whether `norm` (may be NULL) is a batch norm of what `convolution` gives. */
static inline bool network_folds(const Op *convolution, const Op *norm) {
    return norm && norm->kind == OP_BATCH_NORM && norm->input == convolution->output &&
           (convolution->kind == OP_CONV || convolution->kind == OP_DEPTHWISE);
}
/* weight: in the kernel's own shape and layout; bias (outputs). They may not be the network's own blocks. */
void network_fold(const Network *network, const Op *convolution, const Op *norm, const float *parameters,
                  const float *statistics, float *weight, float *bias);
/* Of a kernel that is folded already: its batch norm becomes one that adds a bias, which the caller has written as the batch
 * norm's own, and nothing else: scale 1, mean 0, variance 1 - eps. */
void network_unfold(const Network *network, const Op *norm, float *parameters, float *statistics);

#endif
