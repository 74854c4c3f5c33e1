/* small_run.h - a network of a few thousand parameters and a training state full of odd numbers, for tests of what is
 * written and read back. Every value follows from `mark`, so that a test can tell one state from another. */
#ifndef EFFNET_TESTS_SMALL_RUN_H
#define EFFNET_TESTS_SMALL_RUN_H

#include "base/random.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "train/initial_state.h"
#include "train/model_card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct SmallRun {
    Network network;
    Recipe recipe;
    TrainState state;
    ModelCard card;
} SmallRun;

static inline void small_run_must(effnet_status status, const effnet_error *err) {
    if (status == EFFNET_OK) return;
    fprintf(stderr, "set-up failed: %s\n", err->message);
    exit(1);
}

/* Any bit pattern that is not a NaN: also infinities, subnormals and zeros of both signs. */
static inline void small_run_fill_block(float *block, size_t count, RandomKey key) {
    for (size_t i = 0; block && i < count; i++) {
        uint32_t bits = random_bits(key, i);
        if ((bits & 0x7F800000) == 0x7F800000) bits &= 0xFF800000;
        memcpy(&block[i], &bits, sizeof bits);
    }
}

static inline void small_run_fill(SmallRun *run, int64_t mark) {
    const Network *network = &run->network;
    TrainState *state = &run->state;
    float *blocks[] = {state->parameters,
                       state->statistics,
                       state->slots[0],
                       state->slots[1],
                       state->ema_parameters,
                       state->ema_statistics,
                       NULL};
    RandomKey root = random_key((uint64_t)mark);
    for (int i = 0; i < 6; i++) {
        bool statistics = i == 1 || i == 5;
        small_run_fill_block(blocks[i], statistics ? network->statistic_floats : network->parameter_floats,
                             random_fold_in(root, (uint32_t)i));
    }
    state->step = mark;
}

/* The blocks of two states (of networks of one shape) have the same bits. */
static inline bool small_run_same(const SmallRun *run, const TrainState *a, const TrainState *b) {
    size_t parameters = run->network.parameter_floats * sizeof(float);
    size_t statistics = run->network.statistic_floats * sizeof(float);
    bool same = a->step == b->step && !memcmp(a->parameters, b->parameters, parameters) &&
                !memcmp(a->statistics, b->statistics, statistics);
    for (int i = 0; i < 2; i++) same = same && (!a->slots[i] || !memcmp(a->slots[i], b->slots[i], parameters));
    if (a->ema_parameters)
        same = same && !memcmp(a->ema_parameters, b->ema_parameters, parameters) &&
               !memcmp(a->ema_statistics, b->ema_statistics, statistics);
    return same;
}

static inline void small_run_create(SmallRun *run, int optimizer, bool ema) {
    effnet_error err = {0};
    memset(run, 0, sizeof *run);
    recipe_defaults(&run->recipe);
    run->recipe.opt = optimizer;
    if (optimizer == OPTIMIZER_LAMB) run->recipe.decay_mode = DECAY_MODE_UPDATE;
    run->recipe.model_ema = ema;
    ModelConfig config;
    small_run_must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.width = 0.1; /* eight channels a layer, one block a stage */
    config.depth = 0.1;
    config.num_classes = 5;
    config.input = (TensorShape){32, 32, 3};
    small_run_must(network_build(&config, &run->network, &err), &err);
    small_run_must(train_state_create(&run->network, &run->recipe, &run->state, &err), &err);
    run->card = (ModelCard){.config = config,
                            .transform = {.input = {32, 32, 3}, .crop_pct = 0.875, .interpolation = 1, .pad_to = 32}};
    for (int c = 0; c < 3; c++) {
        run->card.transform.mean[c] = run->recipe.mean.values[c];
        run->card.transform.std[c] = run->recipe.std.values[c];
    }
}

static inline void small_run_free(SmallRun *run) {
    train_state_free(&run->state);
    network_free(&run->network);
}

#endif
