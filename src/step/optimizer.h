/* optimizer.h - what becomes of the gradients on the host: clipping, weight decay, the optimizer, the averages. */
#ifndef EFFNET_STEP_OPTIMIZER_H
#define EFFNET_STEP_OPTIMIZER_H

#include "base/threads.h"
#include "model/network.h"
#include "step/state.h"
#include "step/step_spec.h"

/* One optimizer step on every parameter, then the averages of parameters and statistics, then state->step + 1;
 * deterministic for any team. */
void optimizer_step(const Network *network, const StepSpec *spec, TrainState *state, double lr, ThreadTeam *team);
/* Global L2 norm of the gradients before clipping (double sums, fixed order for any team); clips in place to clip_grad
 * where that is > 0 and the norm is finite. */
double gradients_clip(const Network *network, float *gradients, double clip_grad, ThreadTeam *team);

#endif
