/* run.h - one training run while it goes on: what run_setup.c opens and loop.c drives. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_H
#define EFFNET_TRAIN_RUN_H

#include "data/feed/loader.h"
#include "dist/workers.h"
#include "format/event_file.h"
#include "report/predictions.h"
#include "report/reference_curve.h"
#include "train/class_weights.h"
#include "train/run_event.h"
#include "train/run_log.h"
#include "train/run_notes.h"
#include "recipe/recipe.h"
#include "train/model_card.h"
#include "train/trainer.h"

typedef struct Run {
    Recipe *recipe; /* resolved: classes, resolution, dropout, data and engine are what is used */
    const effnet_train_options *options;
    effnet_train_result *result;
    Workers *workers; /* who shares the run; NULL: nobody */
    char out[1000];   /* the run folder: worker 0's alone */
    Dataset *train_set, *val_set;
    Loader *train_loader, *val_loader;
    ClassWeights class_weights;
    Network network;
    ThreadTeam *team;
    Trainer trainer;
    ModelCard card; /* of class_names the array alone is the run's: one block; origin is the next field */
    char origin[700];
    RunLog log;
    EventFile events;
    RunSinks sinks;                     /* who hears of the run: the caller, the log, TensorBoard */
    int64_t steps_per_epoch, last_step; /* last_step: where this run stops */
    int64_t memory_bytes;               /* that steps and evaluations will take, caches aside */
    bool head_drawn;                    /* --init brought a classifier of another shape */
    bool resumed;
    int damaged; /* checkpoints that --resume passed over */
    ReferenceCurve reference;
    Predictions predictions; /* of the evaluation after the last step */
    RunNotes notes;          /* told before the first step */
    char batch_found[300];   /* how batch_size: auto was resolved; "" where the recipe has a number */
    double best_top1;        /* of the best evaluation so far, -1 before the first */
    int64_t best_step;
} Run;

/* Opens everything that `run->recipe` and `run->options` name, resolves the recipe, reads a checkpoint (--resume) or
 * weights (--init), and leaves OUT/recipe.yaml and an open log. On an error run_close still frees what there is. */
effnet_status run_open(Run *run, effnet_error *err);
/* Its two first parts, which write nothing: data, network, a fresh trainer, checks; then (with or without a state read
 * into the trainer) weights to the executor, and loaders. */
effnet_status run_prepare(Run *run, effnet_error *err);
effnet_status run_start(Run *run, effnet_error *err);
void run_close(Run *run);

#endif
