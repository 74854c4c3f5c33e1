/* xla_layerwise.c - LARS and LAMB: each parameter (a kernel, a bias) steps in proportion to its own norm; formulas,
 * sources and names are step/optimizer_layerwise.c's.
 *
 * The parameters lie in one vector, so norms are a vector too, one number for each parameter: slices of the weights
 * and of the update are squared and summed, the ratios are worked out for all at once, and each is spread over its
 * parameter's place again. The compiler makes loops over slices of it, nothing is copied. */
#include "backend/xla/xla_network.h"
#include "step/rates.h"

#include <stdlib.h>

/* Numbers of all parameters: (network->num_parameters). */
typedef struct Layers {
    Hlo *hlo;
    const Network *network;
    const StepSpec *spec;
    HloValue decay;  /* what decays of each, constant */
    HloValue adapts; /* bool: the others have a ratio of 1 */
    HloValue rate;   /* learning rate of each */
    HloValue one;
} Layers;

static HloValue numbers(const Layers *layers, double value) {
    const int64_t count = layers->network->num_parameters;
    return hlo_fill(layers->hlo, XLA_F32, 1, &count, value);
}

/* False: no memory. */
static bool begin(Layers *layers, const XlaUpdate *update) {
    Hlo *hlo = layers->hlo;
    const Network *network = layers->network;
    const StepSpec *spec = layers->spec;
    float *decay = calloc(3 * (size_t)network->num_parameters, sizeof *decay),
          *adapts = decay + network->num_parameters, *scales = adapts + network->num_parameters;
    if (!decay) return false;
    for (int p = 0; p < network->num_parameters; p++) {
        const bool decays = step_decays(network->parameters[p].role, spec->decay_mask);
        decay[p] = decays ? (float)xla_weight_decay(spec) : 0;
        scales[p] = (float)network->parameters[p].lr_scale;
        adapts[p] = decays || spec->trust_mask == STEP_TRUST_ALL ? 1 : 0;
    }
    layers->one = numbers(layers, 1);
    layers->decay = hlo_floats(hlo, decay, network->num_parameters);
    layers->adapts = hlo_compare(hlo, HLO_EQUAL, hlo_floats(hlo, adapts, network->num_parameters), layers->one);
    layers->rate = MULTIPLY(hlo_broadcast_scalar(hlo, xla_rate(hlo, update->rates, XLA_RATE_LEARNING), layers->one),
                            hlo_floats(hlo, scales, network->num_parameters));
    free(decay);
    return true;
}

/* The L2 norm of each parameter's part of a vector. */
static HloValue norms(const Layers *layers, HloValue vector, HloValue *parts) {
    Hlo *hlo = layers->hlo;
    const int64_t one = 1;
    for (int p = 0; p < layers->network->num_parameters; p++) {
        const Parameter *parameter = &layers->network->parameters[p];
        const int64_t begin = (int64_t)parameter->offset, end = begin + (int64_t)parameter->count;
        HloValue part = hlo_slice(hlo, vector, &begin, &end, &one);
        parts[p] = hlo_reshape(hlo, hlo_sum(hlo, MULTIPLY(part, part), 1), 1, &one);
    }
    return hlo_unary(hlo, HLO_SQRT, hlo_concatenate(hlo, parts, layers->network->num_parameters, 0));
}

/* A number of each parameter at each of its elements. */
static HloValue spread(const Layers *layers, HloValue of_each, HloValue *parts) {
    Hlo *hlo = layers->hlo;
    for (int p = 0; p < layers->network->num_parameters; p++) {
        const int64_t begin = p, end = p + 1, step = 1, count = (int64_t)layers->network->parameters[p].count;
        HloValue number = hlo_reshape(hlo, hlo_slice(hlo, of_each, &begin, &end, &step), 0, NULL);
        parts[p] = hlo_broadcast(hlo, number, 1, &count, NULL);
    }
    return hlo_concatenate(hlo, parts, layers->network->num_parameters, 0);
}

/* numerator / denominator, 1 where either norm is 0. */
static HloValue ratio(const Layers *layers, HloValue of_weights, HloValue of_update, HloValue numerator,
                      HloValue denominator) {
    Hlo *hlo = layers->hlo;
    HloValue zero = numbers(layers, 0);
    HloValue both = hlo_binary(hlo, HLO_AND, hlo_compare(hlo, HLO_GREATER, of_weights, zero),
                               hlo_compare(hlo, HLO_GREATER, of_update, zero));
    return hlo_select(hlo, both, DIVIDE(numerator, denominator), layers->one);
}

