/* optimizer.c - one pass over memory: weight decay, optimizer, averages; and the norm of the gradients.
 *
 * RMSProp, as TensorFlow 1 has it (tf.train.RMSPropOptimizer, ApplyRMSProp in training_ops): eps inside the root, mean
 * square starting at opt_initial (1), no bias correction:
 *   ms = alpha * ms + (1 - alpha) * g^2
 *   lr_in_momentum (TensorFlow):  mom = momentum * mom + lr * g / sqrt(ms + eps);  w -= mom
 *   else (PyTorch's order):       mom = momentum * mom + g / sqrt(ms + eps);       w -= lr * mom
 * SGD: the same two orders with g in place of g / sqrt(ms + eps); Nesterov looks one step ahead:
 *   lr_in_momentum (Keras):       mom = momentum * mom + lr * g;  w -= momentum * mom + lr * g
 *   else (PyTorch):               mom = momentum * mom + g;       w -= lr * (g + momentum * mom)
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101), t = steps done including this one:
 *   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
 *   w -= lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
 * LARS and LAMB: optimizer_layerwise.c.
 * Weight decay of the parameters that the mask names: l2 adds weight_decay * w to g before all this, half_l2 half of it
 * (the original: add_decayed_weights(weight_decay * 0.5), common/optimizer.py:156-162, where TensorFlow's loss has
 * weight_decay * l2_loss(w) = weight_decay * w^2 / 2, whose gradient is weight_decay * w, main.py:420); decoupled takes
 * lr * weight_decay * w off w before all this (w here and there is the weight before the step).
 *
 * Averages: ema += (1 - d) * (value - ema), of the new weights and statistics, with d = min(model_ema_decay,
 * (1 + n) / (10 + n)) and n = steps done including this one, so d of the first step is 2/11. That is what the original
 * does: it builds ExponentialMovingAverage(decay, num_updates=global_step) and runs ema.apply behind a control
 * dependency on the train op, which increments global_step, so num_updates is read after the increment (tensorflow/tpu
 * models/official/efficientnet/main.py; the form of the update is that of tf.train.ExponentialMovingAverage). With
 * model_ema_count: before, n does not include the step (0 at first, d = 1/10), as in the original's ema_v2
 * (common/model_ema.py:40-45), which also starts from zeros (model_ema_start; state.c).
 *
 * A frozen parameter (model/freeze.h) is left as it is and is in no norm; its average goes where it already is. Where
 * rates fall by layer (lr_scale) a parameter steps at its own: decay that is decoupled falls with it.
 *
 * Memory: the blocks are cut into CHUNKS spans whose bounds depend on their length alone; a span is a task. Within it
 * TILE floats at a time go through optimizer and average while they sit in the first cache, so each block is read and
 * written once. The loops are written for the compiler to vectorise: no branch, restrict, one subject each. */
#include "step/optimizer.h"

#include "step/optimizer_rules.h"

#include <math.h>
#include <string.h>

enum { CHUNKS = 256 };

typedef struct Span {
    size_t first, end; /* floats */
} Span;

/* The `chunk`-th of CHUNKS spans of a block, at multiples of 16 floats (a cache line). */
static Span span_of(size_t floats, int chunk) {
    size_t length = (floats + CHUNKS - 1) / CHUNKS;
    length = (length + 15) / 16 * 16;
    size_t first = (size_t)chunk * length, end = first + length;
    return (Span){first < floats ? first : floats, end < floats ? end : floats};
}

/* One tile: n weights with their gradients and slots. l2: added share of w; shrink: w's share kept. */
typedef void Update(const Rates *rates, float l2, float shrink, size_t n, float *restrict w,
                    const float *restrict gradient, float *restrict slot0, float *restrict slot1);

static void rmsprop_tensorflow(const Rates *rates, float l2, float shrink, size_t n, float *restrict w,
                               const float *restrict gradient, float *restrict mean_square, float *restrict momentum) {
    const Rates r = *rates;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + l2 * w[i];
        float ms = r.alpha * mean_square[i] + r.one_minus_alpha * (g * g);
        float mom = r.momentum * momentum[i] + r.lr * g / sqrtf(ms + r.eps);
        mean_square[i] = ms;
        momentum[i] = mom;
        w[i] = shrink * w[i] - mom;
    }
}

static void rmsprop_pytorch(const Rates *rates, float l2, float shrink, size_t n, float *restrict w,
                            const float *restrict gradient, float *restrict mean_square, float *restrict momentum) {
    const Rates r = *rates;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + l2 * w[i];
        float ms = r.alpha * mean_square[i] + r.one_minus_alpha * (g * g);
        float mom = r.momentum * momentum[i] + g / sqrtf(ms + r.eps);
        mean_square[i] = ms;
        momentum[i] = mom;
        w[i] = shrink * w[i] - r.lr * mom;
    }
}

