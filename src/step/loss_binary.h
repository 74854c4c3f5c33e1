/* loss_binary.h - binary cross-entropy and focal loss: each class is a yes or no of its own. */
#ifndef EFFNET_STEP_LOSS_BINARY_H
#define EFFNET_STEP_LOSS_BINARY_H

#include "step/step_spec.h"

/* Of one logit and its target in 0..1; *slope (may be NULL) becomes the derivative by the logit. */
double loss_binary(const StepSpec *spec, double logit, double target, double *slope);
/* Of an image: logits (C), the targets of loss.c, or dense (C) where it is not NULL, their mean or sum over classes; writes the gradient times `scale` where
 * it is not NULL. NaN, all of it, where a logit is not finite or a label none. */
double loss_binary_of_image(const StepSpec *spec, const float *logits, const float *dense, int label, int other,
                            double share, int classes, double scale, float *gradient);

#endif
