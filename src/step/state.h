/* state.h - the blocks of a run: contiguous fp32, in the network's order and timm's layouts, one vector for each thing
 * that a step reads and writes. A checkpoint is a view of them, and so is what moves to an accelerator and back. */
#ifndef EFFNET_STEP_STATE_H
#define EFFNET_STEP_STATE_H

#include <stdint.h>

typedef struct TrainState {
    float *parameters, *gradients; /* network->parameter_floats each */
    float *statistics;             /* network->statistic_floats */
    float *slots[2];               /* optimizer: rmsprop mean square, momentum; sgd, lars momentum; adamw, lamb m, v */
    float *ema_parameters, *ema_statistics; /* NULL where model_ema is off */
    int64_t step;                           /* optimizer steps done */
} TrainState;

#endif
