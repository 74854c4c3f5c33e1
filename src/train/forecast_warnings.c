/* forecast_warnings.c - what is legal in a recipe and seldom meant, looked for where the run's length and pictures are
 * known. Each sentence says what happens, why it matters and which key to turn. */
#include "train/forecast.h"

#include "base/number_text.h"

#include <math.h>
#include <string.h>

/* The reach of the averages is 1 / (1 - decay) steps: a run that is not several times longer evaluates weights that
 * still hold its beginning. With the warm-up of TensorFlow, decay = min(d, (1 + n) / (10 + n)), they follow the run from
 * the start, over its last tenth. */
static void warn_averages(const effnet_plan *plan, const Recipe *recipe, RunNotes *notes) {
    if (!recipe->model_ema || recipe->model_ema_decay <= 0 || recipe->model_ema_decay >= 1) return;
    double horizon = 1 / (1 - recipe->model_ema_decay);
    if (horizon > (double)plan->steps)
        run_note(
            notes,
            "the averages (model_ema_decay: %g) reach over %.0f steps and the run has %lld%s; 1 - 10 / steps = %.3g "
            "would reach over its last tenth",
            recipe->model_ema_decay, horizon, (long long)plan->steps,
            recipe->model_ema_warmup ? ", so that only model_ema_warmup keeps them near the weights"
                                     : ": they will hold mostly the initial weights",
            plan->steps > 20 ? 1 - 10 / (double)plan->steps : 0.5);
}

static void warn_eps(const Recipe *recipe, RunNotes *notes) {
    bool adam = recipe->opt == OPTIMIZER_ADAMW || recipe->opt == OPTIMIZER_LAMB;
    if (adam && recipe->opt_eps > 1e-4)
        run_note(
            notes,
            "opt_eps is %g, which suits rmsprop; %s was published with %s: with %g small gradients hardly move their "
            "weights",
            recipe->opt_eps, recipe->opt == OPTIMIZER_ADAMW ? "adamw" : "lamb",
            recipe->opt == OPTIMIZER_ADAMW ? "1e-8" : "1e-6", recipe->opt_eps);
    if (recipe->opt == OPTIMIZER_RMSPROP && recipe->opt_eps < 1e-7)
        run_note(
            notes,
            "opt_eps is %g; rmsprop has it inside the root, where the published runs have 0.001: steps of weights with "
            "small gradients become very large",
            recipe->opt_eps);
    if (recipe->bn_eps > 0.1)
        run_note(notes, "bn_eps is %g, of the size of a variance; the published runs have 0.001", recipe->bn_eps);
}

static void warn_schedule(const effnet_plan *plan, const Recipe *recipe, RunNotes *notes) {
    bool decays = recipe->sched == SCHEDULE_STAIRCASE || recipe->sched == SCHEDULE_EXPONENTIAL;
    double peak = recipe_learning_rate(recipe), last = plan->lr[EFFNET_PLAN_POINTS - 1];
    if (decays && recipe->decay_rate < 1 && peak > 0 && last > 0.9 * peak)
        run_note(
            notes,
            "the learning rate ends at %.3g of %.3g: its decay (every %g epochs) hardly begins within %lld epochs; "
            "sched: cosine falls to min_lr in any length",
            last, peak, recipe->decay_epochs, (long long)recipe->epochs);
    if (recipe->sched == SCHEDULE_COSINE && plan->steps < plan->steps_per_epoch * recipe->epochs)
        run_note(notes, "the run stops at step %lld, before the schedule's end at step %lld", (long long)plan->steps,
                 (long long)(plan->steps_per_epoch * recipe->epochs));
}

static void warn_input(const effnet_plan *plan, RunNotes *notes) {
    for (int c = 0; c < 3; c++) {
        double mean = plan->input_mean[c], std = plan->input_std[c];
        if (!isfinite(mean) || !isfinite(std) || (fabs(mean) <= 1 && std >= 0.3 && std <= 2.5)) continue;
        char means[60] = "", deviations[60] = "";
        for (int k = 0; k < 3 && isfinite(plan->input_mean[k]); k++) {
            const size_t a = strlen(means), b = strlen(deviations);
            number_print(means + a, sizeof means - a, "%s%.2f", k ? " " : "", plan->input_mean[k]);
            number_print(deviations + b, sizeof deviations - b, "%s%.2f", k ? " " : "", plan->input_std[k]);
        }
        run_note(notes,
                 "the network sees pictures of mean %s and deviation %s (red, green, blue, or of what channels there "
                 "are); 0 "
                 "and 1 are expected: set mean and std to those of these pictures' pixels / 255",
                 means, deviations);
        return;
    }
}

/* A class with a tenth of the largest one's pictures is seldom predicted. */
static void warn_classes(const effnet_plan *plan, RunNotes *notes) {
    int64_t most = 0, least = INT64_MAX;
    int rarest = 0, commonest = 0;
    for (int c = 0; plan->counts[0] && c < plan->num_classes; c++) {
        int64_t count = plan->counts[0][c];
        if (count > most) {
            most = count;
            commonest = c;
        }
        if (count > 0 && count < least) {
            least = count;
            rarest = c;
        }
    }
    if (most / 10 >= least && plan->class_names)
        run_note(
            notes,
            "the classes are uneven: %lld training pictures of '%.60s', %lld of '%.60s'; top-1 will speak of the large "
            "ones, eval --report of each",
            (long long)most, plan->class_names[commonest], (long long)least, plan->class_names[rarest]);
    if (plan->pictures[1] > 0 && plan->pictures[1] < 100)
        run_note(notes, "%lld evaluation pictures: an accuracy of 90 %% is known to about %.0f points on either side",
                 (long long)plan->pictures[1], 196 * sqrt(0.09 / (double)plan->pictures[1]));
}

void forecast_warn(const effnet_plan *plan, const Recipe *recipe, RunNotes *notes) {
    const char *warning = recipe_warning(recipe);
    if (warning) run_note(notes, "%s", warning);
    warn_averages(plan, recipe, notes);
    warn_eps(recipe, notes);
    warn_schedule(plan, recipe, notes);
    warn_input(plan, notes);
    warn_classes(plan, notes);
    if (plan->data_wait > 0.2)
        run_note(notes, "%.0f %% of a step goes by waiting for pictures: more `workers`, or 'effnet pack' once",
                 100 * plan->data_wait);
    if (plan->memory_limit > 0 && plan->memory_bytes > plan->memory_limit)
        run_note(
            notes,
            "the run needs %.1f GiB and this machine has %.1f: a smaller batch_size, a larger `accumulate`, or amp: "
            "bf16",
            (double)plan->memory_bytes / 0x1p30, (double)plan->memory_limit / 0x1p30);
}