static void sgd_tensorflow(const Rates *r, float l2, float shrink, size_t n, float *restrict w,
                           const float *restrict gradient, float *restrict slot0, float *restrict slot1) {
    (void)slot1;
    sgd(r->momentum, r->lr, 1, 1, 0, l2, shrink, n, w, gradient, slot0);
}

static void sgd_tensorflow_nesterov(const Rates *r, float l2, float shrink, size_t n, float *restrict w,
                                    const float *restrict gradient, float *restrict slot0, float *restrict slot1) {
    (void)slot1;
    sgd(r->momentum, r->lr, 1, r->momentum, 1, l2, shrink, n, w, gradient, slot0);
}

static void sgd_pytorch(const Rates *r, float l2, float shrink, size_t n, float *restrict w,
                        const float *restrict gradient, float *restrict slot0, float *restrict slot1) {
    (void)slot1;
    sgd(r->momentum, 1, r->lr, 1, 0, l2, shrink, n, w, gradient, slot0);
}

static void sgd_pytorch_nesterov(const Rates *r, float l2, float shrink, size_t n, float *restrict w,
                                 const float *restrict gradient, float *restrict slot0, float *restrict slot1) {
    (void)slot1;
    sgd(r->momentum, 1, r->lr, r->momentum, 1, l2, shrink, n, w, gradient, slot0);
}

static void adamw(const Rates *rates, float l2, float shrink, size_t n, float *restrict w,
                  const float *restrict gradient, float *restrict first_moment, float *restrict second_moment) {
    const Rates r = *rates;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] + l2 * w[i];
        float m = r.beta1 * first_moment[i] + r.one_minus_beta1 * g;
        float v = r.beta2 * second_moment[i] + r.one_minus_beta2 * (g * g);
        first_moment[i] = m;
        second_moment[i] = v;
        w[i] = shrink * w[i] - r.adam_lr * m / (sqrtf(v) * r.inverse_root_correction + r.eps);
    }
}

static Update *choose_update(const StepSpec *spec) {
    if (spec->optimizer == STEP_ADAMW) return adamw;
    if (spec->optimizer == STEP_RMSPROP) return spec->lr_in_momentum ? rmsprop_tensorflow : rmsprop_pytorch;
    if (spec->nesterov) return spec->lr_in_momentum ? sgd_tensorflow_nesterov : sgd_pytorch_nesterov;
    return spec->lr_in_momentum ? sgd_tensorflow : sgd_pytorch;
}

static Rates rates_of(const StepSpec *spec, double lr, int64_t steps_done) {
    double b1 = spec->betas[0], b2 = spec->betas[1];
    StepRates rates = step_rates(spec, lr, steps_done);
    return (Rates){.lr = rates.learning_rate,
                   .momentum = (float)spec->momentum,
                   .alpha = (float)spec->alpha,
                   .one_minus_alpha = (float)(1 - spec->alpha),
                   .eps = (float)spec->eps,
                   .beta1 = (float)b1,
                   .one_minus_beta1 = (float)(1 - b1),
                   .beta2 = (float)b2,
                   .one_minus_beta2 = (float)(1 - b2),
                   .first_correction = rates.first_correction,
                   .adam_lr = rates.adam_lr,
                   .inverse_root_correction = rates.inverse_root_correction,
                   .average = rates.average};
}

typedef struct Pass {
    const Network *network;
    const StepSpec *spec;
    TrainState *state;
    Update *update;
    double lr;            /* of the step */
    Rates rates;          /* of it */
    float l2;             /* of a parameter that decays */
    bool decoupled;       /* decay taken off the weight */
    StepSquares *squares; /* (CHUNKS), or NULL: nobody asks */
} Pass;

