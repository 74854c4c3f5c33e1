/* xla_loss.c - label-smoothed softmax cross-entropy with one or two labels a picture; the formula is step/loss.c's:
 * t = (1 - s) (share onehot(label) + (1 - share) onehot(other)) + s / C;  loss = l - sum t (z - m), l = log sum exp(z -
 * m); d loss / d z = softmax(z) - t. */
#include "backend/xla/xla_network.h"

/* (N, C): `first` where the class is the label, else 0; first: (N). */
static HloValue one_hot(Hlo *hlo, HloValue labels, HloValue first, HloValue logits) {
    HloValue classes = hlo_iota(hlo, XLA_I32, 2, logits.shape, 1);
    HloValue is_label = hlo_compare(hlo, HLO_EQUAL, classes, xla_images(hlo, labels, classes));
    return hlo_select(hlo, is_label, xla_images(hlo, first, logits), hlo_fill(hlo, XLA_F32, 2, logits.shape, 0));
}

HloValue xla_loss(XlaNetwork *net, HloValue logits, HloValue labels, HloValue others, HloValue shares, double scale,
                  HloValue *gradient) {
    Hlo *hlo = net->hlo;
    const double smoothing = net->spec->smoothing, sharp = 1 - smoothing;
    const int64_t images = net->images, classes = logits.shape[1];
    HloValue largest = hlo_largest(hlo, logits, 2);
    HloValue centred = SUBTRACT(logits, xla_images(hlo, largest, logits));
    HloValue power = hlo_unary(hlo, HLO_EXP, centred), sum = hlo_sum(hlo, power, 2);
    HloValue target;
    if (xla_there(others)) {
        HloValue rest = SUBTRACT(hlo_fill(hlo, XLA_F32, 1, &images, 1), shares);
        target = ADD(one_hot(hlo, labels, xla_times(hlo, shares, sharp), logits),
                     one_hot(hlo, others, xla_times(hlo, rest, sharp), logits));
    } else
        target = one_hot(hlo, labels, hlo_fill(hlo, XLA_F32, 1, &images, sharp), logits);
    target = xla_plus(hlo, target, smoothing / (double)classes);
    HloValue softmax = DIVIDE(power, xla_images(hlo, sum, power));
    *gradient = xla_times(hlo, SUBTRACT(softmax, target), scale);
    HloValue loss = SUBTRACT(hlo_unary(hlo, HLO_LOG, sum), hlo_sum(hlo, MULTIPLY(target, centred), 2));
    return hlo_sum(hlo, loss, 1);
}
