/* optimizer_layerwise.c - LARS and LAMB, for large batches: each parameter (a kernel, a bias) steps in proportion to
 * its own norm, by a trust ratio.
 *
 * LARS (You, Gitman, Ginsburg, arXiv 1708.03888, algorithm 1), decay = weight_decay where decay_mask lets it decay:
 *   trust = trust_coefficient * |w| / (|g| + decay * |w| + trust_eps)         trust_norm: separate
 *   trust = trust_coefficient * |w| / (|g + decay * w| + trust_eps)           trust_norm: joint (Optax)
 *   mom = momentum * mom + lr * trust * (g + decay * w);  w -= mom
 * with lr_in_momentum: false (timm) lr, with trust_in_momentum: false (tf.contrib.opt.LARSOptimizer, which is false in
 * both) trust multiplies mom instead. Nesterov as in SGD. trust_clip: trust becomes min(trust / lr, 1) (LARC).
 *
 * LAMB (You et al., arXiv 1904.00962, algorithm 2, phi the identity), t = steps done including this one:
 *   m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
 *   u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay * w             no 1 - b^t without bias_correction
 *   w -= lr * |w| / |u| * u
 * decay_mode: decoupled takes lr * decay * w off w first, unscaled, in place of decay * w in u, and |w| is that of what
 * is left (timm's decoupled_decay). trust_clip: the ratio is 1 at most.
 *
 * A parameter that trust_mask leaves out, or where either norm is 0 (a classifier of zeros), has a ratio of 1, as in
 * all of those programs. Where trust_mask is `decayed` it is decay_mask that names the others, whatever weight_decay
 * is.
 *
 * A task is a parameter, so that norms need no exchange between threads and are added up in one order: sums of squares
 * in double, LANES at a time. The last parameters are the largest (the classifier is a quarter of B0's) and come first,
 * so that threads end together. LAMB keeps u where the gradient was. */
#include "step/optimizer_rules.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

typedef struct LayerPass {
    const Network *network;
    const StepSpec *spec;
    const TrainState *state;
    const Rates *rates;
    double lr, decay;
    StepSquares *squares; /* a parameter's, or NULL: nobody asks */
} LayerPass;

/* A parameter's part of the blocks. */
typedef struct Layer {
    size_t count;
    double lr;
    bool trainable;
    float *w, *gradient, *slots[2], *ema;
    double decay;
    bool adapts;
    StepSquares *squares;
} Layer;

static Layer layer_of(const LayerPass *pass, const Parameter *parameter) {
    const TrainState *state = pass->state;
    const size_t first = parameter->offset;
    const bool decays = step_decays(parameter->role, pass->spec->decay_mask);
    return (Layer){.count = parameter->count,
                   .lr = pass->lr * parameter->lr_scale,
                   .trainable = parameter->trainable,
                   .w = state->parameters + first,
                   .gradient = state->gradients + first,
                   .slots = {state->slots[0] + first, state->slots[1] ? state->slots[1] + first : NULL},
                   .ema = state->ema_parameters ? state->ema_parameters + first : NULL,
                   .decay = decays ? pass->decay : 0,
                   .adapts = decays || pass->spec->trust_mask == STEP_TRUST_ALL,
                   .squares = pass->squares ? &pass->squares[parameter - pass->network->parameters] : NULL};
}

/* Sum of the squares of gradient[i] + l2 * w[i]. */
static double sum_of_squares(size_t n, const float *restrict gradient, float l2, const float *restrict w) {
    double sums[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const double value = gradient[i + lane] + l2 * w[i + lane];
            sums[lane] += value * value;
        }
    for (; i < n; i++) {
        const double value = gradient[i] + l2 * w[i];
        total += value * value;
    }
    for (int lane = 0; lane < LANES; lane++) total += sums[lane];
    return total;
}

static double norm_of(const float *values, size_t n) {
    return sqrt(sum_of_squares(n, values, 0, values));
}

/* lars: lr * ratio as two factors, before and behind the momentum buffer. */
static void lars_factors(const LayerPass *pass, const Layer *layer, float *inner, float *outer) {
    const StepSpec *spec = pass->spec;
    double trust = 1;
    if (layer->adapts) {
        const bool joint = spec->trust_norm == STEP_TRUST_JOINT;
        const float added = joint ? (float)layer->decay : 0;
        const double of_weights = norm_of(layer->w, layer->count);
        const double of_gradient = sqrt(sum_of_squares(layer->count, layer->gradient, added, layer->w));
        if (of_weights > 0 && of_gradient > 0)
            trust = spec->trust_coefficient * of_weights /
                    (of_gradient + (joint ? 0 : layer->decay * of_weights) + spec->trust_eps);
        if (spec->trust_clip) trust = trust < layer->lr ? trust / layer->lr : 1;
    }
    const double inner_lr = spec->lr_in_momentum ? layer->lr : 1, inner_trust = spec->trust_in_momentum ? trust : 1;
    *inner = (float)(inner_lr * inner_trust);
    *outer = (float)((spec->lr_in_momentum ? 1 : layer->lr) * (spec->trust_in_momentum ? 1 : trust));
}

