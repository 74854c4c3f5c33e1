/* rates.h - what a step's number and learning rate make of a StepSpec: the few numbers that change from step to step.
 */
#ifndef EFFNET_STEP_RATES_H
#define EFFNET_STEP_RATES_H

#include "model/network.h"
#include "step/step_spec.h"

typedef struct StepRates {
    float learning_rate;
    float average;                 /* 1 - d, step_average_decay */
    float first_correction;        /* 1 / (1 - b1^t); with the next two, of lamb without bias_correction: as if t were
                                      infinite */
    float adam_lr;                 /* lr / (1 - b1^t) */
    float inverse_root_correction; /* 1 / sqrt(1 - b2^t) */
} StepRates;

/* steps_done counts the step itself. */
StepRates step_rates(const StepSpec *spec, double learning_rate, int64_t steps_done);
/* Decay of the averages: min(d, (1 + n) / (10 + n)), first step 2/11, or with average_count_before 1/10. */
double step_average_decay(const StepSpec *spec, int64_t steps_done);

/* What a step's look at each weight finds besides: sums of squares of the new weights and of what they moved by. */
typedef struct StepSquares {
    double weights, updates;
} StepSquares;

/* Whether weight decay takes hold of a parameter of that role. */
bool step_decays(ParameterRole role, StepDecayMask mask);

#endif
