/* trainer.c - a recipe's steps on an executor: fresh state -> (weights or a checkpoint read into it) -> started ->
 * step after step, each at the schedule's learning rate. */
#include "train/trainer.h"

#include "executor/executor.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "step/step_spec.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"
#include "train/schedule.h"

#include <string.h>

effnet_status trainer_create(const Recipe *recipe, const Network *network, ThreadTeam *team, int64_t steps_per_epoch,
                             int evaluation_batch, Trainer *out, effnet_error *err) {
    return trainer_create_among(NULL, recipe, network, team, steps_per_epoch, evaluation_batch, out, err);
}

effnet_status trainer_create_among(Workers *workers, const Recipe *recipe, const Network *network, ThreadTeam *team,
                                   int64_t steps_per_epoch, int evaluation_batch, Trainer *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    TRY(recipe_check(recipe, err));
    if (steps_per_epoch < 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "an epoch of %lld steps; it needs at least 1",
                    (long long)steps_per_epoch);
    out->recipe = recipe;
    out->network = network;
    out->steps_per_epoch = steps_per_epoch;
    StepSpec spec;
    step_spec_from_recipe(recipe, &spec);
    const ExecutorOptions options = {.engine = recipe->engine,
                                     .device = recipe->device,
                                     .devices = (int)recipe->devices,
                                     .evaluation_batch = evaluation_batch,
                                     .workers = workers,
                                     .team = team};
    effnet_status status = train_state_create(network, recipe, &out->state, err);
    if (status == EFFNET_OK) status = executor_create(network, &spec, &options, &out->executor, err);
    if (status != EFFNET_OK) trainer_free(out);
    return status;
}

effnet_status trainer_start(Trainer *trainer, effnet_error *err) {
    trainer->step = trainer->state.step;
    return executor_load(trainer->executor, &trainer->state, err);
}

void trainer_free(Trainer *trainer) {
    executor_free(trainer->executor);
    train_state_free(&trainer->state);
    memset(trainer, 0, sizeof *trainer);
}

effnet_status trainer_queue_step(Trainer *trainer, const ExecutorBatch *batch, StepResults *results, double *lr,
                                 effnet_error *err) {
    const double rate = schedule_learning_rate(trainer->recipe, trainer->step, trainer->steps_per_epoch);
    TRY(executor_step(trainer->executor, batch, rate, results, err));
    trainer->step++;
    if (lr) *lr = rate;
    return EFFNET_OK;
}

effnet_status trainer_step(Trainer *trainer, const ExecutorBatch *batch, StepResult *result, double *lr,
                           effnet_error *err) {
    ExecutorBatch pictures = *batch;
    StepResults results;
    pictures.wait = result != NULL;
    TRY(trainer_queue_step(trainer, &pictures, &results, lr, err));
    if (result) *result = results.list[results.count - 1];
    return EFFNET_OK;
}
