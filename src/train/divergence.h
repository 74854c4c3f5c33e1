/* divergence.h - tells a run that has come apart though every number is finite still: a loss far above what guessing
 * costs, step after step, or weights many times as large as they began. Such a state must not take the place of a
 * good one in the checkpoints. Internal to train/.
 *
 * Guessing costs ln(classes), of cross-entropy. A loss of ten times that is no bad start and no spike of a batch once it lasts for
 * DIVERGENCE_STEPS; weights double or treble in a run, batch norm's scale invariance lets a high learning rate make
 * them ten times as large, but a thousand times is no training. */
#ifndef EFFNET_TRAIN_DIVERGENCE_H
#define EFFNET_TRAIN_DIVERGENCE_H

#include "base/error.h"
#include "step/step_spec.h"

#include <stdbool.h>
#include <stdint.h>

enum { DIVERGENCE_SUSPECT = 3, DIVERGENCE_STEPS = 20, DIVERGENCE_LOSS = 10, DIVERGENCE_WEIGHTS = 1000 };

typedef struct Divergence {
    bool off;            /* the recipe's stop_on_divergence: false */
    double loss_limit;   /* above it a step counts */
    double weight_limit; /* of the norm of all weights */
    int64_t steps;       /* in a row, up to the last, whose loss was above the limit */
    double last_loss;
} Divergence;

/* weight_norm: of the weights that the run begins with. */
void divergence_begin(Divergence *divergence, bool off, const StepSpec *spec, int classes, double weight_norm);
/* After a step. EFFNET_ERROR_NUMERIC, with what to try, once the loss has been too high for DIVERGENCE_STEPS. */
effnet_status divergence_check_loss(Divergence *divergence, int64_t step, double loss, effnet_error *err);
/* Before a checkpoint: EFFNET_ERROR_NUMERIC where the weights are too large. */
effnet_status divergence_check_weights(const Divergence *divergence, int64_t step, double weight_norm,
                                       effnet_error *err);
/* The last DIVERGENCE_SUSPECT losses were too high, but not yet DIVERGENCE_STEPS: a checkpoint had better wait. */
bool divergence_suspected(const Divergence *divergence);

#endif
