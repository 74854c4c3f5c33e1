/* engine.h - the coarse seam: something that runs a whole network, forward and backward.
 *
 * The reference engine (src/reference) and the CPU engine (src/backend/cpu) stand behind this one table; what computes
 * on an accelerator keeps the weights there and stands behind another (executor/executor.h). An engine holds activations
 * and scratch memory only: parameters, gradients and statistics belong to the caller and are plain fp32 blocks in the
 * network's (timm's) layouts. The engine knows no loss,
 * optimizer or random number: the caller gives the masks and the gradient of the logits. A call allocates
 * nothing.
 *
 * Of frozen parts (model/freeze.h): a frozen batch norm goes by its running statistics, which stay, in training too, so
 * that its gradient is a scale alone; backward ends at the first op that is trained. */
#ifndef EFFNET_ENGINE_ENGINE_H
#define EFFNET_ENGINE_ENGINE_H

#include "base/threads.h"
#include "engine/batch_norm_exchange.h"
#include "model/network.h"

#include <stdint.h>

typedef struct Engine Engine;

typedef struct EngineOptions {
    int batch;      /* most images in one call */
    bool training;  /* false: forward with running statistics only; less memory */
    int fuse;       /* expand convolutions not stored: 0 where it pays, 1 all, 2 none (recipe key fuse) */
    bool recompute; /* of training: a block's wide tensors are made again in backward instead of kept: less memory, more
                       time, the same bits. An engine that keeps everything ignores it */
    bool bf16;      /* activations and their gradients in bfloat16; parameters, statistics and sums stay fp32 */
    bool int8;      /* 1x1 convolutions (engine_multiplies_bytes) multiply bytes: weights rounded to 8 bits a channel,
                         pixels to 8 bits each as they come; inference only */
    int keep;       /* inference: the tensor that EngineForward.kept asks for, the output of a block or of the pool; 0:
                         none */
    ThreadTeam *team; /* shared, not owned; must outlive the engine */
} EngineOptions;

/* Whether a convolution is one that options.int8 is about: 1x1, and wide enough on both sides that rounding its input
 * costs less than the products gain. */
enum { LEAST_BYTE_CHANNELS = 40 };
static inline bool engine_multiplies_bytes(const Network *network, const Op *op) {
    return op->kind == OP_CONV && op->kernel == 1 && network->tensors[op->input].channels >= LEAST_BYTE_CHANNELS &&
           network->tensors[op->output].channels >= LEAST_BYTE_CHANNELS;
}

/* Who wants to know during backward which gradients are finished. */
typedef struct GradientsReady {
    /* gradients[from ..] of the call are what they will be at its end; from falls from call to call, and ends at 0 where
     * an engine tells at all. Called between passes, on the thread that called engine_backward; what it fails with,
     * engine_backward returns. */
    effnet_status (*ready)(void *context, size_t from, effnet_error *err);
    void *context;
} GradientsReady;

/* Who is shown an inference's tensors as they are stored, between passes, on the thread that called engine_forward: of a
 * convolution what its batch norm gives, before the activation; of a residual and of the pool what they give. Values
 * that are changed are what the next passes read. */
typedef struct StoredTensors {
    void (*look)(void *context, int tensor, float *values, size_t count); /* (N, H, W, C) */
    void *context;
} StoredTensors;

typedef struct EngineForward {
    int batch;                    /* images in this call, 1..options.batch */
    const float *images;          /* (N, H, W, 3), normalised */
    const float *parameters;      /* network->parameter_floats */
    float *statistics;            /* network->statistic_floats; updated where training */
    bool training;                /* batch statistics, masks, activations kept for backward */
    const float *drop_path_scale; /* (num_residuals, batch): 0 or 1/keep; NULL: ones */
    const float *dropout_scale;   /* (batch, features): 0 or 1/keep; NULL: ones */
    float *logits;                /* out: (N, num_classes); may be NULL where `kept` is not */
    float *kept;                  /* out: (N, H, W, C) of the tensor options.keep; NULL: not wanted */
    /* Training as one of a group whose batch norms see the group's images together; NULL: alone. Backward's gradients
     * are then this replica's part of a sum: what the replicas' gradients add up to is the group's, and the part of
     * one says nothing by itself. */
    const BatchNormExchange *exchange;
    const StoredTensors *stored; /* of an engine made with fuse 2, in fp32, where not training; NULL: nobody looks */
    const GradientsReady *ready; /* told during backward; NULL: nobody asks. An engine may tell of nothing */
    /* Where not training: 0, or a number that changes whenever parameters or statistics do. What an engine has made of
     * the weights (packed, folded) it keeps while the number stays. */
    uint64_t version;
} EngineForward;