static HloValue lars(const Layers *layers, XlaUpdate *update, HloValue g, HloValue *parts) {
    Hlo *hlo = layers->hlo;
    const StepSpec *spec = layers->spec;
    const bool joint = spec->trust_norm == STEP_TRUST_JOINT;
    HloValue w = update->parameters, decayed = g;
    if (spec->weight_decay > 0) decayed = ADD(g, MULTIPLY(xla_times(hlo, update->decays, xla_weight_decay(spec)), w));
    HloValue of_weights = norms(layers, w, parts), of_gradient = norms(layers, joint ? decayed : g, parts);
    HloValue below = joint ? of_gradient : ADD(of_gradient, MULTIPLY(layers->decay, of_weights));
    HloValue trust = ratio(layers, of_weights, of_gradient, xla_times(hlo, of_weights, spec->trust_coefficient),
                           xla_plus(hlo, below, spec->trust_eps));
    if (spec->trust_clip) trust = hlo_binary(hlo, HLO_MINIMUM, DIVIDE(trust, layers->rate), layers->one);
    trust = spread(layers, hlo_select(hlo, layers->adapts, trust, layers->one), parts);
    HloValue lr = xla_scaled_rate(hlo, update, XLA_RATE_LEARNING), step = decayed;
    if (spec->trust_in_momentum) step = MULTIPLY(trust, step);
    if (spec->lr_in_momentum) step = MULTIPLY(lr, step);
    HloValue *momentum = &update->slots[0];
    *momentum = ADD(xla_times(hlo, *momentum, spec->momentum), step);
    HloValue off = spec->nesterov ? ADD(xla_times(hlo, *momentum, spec->momentum), step) : *momentum;
    if (!spec->trust_in_momentum) off = MULTIPLY(trust, off);
    if (!spec->lr_in_momentum) off = MULTIPLY(lr, off);
    return SUBTRACT(w, off);
}

static HloValue lamb(const Layers *layers, XlaUpdate *update, HloValue g, HloValue *parts) {
    Hlo *hlo = layers->hlo;
    const StepSpec *spec = layers->spec;
    HloValue *slots = update->slots, w = update->parameters;
    HloValue lr = xla_scaled_rate(hlo, update, XLA_RATE_LEARNING);
    slots[0] = ADD(xla_times(hlo, slots[0], spec->betas[0]), xla_times(hlo, g, 1 - spec->betas[0]));
    slots[1] = ADD(xla_times(hlo, slots[1], spec->betas[1]), xla_times(hlo, MULTIPLY(g, g), 1 - spec->betas[1]));
    HloValue first = hlo_broadcast_scalar(hlo, xla_rate(hlo, update->rates, XLA_RATE_FIRST), w);
    HloValue root = hlo_broadcast_scalar(hlo, xla_rate(hlo, update->rates, XLA_RATE_ROOT), w);
    HloValue below = xla_plus(hlo, MULTIPLY(hlo_unary(hlo, HLO_SQRT, slots[1]), root), spec->eps);
    HloValue u = DIVIDE(MULTIPLY(first, slots[0]), below);
    HloValue of_weights = norms(layers, w, parts);
    if (spec->weight_decay > 0) {
        HloValue decay = xla_times(hlo, update->decays, xla_weight_decay(spec));
        if (spec->decay_mode == STEP_DECAY_DECOUPLED) {
            HloValue shrink = SUBTRACT(layers->one, MULTIPLY(layers->rate, layers->decay));
            of_weights = MULTIPLY(shrink, of_weights);
            w = MULTIPLY(SUBTRACT(hlo_fill(hlo, XLA_F32, 1, w.shape, 1), MULTIPLY(lr, decay)), w);
        } else
            u = ADD(u, MULTIPLY(decay, w));
    }
    HloValue of_update = norms(layers, u, parts);
    HloValue trust = ratio(layers, of_weights, of_update, of_weights, of_update);
    if (spec->trust_clip) trust = hlo_binary(hlo, HLO_MINIMUM, trust, layers->one);
    trust = spread(layers, hlo_select(hlo, layers->adapts, trust, layers->one), parts);
    return SUBTRACT(w, MULTIPLY(lr, MULTIPLY(trust, u)));
}

HloValue xla_layerwise(Hlo *hlo, const Network *network, const StepSpec *spec, XlaUpdate *update, HloValue g) {
    Layers layers = {.hlo = hlo, .network = network, .spec = spec};
    HloValue *parts = malloc((size_t)network->num_parameters * sizeof *parts), result = xla_none();
    if (parts && begin(&layers, update))
        result = spec->optimizer == STEP_LAMB ? lamb(&layers, update, g, parts) : lars(&layers, update, g, parts);
    free(parts);
    return result;
}