/* The moments move, and u takes the gradient's place. */
static void lamb_update(const Rates *rates, float decay, size_t n, const float *restrict w, float *restrict gradient,
                        float *restrict first_moment, float *restrict second_moment) {
    const Rates r = *rates;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i];
        float m = r.beta1 * first_moment[i] + r.one_minus_beta1 * g;
        float v = r.beta2 * second_moment[i] + r.one_minus_beta2 * (g * g);
        first_moment[i] = m;
        second_moment[i] = v;
        gradient[i] = r.first_correction * m / (sqrtf(v) * r.inverse_root_correction + r.eps) + decay * w[i];
    }
}

/* Where the layer's gradient is u by now. */
static double lamb_trust(const LayerPass *pass, const Layer *layer, float shrink) {
    if (!layer->adapts) return 1;
    const double of_weights = shrink * norm_of(layer->w, layer->count);
    const double of_update = norm_of(layer->gradient, layer->count);
    const double trust = of_weights > 0 && of_update > 0 ? of_weights / of_update : 1;
    return pass->spec->trust_clip && trust > 1 ? 1 : trust;
}

static void step_off(float shrink, float rate, size_t n, float *restrict w, const float *restrict update) {
    for (size_t i = 0; i < n; i++) w[i] = shrink * w[i] - rate * update[i];
}

static void lars_layer(const LayerPass *pass, const Layer *layer) {
    const float momentum = pass->rates->momentum;
    const bool nesterov = pass->spec->nesterov;
    float inner, outer, before[TILE];
    lars_factors(pass, layer, &inner, &outer);
    for (size_t at = 0, n; at < layer->count; at += n) {
        n = layer->count - at < TILE ? layer->count - at : TILE;
        if (layer->squares) memcpy(before, layer->w + at, n * sizeof *before);
        sgd(momentum, inner, outer, nesterov ? momentum : 1, nesterov ? 1 : 0, (float)layer->decay, 1, n, layer->w + at,
            layer->gradient + at, layer->slots[0] + at);
        if (layer->squares) measure(n, before, layer->w + at, layer->squares);
        if (layer->ema) average(pass->rates->average, n, layer->ema + at, layer->w + at);
    }
}

static void lamb_layer(const LayerPass *pass, const Layer *layer) {
    const bool decoupled = pass->spec->decay_mode == STEP_DECAY_DECOUPLED;
    lamb_update(pass->rates, decoupled ? 0 : (float)layer->decay, layer->count, layer->w, layer->gradient,
                layer->slots[0], layer->slots[1]);
    const float shrink = decoupled ? (float)(1 - layer->lr * layer->decay) : 1;
    const float rate = (float)(layer->lr * lamb_trust(pass, layer, shrink));
    float before[TILE];
    for (size_t at = 0, n; at < layer->count; at += n) {
        n = layer->count - at < TILE ? layer->count - at : TILE;
        if (layer->squares) memcpy(before, layer->w + at, n * sizeof *before);
        step_off(shrink, rate, n, layer->w + at, layer->gradient + at);
        if (layer->squares) measure(n, before, layer->w + at, layer->squares);
        if (layer->ema) average(pass->rates->average, n, layer->ema + at, layer->w + at);
    }
}

static void layer_task(void *context, int task, int thread) {
    (void)thread;
    const LayerPass *pass = context;
    const Network *network = pass->network;
    const TrainState *state = pass->state;
    if (task == network->num_parameters) { /* statistics: a hundredth of the weights */
        if (state->ema_statistics)
            average(pass->rates->average, network->statistic_floats, state->ema_statistics, state->statistics);
        return;
    }
    const Layer layer = layer_of(pass, &network->parameters[network->num_parameters - 1 - task]);
    if (!layer.trainable) { /* its average goes where it already is */
        if (layer.ema) average(pass->rates->average, layer.count, layer.ema, layer.w);
        return;
    }
    if (pass->spec->optimizer == STEP_LAMB)
        lamb_layer(pass, &layer);
    else
        lars_layer(pass, &layer);
}

void optimizer_step_layerwise(const Network *network, const StepSpec *spec, TrainState *state, const Rates *rates,
                              double lr, double decay, ThreadTeam *team, StepSquares *squares) {
    LayerPass pass = {network, spec, state, rates, lr, decay, squares};
    thread_team_run(team, layer_task, &pass, network->num_parameters + 1);
}
