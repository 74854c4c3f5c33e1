/* optimizer.h - what becomes of the gradients on the host: clipping, weight decay, the optimizer, the averages. */
#ifndef EFFNET_STEP_OPTIMIZER_H
#define EFFNET_STEP_OPTIMIZER_H

#include "base/threads.h"
#include "model/network.h"
#include "step/rates.h"
#include "step/state.h"
#include "step/step_spec.h"

/* One optimizer step on every parameter, then the averages of parameters and statistics, then state->step + 1;
 * deterministic for any team. */
void optimizer_step(const Network *network, const StepSpec *spec, TrainState *state, double lr, ThreadTeam *team);
/* How many StepSquares a measured step fills: one a task. */
int optimizer_tasks(const Network *network, const StepSpec *spec);
/* The same step, bit for bit, and both norms: added up task by task in their order, so they too are the same for any
 * team. `squares` (optimizer_tasks) is room to work in. */
void optimizer_step_measured(const Network *network, const StepSpec *spec, TrainState *state, double lr,
                             ThreadTeam *team, StepSquares *squares, double *weight_norm, double *update_norm);
/* Global L2 norm of the gradients before clipping (double sums, fixed order for any team); clips in place to clip_grad
 * where that is > 0 and the norm is finite. */
double gradients_clip(const Network *network, float *gradients, double clip_grad, ThreadTeam *team);

#endif
