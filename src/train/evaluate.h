/* evaluate.h - how good weights are on a set of pictures. */
#ifndef EFFNET_TRAIN_EVALUATE_H
#define EFFNET_TRAIN_EVALUATE_H

#include "executor/executor.h"

typedef struct Accuracy {
    int64_t images, skipped;
    double top1, top5, loss;      /* per cent; mean cross-entropy, or binary cross-entropy of several labels */
    double average_precision, f1; /* set_metrics.h; 0 where each picture has one label */
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

#endif
