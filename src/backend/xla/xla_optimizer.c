/* xla_optimizer.c - clip, weight decay, optimizer and averages over the run's vectors; the formulas and their sources
 * are step/optimizer.c's. One pass: the compiler fuses it to one loop.
 *
 * Where the loss or the norm is not finite every result is what it was before the step, so that a run can stop with the
 * state of the last good one although its memory was given away. */
#include "backend/xla/xla_network.h"

#define NUMBER(n) hlo_fill(hlo, XLA_F32, 1, update->gradient.shape, n)

/* sqrt of the sum of squares, in two stages: rows of 1,024, then their sums, so that fp32 loses little. */
static HloValue global_norm(Hlo *hlo, HloValue gradient) {
    enum { ROW = 1024 };
    const int64_t rows = (gradient.shape[0] + ROW - 1) / ROW, shape[2] = {rows, ROW};
    const int64_t low = 0, high = rows * ROW - gradient.shape[0], interior = 0;
    HloValue padded = high ? hlo_pad(hlo, gradient, &low, &high, &interior) : gradient;
    HloValue squares = hlo_reshape(hlo, MULTIPLY(padded, padded), 2, shape);
    return hlo_unary(hlo, HLO_SQRT, hlo_sum(hlo, hlo_sum(hlo, squares, 2), 1));
}

static HloValue clipped(Hlo *hlo, const StepSpec *spec, HloValue gradient, HloValue norm) {
    if (!(spec->clip_grad > 0)) return gradient;
    HloValue most = hlo_scalar(hlo, XLA_F32, spec->clip_grad), one = hlo_scalar(hlo, XLA_F32, 1);
    HloValue factor = hlo_select(hlo, hlo_compare(hlo, HLO_GREATER, norm, most), DIVIDE(most, norm), one);
    return MULTIPLY(gradient, hlo_broadcast_scalar(hlo, factor, gradient));
}

/* What is taken off the shrunken weights; the slots move. */
static HloValue movement(Hlo *hlo, const StepSpec *spec, XlaUpdate *update, HloValue g, HloValue lr) {
    HloValue *slots = update->slots;
    if (spec->optimizer == STEP_ADAMW) {
        slots[0] = ADD(xla_times(hlo, slots[0], spec->betas[0]), xla_times(hlo, g, 1 - spec->betas[0]));
        slots[1] = ADD(xla_times(hlo, slots[1], spec->betas[1]), xla_times(hlo, MULTIPLY(g, g), 1 - spec->betas[1]));
        HloValue adam_lr = xla_scaled_rate(hlo, update, XLA_RATE_ADAM);
        HloValue correction = hlo_broadcast_scalar(hlo, xla_rate(hlo, update->rates, XLA_RATE_ROOT), g);
        HloValue root = xla_plus(hlo, MULTIPLY(hlo_unary(hlo, HLO_SQRT, slots[1]), correction), spec->eps);
        return DIVIDE(MULTIPLY(adam_lr, slots[0]), root);
    }
    HloValue *momentum = &slots[spec->optimizer == STEP_RMSPROP];
    HloValue step = spec->lr_in_momentum ? MULTIPLY(lr, g) : g;
    if (spec->optimizer == STEP_RMSPROP) {
        slots[0] = ADD(xla_times(hlo, slots[0], spec->alpha), xla_times(hlo, MULTIPLY(g, g), 1 - spec->alpha));
        step = DIVIDE(step, hlo_unary(hlo, HLO_SQRT, xla_plus(hlo, slots[0], spec->eps)));
    }
    *momentum = ADD(xla_times(hlo, *momentum, spec->momentum), step);
    HloValue off = *momentum;
    if (spec->optimizer == STEP_SGD && spec->nesterov) off = ADD(xla_times(hlo, off, spec->momentum), step);
    return spec->lr_in_momentum ? off : MULTIPLY(lr, off);
}

HloValue xla_scaled_rate(Hlo *hlo, const XlaUpdate *update, int rate) {
    HloValue lr = hlo_broadcast_scalar(hlo, xla_rate(hlo, update->rates, rate), update->parameters);
    return xla_there(update->scales) ? MULTIPLY(lr, update->scales) : lr;
}

/* Frozen weights and their slots stay. Returns which weights are trained, a bool vector; id -1: all. */
static HloValue keep_frozen(Hlo *hlo, const XlaUpdate *before, XlaUpdate *update) {
    if (!xla_there(update->scales)) return xla_none();
    HloValue trained = hlo_compare(hlo, HLO_GREATER, update->scales, NUMBER(0));
    update->parameters = hlo_select(hlo, trained, update->parameters, before->parameters);
    for (int i = 0; i < 2; i++)
        if (xla_there(update->slots[i]))
            update->slots[i] = hlo_select(hlo, trained, update->slots[i], before->slots[i]);
    return trained;
}

static HloValue averaged(Hlo *hlo, HloValue rates, HloValue average, HloValue value) {
    HloValue share = hlo_broadcast_scalar(hlo, xla_rate(hlo, rates, XLA_RATE_AVERAGE), value);
    return ADD(average, MULTIPLY(share, SUBTRACT(value, average)));
}

/* The new weights; the slots move. g: clipped. */
static HloValue stepped(Hlo *hlo, const StepSpec *spec, XlaUpdate *update, HloValue g) {
    HloValue w = update->parameters;
    HloValue lr = xla_scaled_rate(hlo, update, XLA_RATE_LEARNING);
    HloValue shrunk = w;
    if (spec->weight_decay > 0) {
        HloValue decay = xla_times(hlo, update->decays, xla_weight_decay(spec));
        if (spec->decay_mode == STEP_DECAY_DECOUPLED)
            shrunk = MULTIPLY(SUBTRACT(NUMBER(1), MULTIPLY(lr, decay)), w);
        else
            g = ADD(g, MULTIPLY(decay, w));
    }
    return SUBTRACT(shrunk, movement(hlo, spec, update, g, lr));
}

void xla_optimizer(Hlo *hlo, const Network *network, const StepSpec *spec, HloValue well, XlaUpdate *update) {
    const XlaUpdate before = *update;
    update->norm = global_norm(hlo, update->gradient);
    well = hlo_binary(hlo, HLO_AND, well, hlo_is_finite(hlo, update->norm));
    HloValue g = clipped(hlo, spec, update->gradient, update->norm);
    const bool layerwise = spec->optimizer == STEP_LARS || spec->optimizer == STEP_LAMB;
    update->parameters = layerwise ? xla_layerwise(hlo, network, spec, update, g) : stepped(hlo, spec, update, g);
    HloValue trained = keep_frozen(hlo, &before, update), statistics = update->statistics;
#define UNLESS_WELL(field) update->field = hlo_select(hlo, well, update->field, before.field)
    if (spec->average) {
        update->averaged_parameters = averaged(hlo, update->rates, update->averaged_parameters, update->parameters);
        update->averaged_statistics = averaged(hlo, update->rates, update->averaged_statistics, statistics);
        UNLESS_WELL(averaged_parameters);
        UNLESS_WELL(averaged_statistics);
    }
    UNLESS_WELL(parameters);
    for (int i = 0; i < 2; i++)
        if (xla_there(update->slots[i])) UNLESS_WELL(slots[i]);
    update->statistics = hlo_select(hlo, well, statistics, update->statistics_before);
#undef UNLESS_WELL
    HloValue weights = update->parameters;
    if (xla_there(trained)) weights = hlo_select(hlo, trained, weights, NUMBER(0));
    update->weight_norm = global_norm(hlo, weights);
    update->update_norm = global_norm(hlo, SUBTRACT(update->parameters, before.parameters));
}
