/* run_workers.c - see run_workers.h. */
#include "train/run_workers.h"

#include "train/data_listing.h"
#include "train/resume.h"

#include <stdio.h>

static effnet_status check_program(Run *run, effnet_error *err) {
    char text[200];
    const ExecutorInfo info = executor_info(run->trainer.executor);
    snprintf(text, sizeof text, "effnet %s, %s with %s", effnet_version(), info.engine, info.isa);
    TRY(workers_check_same(run->workers, text, "the program or the processor", err));
    snprintf(text, sizeof text, "step %lld%s", (long long)run->last_step, run->options->resume ? ", resumed" : "");
    return workers_check_same(run->workers, text, "where the run ends", err);
}

static effnet_status check_recipe(Run *run, effnet_error *err) {
    Recipe first = *run->recipe;
    char names[200];
    effnet_status status = EFFNET_OK;
    TRY(workers_broadcast(run->workers, &first, sizeof first, "the recipe", err));
    recipe_differences_of_workers(run->recipe, &first, names, sizeof names);
    if (names[0])
        status = fail(err, EFFNET_ERROR_ARGUMENT,
                      "the recipe differs from worker 0's in: %s; give every worker the same", names);
    return workers_agree(run->workers, status, err);
}

static effnet_status check_pictures(Run *run, effnet_error *err) {
    char text[200], listing[DATA_LISTING_BYTES] = "";
    effnet_status status = data_listing(run->val_set, run->recipe->data, listing, err);
    TRY(workers_agree(run->workers, status, err));
    snprintf(text, sizeof text, "%lld, listing %s", (long long)run->card.pictures, run->card.listing);
    TRY(workers_check_same(run->workers, text, "the list of training pictures", err));
    snprintf(text, sizeof text, "%lld, listing %s", (long long)dataset_size(run->val_set), listing);
    return workers_check_same(run->workers, text, "the list of evaluation pictures", err);
}

effnet_status run_workers_check(Run *run, effnet_error *err) {
    if (workers_count(run->workers) == 1) return EFFNET_OK;
    TRY(check_program(run, err)); /* first: another program may have another Recipe */
    TRY(check_recipe(run, err));
    return check_pictures(run, err);
}

effnet_status run_workers_share_blocks(Run *run, TrainState *state, const char *what, effnet_error *err) {
    if (workers_count(run->workers) == 1) return EFFNET_OK;
    const size_t parameters = run->network.parameter_floats, statistics = run->network.statistic_floats;
    const struct {
        float *values;
        size_t floats;
    } blocks[] = {{state->parameters, parameters},     {state->statistics, statistics},
                  {state->slots[0], parameters},       {state->slots[1], parameters},
                  {state->ema_parameters, parameters}, {state->ema_statistics, statistics}};
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++)
        if (blocks[b].values)
            TRY(workers_broadcast(run->workers, blocks[b].values, blocks[b].floats * sizeof(float), what, err));
    char text[40];
    snprintf(text, sizeof text, "%08x", (unsigned)state_fingerprint(&run->network, state));
    return workers_check_same(run->workers, text, what, err);
}

effnet_status run_workers_share_state(Run *run, effnet_error *err) {
    if (workers_count(run->workers) == 1) return EFFNET_OK;
    TrainState *state = &run->trainer.state;
    struct {
        double best_top1;
        int64_t best_step, step;
        bool resumed, head_drawn;
    } begin = {run->best_top1, run->best_step, state->step, run->resumed, run->head_drawn};
    TRY(workers_broadcast(run->workers, &begin, sizeof begin, "where the run begins", err));
    run->best_top1 = begin.best_top1;
    run->best_step = begin.best_step;
    state->step = begin.step;
    run->resumed = begin.resumed;
    run->head_drawn = begin.head_drawn;
    return run_workers_share_blocks(run, state, "the weights to begin with", err);
}
