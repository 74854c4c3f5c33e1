/* api_train.c - whole runs, and a trainer of batches that the caller supplies. */
#include "api/handles.h"
#include "api/api_series.h"
#include "train/from_recipe.h"
#include "train/loop.h"
#include "train/replay_batches.h"

#include <stdlib.h>
#include <string.h>

static effnet_status run_folder(const Recipe *recipe, const effnet_train_options *options, char *out, size_t size,
                                effnet_error *err) {
    const int length =
        options->out ? snprintf(out, size, "%s", options->out) : snprintf(out, size, "runs/%s", recipe->name);
    if ((size_t)length < size) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "the run folder is too long: '%.80s...'", out);
}

effnet_status effnet_train(const effnet_recipe *recipe, const effnet_train_options *options,
                           effnet_train_result *result, effnet_error *error) {
    effnet_train_options chosen;
    char out[1000];
    NEED(recipe);
    if (result) TRY(result_clear(result, "effnet_train_result", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_train_options", error));
    Recipe resolved = recipe->recipe; /* the run writes into it what was left open */
    effnet_train_result told = {
        .top1 = -1, .top5 = -1, .ema_top1 = -1, .ema_top5 = -1, .first_top1 = -1, .best_top1 = -1, .best_step = -1};
    TRY(run_folder(&resolved, &chosen, out, sizeof out, error));
    bool series;
    TRY(api_series_is_meant(&resolved, out, chosen.resume, &series, error));
    effnet_status status =
        series ? api_train_series(&resolved, &chosen, out, &told, error) : train_run(&resolved, &chosen, &told, error);
    if (result) result_write(result, &told, sizeof told);
    return status;
}

effnet_status effnet_replay(const effnet_recipe *recipe, const effnet_replay_options *options, effnet_error *error) {
    effnet_replay_options chosen;
    NEED(recipe);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_replay_options", error));
    TRY(recipe_need_batch(&recipe->recipe, "a replay", error));
    return replay_run(&recipe->recipe, &chosen, error);
}

static effnet_status build(effnet_trainer *trainer, const effnet_trainer_options *options, effnet_error *err) {
    ModelConfig config;
    const Recipe *recipe = &trainer->recipe;
    TRY(recipe_check(recipe, err));
    TRY(recipe_need_batch(recipe, "a trainer of the caller's batches", err));
    TRY(model_config_from_recipe(recipe, options->num_classes, &config, err));
    TRY(network_from_recipe(recipe, &config, &trainer->network, err));
    if (options->team) {
        trainer->team = options->team->team;
        trainer->team_is_shared = true;
    } else {
        TRY(thread_team_create(options->threads ? options->threads : (int)recipe->threads, &trainer->team, err));
    }
    TRY(trainer_create(recipe, &trainer->network, trainer->team, options->steps_per_epoch, 0, &trainer->trainer, err));
    trainer->has_trainer = true;
    return trainer_start(&trainer->trainer, err);
}

effnet_status effnet_trainer_create(const effnet_recipe *recipe, const effnet_trainer_options *options,
                                    effnet_trainer **out, effnet_error *error) {
    effnet_trainer_options chosen;
    NEED_OUT(out);
    NEED(recipe);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_trainer_options", error));
    if (chosen.num_classes == 0) chosen.num_classes = (int)recipe->recipe.num_classes;
    if (chosen.num_classes < 1 || chosen.num_classes > 100000)
        return fail(error, EFFNET_ERROR_ARGUMENT,
                    "num_classes is %d; allowed: 1 to 100000, here or as the recipe's num_classes", chosen.num_classes);
    if (chosen.steps_per_epoch < 1)
        return fail(error, EFFNET_ERROR_ARGUMENT, "steps_per_epoch is %d; allowed: 1 or more", chosen.steps_per_epoch);
    effnet_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a trainer");
    trainer->recipe = recipe->recipe;
    effnet_status status = build(trainer, &chosen, error);
    if (status != EFFNET_OK) {
        effnet_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return EFFNET_OK;
}

void effnet_trainer_free(effnet_trainer *trainer) {
    if (!trainer) return;
    if (trainer->has_trainer) trainer_free(&trainer->trainer);
    if (!trainer->team_is_shared) thread_team_free(trainer->team);
    network_free(&trainer->network);
    free(trainer);
}

effnet_status effnet_trainer_step(effnet_trainer *trainer, const float *images, const int32_t *labels, int batch,
                                  double *loss, double *lr, effnet_error *error) {
    StepResult result;
    NEED(trainer);
    NEED(images);
    NEED(labels);
    int classes = trainer->network.config.num_classes;
    if (batch < 1 || batch > trainer->recipe.batch_size)
        return fail(error, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to the recipe's batch_size, %lld", batch,
                    (long long)trainer->recipe.batch_size);
    for (int i = 0; i < batch; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(error, EFFNET_ERROR_ARGUMENT, "label %d of the batch is %d; allowed: 0 to %d", i, labels[i],
                        classes - 1);
    const ExecutorBatch pictures = {.size = batch, .images = images, .labels = labels};
    TRY(trainer_step(&trainer->trainer, &pictures, &result, lr, error));
    if (loss) *loss = result.loss;
    return EFFNET_OK;
}

effnet_status effnet_trainer_model(effnet_trainer *trainer, bool ema, effnet_model **out, effnet_error *error) {
    const TrainState *state;
    ModelCard card;
    NEED_OUT(out);
    NEED(trainer);
    TRY(executor_state(trainer->trainer.executor, &state, error));
    if (ema && !state->ema_parameters)
        return fail(error, EFFNET_ERROR_ARGUMENT, "this recipe keeps no averaged weights (model_ema: false)");
    model_card_from_recipe(&trainer->recipe, &trainer->network.config, &card);
    TRY(model_allocate(&card, NULL, thread_team_size(trainer->team), trainer->recipe.engine, out, error));
    memcpy((*out)->parameters, ema ? state->ema_parameters : state->parameters,
           trainer->network.parameter_floats * sizeof(float));
    memcpy((*out)->statistics, ema ? state->ema_statistics : state->statistics,
           trainer->network.statistic_floats * sizeof(float));
    return EFFNET_OK;
}
