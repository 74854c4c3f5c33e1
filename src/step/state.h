/* state.h - the blocks of a run: contiguous fp32, in the network's order and timm's layouts, one vector for each thing
 * that a step reads and writes. A checkpoint is a view of them, and so is what moves to an accelerator and back. */
#ifndef EFFNET_STEP_STATE_H
#define EFFNET_STEP_STATE_H

#include "base/error.h"
#include "model/network.h"

#include <stdint.h>

typedef struct TrainState {
    float *parameters, *gradients; /* network->parameter_floats each */
    float *statistics;             /* network->statistic_floats */
    float *slots[2];               /* optimizer: rmsprop mean square, momentum; sgd, lars momentum; adamw, lamb m, v */
    float *ema_parameters, *ema_statistics; /* NULL where model_ema is off */
    int64_t step;                           /* optimizer steps done */
} TrainState;

/* CRC-32C of weights and running statistics: equal where two runs have the same bits. */
uint32_t state_fingerprint(const Network *network, const TrainState *state);
/* Root of the sum of the weights' squares; running statistics are not weights. */
double state_weight_norm(const Network *network, const TrainState *state);
/* Frees the blocks and leaves zeros. */
void train_state_free(TrainState *state);
/* The first tensor of a list with an element that is not finite, or NULL. */
const Parameter *state_first_nonfinite(const Parameter *tensors, int count, const float *values);
/* EFFNET_ERROR_NUMERIC, naming the tensor, where a weight, statistic, slot or average is not finite: asked before a
 * checkpoint is written, so that none ever holds what cannot be trained on. */
effnet_status state_check_finite(const Network *network, const TrainState *state, effnet_error *err);

#endif
