/* xla_loss.c - the losses of a step: label-smoothed softmax cross-entropy, and binary cross-entropy and focal loss of each
 * class by itself; formulas and sources are step/loss.c's and step/loss_binary.c's. The target of a class is
 *   t = (1 - s) hot + s / C,  hot: the one of one label, of two with their shares, or what the data say of each class
 * Cross-entropy, with m = max z:  loss = log sum exp(z - m) - sum t (z - m);  slope softmax(z) - t
 * In fp32: log(1 + x) of a small x loses what is far below a loss's own size. */
#include "backend/xla/xla_network.h"

#define LIKE(a, n) hlo_fill(hlo, XLA_F32, (a).rank, (a).shape, n)

/* (N, C): `first` where the class is the label, else 0; first: (N). */
static HloValue one_hot(Hlo *hlo, HloValue labels, HloValue first, HloValue logits) {
    HloValue classes = hlo_iota(hlo, XLA_I32, 2, logits.shape, 1);
    HloValue is_label = hlo_compare(hlo, HLO_EQUAL, classes, xla_images(hlo, labels, classes));
    return hlo_select(hlo, is_label, xla_images(hlo, first, logits), LIKE(logits, 0));
}

/* (N, C), smoothed. */
static HloValue targets_of(XlaNetwork *net, HloValue logits, const XlaTargets *given) {
    Hlo *hlo = net->hlo;
    const double smoothing = net->spec->smoothing, sharp = 1 - smoothing;
    const int64_t images = net->images;
    HloValue target;
    if (xla_there(given->dense))
        target = xla_times(hlo, given->dense, sharp);
    else if (xla_there(given->others)) {
        HloValue rest = SUBTRACT(hlo_fill(hlo, XLA_F32, 1, &images, 1), given->shares);
        target = ADD(one_hot(hlo, given->labels, xla_times(hlo, given->shares, sharp), logits),
                     one_hot(hlo, given->others, xla_times(hlo, rest, sharp), logits));
    } else
        target = one_hot(hlo, given->labels, hlo_fill(hlo, XLA_F32, 1, &images, sharp), logits);
    return xla_plus(hlo, target, smoothing / (double)logits.shape[1]);
}

/* (N) losses; the slopes (N, C). */
static HloValue cross_entropy(Hlo *hlo, HloValue logits, HloValue target, HloValue *slope) {
    HloValue centred = SUBTRACT(logits, xla_images(hlo, hlo_largest(hlo, logits, 2), logits));
    HloValue power = hlo_unary(hlo, HLO_EXP, centred), sum = hlo_sum(hlo, power, 2);
    *slope = SUBTRACT(DIVIDE(power, xla_images(hlo, sum, power)), target);
    return SUBTRACT(hlo_unary(hlo, HLO_LOG, sum), hlo_sum(hlo, MULTIPLY(target, centred), 2));
}

/* off ^ exponent of what is not negative; 0 where it is 0. */
static HloValue power_of(Hlo *hlo, HloValue off, double exponent) {
    if (exponent == 0) return LIKE(off, 1);
    if (exponent == 1) return off;
    HloValue power = hlo_unary(hlo, HLO_EXP, xla_times(hlo, hlo_unary(hlo, HLO_LOG, off), exponent));
    return hlo_select(hlo, hlo_compare(hlo, HLO_GREATER, off, LIKE(off, 0)), power, LIKE(off, 0));
}

/* The binary loss and its slope become the focal ones, each (N, C). */
static void make_focal(Hlo *hlo, const StepSpec *spec, HloValue p, HloValue target, HloValue *binary, HloValue *slope) {
    const double gamma = spec->focal_gamma, alpha = spec->focal_alpha;
    HloValue one = LIKE(p, 1);
    HloValue off = SUBTRACT(ADD(p, target), xla_times(hlo, MULTIPLY(p, target), 2));
    off = hlo_binary(hlo, HLO_MAXIMUM, off, LIKE(off, 0));
    HloValue power = power_of(hlo, off, gamma), steep = MULTIPLY(power, *slope);
    if (gamma > 0) {
        HloValue turn = MULTIPLY(MULTIPLY(p, SUBTRACT(one, p)), SUBTRACT(one, xla_times(hlo, target, 2)));
        turn = xla_times(hlo, MULTIPLY(turn, power_of(hlo, off, gamma - 1)), gamma);
        turn = hlo_select(hlo, hlo_compare(hlo, HLO_GREATER, off, LIKE(off, 0)), turn, LIKE(off, 0));
        steep = ADD(steep, MULTIPLY(turn, *binary));
    }
    *slope = steep;
    *binary = MULTIPLY(power, *binary);
    if (alpha < 0) return;
    HloValue balance = ADD(xla_times(hlo, target, alpha), xla_times(hlo, SUBTRACT(one, target), 1 - alpha));
    *slope = MULTIPLY(balance, *slope);
    *binary = MULTIPLY(balance, *binary);
}

/* As cross_entropy. */
static HloValue each_class(Hlo *hlo, const StepSpec *spec, HloValue logits, HloValue target, HloValue *slope) {
    HloValue zero = LIKE(logits, 0);
    if (spec->loss_threshold > 0)
        target = hlo_select(hlo, hlo_compare(hlo, HLO_GREATER, target, LIKE(target, spec->loss_threshold)),
                            LIKE(target, 1), zero);
    HloValue negative = hlo_unary(hlo, HLO_NEGATE, logits), size = hlo_binary(hlo, HLO_MAXIMUM, logits, negative);
    HloValue far = hlo_unary(hlo, HLO_EXP, hlo_unary(hlo, HLO_NEGATE, size));
    HloValue soft = ADD(hlo_binary(hlo, HLO_MAXIMUM, logits, zero), hlo_unary(hlo, HLO_LOG, xla_plus(hlo, far, 1)));
    HloValue binary = SUBTRACT(soft, MULTIPLY(target, logits)), p = hlo_unary(hlo, HLO_LOGISTIC, logits);
    *slope = SUBTRACT(p, target);
    if (spec->loss == STEP_LOSS_FOCAL) make_focal(hlo, spec, p, target, &binary, slope);
    const double part = spec->loss_sum ? 1 : 1.0 / (double)logits.shape[1];
    *slope = xla_times(hlo, *slope, part);
    return xla_times(hlo, hlo_sum(hlo, binary, 2), part);
}

HloValue xla_loss(XlaNetwork *net, HloValue logits, const XlaTargets *given, double scale, HloValue *gradient) {
    Hlo *hlo = net->hlo;
    HloValue target = targets_of(net, logits, given), slope;
    HloValue loss = net->spec->loss == STEP_LOSS_CROSS_ENTROPY ? cross_entropy(hlo, logits, target, &slope)
                                                               : each_class(hlo, net->spec, logits, target, &slope);
    *gradient = xla_times(hlo, slope, scale);
    if (xla_there(given->weights)) {
        *gradient = MULTIPLY(*gradient, xla_images(hlo, given->weights, *gradient));
        loss = MULTIPLY(loss, given->weights);
    }
    return hlo_sum(hlo, loss, 1);
}
