/* state.c - see state.h. */
#include "step/state.h"

#include "base/crc32c.h"
#include "base/memory.h"

#include <math.h>

void train_state_free(TrainState *state) {
    memory_free(state->parameters);
    memory_free(state->gradients);
    memory_free(state->statistics);
    memory_free(state->slots[0]);
    memory_free(state->slots[1]);
    memory_free(state->ema_parameters);
    memory_free(state->ema_statistics);
    *state = (TrainState){0};
}

uint32_t state_fingerprint(const Network *network, const TrainState *state) {
    uint32_t sum = crc32c(0, state->parameters, network->parameter_floats * sizeof(float));
    return crc32c(sum, state->statistics, network->statistic_floats * sizeof(float));
}

const Parameter *state_first_nonfinite(const Parameter *tensors, int count, const float *values) {
    for (int t = 0; t < count; t++)
        for (size_t i = 0; i < tensors[t].count; i++)
            if (!isfinite(values[tensors[t].offset + i])) return &tensors[t];
    return NULL;
}

double state_weight_norm(const Network *network, const TrainState *state) {
    double sum = 0;
    for (size_t i = 0; i < network->parameter_floats; i++) sum += (double)state->parameters[i] * state->parameters[i];
    return sqrt(sum);
}

effnet_status state_check_finite(const Network *network, const TrainState *state, effnet_error *err) {
    const struct {
        const char *what;
        const float *values;
        bool statistics;
    } blocks[] = {
        {"the weights", state->parameters, false},
        {"the running statistics", state->statistics, true},
        {"the values of the optimizer's first slot", state->slots[0], false},
        {"the values of the optimizer's second slot", state->slots[1], false},
        {"the averaged weights", state->ema_parameters, false},
        {"the averaged statistics", state->ema_statistics, true},
    };
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        if (!blocks[b].values) continue;
        const Parameter *found =
            blocks[b].statistics
                ? state_first_nonfinite(network->statistics, network->num_statistics, blocks[b].values)
                : state_first_nonfinite(network->parameters, network->num_parameters, blocks[b].values);
        if (found)
            return fail(
                err, EFFNET_ERROR_NUMERIC,
                "after step %lld %s are not finite, first in %s; try a smaller lr, a longer warm-up or clip_grad",
                (long long)state->step, blocks[b].what, found->name);
    }
    return EFFNET_OK;
}
