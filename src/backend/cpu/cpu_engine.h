/* cpu_engine.h - the inside of the CPU engine: what its passes share.
 *
 * A pass is cut into tasks by the shape of the work alone; a task writes its own rows of the output and its own
 * partial sums, and partial sums are combined in task order: the bits do not depend on the number of threads.
 *
 *   cpu_layout.c       the table of passes; the engine's memory
 *   cpu_batch_norm.c   moments -> mean, scale, bias; sums -> alpha, beta, delta and the gradients of scale and bias
 *   cpu_pack.c         weights into the kernels' layouts, once a step
 *   cpu_weight_gradients.c   sums of weight gradients over pixels and tasks
 *   cpu_conv.c         stem, expand and head, forward and backward
 *   cpu_few_rows.c     products of few rows at inference, shared out by columns
 *   cpu_depthwise*.c   depthwise, forward and backward, with the expand convolution on the fly where that is not stored
 *   cpu_gram.c         such a convolution's batch norm from the second moments of its input
 *   cpu_project*.c, cpu_squeeze.c   squeeze-excite and projection, forward and backward (cpu_project.h)
 *   cpu_residual.c     residual; the sums of a projection's batch norm
 *   cpu_head.c         pool, dropout, classifier, forward and backward */
#ifndef EFFNET_BACKEND_CPU_CPU_ENGINE_H
#define EFFNET_BACKEND_CPU_CPU_ENGINE_H

#include "backend/cpu/kernels.h"
#include "base/bfloat16.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "plan/plan.h"

enum {
    MAX_TASKS = 64,        /* of a pass whose tasks keep partial moments */
    MIN_SLOTS = 8,         /* partial weight gradients of a pass: at least, ... */
    MAX_SLOTS = 32,        /* ... at most, */
    SLOT_FLOATS = 1 << 21, /* and about this much memory for all of them in between */
    KEPT_SHARE = 16        /* a whole batch's tiles are kept where they are not more than this many times the weights */
};

/* A batch norm between forward and backward; each vector has `channels` floats. */
typedef struct BnState {
    int channels;
    double count;          /* values a channel: batch * height * width of the last forward, of the whole group */
    double own_count;      /* of them this replica's */
    float *mean, *inverse; /* inverse: 1 / sqrt(variance + eps) */
    float *scale, *bias;   /* scale = weight * inverse */
    float *alpha, *beta, *delta;
    float *folded; /* where batch norm is folded into the weights: what is added, bias - mean * scale */
} BnState;

/* A squeeze-excite between forward and backward. */
typedef struct GateState {
    int channels, squeezed;
    float *pooled;                                  /* (batch, channels) mean of the activated input */
    float *hidden_sum;                              /* (batch, squeezed) before the inner activation */
    float *hidden;                                  /* (batch, squeezed) */
    float *gate;                                    /* (batch, channels) */
    float *gate_gradient;                           /* (batch, channels) before the sigmoid */
    float *hidden_gradient;                         /* (batch, squeezed) before the inner activation */
    float *packed_reduce, *packed_expand;           /* forward */
    float *packed_reduce_back, *packed_expand_back; /* data gradient */
} GateState;

/* An expand convolution that is not stored (cpu_gram.c): in its input's channels, out its own. */
typedef struct GramState {
    int in, out;
    double *mean, *offset; /* (in) of x; of x shifted by its first pixels' mean */
    double *covariance;    /* (in, in) centred second moments of x, divided by n */
    double *correlated;    /* (out, in) covariance times each filter */
    double *mix, *share;   /* (out) backward: k_j, and scale_j sum dz_j / n */
    double *rows;          /* (in + 1, in) -M and below it -v, ... */
    float *mixed;          /* ... in fp32, ... */
    Packed *packed_mixed;  /* ... and packed */
    float *filters;        /* (out, in) as the convolution multiplies by them: rounded to bf16 where values are */
    float *scaled;         /* (out, in) filters times their batch norm's scale; then sum xc' dz */
    Packed *packed_scaled; /* the former, packed for each block of expanded channels */
    float *centred_mean, *centred_scale, *centred_bias; /* (in) loads that give x - mean(x) */
} GramState;

