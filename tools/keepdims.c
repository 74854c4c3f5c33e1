/* keepdims.c - what the original Flax run saw while its global pooling kept its dimensions (docs/reproducing.md).
 *
 *   keepdims CIFAR10 [STEPS]                  build/tools/keepdims, made by: cmake --build build --target keepdims
 *
 * Pooled features of shape (N, 1, 1, C) make logits (N, 1, 1, classes); the cross-entropy of those with labels
 * (N, classes) broadcasts to (N, 1, N): every picture is held against the label of every picture of the batch, and the
 * mean hides it. The network of this project has no such shape (global_pool makes N rows of C), so the broadcast loss
 * is made here by hand: the mean of the loss over all N turns of the labels against the logits, with its gradient. Both
 * losses train EfficientNet-B0 from the same weights on the same batches of CIFAR-10 pictures, without dropout; printed
 * are the loss that was minimised and how many pictures of the batch came out right.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "data/feed/loader.h"
#include "executor/replica.h"
#include "step/optimizer.h"
#include "train/accuracy.h"
#include "train/from_recipe.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, BATCH = 64, MOST_STEPS = 100000 };

typedef struct Run {
    Recipe recipe;
    Network network;
    ThreadTeam *team;
    Dataset *dataset;
    Loader *loader;
    Trainer trainer;
    ReplicaRoom room;
} Run;

/* Mean loss of every logits row with every label of the batch; its gradient. */
static double broadcast_loss(const float *logits, const int32_t *labels, float *gradient) {
    static float one[BATCH * CLASSES];
    int32_t turned[BATCH];
    double loss = 0;
    memset(gradient, 0, sizeof one);
    for (int turn = 0; turn < BATCH; turn++) {
        for (int n = 0; n < BATCH; n++) turned[n] = labels[(n + turn) % BATCH];
        loss += loss_cross_entropy(logits, turned, BATCH, CLASSES, 0, 1.0 / BATCH, one) / BATCH;
        for (int i = 0; i < BATCH * CLASSES; i++) gradient[i] += one[i];
    }
    return loss;
}

static int count_right(const float *logits, const int32_t *labels) {
    Accuracy accuracy = {0};
    accuracy_add(&accuracy, logits, labels, BATCH, CLASSES);
    return (int)lrint(accuracy.top1);
}

static effnet_status open_run(Run *run, const char *data, effnet_error *err) {
    Recipe *recipe = &run->recipe;
    recipe_defaults(recipe);
    recipe->num_classes = CLASSES;
    recipe->resolution = (PictureSize){32, 32};
    recipe->batch_size = BATCH;
    recipe->drop = recipe->drop_path = 0;
    recipe->lr = 0.002;
    recipe->sched = SCHEDULE_CONSTANT;
    recipe->warmup_epochs = 0;
    recipe->train_crop = TRAIN_CROP_NONE;
    ModelConfig config;
    TRY(model_config_from_recipe(recipe, 0, &config, err));
    TRY(network_build(&config, &run->network, err));
    TRY(thread_team_create(0, &run->team, err));
    TRY(dataset_open(data, SPLIT_TRAIN, NULL, &run->dataset, err));
    LoaderOptions options = {.dataset = run->dataset, .training = true, .batch = BATCH, .seed = 42, .cache = true};
    preprocess_from_recipe(recipe, (TensorShape){32, 32, 3}, &options.preprocess);
    TRY(loader_create(&options, &run->loader, err));
    TRY(trainer_create(recipe, &run->network, run->team, 1000, 0, &run->trainer,
                       err)); /* not started: its state stays */
    StepSpec spec;
    const EngineVtable *engine;
    step_spec_from_recipe(recipe, &spec);
    TRY(engine_find(NULL, &engine, err));
    return replica_room_create(&run->network, &spec, engine, run->team, &run->room, err);
}

static effnet_status step(Run *run, bool keepdims, double *loss, int *right, effnet_error *err) {
    static float gradient[BATCH * CLASSES];
    Trainer *trainer = &run->trainer;
    ReplicaRoom *room = &run->room;
    StepSpec spec;
    step_spec_from_recipe(&run->recipe, &spec);
    Batch batch;
    TRY(loader_next(run->loader, &batch, err));
    masks_draw(&run->network, 42, trainer->state.step, 0, BATCH, run->team, room->drop_path_scale, room->dropout_scale);
    EngineForward call = {.batch = BATCH,
                          .images = batch.images,
                          .parameters = trainer->state.parameters,
                          .statistics = trainer->state.statistics,
                          .training = true,
                          .drop_path_scale = room->drop_path_scale,
                          .dropout_scale = room->dropout_scale,
                          .logits = room->logits};
    TRY(engine_forward(room->engine, &call, err));
    *right = count_right(room->logits, batch.labels);
    *loss = keepdims ? broadcast_loss(room->logits, batch.labels, gradient)
                     : loss_cross_entropy(room->logits, batch.labels, BATCH, CLASSES, 0, 1, gradient);
    TRY(engine_backward(room->engine, &call, gradient, trainer->state.gradients, false, err));
    optimizer_step(&run->network, &spec, &trainer->state, run->recipe.lr, run->team);
    return EFFNET_OK;
}

static effnet_status experiment(const char *data, bool keepdims, int steps, effnet_error *err) {
    Run run = {0};
    effnet_status status = open_run(&run, data, err);
    double sum = 0;
    int right_sum = 0;
    for (int s = 1; status == EFFNET_OK && s <= steps; s++) {
        double loss = 0;
        int right = 0;
        status = step(&run, keepdims, &loss, &right, err);
        sum += loss;
        right_sum += right;
        if (s % 50 != 0) continue;
        printf("| %s | %d-%d | %.4f | %.1f %% |\n", keepdims ? "(N, 1, 1, C)" : "(N, C)", s - 49, s, sum / 50,
               100.0 * right_sum / (50 * BATCH));
        fflush(stdout);
        sum = right_sum = 0;
    }
    replica_room_free(&run.room);
    trainer_free(&run.trainer);
    loader_free(run.loader);
    dataset_free(run.dataset);
    thread_team_free(run.team);
    network_free(&run.network);
    return status;
}

int main(int count, char **arguments) {
    int steps = count > 2 ? atoi(arguments[2]) : 200;
    if (count < 2 || count > 3 || steps < 50 || steps > MOST_STEPS) {
        fprintf(stderr, "usage: keepdims CIFAR10 [STEPS, 50 to %d]\n", (int)MOST_STEPS);
        return 2;
    }
    effnet_error err = {0};
    printf("| pooled features | steps | loss | right in training |\n| --- | --- | --- | --- |\n");
    effnet_status status = experiment(arguments[1], false, steps, &err);
    if (status == EFFNET_OK) status = experiment(arguments[1], true, steps, &err);
    if (status != EFFNET_OK) fprintf(stderr, "keepdims: %s\n", err.message);
    return status == EFFNET_OK ? 0 : 1;
}
