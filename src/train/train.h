/* train.h - from a recipe to trained weights: schedule, loss, optimizer, EMA, step, checkpoints, loop.
 *
 * TrainState is everything that a run is, besides its recipe and data: six contiguous fp32 blocks and a step
 * count. A checkpoint is a view of it. Order of a step: masks -> engine forward -> loss -> engine backward ->
 * clip -> one fused pass of weight decay, optimizer and EMA. */
#ifndef EFFNET_TRAIN_TRAIN_H
#define EFFNET_TRAIN_TRAIN_H

#include "base/random.h"
#include "executor/executor.h"
#include "recipe/recipe.h"
#include "step/loss.h"
#include "step/masks.h"
#include "step/optimizer.h"
#include "step/state.h"
#include "step/step_spec.h"

/* Allocates the blocks and sets initial weights, slots and EMA (model_ema_start) from the recipe's seed. */
effnet_status train_state_create(const Network *network, const Recipe *recipe, TrainState *out, effnet_error *err);
/* First values of the averages, where there are any: the weights and statistics as they are now, or zeros. */
void train_state_start_averages(const Network *network, const Recipe *recipe, TrainState *state);
/* Initial weights from a file instead, ours (weights_read, below) or another program's (import_weights.h), and the
 * averages begun anew. */
effnet_status train_state_read_initial(const char *path, const Network *network, const Recipe *recipe,
                                       TrainState *state, bool allow_other_head, bool *head_kept, effnet_error *err);
/* How many slots an optimizer (recipe.h) keeps, and their names in slots.safetensors; NULL past the last. */
int optimizer_slots(int optimizer, const char *names[2]);

/* ---- schedule.c: learning rate of a step (0-based) ---- */
double schedule_learning_rate(const Recipe *recipe, int64_t step, int64_t steps_per_epoch);

/* ---- from_recipe.c ---- */
/* What a step of the recipe computes. */
void step_spec_from_recipe(const Recipe *recipe, StepSpec *out);

/* ---- trainer.c ---- */
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

/* ---- checkpoint.c, checkpoint_read.c: a folder OUT/checkpoints/00001234 ----
 *
 *   ema.safetensors    averaged weights and statistics in timm's names; __metadata__ holds the ModelCard
 *   raw.safetensors    the same, not averaged
 *   slots.safetensors  optimizer slots, "mean_square/<name>"; step and best result in __metadata__
 *   recipe.yaml        the resolved recipe
 *
 * It is written as 00001234.tmp, synced and renamed; every file has its checksum (checkpoint_verify.h).
 * OUT/checkpoints/last and best name two of them (checkpoint_marker.h), replaced by rename. The newest `keep` and the
 * best survive. docs/formats.md has every key. */
typedef struct ModelCard { /* what a reader of the weights must know; goes into __metadata__ */
    ModelConfig config;
    int resolution; /* evaluation side */
    double mean[3], std[3], crop_pct;
    int interpolation, resize, overshoot, val_crop, pad_to;
    bool exif_orientation;
    char **class_names; /* num_classes, or NULL */
    int64_t step;       /* optimizer steps behind the weights; 0 where unknown */
    int64_t pictures;   /* trained on, and their listing (data_listing.h); "" where unknown */
    char listing[41];
    char *origin; /* where the weights come from, in sentences, one a line; NULL: not told */
} ModelCard;

/* The state as checkpoint of state->step (card->step is not looked at); *path becomes its folder (path may be
 * NULL). A checkpoint of the same step is replaced. On failure the older checkpoints stand as they were. */
effnet_status checkpoint_write(const char *out_folder, const Network *network, const Recipe *recipe,
                               const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                               char *path, size_t path_size, effnet_error *err);
/* OUT/checkpoints/best -> the checkpoint of `step`, which must be there. */
effnet_status checkpoint_mark_best(const char *out_folder, int64_t step, effnet_error *err);
/* Removes all checkpoints but the `keep` of the highest steps, the best and the last, and what killed writers left
 * behind (*.tmp). */
effnet_status checkpoint_prune(const char *out_folder, int keep, effnet_error *err);
/* The whole checkpoint of the highest step, every file read and checked; *found false where there is none. */
effnet_status checkpoint_find_last(const char *out_folder, char *path, size_t size, bool *found, effnet_error *err);
/* Everything back, bit for bit. Network, optimizer and model_ema must be those of the checkpoint (the message
 * says what differs and which model the file looks like); the state may be half read after an error. */
