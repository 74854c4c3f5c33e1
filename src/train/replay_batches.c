/* replay_batches.c - training on batches given as tensors: recipe and weights -> [batch -> step -> report]* -> dump.
 *
 * The trainer is that of a run (trainer.c); what is missing is the data pipeline, evaluation and checkpoints. Step s takes
 * batch s modulo the file's batches, and an epoch is one pass over the file unless the caller says otherwise, so the
 * schedule of a real run can be followed on a few batches. Nothing is written before the last step. */
#include "train/replay_batches.h"

#include "base/memory.h"
#include "format/safetensors.h"
#include "train/batch_file.h"

#include "executor/executor.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"
#include "train/model_card.h"
#include "train/trainer.h"
#include "train/weights.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Replay {
    Recipe recipe;
    const effnet_replay_options *options;
    Network network;
    ThreadTeam *team;
    Trainer trainer;
    BatchFile batches;
    int64_t steps; /* to do; trainer.step are done */
    float *images;
    int32_t *labels;
    float *loss, *lr, *gradient_norm; /* (steps) */
} Replay;

/* The recipe with the options over it; the classes from the weights where it does not say. */
static effnet_status resolve(Replay *replay, effnet_error *err) {
    const effnet_replay_options *options = replay->options;
    Recipe *recipe = &replay->recipe;
    if (!options->batches) return fail(err, EFFNET_ERROR_ARGUMENT, "no file of batches is given");
    if (options->steps < 0 || options->steps > INT_MAX || options->steps_per_epoch < 0 ||
        options->steps_per_epoch > INT_MAX)
        return fail(err, EFFNET_ERROR_ARGUMENT, "steps is %lld and steps_per_epoch %lld; allowed: 0 to %d",
                    (long long)options->steps, (long long)options->steps_per_epoch, INT_MAX);
    if (options->threads > 0) recipe->threads = options->threads;
    if (options->engine) TRY(recipe_set(recipe, "engine", options->engine, err));
    if (recipe->num_classes > 0 || !options->init) return recipe_check(recipe, err);
    ModelCard card;
    TRY(weights_read_card(options->init, &card, err));
    recipe->num_classes = card.config.num_classes;
    model_card_free(&card);
    return recipe_check(recipe, err);
}

static effnet_status open_trainer(Replay *replay, effnet_error *err) {
    const effnet_replay_options *options = replay->options;
    const Recipe *recipe = &replay->recipe;
    ModelConfig config;
    TRY(model_config_from_recipe(recipe, 0, &config, err));
    TRY(batch_file_open(options->batches, (int)recipe->batch_size, config.input, &replay->batches, err));
    replay->steps = options->steps > 0 ? options->steps : replay->batches.batches;
    if (replay->steps > INT_MAX)
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' holds more than %d batches; give a number of steps",
                    options->batches, INT_MAX);
    TRY(network_from_recipe(recipe, &config, &replay->network, err));
    TRY(thread_team_create((int)recipe->threads, &replay->team, err));
    TRY(trainer_create(recipe, &replay->network, replay->team,
                       options->steps_per_epoch > 0 ? options->steps_per_epoch : replay->batches.batches, 0,
                       &replay->trainer, err));
    if (options->init)
        TRY(train_state_read_initial(options->init, &replay->network, recipe, &replay->trainer.state, false, NULL,
                                     err));
    return trainer_start(&replay->trainer, err);
}

static effnet_status allocate_buffers(Replay *replay, effnet_error *err) {
    const size_t batch = (size_t)replay->batches.batch, steps = (size_t)replay->steps;
    void *labels;
    TRY(memory_allocate_floats(batch, replay->batches.image_floats, "a batch of images", &replay->images, err));
    TRY(memory_allocate(batch, sizeof *replay->labels, "a batch of labels", &labels, err));
    replay->labels = labels;
    TRY(memory_allocate_floats(steps, 1, "the losses", &replay->loss, err));
    TRY(memory_allocate_floats(steps, 1, "the learning rates", &replay->lr, err));
    return memory_allocate_floats(steps, 1, "the gradients' norms", &replay->gradient_norm, err);
}

