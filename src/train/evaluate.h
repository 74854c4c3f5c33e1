/* evaluate.h - how good weights are on a set of pictures. */
#ifndef EFFNET_TRAIN_EVALUATE_H
#define EFFNET_TRAIN_EVALUATE_H

#include "executor/executor.h"
#include "train/accuracy.h"

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

#endif
