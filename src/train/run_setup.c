/* run_setup.c - from a recipe to a run that is ready for its next step: data -> network -> trainer -> folder ->
 * loaders.
 *
 * The recipe is resolved on the way: what it left open (classes, resolution, dropout, data) is written into it, so that
 * OUT/recipe.yaml and every checkpoint say what was used. Nothing is written before everything was found good. */
#include "train/run.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/sources/shared_pictures.h"
#include "train/batch_fit.h"
#include "train/data_listing.h"
#include "train/from_recipe.h"
#include "train/run_check.h"
#include "train/run_classes.h"
#include "train/run_memory.h"
#include "train/run_state.h"
#include "train/run_tensorboard.h"
#include "train/run_workers.h"

#include <stdlib.h>
#include <string.h>

static effnet_status copy_text(char *out, size_t size, const char *text, const char *what, effnet_error *err) {
    if ((size_t)snprintf(out, size, "%s", text) >= size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s is too long: '%.80s...'", what, text);
    return EFFNET_OK;
}

/* Options of the command line over those of the recipe. */
static effnet_status apply_options(Run *run, effnet_error *err) {
    const effnet_train_options *options = run->options;
    Recipe *recipe = run->recipe;
    if (options->data) TRY(copy_text(recipe->data, sizeof recipe->data, options->data, "the path of the data", err));
    if (!recipe->data[0])
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no data: give --data DIR, or set `data` in the recipe");
    if (options->threads > 0) recipe->threads = options->threads;
    if (options->engine) TRY(recipe_set(recipe, "engine", options->engine, err));
    const EngineVtable *engine; /* names that are wrong are told before the data is read */
    const ExecutorVtable *executor;
    TRY(engine_find(recipe->engine, &engine, err));
    TRY(executor_find(recipe->device, &executor, err));
    if (options->resume && options->init)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "--resume goes on with a run's own weights and --init brings others; give one of them");
    if (options->steps < 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "steps is %lld; it is the step to stop after, at least 1",
                    (long long)options->steps);
    if (options->out) return copy_text(run->out, sizeof run->out, options->out, "the run folder", err);
    snprintf(run->out, sizeof run->out, "runs/%s", recipe->name);
    return EFFNET_OK;
}

static effnet_status note_shared(Run *run, effnet_error *err) {
    int64_t shared;
    bool all;
    TRY(datasets_shared(run->train_set, run->val_set, &shared, &all, err));
    if (shared)
        run_note(
            &run->notes,
            "%s%lld of the %lld evaluation pictures stand among the training pictures too, byte for byte: accuracy "
            "says too much ('effnet data check' lists them)",
            all ? "" : "at least ", (long long)shared, (long long)dataset_size(run->val_set));
    return EFFNET_OK;
}

/* The classes: as many as the data has, or more where the recipe says so; the evaluation split numbered like the
 * training split. */
static effnet_status open_data(Run *run, effnet_error *err) {
    Recipe *recipe = run->recipe;
    TRY(dataset_open_with(recipe->data, SPLIT_TRAIN, recipe->train_split, recipe->val_split, &run->train_set, err));
    TRY(dataset_open_with(recipe->data, SPLIT_VALIDATION, recipe->train_split, recipe->val_split, &run->val_set, err));
    if (datasets_are_same(run->train_set, run->val_set))
        run_note(&run->notes,
                 "training and evaluation are the same pictures: accuracy says little of others (val_split: "
                 "20%% keeps a fifth apart)");
    else if (workers_rank(run->workers) == 0)
        TRY(note_shared(run, err));
    int classes = dataset_num_classes(run->train_set);
    if (recipe->num_classes == 0) recipe->num_classes = classes;
    if (recipe->num_classes < classes)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "num_classes is %lld and '%s' has %d classes; set num_classes to 0 or to at least %d",
                    (long long)recipe->num_classes, recipe->data, classes, classes);
    char **names = run_class_names(run->train_set, (int)recipe->num_classes);
    if (!names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d classes", classes);
    run->card.class_names = names; /* owned by the data set, never written */
    TRY(dataset_use_classes(run->val_set, (const char *const *)names, classes, err));
    if (recipe->class_names[0] && strcmp(dataset_class_name(run->train_set, 0), "0") == 0) {
        run->card.class_names = NULL; /* mere numbers: the recipe's names say more */
        free(names);
        TRY(recipe_class_names(recipe, (int)recipe->num_classes, &run->card.class_names, err));
    }
    run->card.pictures = dataset_size(run->train_set);
    TRY(data_listing(run->train_set, recipe->data, run->card.listing, err));
    return data_listing(run->val_set, recipe->data, run->card.evaluated_listing, err);
}

static effnet_status open_network(Run *run, effnet_error *err) {
    Recipe *recipe = run->recipe;
    ModelConfig config;
    TRY(model_config_from_recipe(recipe, 0, &config, err));
    recipe->resolution = (PictureSize){config.input.height, config.input.width};
    recipe->mean = channel_values_for(&recipe->mean, config.input.channels);
    recipe->std = channel_values_for(&recipe->std, config.input.channels);
    recipe->drop = config.drop;
    TRY(network_from_recipe(recipe, &config, &run->network, err));
    ModelCard data = run->card;
    model_card_from_recipe(recipe, &config, &run->card);
    run->card.class_names = data.class_names;
    run->card.pictures = data.pictures;
    run->card.several = dataset_has_sets(run->train_set);
    memcpy(run->card.listing, data.listing, sizeof data.listing);
    memcpy(run->card.evaluated_listing, data.evaluated_listing, sizeof data.evaluated_listing);
    int used = snprintf(run->origin, sizeof run->origin, "trained by effnet %s with the recipe %s", effnet_version(),
                        recipe->name);
    if (run->options->init)
        snprintf(run->origin + used, sizeof run->origin - (size_t)used, ", begun from %.400s", run->options->init);
    run->card.origin = run->origin;
    return EFFNET_OK;
}

