/* executor_host.c - the executor of this machine: an engine on host threads, replica by replica, and the optimizer on
 * blocks in host memory, the very blocks that it was given: nothing is copied.
 *
 *   for each replica, for each part of its share:  masks -> forward -> loss -> backward
 *   -> gradients of the replicas added up in a tree -> clip -> judged -> optimizer and averages
 *
 * The gradient of a part's mean loss is scaled by its share of the batch, so the sum over all parts is the gradient of
 * the batch's mean loss. Batch norm sees one part at a time: its batch statistics are the part's, and the running
 * statistics move once a part. With bn_sync running_average each replica moves those of the step's beginning once, and
 * the step leaves their mean (in doubles, in the replicas' order). So the original does on its eight TPU cores: each
 * core keeps its own, and they are averaged before every evaluation (classification/train.py:260-269, 490-493); as
 * moving is linear, averaging after every step gives the same means.
 *
 * The replicas share one room (engine and scratch) and are computed one after the other. Where their moments are to be
 * shared (bn_sync tpu_groups, all) they must go forward side by side, each in a room of its own: run_replicas is the
 * place, and host_create refuses it until then.
 *
 * A step either happens or does not: the forward pass moves the running statistics, so they are copied before and put
 * back where anything fails; weights, slots and averages change only in optimizer_step, after every check. */
#include "base/memory.h"
#include "executor/gradient_tree.h"
#include "executor/replica.h"
#include "step/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct HostExecutor {
    Executor base;
    const Network *network;
    StepSpec spec;
    ThreadTeam *team;
    TrainState state;
    ReplicaRoom room;
    Replica *replicas; /* (spec.replicas) */
    GradientTree tree;
    float *statistics_before; /* copied at the beginning of a step, put back where the step fails */
    StepSquares *squares;     /* room for a measured step */
    double *statistics_sum;   /* running_average: the replicas' running statistics added up; else NULL */
    Engine *evaluation;       /* NULL where the room's takes an evaluation batch */
    float *evaluation_images; /* of pictures that come as bytes; NULL before the first */
    int evaluation_batch;
} HostExecutor;

static void host_free(Executor *executor) {
    HostExecutor *host = (HostExecutor *)executor;
    engine_free(host->evaluation);
    replica_room_free(&host->room);
    gradient_tree_free(&host->tree);
    train_state_free(&host->state);
    memory_free(host->replicas);
    memory_free(host->statistics_before);
    memory_free(host->statistics_sum);
    memory_free(host->squares);
    memory_free(host->evaluation_images);
    free(host);
}

static effnet_status create_parts(HostExecutor *host, const ExecutorOptions *options, effnet_error *err) {
    const Network *network = host->network;
    const StepSpec *spec = &host->spec;
    const EngineVtable *engine;
    void *block = NULL;
    TRY(engine_find(options->engine, &engine, err));
    TRY(memory_allocate((size_t)spec->replicas, sizeof(Replica), "the replicas", &block, err));
    host->replicas = block;
    for (int r = 0; r < spec->replicas; r++)
        host->replicas[r] =
            (Replica){.network = network, .spec = spec, .team = host->team, .room = &host->room, .index = r};
    TRY(gradient_tree_create(network->parameter_floats, spec->replicas, &host->tree, err));
    TRY(memory_allocate_floats(network->statistic_floats, 1, "the copy of the statistics", &host->statistics_before,
                               err));
    TRY(memory_allocate((size_t)optimizer_tasks(network, spec), sizeof(StepSquares), "the norms of a step", &block,
                        err));
    host->squares = block;
    if (spec->bn_sync == STEP_BN_RUNNING_AVERAGE && spec->replicas > 1) {
        TRY(memory_allocate(network->statistic_floats, sizeof(double), "the sum of the replicas' statistics", &block,
                            err));
        host->statistics_sum = block;
    }
    TRY(replica_room_create(network, spec, engine, host->team, &host->room, err));
    int part = spec->batch / spec->replicas / spec->accumulate;
    host->evaluation_batch = options->evaluation_batch > 0 ? options->evaluation_batch : part;
    if (host->evaluation_batch <= part) return EFFNET_OK;
    const EngineOptions evaluation = {
        .batch = host->evaluation_batch, .fuse = spec->fuse, .bf16 = spec->bf16, .team = host->team};
    return engine_create(engine, network, &evaluation, &host->evaluation, err);
}

