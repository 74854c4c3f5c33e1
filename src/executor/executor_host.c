/* executor_host.c - the executor of this machine: an engine on host threads, replica by replica, and the optimizer on
 * blocks in host memory, the very blocks that it was given: nothing is copied. The step is host_step.c's; this file
 * makes the executor, evaluates and shows the state. */
#include "base/memory.h"
#include "executor/host_executor.h"

#include <stdlib.h>
#include <string.h>

/* Whose arenas info and profile tell of. */
static Engine *main_engine(const HostExecutor *host) {
    return host->rooms ? host->rooms[0].engine : host->evaluation;
}

static void host_free(Executor *executor) {
    HostExecutor *host = (HostExecutor *)executor;
    replica_group_free(host->group);
    engine_free(host->evaluation);
    for (int i = 0; i < host->lanes; i++) {
        if (host->rooms) replica_room_free(&host->rooms[i]);
        if (host->lane_gradients) memory_free(host->lane_gradients[i]);
    }
    memory_free(host->rooms);
    memory_free(host->lane_gradients);
    gradient_tree_free(&host->tree);
    train_state_free(&host->state);
    memory_free(host->replicas);
    memory_free(host->losses);
    if (host->all_rows != host->rows) memory_free(host->all_rows);
    memory_free(host->rows);
    memory_free(host->moments.all);
    memory_free(host->statistics_before);
    memory_free(host->squares);
    memory_free(host->sums);
    memory_free(host->evaluation_images);
    free(host);
}

/* Which replicas are here, which of them go side by side, and where each computes. */
static effnet_status create_replicas(HostExecutor *host, const EngineVtable *engine, effnet_error *err) {
    const StepSpec *spec = &host->spec;
    const int workers = workers_count(host->workers), rank = workers_rank(host->workers);
    void *block = NULL;
    host->used_replicas = spec->replicas / workers;
    host->first_replica = rank * host->used_replicas;
    const int lanes = spec->bn_group < host->used_replicas ? spec->bn_group : host->used_replicas;
    TRY(memory_allocate((size_t)host->used_replicas, sizeof(Replica), "the replicas", &block, err));
    host->replicas = block;
    TRY(memory_allocate((size_t)lanes, sizeof(ReplicaRoom), "the replicas", &block, err));
    host->rooms = block;
    host->lanes = lanes;
    for (int i = 0; i < lanes; i++)
        TRY(replica_room_create(host->network, spec, engine, host->team, &host->rooms[i], err));
    for (int r = 0; r < host->used_replicas; r++)
        host->replicas[r] = (Replica){.network = host->network,
                                      .spec = spec,
                                      .team = host->team,
                                      .room = &host->rooms[r % lanes],
                                      .index = host->first_replica + r,
                                      .first_image = rank * (spec->batch / workers),
                                      .workers = workers};
    if (spec->bn_group == 1) return EFFNET_OK;
    if (spec->bn_group > host->used_replicas) {
        int group = spec->bn_group / host->used_replicas;
        host->moments = (WorkersMoments){.workers = host->workers, .first = rank / group * group, .count = group};
    }
    TRY(memory_allocate((size_t)lanes, sizeof(float *), "the replicas' gradients", &block, err));
    host->lane_gradients = block;
    for (int i = 0; i < lanes; i++)
        TRY(memory_allocate_floats(host->network->parameter_floats, 1, "the gradients of a replica",
                                   &host->lane_gradients[i], err));
    return replica_group_create(lanes, &host->group, err);
}

/* What the replicas leave: losses, statistics, gradients. */
static effnet_status create_results(HostExecutor *host, effnet_error *err) {
    const size_t replicas = (size_t)host->spec.replicas, ours = (size_t)host->used_replicas;
    const size_t statistics = host->network->statistic_floats;
    void *block = NULL;
    TRY(gradient_tree_create(host->network->parameter_floats, host->used_replicas, &host->tree, err));
    TRY(memory_allocate(2 * replicas, sizeof(double), "the replicas' losses", &block, err));
    host->losses = block;
    TRY(memory_allocate_floats(statistics, 1, "the copy of the statistics", &host->statistics_before, err));
    TRY(memory_allocate((size_t)optimizer_tasks(host->network, &host->spec), sizeof(StepSquares), "the norms of a step",
                        &block, err));
    host->squares = block;
    TRY(memory_allocate(host->network->parameter_floats / GRADIENT_BUCKET + 1, sizeof(WorkersSum *),
                        "the sums over workers", &block, err));
    host->sums = block;
    if (replicas == 1) return EFFNET_OK;
    TRY(memory_allocate_floats(ours, statistics, "the replicas' statistics", &host->rows, err));
    host->all_rows = host->rows;
    if (ours == replicas) return EFFNET_OK;
    return memory_allocate_floats(replicas, statistics, "the workers' statistics", &host->all_rows, err);
}