/* One step and its report; *stop where the caller asks for it. */
static effnet_status step(Replay *replay, bool *stop, effnet_error *err) {
    const effnet_replay_options *options = replay->options;
    Trainer *trainer = &replay->trainer;
    int64_t at = trainer->step;
    effnet_replay_step report = {.struct_size = sizeof report, .step = at + 1, .steps = replay->steps};
    TRY(batch_file_read(&replay->batches, at % replay->batches.batches, replay->network.config.num_classes,
                        replay->images, replay->labels, err));
    const ExecutorBatch batch = {.size = replay->batches.batch, .images = replay->images, .labels = replay->labels};
    StepResult result;
    TRY(trainer_step(trainer, &batch, &result, &report.lr, err));
    report.loss = result.loss;
    report.gradient_norm = result.gradient_norm;
    replay->loss[at] = (float)report.loss;
    replay->lr[at] = (float)report.lr;
    replay->gradient_norm[at] = (float)report.gradient_norm;
    *stop = options->on_step && options->on_step(options->on_step_context, &report);
    return EFFNET_OK;
}

/* ---- the dump ---- */

typedef struct Dump {
    SafetensorsEntry *entries;
    char (*names)[128]; /* of the entries */
    int count;
} Dump;

static void dump_tensors(Dump *dump, const char *prefix, const Parameter *tensors, int count, const float *block) {
    for (int i = 0; i < count; i++) {
        char *name = dump->names[dump->count];
        snprintf(name, sizeof dump->names[0], "%s/%.95s", prefix, tensors[i].name);
        dump->entries[dump->count++] =
            (SafetensorsEntry){name, tensors[i].rank, tensors[i].shape, block + tensors[i].offset, tensors[i].count};
    }
}

static void dump_steps(Dump *dump, const char *name, const int *steps, const float *values) {
    snprintf(dump->names[dump->count], sizeof dump->names[0], "steps/%s", name);
    dump->entries[dump->count] = (SafetensorsEntry){dump->names[dump->count], 1, steps, values, (size_t)*steps};
    dump->count++;
}

static effnet_status write_dump(const Replay *replay, effnet_error *err) {
    enum { BLOCKS = 4, VECTORS = 3 }; /* weights, averages, two slots */
    const Network *network = &replay->network;
    const TrainState *state;
    TRY(executor_state(replay->trainer.executor, &state, err));
    size_t most = (size_t)(network->num_parameters + network->num_statistics) * BLOCKS + VECTORS;
    Dump dump = {.entries = calloc(most, sizeof *dump.entries), .names = calloc(most, sizeof *dump.names)};
    effnet_status status = EFFNET_OK;
    if (!dump.entries || !dump.names) {
        status = fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", replay->options->dump);
    } else {
        const char *slots[2];
        int slot_count = optimizer_slots(replay->recipe.opt, slots), steps = (int)state->step;
        char step_text[32];
        snprintf(step_text, sizeof step_text, "%d", steps);
        dump_tensors(&dump, "weights", network->parameters, network->num_parameters, state->parameters);
        dump_tensors(&dump, "weights", network->statistics, network->num_statistics, state->statistics);
        for (int i = 0; i < slot_count; i++)
            dump_tensors(&dump, slots[i], network->parameters, network->num_parameters, state->slots[i]);
        if (state->ema_parameters) {
            dump_tensors(&dump, "ema", network->parameters, network->num_parameters, state->ema_parameters);
            dump_tensors(&dump, "ema", network->statistics, network->num_statistics, state->ema_statistics);
        }
        dump_steps(&dump, "loss", &steps, replay->loss);
        dump_steps(&dump, "lr", &steps, replay->lr);
        dump_steps(&dump, "gradient_norm", &steps, replay->gradient_norm);
        const char *metadata[] = {"effnet.model", network->config.name, "effnet.step", step_text, NULL};
        status = safetensors_write(replay->options->dump, dump.entries, dump.count, metadata, err);
    }
    free(dump.entries);
    free(dump.names);
    return status;
}

static effnet_status run(Replay *replay, effnet_error *err) {
    TRY(resolve(replay, err));
    TRY(open_trainer(replay, err));
    TRY(allocate_buffers(replay, err));
    bool stop = false;
    while (replay->trainer.step < replay->steps && !stop) TRY(step(replay, &stop, err));
    if (replay->options->dump) TRY(write_dump(replay, err));
    if (replay->trainer.step == replay->steps) return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "stopped after step %lld of %lld", (long long)replay->trainer.step,
                (long long)replay->steps);
}

effnet_status replay_run(const Recipe *recipe, const effnet_replay_options *options, effnet_error *err) {
    Replay *replay = calloc(1, sizeof *replay);
    if (!replay) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a replay");
    replay->recipe = *recipe;
    replay->options = options;
    effnet_status status = run(replay, err);
    trainer_free(&replay->trainer);
    thread_team_free(replay->team);
    network_free(&replay->network);
    batch_file_close(&replay->batches);
    memory_free(replay->images);
    memory_free(replay->labels);
    memory_free(replay->loss);
    memory_free(replay->lr);
    memory_free(replay->gradient_norm);
    free(replay);
    return status;
}
