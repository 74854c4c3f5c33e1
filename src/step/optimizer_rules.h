/* optimizer_rules.h - what optimizer.c and optimizer_layerwise.c share: a step's numbers in fp32 and the loops over a
 * tile of weights that both run. */
#ifndef EFFNET_STEP_OPTIMIZER_RULES_H
#define EFFNET_STEP_OPTIMIZER_RULES_H

#include "base/threads.h"
#include "step/rates.h"
#include "step/state.h"

/* Floats of each block that pass through optimizer and average while they sit in the first cache. */
enum { TILE = 2048 };

/* What one step needs to know, in fp32, worked out once. Where nothing decays, l2 is 0 and shrink 1. first_correction:
 * 1 / (1 - b1^t), adam_lr: lr times it, inverse_root_correction: 1 / sqrt(1 - b2^t). */
typedef struct Rates {
    float lr, momentum, alpha, one_minus_alpha, eps;
    float beta1, one_minus_beta1, beta2, one_minus_beta2, first_correction, adam_lr, inverse_root_correction;
    float average; /* 1 - d */
} Rates;

/* SGD in its four forms is one formula: mom = momentum * mom + inner * g; w -= outer * (ahead * mom + own * inner * g)
 * with inner * outer = lr. */
static inline void sgd(float decay, float inner, float outer, float ahead, float own, float l2, float shrink, size_t n,
                       float *restrict w, const float *restrict gradient, float *restrict momentum) {
    for (size_t i = 0; i < n; i++) {
        float g = inner * (gradient[i] + l2 * w[i]);
        float mom = decay * momentum[i] + g;
        momentum[i] = mom;
        w[i] = shrink * w[i] - outer * (ahead * mom + own * g);
    }
}

static inline void average(float share, size_t n, float *restrict ema, const float *restrict value) {
    for (size_t i = 0; i < n; i++) ema[i] += share * (value[i] - ema[i]);
}

/* What tiles of weights were (before) and are, added to the sums of a task. */
static inline void measure(size_t n, const float *restrict before, const float *restrict after, StepSquares *sums) {
    enum { LANES = 8 };
    double weights[LANES] = {0}, updates[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const double now = after[i + lane], moved = now - (double)before[i + lane];
            weights[lane] += now * now;
            updates[lane] += moved * moved;
        }
    for (; i < n; i++) {
        const double now = after[i], moved = now - (double)before[i];
        weights[0] += now * now;
        updates[0] += moved * moved;
    }
    for (int lane = 0; lane < LANES; lane++) {
        sums->weights += weights[lane];
        sums->updates += updates[lane];
    }
}

/* LARS and LAMB, whose steps need norms of whole parameters first. decay: weight_decay, halved where the
 * mode says so, of a parameter that decays. squares: NULL, or zeros, one a parameter. */
void optimizer_step_layerwise(const Network *network, const StepSpec *spec, TrainState *state, const Rates *rates,
                              double lr, double decay, ThreadTeam *team, StepSquares *squares);

#endif