typedef struct EngineInfo {
    const char *name;        /* "reference", "cpu" */
    const char *isa;         /* "scalar", "avx2", "avx512" */
    size_t activation_bytes; /* the arena */
} EngineInfo;

/* One pass of the plan, timed since the engine was made or its profile last cleared. */
typedef struct EnginePassTime {
    const char *pass, *op; /* the plan's names: "conv forward", "blocks.1.0.conv_pw"; owned by the engine */
    int runs;
    double seconds, best; /* wall time of all runs, and of the fastest */
    double operations,
        bytes; /* of one run of the whole batch: multiplications and additions; the least memory traffic */
} EnginePassTime;

typedef struct EngineVtable {
    effnet_status (*create)(const Network *network, const EngineOptions *options, Engine **out, effnet_error *err);
    effnet_status (*forward)(Engine *engine, const EngineForward *call, effnet_error *err);
    /* After a training forward with the same call: logits_gradient (N, classes) -> gradients
     * (network->parameter_floats; overwritten, or added to where `accumulate`); 0 of frozen parameters. */
    effnet_status (*backward)(Engine *engine, const EngineForward *call, const float *logits_gradient, float *gradients,
                              bool accumulate, effnet_error *err);
    /* The name of the first op of the last forward whose output is not finite, or NULL: says where a NaN
     * began. */
    const char *(*find_nonfinite)(Engine *engine);
    EngineInfo (*info)(const Engine *engine);
    /* The times of every pass, in the order of the plan; *count of them. NULL, 0 where an engine keeps none.
     * clear: begins anew. */
    const EnginePassTime *(*profile)(Engine *engine, bool clear, int *count);
    void (*free)(Engine *engine);
} EngineVtable;

/* Every engine's struct begins with its table. */
struct Engine {
    const EngineVtable *vtable;
};

/* `network` and options->team must outlive the engine. */
effnet_status engine_create(const EngineVtable *vtable, const Network *network, const EngineOptions *options,
                            Engine **out, effnet_error *err);
/* For engines: whether a call asks for what the engine was made to give. */
effnet_status engine_check_outputs(const EngineOptions *options, const EngineForward *call, effnet_error *err);
/* For engines, at the end of backward: the gradients of frozen parameters are 0, whether they were computed or not. */
void engine_clear_frozen(const Network *network, float *gradients);
effnet_status engine_forward(Engine *engine, const EngineForward *call, effnet_error *err);
effnet_status engine_backward(Engine *engine, const EngineForward *call, const float *logits_gradient, float *gradients,
                              bool accumulate, effnet_error *err);
const char *engine_find_nonfinite(Engine *engine);
EngineInfo engine_info(const Engine *engine);
const EnginePassTime *engine_profile(Engine *engine, bool clear, int *count);
void engine_free(Engine *engine);

/* An engine by its name (engines.c): "cpu", "reference"; NULL, "" or "fast": the fastest there is. Another name is
 * EFFNET_ERROR_ARGUMENT, with the names that there are. */
effnet_status engine_find(const char *name, const EngineVtable **out, effnet_error *err);

/* The engines there are; declared here, defined in their folders. */
extern const EngineVtable reference_engine; /* src/reference/engine_reference.c */
extern const EngineVtable cpu_engine;       /* src/backend/cpu/engine_cpu.c */

#endif