static int evaluation_batch(const Recipe *recipe) {
    return (int)(recipe->eval_batch_size > 0 ? recipe->eval_batch_size : recipe_part(recipe));
}

static effnet_status open_trainer(Run *run, effnet_error *err) {
    const Recipe *recipe = run->recipe;
    int64_t pictures = dataset_size(run->train_set);
    TRY(thread_team_create((int)recipe->threads, &run->team, err));
    TRY(run_fit_batch(run, err));
    run->steps_per_epoch = recipe_steps_per_epoch(recipe, pictures);
    if (pictures < recipe->batch_size)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "'%s' has %lld training pictures, fewer than one batch_size of %lld; use a smaller batch_size",
                    recipe->data, (long long)pictures, (long long)recipe->batch_size);
    run->last_step = run->steps_per_epoch * recipe->epochs;
    if (run->options->steps > 0 && run->options->steps < run->last_step) run->last_step = run->options->steps;
    return trainer_create_among(run->workers, recipe, &run->network, run->team, run->steps_per_epoch,
                                evaluation_batch(recipe), &run->trainer, err);
}

static effnet_status open_loaders(Run *run, effnet_error *err) {
    const Recipe *recipe = run->recipe;
    LoaderOptions options;
    TRY(loader_options_from_recipe(recipe, run->network.config.input, run->train_set, true, &options, err));
    options.first_step = run->trainer.step;
    options.process = workers_rank(run->workers);
    options.processes = workers_count(run->workers);
    options.batch /= options.processes;
    options.mixes /= options.processes;
    options.reserved = run->memory_bytes;
    options.bytes = executor_info(run->trainer.executor).takes_bytes;
    TRY(loader_create(&options, &run->train_loader, err));
    TRY(class_weights_create(recipe, run->train_set, run->network.config.num_classes, &run->class_weights, err));
    options.dataset = run->val_set;
    options.training = options.bytes = false;
    options.targets = dataset_has_sets(run->train_set);
    options.batch = evaluation_batch(recipe);
    options.first_step = 0;
    return loader_create(&options, &run->val_loader, err);
}

static effnet_status write_recipe(const Run *run, effnet_error *err) {
    char path[1024];
    TRY(path_join(path, sizeof path, run->out, "recipe.yaml", err));
    return recipe_save(run->recipe, path, NULL, err);
}

effnet_status run_prepare(Run *run, effnet_error *err) {
    run->best_top1 = run->best_step = -1;
    TRY(recipe_check(run->recipe, err));
    TRY(apply_options(run, err));
    TRY(reference_curve_read(run->recipe->reference_curve, &run->reference, err));
    TRY(open_data(run, err));
    TRY(run_check_data(run, err));
    TRY(open_network(run, err));
    TRY(open_trainer(run, err));
    return run_check_training(run, err);
}

effnet_status run_start(Run *run, effnet_error *err) {
    RunMemory memory;
    Machine machine;
    machine_here(&machine);
    run_memory_expect(run, evaluation_batch(run->recipe), &memory);
    TRY(run_memory_check(&memory, &machine, run->recipe, run->options->memory_anyway, &run->notes, err));
    const ExecutorInfo info = executor_info(run->trainer.executor);
    run_memory_note_device(&info, &run->notes);
    run->memory_bytes = memory.activations + memory.state + memory.pictures;
    TRY(trainer_start(&run->trainer, err));
    return open_loaders(run, err);
}

/* Worker 0's alone: the folder and what is written there. */
static effnet_status open_folder(Run *run, effnet_error *err) {
    if (workers_rank(run->workers) > 0) return EFFNET_OK;
    TRY(folder_create(run->out, err));
    TRY(run_log_open(&run->log, run->out, err));
    TRY(run_state_settle(run, err));
    TRY(run_log_cut(&run->log, run->trainer.step, err));
    run_sinks_add(&run->sinks, run_log_take, &run->log);
    TRY(run_tensorboard_open(run, err));
    run_sinks_add(&run->sinks, run_tensorboard_take, run);
    return write_recipe(run, err);
}

effnet_status run_open(Run *run, effnet_error *err) {
    Workers *workers = run->workers;
    TRY(workers_agree(workers, run_prepare(run, err), err));
    TRY(run_workers_check(run, err));
    TRY(workers_agree(workers, workers_rank(workers) > 0 ? EFFNET_OK : run_state_open(run, err), err));
    TRY(run_workers_share_state(run, err));
    TRY(workers_agree(workers, run_start(run, err), err));
    run_sinks_add(&run->sinks, run_sink_progress, (void *)run->options);
    TRY(workers_agree(workers, open_folder(run, err), err));
    return workers_broadcast(workers, &run->log.evaluated_step, sizeof run->log.evaluated_step, "the log's last step",
                             err);
}

void run_close(Run *run) {
    class_weights_free(&run->class_weights);
    loader_free(run->train_loader);
    loader_free(run->val_loader);
    trainer_free(&run->trainer);
    thread_team_free(run->team);
    network_free(&run->network);
    free(run->card.class_names);
    dataset_free(run->train_set);
    dataset_free(run->val_set);
    run_log_close(&run->log);
    predictions_free(&run->predictions);
    event_file_close(&run->events);
}