typedef struct CpuEngine {
    Engine base;
    const Network *network;
    EngineOptions options;
    Plan plan;
    const CpuKernels *kernels; /* over the values that activations are stored in */
    bool folded; /* made for inference: weights are packed times their batch norm's scale, and nothing is pending but
                    activations */
    const CpuKernels *exact; /* over fp32: squeeze-excite, classifier; the same table where activations are fp32 */
    CpuKernels int8;         /* `kernels` with products in int8, where the options ask for them */
    ThreadTeam *team;
    char *arena;   /* activations and their gradients, placed by the plan */
    float *memory; /* everything below, one block */
    size_t memory_floats;
    BnState *batch_norms; /* by op index */
    GateState *gates;     /* by op index */
    GramState *grams;     /* by op index of the convolution; in 0: stored */
    Packed **packed;      /* by op index: weights for the forward pass */
    Packed **packed_back; /* by op index: weights for the data gradient */
    float *scratch;       /* scratch_floats a thread */
    size_t scratch_floats;
    float *slots;          /* partial weight gradients */
    double *partial;       /* partial moments or sums: (tasks, 2, channels) */
    double *partial_count; /* rows in each task's moments */
    double *exchanged;     /* moments or sums that are exchanged with other replicas, and as much again to do so */
    EnginePassTime *times; /* by pass */
    size_t *ready_from;    /* by pass: after it no gradient from here on changes */
    uint64_t version;      /* of the weights that are packed; 0: unknown */
    float *shared_tiles;   /* tiles between a pass's phases: cpu_weight_gradients.c, cpu_project_few.c,
                              cpu_project_shares.c */
    float *shared_sums;    /* and each tile's sums */
    float *few_rows_marks; /* by thread: 1 where its tile is filled (cpu_few_rows.c) */
} CpuEngine;

/* The pass being run; the context of its tasks. */
typedef struct PassRun {
    CpuEngine *engine;
    const Pass *pass;
    const EngineForward *call;
    const float *logits_gradient;
    float *gradients;
    bool accumulate;
    effnet_status status; /* of the exchange with other replicas, and its message */
    effnet_error *err;
    int units, per_task, tasks; /* units: pixels, rows or images; task t has [t * per_task, (t + 1) * per_task) */
} PassRun;

/* ---- what every pass uses ---- */
/* Value number `at` of an array of the engine's values: of a tile, of scratch. */
static inline Stored *value_at(const CpuEngine *engine, Stored *values, size_t at) {
    return (char *)values + at * (size_t)engine->kernels->value_bytes;
}
static inline void set_value(const CpuEngine *engine, Stored *values, size_t at, float value) {
    if (engine->kernels == engine->exact)
        ((float *)values)[at] = value;
    else
        ((uint16_t *)values)[at] = bfloat16_from_float(value);
}
static inline Stored *buffer_at(const CpuEngine *engine, int buffer, size_t at) {
    return value_at(engine, engine->arena + engine->plan.buffers[buffer].offset, at);
}
/* Whose gemm_tile multiplies by the weights of a convolution or the classifier, and whose layout they are packed in. */
static inline const CpuKernels *products(const CpuEngine *engine, const Op *op) {
    if (op->kind == OP_DENSE) return engine->exact;
    return engine->options.int8 && engine_multiplies_bytes(engine->network, op) ? &engine->int8 : engine->kernels;
}
/* A buffer that the plan keeps in fp32 (`exact`). */
static inline float *exact_buffer(const CpuEngine *engine, int buffer) {
    return (float *)(void *)(engine->arena + engine->plan.buffers[buffer].offset);
}
static inline TensorShape buffer_shape(const CpuEngine *engine, int buffer) {
    return engine->plan.buffers[buffer].shape;
}
static inline float *thread_scratch(const CpuEngine *engine, int thread) {
    return engine->scratch + (size_t)thread * engine->scratch_floats;
}
static inline const float *parameter_data(const PassRun *run, int parameter) {
    return run->call->parameters + run->engine->network->parameters[parameter].offset;
}
/* What an operand still wants applied from channel `first` on; *bn NULL-able through `none`. */
static inline const BnVectors *pending(const CpuEngine *engine, Operand operand, int first, BnVectors *storage) {
    if (operand.batch_norm < 0 || engine->folded) return NULL;
    const BnState *state = &engine->batch_norms[operand.batch_norm];
    *storage = (BnVectors){state->mean + first, state->scale + first, state->bias + first};
    return storage;
}
/* Whether a pass's batch norm (op index) takes its statistics from this batch. */
static inline bool by_batch(const PassRun *run, int batch_norm) {
    return run->call->training && !run->engine->network->ops[batch_norm].frozen;
}
/* Whether the pass has its output's moments to take: those of one that is made again are known. */
static inline bool takes_moments(const PassRun *run) {
    return by_batch(run, run->pass->batch_norm) && !run->pass->again;
}
/* What a convolution adds to its output, from channel `first` on: the batch norm that is folded into it; or NULL. */
static inline const float *folded_bias(const CpuEngine *engine, int batch_norm, int first) {
    return engine->folded && batch_norm >= 0 ? engine->batch_norms[batch_norm].folded + first : NULL;
}
static inline BnGradient pending_gradient(const CpuEngine *engine, int batch_norm, int first) {
    const BnState *state = &engine->batch_norms[batch_norm];
    return (BnGradient){state->mean + first, state->alpha + first, state->beta + first, state->delta + first};
}
/* Cuts `units` into at most `most` tasks of a multiple of `multiple`. */
void run_split(PassRun *run, int units, int most, int multiple);
static inline void task_range(const PassRun *run, int task, int *begin, int *end) {
    *begin = task * run->per_task;
    *end = *begin + run->per_task < run->units ? *begin + run->per_task : run->units;
}
/* Tasks of a pass over channels that is shared out 64 at a time. */
static inline int channel_blocks(int channels) {
    return (channels + TILE_CHANNELS - 1) / TILE_CHANNELS;
}
static inline size_t tile_floats(int channels) {
    return round_up((size_t)channels, TILE_CHANNELS) * TILE_ROWS;
}

