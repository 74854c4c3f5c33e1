/* trainer.h - a recipe's steps on an executor. Order of a step: masks -> engine forward -> loss -> engine
 * backward -> clip -> one fused pass of weight decay, optimizer and averages. */
#ifndef EFFNET_TRAIN_TRAINER_H
#define EFFNET_TRAIN_TRAINER_H

#include "executor/executor.h"
#include "recipe/recipe.h"
#include "step/state.h"

/* A recipe's steps on an executor, which has the weights from trainer_start on. */
typedef struct Trainer {
    const Recipe *recipe;
    const Network *network;
    Executor *executor;
    TrainState state;              /* to begin with: fresh, or what was read into it; empty once started */
    int64_t steps_per_epoch, step; /* step: done, once started */
} Trainer;

/* evaluation_batch: most pictures in one executor_evaluate; 0: as many as go forward at once in a step. */
effnet_status trainer_create(const Recipe *recipe, const Network *network, ThreadTeam *team, int64_t steps_per_epoch,
                             int evaluation_batch, Trainer *out, effnet_error *err);
/* The same as one of several workers (ExecutorOptions.workers; NULL: alone). */
effnet_status trainer_create_among(Workers *workers, const Recipe *recipe, const Network *network, ThreadTeam *team,
                                   int64_t steps_per_epoch, int evaluation_batch, Trainer *out, effnet_error *err);
/* The state moves into the executor; executor_state has it from here on. */
effnet_status trainer_start(Trainer *trainer, effnet_error *err);
void trainer_free(Trainer *trainer);
/* One optimizer step on at most the recipe's batch_size pictures (executor.h says what fails and what then stands).
 * Writes the result and the learning rate (each may be NULL). */
effnet_status trainer_step(Trainer *trainer, const ExecutorBatch *batch, StepResult *result, double *lr,
                           effnet_error *err);
/* The same, which waits for the step only where batch->wait says so. */
effnet_status trainer_queue_step(Trainer *trainer, const ExecutorBatch *batch, StepResults *results, double *lr,
                                 effnet_error *err);

#endif