effnet_status checkpoint_read(const char *path, const Network *network, const Recipe *recipe, TrainState *state,
                              double *best_top1, int64_t *best_step, effnet_error *err);

/* ---- card.c, weights.c: weights alone ---- */
/* From the file's metadata, or, where a file of another program has none, from the shapes of its tensors and
 * the published defaults. out->class_names is freed by model_card_free. */
effnet_status weights_read_card(const char *safetensors_path, ModelCard *out, effnet_error *err);
void model_card_free(ModelCard *card);
/* Reads parameters and statistics by timm's names. Every tensor of the network must be there in its shape,
 * and no other but num_batches_tracked; nothing is changed before that is checked. `allow_other_head`: a
 * classifier that is missing or of another shape keeps the values already there, *head_kept (may be NULL)
 * says so. */
effnet_status weights_read(const char *safetensors_path, const Network *network, float *parameters, float *statistics,
                           bool allow_other_head, bool *head_kept, effnet_error *err);
effnet_status weights_write(const char *safetensors_path, const Network *network, const float *parameters,
                            const float *statistics, const ModelCard *card, effnet_error *err);

/* ---- evaluate.c ---- */
typedef struct Accuracy {
    int64_t images, skipped;
    double top1, top5, loss; /* per cent; mean cross-entropy */
    double seconds;
} Accuracy;

/* Adds a batch of logits (N, classes) to sums: `top1` and `top5` count right answers, `loss` is a sum, until
 * accuracy_finish makes per cent and a mean of them. A label whose logit another class equals counts as beaten by it,
 * and so does one that is NaN. */
void accuracy_add(Accuracy *accuracy, const float *logits, const int32_t *labels, int batch, int classes);
void accuracy_finish(Accuracy *accuracy);

/* Who makes the logits (N, classes) of a batch by one of several sets of weights, 0 first. */
typedef effnet_status LogitsFunction(void *context, int set, const ExecutorBatch *batch, float *logits,
                                     effnet_error *err);

/* Accuracy of `count` sets of weights (an executor's: raw and averaged) side by side on everything that `loader` gives
 * (data/feed/loader.h, an evaluation, at its beginning), each picture read and decoded once; the last, partial batch
 * counts. `progress` (may be NULL) is called about twice a second with phase "eval", step = pictures done, steps =
 * `pictures`; where it returns true: EFFNET_INTERRUPTED. */
struct Loader;
struct Batch;
struct Predictions;
typedef struct Evaluation {
    LogitsFunction *logits;
    void *logits_context;
    int count, classes;
    struct Loader *loader;
    int64_t pictures;
    effnet_progress_function *progress;
    void *progress_context;
    struct Predictions *predictions; /* of the last set, added picture by picture; NULL: not kept */
    /* Sees each batch as the network sees it; may be NULL */
    void (*look)(void *context, const struct Batch *batch);
    void *look_context;
    Workers *workers; /* each with a loader of its own part, and all get the accuracy of the whole; NULL: alone */
} Evaluation;
effnet_status evaluate_all(const Evaluation *evaluation, Accuracy *out, effnet_error *err);
/* The LogitsFunction of an executor, which is `context`: set 0 its raw weights, set 1 the averages. */
effnet_status executor_logits(void *context, int set, const ExecutorBatch *batch, float *logits, effnet_error *err);

/* ---- loop.c: the whole run; see effnet_train in effnet.h for the options ---- */
effnet_status train_run(Recipe *recipe, const effnet_train_options *options, effnet_train_result *result,
                        effnet_error *err);

/* ---- replay_batches.c: training on batches given as tensors; see effnet_replay in effnet.h ---- */
effnet_status replay_run(const Recipe *recipe, const effnet_replay_options *options, effnet_error *err);

/* ---- from_recipe.c ---- */
/* Model configuration that a recipe asks for. */
effnet_status model_config_from_recipe(const Recipe *recipe, int num_classes, ModelConfig *out, effnet_error *err);
/* The network of it, with what the recipe freezes and the learning rates of its layers. Freed by network_free. */
effnet_status network_from_recipe(const Recipe *recipe, const ModelConfig *config, Network *out, effnet_error *err);
/* The card of a model of that configuration trained by that recipe, without class names, step 0. */
void model_card_from_recipe(const Recipe *recipe, const ModelConfig *config, ModelCard *out);
/* The way back: model, padding, batch norm and pictures as the card has them; everything else stays. */
void recipe_from_card(const ModelCard *card, Recipe *recipe);

#endif
