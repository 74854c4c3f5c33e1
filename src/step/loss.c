/* loss.c - label-smoothed softmax cross-entropy and its gradient.
 *
 * For one image with logits z (C), label y and smoothing s the target, which sums to 1, and the loss are
 *
 *   t = (1 - s) * onehot(y) + s / C            of a mixed picture: share * onehot(y) + (1 - share) * onehot(y')
 *   l = log sum exp(z - m), m = max z
 *   loss = -sum t * log softmax(z) = l - sum t * (z - m) = l - (1 - s) * (z_y - m) - s / C * sum (z - m)
 *   d loss / d z = softmax(z) - t
 *
 * Where images have weights, an image's loss and gradient are times its own; the mean stays one over images.
 *
 * fp32 in, every sum in double. A logit that is not finite makes loss and gradient of its image NaN: an infinity must
 * not pass for a confident answer. Source: Szegedy et al., "Rethinking the Inception Architecture", arXiv 1512.00567,
 * section 7. */
#include "step/loss.h"

#include "step/loss_binary.h"

#include <math.h>

static void fill_nan(float *values, int count) {
    for (int c = 0; values && c < count; c++) values[c] = NAN;
}

/* Loss of one image; gradient (C) or NULL, times `scale`. The target is `share` of label and the rest of `other`. */
static double image_loss(const float *logits, int label, int other, double share, int classes, double smoothing,
                         double scale, float *gradient) {
    double largest = logits[0], sum = 0;
    for (int c = 0; c < classes; c++) {
        if (logits[c] > largest) largest = logits[c];
        sum += logits[c];
    }
    bool known = label >= 0 && label < classes && other >= 0 && other < classes && share >= 0 && share <= 1;
    if (!isfinite(sum) || !known) { /* finite floats cannot overflow a sum of doubles */
        fill_nan(gradient, classes);
        return NAN;
    }
    double sum_exp = 0;
    for (int c = 0; c < classes; c++) {
        double power = exp(logits[c] - largest);
        sum_exp += power;
        if (gradient) gradient[c] = (float)power;
    }
    double uniform = smoothing / classes, first = (1 - smoothing) * share, second = (1 - smoothing) * (1 - share);
    for (int c = 0; gradient && c < classes; c++) {
        double target = uniform + (c == label ? first : 0) + (c == other ? second : 0);
        gradient[c] = (float)(scale * ((double)gradient[c] / sum_exp - target));
    }
    return log(sum_exp) - (first * (logits[label] - largest) + second * (logits[other] - largest)) -
           uniform * (sum - classes * largest);
}

/* The batch in at most LOSS_TASKS spans of pictures, whose bounds depend on its size alone: the same sum for any team.
 */
enum { LOSS_TASKS = 64 };

typedef struct LossPass {
    const float *logits;
    const Targets *targets;
    int batch, classes, span;
    const StepSpec *spec;
    double gradient_scale;
    float *gradient;
    double totals[LOSS_TASKS];
} LossPass;

static void loss_task(void *context, int task, int thread) {
    (void)thread;
    LossPass *pass = context;
    const Targets *targets = pass->targets;
    int end = (task + 1) * pass->span < pass->batch ? (task + 1) * pass->span : pass->batch;
    double total = 0;
    for (int n = task * pass->span; n < end; n++) {
        size_t row = (size_t)n * (size_t)pass->classes;
        int label = targets->dense ? 0 : targets->labels[n], other = targets->others ? targets->others[n] : label;
        double weight = targets->weights ? (double)targets->weights[n] : 1;
        const double share = targets->others ? (double)targets->shares[n] : 1, scale = weight * pass->gradient_scale;
        const float *logits = pass->logits + row;
        float *gradient = pass->gradient ? pass->gradient + row : NULL;
        total += weight *
                 (pass->spec->loss == STEP_LOSS_CROSS_ENTROPY
                      ? image_loss(logits, label, other, share, pass->classes, pass->spec->smoothing, scale, gradient)
                      : loss_binary_of_image(pass->spec, logits, targets->dense ? targets->dense + row : NULL, label,
                                             other, share, pass->classes, scale, gradient));
    }
    pass->totals[task] = total;
}

double loss_of_step(const StepSpec *spec, const float *logits, const Targets *targets, int batch, int classes,
                    double gradient_scale, ThreadTeam *team, float *gradient) {
    LossPass pass = {.logits = logits,
                     .targets = targets,
                     .batch = batch,
                     .classes = classes,
                     .span = (batch + LOSS_TASKS - 1) / LOSS_TASKS,
                     .spec = spec,
                     .gradient_scale = gradient_scale / batch,
                     .gradient = gradient};
    int tasks = (batch + pass.span - 1) / pass.span;
    thread_team_run(team, loss_task, &pass, tasks);
    double total = 0;
    for (int task = 0; task < tasks; task++) total += pass.totals[task];
    return total / batch;
}

double loss_soft_cross_entropy(const float *logits, const Targets *targets, int batch, int classes, double smoothing,
                               double gradient_scale, ThreadTeam *team, float *gradient) {
    const StepSpec spec = {.loss = STEP_LOSS_CROSS_ENTROPY, .smoothing = smoothing};
    return loss_of_step(&spec, logits, targets, batch, classes, gradient_scale, team, gradient);
}

double loss_of_guessing(const StepSpec *spec, int classes) {
    if (spec->loss == STEP_LOSS_CROSS_ENTROPY) return log(classes);
    const double one = loss_binary(spec, 0, 1, NULL), none = loss_binary(spec, 0, 0, NULL);
    return (one + (classes - 1) * none) / (spec->loss_sum ? 1 : classes);
}

double loss_cross_entropy(const float *logits, const int32_t *labels, int batch, int classes, double smoothing,
                          double gradient_scale, float *gradient) {
    const Targets targets = {.labels = labels};
    return loss_soft_cross_entropy(logits, &targets, batch, classes, smoothing, gradient_scale, NULL, gradient);
}
