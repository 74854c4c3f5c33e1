/* executor.h - the seam above the engine: something that holds the state of a run, carries out training steps on it and
 * evaluates pictures with it.
 *
 *   create -> load(state) -> [ step* -> evaluate* -> state ]* -> free
 *
 * The host executor (executor_host.c) runs an engine on host threads, replica by replica, and the optimizer on blocks
 * in host memory, alone or as one of several workers; another (backend/xla) compiles the whole step for an accelerator
 * and keeps the state there. The run, its checkpoints, replay and the API see weights through this table alone. A call
 * that fails leaves the state as it was before it.
 *
 * Pictures are (N, H, W, 3): normalised floats, or bytes 0..255 that the executor normalises by spec.mean and spec.std
 * (a quarter of the traffic to a device). */
#ifndef EFFNET_EXECUTOR_EXECUTOR_H
#define EFFNET_EXECUTOR_EXECUTOR_H

#include "base/error.h"
#include "base/threads.h"
#include "dist/workers.h"
#include "engine/engine.h" /* EnginePassTime */
#include "model/network.h"
#include "step/state.h" /* TrainState: the blocks of a run */
#include "step/step_spec.h"

#include <stdint.h>

typedef struct Executor Executor;

typedef struct ExecutorOptions {
    const char *engine;   /* "cpu", "reference"; NULL: the fastest. An executor that needs no engine ignores it */
    const char *device;   /* the recipe's `device`: "cpu", "xla", "xla:/path/to/plugin.so" */
    int devices;          /* of an accelerator, at most; 0: all, or as many as the replicas need */
    const char *cache;    /* folder for compiled programs; NULL: the user's own cache folder */
    int evaluation_batch; /* most pictures in one executor_evaluate */
    Workers *workers;     /* who shares the run, not owned; NULL: nobody. Of several, each has spec.replicas / workers
                             neighbouring replicas, and its batches are those replicas' pictures alone, all of them:
                             spec.batch / workers. Every call but evaluate, info and profile is made by all */
    bool evaluates_only;  /* no steps: no room is made for them, and a state of parameters and statistics is enough */
    ThreadTeam *team;     /* shared, not owned; must outlive the executor */
} ExecutorOptions;

typedef struct ExecutorBatch {
    int size;              /* pictures, 1..spec.batch; of several workers each: spec.batch / workers */
    const float *images;   /* (N, H, W, 3) normalised, or NULL: */
    const uint8_t *pixels; /* (N, H, W, 3) */
    /* What is taught: onehot(labels[n]), or, where `others` is not NULL, shares[n] * onehot(labels[n]) + (1 -
     * shares[n]) * onehot(others[n]) (Mixup, CutMix); smoothed all the same. */
    const int32_t *labels, *others; /* (N), below num_classes */
    const float *shares;            /* (N), 0 to 1 */
    const float *targets;           /* (N, num_classes), 0 to 1, in place of them: of several labels a picture, with
                                       STEP_LOSS_BINARY and FOCAL alone; NULL: the labels */
    const float *weights;           /* (N) what each picture counts in the loss; NULL: 1 each */
    bool norms;                     /* of a step: weight_norm and update_norm are asked for */
    bool wait;                      /* of a step: its result is to come back with the call, and all before it */
} ExecutorBatch;

typedef struct StepResult {
    int64_t step;         /* which step it is of, from 1 */
    double loss;          /* mean over the batch */
    double gradient_norm; /* global L2 norm before clipping */
    /* Of the new weights, and of what the step moved them by; NaN where not asked for, or not known (a device). */
    double weight_norm, update_norm;
} StepResult;

/* What a call has to tell: of the step it asked for or, where an executor queues steps, of earlier ones that have come
 * in; in their order. */
enum { STEP_RESULTS = 4 };
typedef struct StepResults {
    double compile_seconds; /* of the call, which are no training */
    int count;
    StepResult list[STEP_RESULTS];
} StepResults;

/* Which weights an evaluation uses. */
typedef enum ExecutorWeights { EXECUTOR_RAW, EXECUTOR_AVERAGED } ExecutorWeights;

