/* replica_statistics.c - see replica_statistics.h. */
#include "executor/replica_statistics.h"

static void average(const Network *network, const float *rows, int used, float *out) {
    size_t floats = network->statistic_floats;
    for (size_t i = 0; i < floats; i++) {
        double sum = 0;
        for (int r = 0; r < used; r++) sum += rows[(size_t)r * floats + i];
        out[i] = (float)(sum / used);
    }
}

/* bn_momentum to the power of the parts that replica r's share of the batch was computed in. */
static double momentum_of(const Network *network, const StepSpec *spec, int r, int batch) {
    int share = spec->batch / spec->replicas, part = share / spec->accumulate, count = batch - r * share;
    if (count > share) count = share;
    double power = 1;
    for (int p = 0; p < (count + part - 1) / part; p++) power *= network->config.bn_momentum;
    return power;
}

static void in_turn(const Network *network, const StepSpec *spec, const float *rows, int used, int batch,
                    const float *before, float *out) {
    const int group = spec->bn_group;
    const double whole = momentum_of(network, spec, 0, batch);
    const double last = momentum_of(network, spec, (used - 1) / group * group, batch); /* may have fewer pictures */
    size_t floats = network->statistic_floats;
    for (size_t i = 0; i < floats; i++) {
        double moved = rows[i];
        for (int r = group; r < used; r += group) {
            double momentum = r + group < used ? whole : last;
            moved = momentum * moved + (rows[(size_t)r * floats + i] - momentum * before[i]);
        }
        out[i] = (float)moved;
    }
}

void replica_statistics_merge(const Network *network, const StepSpec *spec, const float *rows, int used, int batch,
                              const float *before, float *out) {
    if (spec->bn_sync == STEP_BN_RUNNING_AVERAGE)
        average(network, rows, used, out);
    else
        in_turn(network, spec, rows, used, batch, before, out);
}
