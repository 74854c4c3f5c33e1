/* rates.c - see rates.h; the formulas' sources are optimizer.c's. */
#include "step/rates.h"

#include <math.h>

double step_average_decay(const StepSpec *spec, int64_t steps_done) {
    double n = (double)(steps_done - spec->average_count_before), ramp = (1 + n) / (10 + n);
    return spec->average_warmup && ramp < spec->average_decay ? ramp : spec->average_decay;
}

StepRates step_rates(const StepSpec *spec, double learning_rate, int64_t steps_done) {
    const double t = (double)steps_done;
    const bool corrected = spec->optimizer != STEP_LAMB || spec->bias_correction;
    const double first = corrected ? 1 - pow(spec->betas[0], t) : 1,
                 second = corrected ? 1 - pow(spec->betas[1], t) : 1;
    return (StepRates){.learning_rate = (float)learning_rate,
                       .average = (float)(1 - step_average_decay(spec, steps_done)),
                       .first_correction = (float)(1 / first),
                       .adam_lr = (float)(learning_rate / first),
                       .inverse_root_correction = (float)(1 / sqrt(second))};
}

bool step_decays(ParameterRole role, StepDecayMask mask) {
    switch (role) {
    case ROLE_BN_SCALE:
    case ROLE_BN_BIAS:
        return mask == STEP_DECAY_ALL;
    case ROLE_BIAS:
        return mask == STEP_DECAY_ALL || mask == STEP_DECAY_NO_BN;
    case ROLE_DEPTHWISE:
        return mask != STEP_DECAY_NO_BN_BIAS_DEPTHWISE;
    case ROLE_CONV:
    case ROLE_DENSE:
        return true;
    default: /* statistics are no parameters */
        return false;
    }
}