/* ---- cpu_batch_norm.c ---- */
/* The task's own two vectors of partial sums. */
double *task_partial(const PassRun *run, int task, int channels);
/* Starts a task's moments or sums over channels [first, first + count) of `channels`. */
void partial_clear(const PassRun *run, int task, int channels);
/* Merges the moments of `rows` rows of raw output x, into channels [first, first + count) (Chan et al. 1983).
 * seen: rows merged into those channels so far. */
void moments_merge(const PassRun *run, int task, const Stored *x, size_t stride, int rows, int channels, int first,
                   int count, double seen, float *scratch);
/* After the pass: statistics from every task's moments, the group's where there is one, running statistics updated.
 * values: a channel's, of this replica. run->status says whether the exchange went well. */
void batch_norm_finish(PassRun *run, int batch_norm, double values);
/* Merges one channel's moments over the tasks, in their order; m2: sum of squared differences from the mean. */
void moments_of_tasks(const PassRun *run, int channels, int channel, double *mean, double *m2);
/* One channel's statistics of this batch of `values` values, and its running statistics. */
void batch_norm_set(const PassRun *run, int batch_norm, int channel, double mean, double variance, double values);
/* Where not training: from the running statistics. */
void batch_norm_from_running(CpuEngine *engine, const EngineForward *call, int batch_norm);
/* Adds float sums of one task's part to its partial doubles, and clears them. */
void sums_merge(const PassRun *run, int task, float *sum, float *sum_centred, int channels, int first, int count);
/* After the pass: the formula's vectors and the gradients of scale and bias. */
void batch_norm_finish_gradient(PassRun *run, int batch_norm);

/* ---- cpu_pack.c ---- */
/* (depth, columns) from values at depth * depth_stride + column * column_stride, times a column's scale (NULL: 1). */
void pack_weights(const CpuKernels *kernels, const float *weights, size_t depth_stride, size_t column_stride, int depth,
                  int columns, const float *scale, Packed *packed);
/* Room for packed weights, in floats whatever the values are; and where a column begins, a multiple of a panel. */
size_t packed_floats(const CpuKernels *kernels, int depth, int columns);
const Packed *packed_column(const CpuKernels *kernels, const Packed *packed, int depth, int column);
/* Every weight, for the forward pass, or for the data gradients. */
void pack_all(CpuEngine *engine, const EngineForward *call, bool backward);

/* ---- cpu_few_rows.c ---- */
/* Whether a convolution's product of `rows` rows is shared out by columns: few_rows_product. */
bool few_rows(const CpuEngine *engine, const Op *op, int rows);
/* The product's rows into a tile that is TILE_ROWS high. */
typedef void FewRowsLoad(const PassRun *run, int rows, Tile *tile);
/* to (rows, columns) = tile (rows, depth) times the weights of the pass's convolution, its folded batch norm's bias
 * added. Threads have scratch for the tile. */