static effnet_status create_parts(HostExecutor *host, const ExecutorOptions *options, effnet_error *err) {
    const StepSpec *spec = &host->spec;
    const EngineVtable *engine;
    TRY(engine_find(options->engine, &engine, err));
    int part = spec->batch / spec->replicas / spec->accumulate;
    host->evaluation_batch = options->evaluation_batch > 0 ? options->evaluation_batch : part;
    if (!options->evaluates_only) {
        TRY(create_replicas(host, engine, err));
        TRY(create_results(host, err));
        if (host->evaluation_batch <= part) return EFFNET_OK;
    }
    const EngineOptions evaluation = {
        .batch = host->evaluation_batch, .fuse = spec->fuse, .bf16 = spec->bf16, .team = host->team};
    return engine_create(engine, host->network, &evaluation, &host->evaluation, err);
}

static effnet_status check_spec(const StepSpec *spec, const Workers *workers, effnet_error *err) {
    if (spec->replicas < 1 || spec->accumulate < 1 || spec->batch % ((int64_t)spec->replicas * spec->accumulate) != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a batch of %d in %d replicas of %d parts: the parts must be equal",
                    spec->batch, spec->replicas, spec->accumulate);
    if (spec->bn_group < 1 || spec->replicas % spec->bn_group != 0 || (spec->bn_group > 1 && spec->accumulate > 1))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "batch norm's moments shared by groups of %d among %d replicas in %d parts each; groups must be "
                    "equal, and accumulate 1",
                    spec->bn_group, spec->replicas, spec->accumulate);
    return host_workers_check(spec, workers, err);
}

static effnet_status host_create(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                                 Executor **out, effnet_error *err) {
    *out = NULL;
    TRY(check_spec(spec, options->workers, err));
    HostExecutor *host = calloc(1, sizeof *host);
    if (!host) return fail(err, EFFNET_ERROR_MEMORY, "no memory for an executor");
    host->base.vtable = &host_executor;
    host->network = network;
    host->spec = *spec;
    host->team = options->team;
    host->workers = options->workers;
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
    for (int r = 0; r < host->used_replicas; r++) host->replicas[r].chain = (FlaxMaskChain){0};
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
        size_t image_floats = shape_floats(network->config.input);
        if (!host->evaluation_images)
            TRY(memory_allocate_floats((size_t)host->evaluation_batch, image_floats, "the normalised pictures",
                                       &host->evaluation_images, err));
        pixels_normalise(&host->spec, network->config.input, batch->pixels, (size_t)batch->size, host->team,
                         host->evaluation_images);
        images = host->evaluation_images;
    }
    const EngineForward call = {.batch = batch->size,
                                .images = images,
                                .parameters = averaged ? host->state.ema_parameters : host->state.parameters,
                                .statistics = averaged ? host->state.ema_statistics : host->state.statistics,
                                .logits = logits};
    return engine_forward(host->evaluation ? host->evaluation : host->rooms[0].engine, &call, err);
}

static effnet_status host_state(Executor *executor, const TrainState **out, effnet_error *err) {
    (void)err;
    *out = &((HostExecutor *)executor)->state;
    return EFFNET_OK;
}

/* What create_parts allocated, small blocks aside. */
static size_t memory_of(const HostExecutor *host) {
    const size_t gradients = host->network->parameter_floats * sizeof(float);
    size_t bytes = host->evaluation ? engine_info(host->evaluation).activation_bytes : 0;
    for (int i = 0; i < host->lanes; i++) {
        bytes += engine_info(host->rooms[i].engine).activation_bytes;
        if (host->lane_gradients) bytes += gradients;
    }
    for (int i = 1; i < GRADIENT_TREE_HEIGHT; i++) bytes += host->tree.blocks[i] ? gradients : 0;
    return bytes;
}

static ExecutorInfo host_info(Executor *executor) {
    const EngineInfo engine = engine_info(main_engine((HostExecutor *)executor));
    return (ExecutorInfo){.name = "host",
                          .engine = engine.name,
                          .isa = engine.isa,
                          .workers = workers_count(((HostExecutor *)executor)->workers),
                          .devices = 1,
                          .activation_bytes = engine.activation_bytes,
                          .memory_bytes = memory_of((HostExecutor *)executor)};
}

static const EnginePassTime *host_profile(Executor *executor, bool clear, int *count) {
    return engine_profile(main_engine((HostExecutor *)executor), clear, count);
}

ReplicaRoom *host_executor_room(Executor *executor) {
    return ((HostExecutor *)executor)->rooms;
}

const ExecutorVtable host_executor = {.create = host_create,
                                      .load = host_load,
                                      .step = host_step,
                                      .evaluate = host_evaluate,
                                      .state = host_state,
                                      .info = host_info,
                                      .profile = host_profile,
                                      .free = host_free};