typedef struct ExecutorInfo {
    const char *name;   /* "host", "xla" */
    const char *engine; /* of the host executor: "cpu", "reference"; else the plugin's platform: "cuda", "tpu" */
    const char *isa;    /* "avx512bf16", ...; a device's kind: "NVIDIA H100 80GB HBM3" */
    const char *note;   /* what of the device is not as fast as it could be, and what to do; "" or NULL: nothing */
    int workers, devices;
    bool takes_bytes;        /* pictures are better given as bytes, which are a quarter of the way to a device */
    int64_t step_upload;     /* bytes that the last step sent to its devices: batch, masks' keys, rates; 0: no device */
    size_t activation_bytes; /* of a step, where known; of a device the most that was in use */
    size_t memory_bytes;     /* of this machine for steps and evaluations, the state aside; 0: not known */
    size_t device_bytes;     /* of each device for a step, about, before anything is compiled; 0: no device */
    size_t device_memory;    /* what each device has; 0: not known */
    double compile_seconds;  /* spent on programs so far */
} ExecutorInfo;

typedef struct ExecutorVtable {
    effnet_status (*create)(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                            Executor **out, effnet_error *err);
    /* The state moves into the executor: its blocks are the executor's from here on, *state is empty. Replaces what was
     * there before. */
    effnet_status (*load)(Executor *executor, TrainState *state, effnet_error *err);
    /* One optimizer step; the state's step count grows by one. Where batch->wait is not set an executor need not wait
     * for the device: the step's result, or its fault, is told by a later call. What is under way when the state is
     * asked for is told nowhere. A loss or gradient norm that is not finite is EFFNET_ERROR_NUMERIC, naming step and
     * (where known) layer; the state is then what it was before that step. */
    effnet_status (*step)(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResults *results,
                          effnet_error *err);
    /* logits (N, num_classes) of a batch of at most evaluation_batch pictures; labels are not looked at. Changes
     * nothing. */
    effnet_status (*evaluate)(Executor *executor, ExecutorWeights weights, const ExecutorBatch *batch, float *logits,
                              effnet_error *err);
    /* The state as it is after the steps so far, in host memory: the executor's own blocks, good until its next step
     * (on the host the very blocks it works on; from a device a download). Gradients mean nothing. */
    effnet_status (*state)(Executor *executor, const TrainState **out, effnet_error *err);
    ExecutorInfo (*info)(Executor *executor);
    /* The times of a step's passes, as engine_profile; NULL where an executor keeps none. */
    const EnginePassTime *(*profile)(Executor *executor, bool clear, int *count);
    void (*free)(Executor *executor);
} ExecutorVtable;

/* Every executor's struct begins with its table. */
struct Executor {
    const ExecutorVtable *vtable;
};

/* The executor of `device`, a recipe's key: "cpu" (also NULL and ""); NAME or NAME:REST, where the rest is the
 * executor's own. Another name is EFFNET_ERROR_ARGUMENT, with the names that there are. */
effnet_status executor_find(const char *device, const ExecutorVtable **out, effnet_error *err);
/* The executor of options->device; `network` and options->team must outlive it. */
effnet_status executor_create(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                              Executor **out, effnet_error *err);
/* EFFNET_ERROR_ARGUMENT where the size is not 1..most, or a label or a share is out of its range. */
effnet_status executor_check_batch(const ExecutorBatch *batch, int most, int classes, effnet_error *err);

/* The calls of the table. */
effnet_status executor_load(Executor *executor, TrainState *state, effnet_error *err);
effnet_status executor_step(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResults *results,
                            effnet_error *err);
effnet_status executor_evaluate(Executor *executor, ExecutorWeights weights, const ExecutorBatch *batch, float *logits,
                                effnet_error *err);
effnet_status executor_state(Executor *executor, const TrainState **out, effnet_error *err);
ExecutorInfo executor_info(Executor *executor);
const EnginePassTime *executor_profile(Executor *executor, bool clear, int *count);
void executor_free(Executor *executor); /* NULL is allowed */

/* The executors there are; declared here, defined in their folders, listed in executors.c. */
extern const ExecutorVtable host_executor; /* executor_host.c */
extern const ExecutorVtable xla_executor;  /* src/backend/xla/executor_xla.c */

#endif
