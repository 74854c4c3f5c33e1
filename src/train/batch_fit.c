/* batch_fit.c - see batch_fit.h. What steps take grows with the pictures that go forward at once, so two small plans tell
 * what a large one needs; it is only drawn up once it is chosen. */
#include "train/batch_fit.h"

#include "base/file.h"
#include "base/machine.h"
#include "base/number_text.h"
#include "train/run_memory.h"

#include <string.h>

enum { MOST = 4096, FEW = 16, STEPS_AN_EPOCH = 10 };
static const double share_of_free = 0.8;

effnet_status batch_of_run(const char *folder, Recipe *recipe, effnet_error *err) {
    char path[1100];
    Recipe saved;
    if (recipe->batch_size > 0) return EFFNET_OK;
    TRY(path_join(path, sizeof path, folder, "recipe.yaml", err));
    TRY(recipe_read(path, &saved, err));
    recipe->batch_size = saved.batch_size;
    return EFFNET_OK;
}

/* Bytes that a run with batches of so many needs, by the plan of its steps. */
static effnet_status measure(Run *run, int64_t batch, double *bytes, effnet_error *err) {
    Recipe *const whole = run->recipe;
    Recipe recipe = *whole;
    RunMemory memory;
    recipe.batch_size = batch;
    run->recipe = &recipe;
    const int evaluation = (int)(recipe.eval_batch_size ? recipe.eval_batch_size : recipe_part(&recipe));
    effnet_status status =
        trainer_create_among(run->workers, &recipe, &run->network, run->team, 1, evaluation, &run->trainer, err);
    if (status == EFFNET_OK) {
        run_memory_expect(run, evaluation, &memory);
        *bytes = (double)(memory.activations + memory.state + memory.pictures);
    }
    trainer_free(&run->trainer);
    run->trainer = (Trainer){0};
    run->recipe = whole;
    return status;
}

int64_t batch_most(int64_t pictures, int64_t unit) {
    int64_t most = pictures / STEPS_AN_EPOCH > FEW ? pictures / STEPS_AN_EPOCH : FEW, batch = unit;
    if (most > pictures) most = pictures;
    if (most > MOST) most = MOST;
    while (2 * batch <= most) batch *= 2;
    return batch;
}

int64_t batch_that_fits(const BatchNeeds *needs, double allowed, int64_t unit, int64_t most) {
    int64_t batch = most;
    while (batch > unit && needs->fixed + needs->each * (double)batch > allowed) batch /= 2;
    return batch;
}

static effnet_status choose(Run *run, int64_t unit, effnet_error *err) {
    Machine machine;
    double small, larger;
    machine_here(&machine);
    const double allowed = share_of_free * (double)machine.memory_free;
    if (machine.memory_free <= 0)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "batch_size is auto, and how much memory is free cannot be found on this machine: give a number");
    TRY(measure(run, 2 * unit, &small, err));
    TRY(measure(run, 4 * unit, &larger, err));
    BatchNeeds needs = {.each = (larger - small) / (double)(2 * unit)};
    needs.fixed = small - needs.each * (double)(2 * unit);
    const int64_t most = batch_most(dataset_size(run->train_set), unit);
    const int64_t batch = batch_that_fits(&needs, allowed, unit, most);
    run->recipe->batch_size = batch;
    number_print(run->batch_found, sizeof run->batch_found,
                 "batch_size: auto is %lld: it needs about %.2g of the %.2g GiB that are free%s", (long long)batch,
                 (needs.fixed + needs.each * (double)batch) / 0x1p30, (double)machine.memory_free / 0x1p30,
                 batch < most       ? "; twice as many would need more than 80 % of them"
                 : 2 * batch > MOST ? "; no more than 4,096 are chosen"
                                    : "; more would leave an epoch fewer than ten steps");
    return EFFNET_OK;
}

effnet_status run_fit_batch(Run *run, effnet_error *err) {
    Recipe *recipe = run->recipe;
    if (recipe->batch_size > 0) return EFFNET_OK;
    if (workers_count(run->workers) > 1) return recipe_need_batch(recipe, "a run of several workers", err);
    if (strcmp(recipe->device, "cpu") != 0) return recipe_need_batch(recipe, "a run on an accelerator", err);
    if (run->options->resume) {
        TRY(batch_of_run(run->out, recipe, err));
        return recipe_need_batch(recipe, "this folder's recipe", err);
    }
    return choose(run, recipe->replicas * recipe->accumulate, err);
}
