/* replica_statistics.h - the running statistics of a step with several replicas: each replica moves a copy of those of
 * the step's beginning, and the step leaves what the replicas' copies make together. The sum is in doubles and in the
 * replicas' order, whoever computed which. Internal to executor/. */
#ifndef EFFNET_EXECUTOR_REPLICA_STATISTICS_H
#define EFFNET_EXECUTOR_REPLICA_STATISTICS_H

#include "model/network.h"
#include "step/step_spec.h"

/* rows (used, network->statistic_floats) of the replicas that had pictures, of a batch of `batch`; before: of the
 * step's beginning. What stands in `out` (which is neither):
 *
 *   running_average   the mean of the rows
 *   else              each group of spec->bn_group replicas in turn moves them: with m = bn_momentum to the power of a
 *                     replica's parts, out = m out + (row - m before), the row of the group's first replica */
void replica_statistics_merge(const Network *network, const StepSpec *spec, const float *rows, int used, int batch,
                              const float *before, float *out);

#endif