/* The parameter that holds float `at`; they stand one behind the other in order. */
static int parameter_at(const Network *network, size_t at) {
    int low = 0, high = network->num_parameters - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (network->parameters[middle].offset <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void pass_task(void *context, int task, int thread) {
    (void)thread;
    const Pass *pass = context;
    const Network *network = pass->network;
    TrainState *state = pass->state;
    float before[TILE];
    Span span = span_of(network->parameter_floats, task);
    int p = span.first < span.end ? parameter_at(network, span.first) : 0;
    for (size_t at = span.first; at < span.end;) {
        const Parameter *parameter = &network->parameters[p];
        size_t end = parameter->offset + parameter->count;
        if (end > span.end) end = span.end;
        const bool decays = step_decays(parameter->role, pass->spec->decay_mask);
        const double lr = pass->lr * parameter->lr_scale;
        const Rates rates = parameter->lr_scale == 1 ? pass->rates : rates_of(pass->spec, lr, state->step + 1);
        const float shrink = decays && pass->decoupled ? (float)(1 - lr * pass->spec->weight_decay) : 1.0f;
        for (size_t n; at < end; at += n) {
            n = end - at < TILE ? end - at : TILE;
            if (parameter->trainable) {
                if (pass->squares) memcpy(before, state->parameters + at, n * sizeof *before);
                pass->update(&rates, decays ? pass->l2 : 0.0f, shrink, n, state->parameters + at, state->gradients + at,
                             state->slots[0] + at, state->slots[1] ? state->slots[1] + at : NULL);
                if (pass->squares) measure(n, before, state->parameters + at, &pass->squares[task]);
            }
            if (state->ema_parameters)
                average(pass->rates.average, n, state->ema_parameters + at, state->parameters + at);
        }
        p++;
    }
    if (!state->ema_statistics) return;
    span = span_of(network->statistic_floats, task);
    average(pass->rates.average, span.end - span.first, state->ema_statistics + span.first,
            state->statistics + span.first);
}

static bool layerwise(const StepSpec *spec) {
    return spec->optimizer == STEP_LARS || spec->optimizer == STEP_LAMB;
}

int optimizer_tasks(const Network *network, const StepSpec *spec) {
    return layerwise(spec) ? network->num_parameters : CHUNKS;
}

static void step_all(const Network *network, const StepSpec *spec, TrainState *state, double lr, ThreadTeam *team,
                     StepSquares *squares) {
    bool decoupled = spec->decay_mode == STEP_DECAY_DECOUPLED;
    double decay = spec->weight_decay * (spec->decay_mode == STEP_DECAY_HALF_L2 ? 0.5 : 1);
    const Rates rates = rates_of(spec, lr, state->step + 1);
    if (layerwise(spec)) {
        optimizer_step_layerwise(network, spec, state, &rates, lr, decay, team, squares);
        state->step++;
        return;
    }
    Pass pass = {.network = network,
                 .spec = spec,
                 .state = state,
                 .update = choose_update(spec),
                 .lr = lr,
                 .rates = rates,
                 .l2 = decoupled ? 0.0f : (float)decay,
                 .decoupled = decoupled,
                 .squares = squares};
    thread_team_run(team, pass_task, &pass, CHUNKS);
    state->step++;
}

void optimizer_step(const Network *network, const StepSpec *spec, TrainState *state, double lr, ThreadTeam *team) {
    step_all(network, spec, state, lr, team, NULL);
}

void optimizer_step_measured(const Network *network, const StepSpec *spec, TrainState *state, double lr,
                             ThreadTeam *team, StepSquares *squares, double *weight_norm, double *update_norm) {
    const int tasks = optimizer_tasks(network, spec);
    double weights = 0, updates = 0;
    memset(squares, 0, sizeof *squares * (size_t)tasks);
    step_all(network, spec, state, lr, team, squares);
    for (int i = 0; i < tasks; i++) {
        weights += squares[i].weights;
        updates += squares[i].updates;
    }
    *weight_norm = sqrt(weights);
    *update_norm = sqrt(updates);
}

/* ---- the norm of the gradients ---- */

typedef struct NormPass {
    float *gradients;
    size_t floats;
    double squares[CHUNKS]; /* a sum of squares a span, added up in order: the same for any team */
    float scale;
} NormPass;

static void squares_task(void *context, int task, int thread) {
    (void)thread;
    enum { LANES = 8 };
    NormPass *pass = context;
    Span span = span_of(pass->floats, task);
    const float *g = pass->gradients;
    double sums[LANES] = {0}, total = 0;
    size_t i = span.first;
    for (; i + LANES <= span.end; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += (double)g[i + lane] * (double)g[i + lane];
    for (; i < span.end; i++) total += (double)g[i] * (double)g[i];
    for (int lane = 0; lane < LANES; lane++) total += sums[lane];
    pass->squares[task] = total;
}

static void scale_task(void *context, int task, int thread) {
    (void)thread;
    NormPass *pass = context;
    Span span = span_of(pass->floats, task);
    for (size_t i = span.first; i < span.end; i++) pass->gradients[i] *= pass->scale;
}

double gradients_clip(const Network *network, float *gradients, double clip_grad, ThreadTeam *team) {
    NormPass pass = {.gradients = gradients, .floats = network->parameter_floats};
    thread_team_run(team, squares_task, &pass, CHUNKS);
    double total = 0;
    for (int i = 0; i < CHUNKS; i++) total += pass.squares[i];
    double norm = sqrt(total);
    if (clip_grad > 0 && norm > clip_grad && isfinite(norm)) {
        pass.scale = (float)(clip_grad / norm);
        thread_team_run(team, scale_task, &pass, CHUNKS);
    }
    return norm;
}
