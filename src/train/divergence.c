/* divergence.c - see divergence.h. */
#include "train/divergence.h"

#include "step/loss.h"

#define ADVICE                                                                                                         \
    "the run has come apart; try a smaller lr, a longer warm-up or clip_grad, or stop_on_divergence: false to go on "  \
    "all the same"

/* Guessing between two classes costs 0.7, and a small set's first batches soon ten times as much. */
enum { LEAST_CLASSES = 10 };

void divergence_begin(Divergence *divergence, bool off, const StepSpec *spec, int classes, double weight_norm) {
    double guessing = loss_of_guessing(spec, classes > LEAST_CLASSES ? classes : LEAST_CLASSES);
    *divergence = (Divergence){
        .off = off, .loss_limit = DIVERGENCE_LOSS * guessing, .weight_limit = DIVERGENCE_WEIGHTS * weight_norm};
}

effnet_status divergence_check_loss(Divergence *divergence, int64_t step, double loss, effnet_error *err) {
    divergence->steps = loss > divergence->loss_limit ? divergence->steps + 1 : 0;
    divergence->last_loss = loss;
    if (divergence->off || divergence->steps < DIVERGENCE_STEPS) return EFFNET_OK;
    return fail(
        err, EFFNET_ERROR_NUMERIC,
        "after step %lld the loss is %.4g, and was above %.4g, %d times what guessing costs, for %d steps: " ADVICE,
        (long long)step, loss, divergence->loss_limit, DIVERGENCE_LOSS, DIVERGENCE_STEPS);
}

effnet_status divergence_check_weights(const Divergence *divergence, int64_t step, double weight_norm,
                                       effnet_error *err) {
    if (divergence->off || weight_norm <= divergence->weight_limit) return EFFNET_OK;
    return fail(
        err, EFFNET_ERROR_NUMERIC,
        "after step %lld the weights' norm is %.4g, more than %d times the %.4g that the run began with: " ADVICE,
        (long long)step, weight_norm, DIVERGENCE_WEIGHTS, divergence->weight_limit / DIVERGENCE_WEIGHTS);
}

bool divergence_suspected(const Divergence *divergence) {
    return !divergence->off && divergence->steps >= DIVERGENCE_SUSPECT;
}