static effnet_status host_create(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                                 Executor **out, effnet_error *err) {
    *out = NULL;
    if (spec->replicas < 1 || spec->accumulate < 1 || spec->batch % ((int64_t)spec->replicas * spec->accumulate) != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a batch of %d in %d replicas of %d parts: the parts must be equal",
                    spec->batch, spec->replicas, spec->accumulate);
    if (spec->bn_group > 1)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "bn_sync shares batch norm's moments between %d replicas, which go one after the other here; set "
                    "replicas: 1, or bn_sync: none or running_average",
                    spec->bn_group);
    HostExecutor *host = calloc(1, sizeof *host);
    if (!host) return fail(err, EFFNET_ERROR_MEMORY, "no memory for an executor");
    host->base.vtable = &host_executor;
    host->network = network;
    host->spec = *spec;
    host->team = options->team;
    effnet_status status = create_parts(host, options, err);
    if (status != EFFNET_OK) {
        host_free(&host->base);
        return status;
    }
    *out = &host->base;
    return EFFNET_OK;
}

static effnet_status host_load(Executor *executor, TrainState *state, effnet_error *err) {
    (void)err;
    HostExecutor *host = (HostExecutor *)executor;
    train_state_free(&host->state);
    host->state = *state;
    *state = (TrainState){.step = host->state.step};
    for (int r = 0; r < host->spec.replicas; r++) host->replicas[r].chain = (FlaxMaskChain){0};
    return EFFNET_OK;
}

/* ---- a step ---- */

/* A replica's share, part by part, into `gradients`; adds images * mean loss to *loss_sum. */
static effnet_status run_replica(HostExecutor *host, Replica *replica, const ExecutorBatch *batch, int first, int count,
                                 float *gradients, double *loss_sum, effnet_error *err) {
    TrainState *state = &host->state;
    int size = host->spec.batch / host->spec.replicas / host->spec.accumulate;
    for (int at = 0; at < count; at += size) {
        ReplicaPart part;
        double loss;
        TRY(replica_forward(replica, batch, first + at, count - at < size ? count - at : size, state->step,
                            state->parameters, state->statistics, &part, err));
        TRY(replica_loss(replica, batch, &part, state->step, &loss, err));
        *loss_sum += loss * part.count;
        TRY(replica_backward(replica, &part, gradients, at > 0, err));
    }
    return EFFNET_OK;
}

/* running_average: a replica begins with the running statistics of the step's beginning. */
static void begin_replica(HostExecutor *host, int replica) {
    if (host->statistics_sum && replica > 0)
        memcpy(host->state.statistics, host->statistics_before, host->network->statistic_floats * sizeof(float));
}

/* And after the last of `used` their mean stands. */
static void end_replica(HostExecutor *host, int replica, int used) {
    double *sum = host->statistics_sum;
    if (!sum) return;
    float *statistics = host->state.statistics;
    for (size_t i = 0; i < host->network->statistic_floats; i++) {
        sum[i] = (replica > 0 ? sum[i] : 0) + statistics[i];
        if (replica == used - 1) statistics[i] = (float)(sum[i] / used);
    }
}

/* Every replica that has pictures of this batch, in order; the sum of their gradients in state.gradients. */
static effnet_status run_replicas(HostExecutor *host, const ExecutorBatch *batch, double *loss_sum, effnet_error *err) {
    int share = host->spec.batch / host->spec.replicas, used = (batch->size + share - 1) / share;
    gradient_tree_begin(&host->tree, host->state.gradients);
    for (int r = 0; r < used; r++) {
        Replica *replica = &host->replicas[r];
        int first, count;
        replica_share(replica, batch->size, &first, &count);
        begin_replica(host, r);
        TRY(run_replica(host, replica, batch, first, count, gradient_tree_next(&host->tree), loss_sum, err));
        gradient_tree_add(&host->tree, host->team);
        end_replica(host, r, used);
    }
    gradient_tree_finish(&host->tree, host->team);
    return EFFNET_OK;
}

