/* schedule.c - the learning rate of every step.
 *
 * With L = recipe_learning_rate (lr, or lr_base * batch_size / lr_base_size), S = steps an epoch and s = the step,
 * counted from 0:
 *   staircase    L * decay_rate ^ floor(t / D)          D = decay_steps, or decay_epochs * S, not rounded
 *   exponential  L * decay_rate ^ (t / D)
 *   cosine       min_lr + (L - min_lr) * (1 + cos(pi * t / T)) / 2     T = epochs * S - B; min_lr from there on
 *   constant     L
 * with t = max(0, s - B), and never below min_lr. During the first W = floor(warmup_epochs * S) steps the warm-up takes
 * its place: warmup_lr + (L - warmup_lr) * s / W, which min_lr does not touch. Where the decay counts from, B, is
 * decay_begin's:
 *   start         0: with the published numbers (5 epochs, 2.4 epochs, 0.97) the rate climbs towards L and falls to
 *                 L * 0.97^2 where the warm-up ends (TensorFlow; timm)
 *   warmup        W (timm's warmup_prefix; Optax's warmup_exponential_decay_schedule as it is meant)
 *   twice_warmup  2 W: optax.warmup_exponential_decay_schedule joins the warm-up and a decay that already counts from
 *                 the joint, and the original passes transition_begin = W to it as well (common/optimizer.py:42-50)
 * Where sched_on_updates is false, s is the first step of its epoch: the rate stands still for an epoch and the warm-up
 * is a stair (timm's Scheduler.step, called at the end of an epoch).
 *
 * Source: build_learning_rate in tensorflow/tpu models/official/efficientnet/utils.py, over tf.train.exponential_decay,
 * which divides by D as it is: 2.4 epochs of 626 steps are 1502.4 steps, so step 1502 still has the rate of step 0 and
 * 1503 is the first of the next stair. The original counts 1,502 (its transition_steps): decay_steps. */
#include "train/schedule.h"

#include "recipe/recipe.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* D is a product of doubles: 0.1 * 30 comes out just above 3. The allowance keeps step 3 on its own stair; it is far
 * below a step's share of any stair (1 / D >= 1e-9 while a stair has fewer than 10^9 steps). */
static const double stair_allowance = 1e-10;

double schedule_learning_rate(const Recipe *recipe, int64_t step, int64_t steps_per_epoch) {
    double peak = recipe_learning_rate(recipe);
    double epoch_steps = (double)steps_per_epoch;
    double warmup_steps = floor(recipe->warmup_epochs * epoch_steps + stair_allowance);
    double begin = warmup_steps * (double)recipe->decay_begin; /* 0, 1 or 2 times: the choices' order */
    if (!recipe->sched_on_updates) step -= step % steps_per_epoch;
    if ((double)step < warmup_steps)
        return recipe->warmup_lr + (peak - recipe->warmup_lr) * (double)step / warmup_steps;

    double decaying = (double)step > begin ? (double)step - begin : 0;
    double stair_steps = recipe->decay_steps > 0 ? (double)recipe->decay_steps : recipe->decay_epochs * epoch_steps;
    double stairs = decaying / stair_steps;
    double rate = peak;
    switch (recipe->sched) {
    case SCHEDULE_STAIRCASE:
        rate = peak * pow(recipe->decay_rate, floor(stairs + stair_allowance));
        break;
    case SCHEDULE_EXPONENTIAL:
        rate = peak * pow(recipe->decay_rate, stairs);
        break;
    case SCHEDULE_COSINE: {
        double length = (double)recipe->epochs * epoch_steps - begin;
        double done = decaying < length ? decaying / length : 1;
        rate = recipe->min_lr + (peak - recipe->min_lr) * 0.5 * (1 + cos(pi * done));
        break;
    }
    default: /* SCHEDULE_CONSTANT */
        break;
    }
    return rate > recipe->min_lr ? rate : recipe->min_lr;
}