void few_rows_product(const PassRun *run, FewRowsLoad *load, int rows, int depth, int columns, Stored *to);
/* Floats of few_rows_marks. */
size_t few_rows_marks(int threads);

/* ---- cpu_weight_gradients.c ---- */
/* Partial gradients a pass may keep for weights of `floats`. */
int slot_count(size_t floats);
/* gradient[column * column_stride + row * row_stride] = sum over slots of slots[(row, column)]. */
void slots_reduce(PassRun *run, int parameter, int used, int rows, int columns, size_t row_stride,
                  size_t column_stride);
/* dW (a_width, b_width) = a (rows, a_width)^T b (rows, b_width), into a parameter; and the bias: column sums of a. */
void small_weights_gradient(PassRun *run, const float *a, int a_width, const float *b, int b_width, int rows,
                            int weight, int bias);
/* Floats of shared_tiles that a backward pass of a 1x1 convolution keeps its tiles in; 0: it uses slots. */
size_t weights_kept(const CpuEngine *engine, const Pass *pass);
/* A pass's kept tiles of x and dy, from pixel `first` of `pixels` on; tile_rows of both. */
typedef struct KeptTiles {
    Tile *in, *out;
    int rows;
} KeptTiles;
KeptTiles kept_tiles(const CpuEngine *engine, const Pass *pass, int pixels, int first);
/* The weights' gradient from them. */
void kept_weights_gradient(PassRun *run, int pixels);

/* ---- cpu_gram.c ---- */
/* Floats of a task's partial second moments, of scratch, and of a packed block of `block` expanded channels. */
size_t gram_slot_floats(const CpuEngine *engine, const Pass *pass);
size_t gram_scratch(const CpuEngine *engine, const Pass *pass);
size_t gram_packed_block(const CpuEngine *engine, const GramState *gram, int block);
/* Loads of x that give x - mean(x), after gram_forward. */
BnVectors gram_centred(const GramState *gram);
/* Before a backward depthwise pass: packs the filters times their scale, `block` expanded channels at a time. */
void gram_scale(PassRun *run, int block);
/* After it: every gradient of convolution and batch norm, from task_partial's sums of dz and each task's H (in, out).
 */
void gram_finish_gradient(PassRun *run, const float *slots, size_t slot_floats);

/* ---- the passes ---- */
void conv_forward(PassRun *run);
void conv_backward(PassRun *run);
void depthwise_forward(PassRun *run);
void depthwise_backward(PassRun *run);
void project_forward(PassRun *run);
void project_backward(PassRun *run);
void residual_forward(PassRun *run);
void reduce_backward(PassRun *run);
void gram_forward(PassRun *run);
void expand_backward(PassRun *run);
void pool_forward(PassRun *run);
void pool_backward(PassRun *run);
void dense_forward(PassRun *run);
void dense_backward(PassRun *run);
/* Floats of scratch a thread that the pass needs. */
size_t conv_scratch(const CpuEngine *engine, const Pass *pass);
size_t depthwise_scratch(const CpuEngine *engine, const Pass *pass);
/* Floats of partial weight gradients that a task of the pass keeps. */
size_t depthwise_slot_floats(const CpuEngine *engine, const Pass *pass);
size_t project_scratch(const CpuEngine *engine, const Pass *pass);
/* Floats of shared_tiles and, in *sums, of shared_sums that the pass needs. */
size_t project_shared_tiles(const CpuEngine *engine, const Pass *pass, size_t *sums);
size_t head_scratch(const CpuEngine *engine, const Pass *pass);

/* ---- cpu_layout.c ---- */
/* A kind of pass: who runs it and what it needs, in floats; NULL: nothing. */
typedef struct PassRow {
    void (*run)(PassRun *run);
    size_t (*scratch)(const CpuEngine *engine, const Pass *pass); /* a thread's */
    size_t (*slots)(const CpuEngine *engine, const Pass *pass);   /* of partial gradients or second moments, a task's */
    size_t (*tiles)(const CpuEngine *engine, const Pass *pass, size_t *sums); /* shared_tiles, and *sums shared_sums */
    size_t (*kept)(const CpuEngine *engine, const Pass *pass);                /* shared_tiles, in another use of them */
} PassRow;
extern const PassRow pass_rows[]; /* by PassKind */
/* Floats of the engine's memory but for the arena; base NULL: they are counted, else handed out from there on. */
size_t cpu_lay_out(CpuEngine *engine, float *base);

#endif
