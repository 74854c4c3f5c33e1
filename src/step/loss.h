/* loss.h - the losses of a training step and their gradients on the host: label-smoothed softmax cross-entropy; binary
 * cross-entropy and focal loss of each class by itself. */
#ifndef EFFNET_STEP_LOSS_H
#define EFFNET_STEP_LOSS_H

#include "base/threads.h"
#include "step/step_spec.h"

#include <stdint.h>

/* logits (N, C), labels (N); target = (1 - smoothing) * onehot + smoothing / C (Szegedy et al., arXiv 1512.00567,
 * section 7). Writes d(mean loss)/d(logits) * gradient_scale if gradient is not NULL; returns the mean loss. A team
 * (NULL: the caller alone) does not change a bit. */
double loss_cross_entropy(const float *logits, const int32_t *labels, int batch, int classes, double smoothing,
                          double gradient_scale, float *gradient);

/* What a batch is taught. Where `others` is not NULL the onehot of image n is shares[n] * onehot(labels[n]) +
 * (1 - shares[n]) * onehot(others[n]) (Mixup, CutMix; shares 0 to 1); it is smoothed all the same, as in timm. */
typedef struct Targets {
    const int32_t *labels, *others; /* (N) each */
    const float *shares;            /* (N) */
    const float *dense;             /* (N, C), 0 to 1 each, in place of labels, others and shares: binary and focal
                                       alone; NULL: the labels */
    const float *weights;           /* (N) times an image's loss; NULL: 1 each */
} Targets;
/* The loss that a step asks for: spec->loss and what belongs to it. */
double loss_of_step(const StepSpec *spec, const float *logits, const Targets *targets, int batch, int classes,
                    double gradient_scale, ThreadTeam *team, float *gradient);
/* That of a network that answers 0 for every class. */
double loss_of_guessing(const StepSpec *spec, int classes);
double loss_soft_cross_entropy(const float *logits, const Targets *targets, int batch, int classes, double smoothing,
                               double gradient_scale, ThreadTeam *team, float *gradient);

#endif