/* EFFNET_ERROR_NUMERIC, naming the first parameter, where the gradient of a step is not finite. */
static effnet_status judge(const HostExecutor *host, double norm, effnet_error *err) {
    if (isfinite(norm)) return EFFNET_OK;
    const Network *network = host->network;
    const Parameter *parameter =
        state_first_nonfinite(network->parameters, network->num_parameters, host->state.gradients);
    return fail(err, EFFNET_ERROR_NUMERIC,
                "the gradient is not finite at step %lld, first in %s; try a smaller lr, a longer warm-up or clip_grad",
                (long long)host->state.step + 1, parameter ? parameter->name : "its norm");
}

static effnet_status host_step(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResult *result,
                               effnet_error *err) {
    HostExecutor *host = (HostExecutor *)executor;
    TrainState *state = &host->state;
    size_t statistic_bytes = host->network->statistic_floats * sizeof(float);
    memcpy(host->statistics_before, state->statistics, statistic_bytes);
    double loss_sum = 0, norm = 0;
    effnet_status status = run_replicas(host, batch, &loss_sum, err);
    if (status == EFFNET_OK) {
        norm = gradients_clip(host->network, state->gradients, host->spec.clip_grad, host->team);
        status = judge(host, norm, err);
    }
    if (status != EFFNET_OK) {
        memcpy(state->statistics, host->statistics_before, statistic_bytes);
        return status;
    }
    double weight_norm = NAN, update_norm = NAN;
    if (batch->norms)
        optimizer_step_measured(host->network, &host->spec, state, learning_rate, host->team, host->squares,
                                &weight_norm, &update_norm);
    else
        optimizer_step(host->network, &host->spec, state, learning_rate, host->team);
    if (result)
        *result = (StepResult){.loss = loss_sum / batch->size,
                               .gradient_norm = norm,
                               .weight_norm = weight_norm,
                               .update_norm = update_norm};
    return EFFNET_OK;
}

/* ---- what else is asked of it ---- */

static effnet_status host_evaluate(Executor *executor, ExecutorWeights weights, const ExecutorBatch *batch,
                                   float *logits, effnet_error *err) {
    HostExecutor *host = (HostExecutor *)executor;
    const Network *network = host->network;
    bool averaged = weights == EXECUTOR_AVERAGED;
    if (batch->size > host->evaluation_batch)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%d pictures to evaluate at once; at most %d were asked for",
                    batch->size, host->evaluation_batch);
    const float *images = batch->images;
    if (!images) {
        size_t image_floats = (size_t)network->input_height * (size_t)network->input_width * 3;
        if (!host->evaluation_images)
            TRY(memory_allocate_floats((size_t)host->evaluation_batch, image_floats, "the normalised pictures",
                                       &host->evaluation_images, err));
        pixels_normalise(&host->spec, batch->pixels, (size_t)batch->size, image_floats, host->team,
                         host->evaluation_images);
        images = host->evaluation_images;
    }
    const EngineForward call = {.batch = batch->size,
                                .images = images,
                                .parameters = averaged ? host->state.ema_parameters : host->state.parameters,
                                .statistics = averaged ? host->state.ema_statistics : host->state.statistics,
                                .logits = logits};
    return engine_forward(host->evaluation ? host->evaluation : host->room.engine, &call, err);
}

static effnet_status host_state(Executor *executor, const TrainState **out, effnet_error *err) {
    (void)err;
    *out = &((HostExecutor *)executor)->state;
    return EFFNET_OK;
}

static ExecutorInfo host_info(Executor *executor) {
    const EngineInfo engine = engine_info(((HostExecutor *)executor)->room.engine);
    return (ExecutorInfo){.name = "host",
                          .engine = engine.name,
                          .isa = engine.isa,
                          .workers = 1,
                          .devices = 1,
                          .activation_bytes = engine.activation_bytes};
}

static const EnginePassTime *host_profile(Executor *executor, bool clear, int *count) {
    return engine_profile(((HostExecutor *)executor)->room.engine, clear, count);
}

ReplicaRoom *host_executor_room(Executor *executor) {
    return &((HostExecutor *)executor)->room;
}

const ExecutorVtable host_executor = {.create = host_create,
                                      .load = host_load,
                                      .step = host_step,
                                      .evaluate = host_evaluate,
                                      .state = host_state,
                                      .info = host_info,
                                      .profile = host_profile,
                                      .free = host_free};
