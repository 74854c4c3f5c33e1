/* loss_binary.c - see loss_binary.h.
 *
 * With a logit z, p = 1 / (1 + exp(-z)), a target t (as in loss.c: (1 - s) * onehot + s / C, mixed where pictures are, and
 * then 1 or 0 where there is a threshold):
 *
 *   binary: b = softplus(z) - t z = max(z, 0) + log(1 + exp(-|z|)) - t z       db/dz = p - t
 *   focal:  a q^g b, with q = 1 - (p t + (1 - p)(1 - t)) = p + t - 2 p t (how far off p is), dq/dz = p (1 - p) (1 - 2 t),
 *           a = alpha t + (1 - alpha)(1 - t), or 1 where alpha < 0
 *           d/dz = a (q^g (p - t) + g q^(g - 1) dq/dz b)
 *
 * Sources: timm's BinaryCrossEntropy (timm/loss/binary_cross_entropy.py; its smoothing and target_threshold); Lin et al.,
 * "Focal Loss for Dense Object Detection", arXiv 1708.02002, equation 5; torchvision.ops.sigmoid_focal_loss. fp32 in,
 * every sum in double. */
#include "step/loss_binary.h"

#include <math.h>
#include <stddef.h>

double loss_binary(const StepSpec *spec, double logit, double target, double *slope) {
    const double far = exp(-fabs(logit)); /* of the smaller of p and 1 - p; never overflows */
    const double p = logit >= 0 ? 1 / (1 + far) : far / (1 + far);
    const double binary = (logit > 0 ? logit : 0) + log1p(far) - target * logit;
    if (spec->loss != STEP_LOSS_FOCAL) {
        if (slope) *slope = p - target;
        return binary;
    }
    const double off = p + target - 2 * p * target, gamma = spec->focal_gamma;
    const double alpha =
        spec->focal_alpha < 0 ? 1 : spec->focal_alpha * target + (1 - spec->focal_alpha) * (1 - target);
    const double power = pow(off, gamma); /* 1 where gamma is 0 */
    const double turn = gamma > 0 && off > 0 ? gamma * pow(off, gamma - 1) * p * (1 - p) * (1 - 2 * target) : 0;
    if (slope) *slope = alpha * (power * (p - target) + turn * binary);
    return alpha * power * binary;
}

double loss_binary_of_image(const StepSpec *spec, const float *logits, const float *dense, int label, int other,
                            double share, int classes, double scale, float *gradient) {
    const double uniform = spec->smoothing / classes, sharp = 1 - spec->smoothing;
    const double part = spec->loss_sum ? 1 : 1.0 / classes;
    bool good = dense || (label >= 0 && label < classes && other >= 0 && other < classes && share >= 0 && share <= 1);
    for (int c = 0; c < classes; c++) good = good && isfinite(logits[c]);
    double sum = 0;
    for (int c = 0; c < classes; c++) {
        const double hot = dense ? (double)dense[c] : (c == label ? share : 0) + (c == other ? 1 - share : 0);
        double slope = NAN, target = uniform + sharp * hot;
        if (spec->loss_threshold > 0) target = target > spec->loss_threshold;
        sum += good ? loss_binary(spec, logits[c], target, &slope) : NAN;
        if (gradient) gradient[c] = (float)(scale * part * slope);
    }
    return sum * part;
}
