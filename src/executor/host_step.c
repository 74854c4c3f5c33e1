/* host_step.c - a training step on this machine, as one worker of several or alone:
 *
 *   for each replica, for each part of its share:  masks -> forward -> loss -> backward
 *   -> gradients of the replicas added up in a tree -> (of the workers) -> clip -> judged -> optimizer and averages
 *
 * The gradient of a part's mean loss is scaled by its share of the batch, so the sum over all parts is the gradient of
 * the batch's mean loss. Batch norm sees one part at a time: its batch statistics are the part's, and the running
 * statistics move once a part. Replicas that share moments (bn_sync tpu_groups, all) go side by side (replica_group.h),
 * the others one after the other in one room.
 *
 * With several replicas each moves a copy of the running statistics of the step's beginning (replica_statistics.h). With
 * running_average their mean stands, as the original does on its eight TPU cores: each core keeps its own, and they are
 * averaged before every evaluation (classification/train.py:260-269, 490-493); as moving is linear, averaging after
 * every step gives the same means.
 *
 * A step either happens or does not: statistics are put back where anything fails; weights, slots and averages change
 * only in optimizer_step, after every check. */
#include "executor/host_executor.h"
#include "executor/replica_statistics.h"

#include <math.h>
#include <string.h>

typedef struct StepRun {
    HostExecutor *host;
    const ExecutorBatch *batch;
    int first; /* of the replicas that are side by side, among this worker's */
} StepRun;

/* This worker's replica `at`, part by part, into `gradients`. Where others wait for it in backward (an exchange of
 * moments, gradients that travel: `ready`), a loss that is not finite goes through backward before it is told. */
static effnet_status run_replica(const StepRun *run, int at, const BatchNormExchange *exchange,
                                 const GradientsReady *ready, float *gradients, effnet_error *err) {
    HostExecutor *host = run->host;
    TrainState *state = &host->state;
    Replica *replica = &host->replicas[at];
    const size_t floats = host->network->statistic_floats;
    float *statistics = state->statistics;
    if (host->rows) {
        statistics = host->rows + (size_t)at * floats;
        memcpy(statistics, host->statistics_before, floats * sizeof(float));
    }
    int size = host->spec.batch / host->spec.replicas / host->spec.accumulate, first, count;
    replica_share(replica, run->batch->size, &first, &count);
    host->losses[at] = 0;
    effnet_status judged = EFFNET_OK;
    for (int done = 0; done < count; done += size) {
        ReplicaPart part;
        double loss;
        const bool last = done + size >= count;
        TRY(replica_forward(replica, run->batch, first + done, count - done < size ? count - done : size, state->step,
                            state->parameters, statistics, exchange, &part, err));
        effnet_status part_judged =
            replica_loss(replica, run->batch, &part, state->step, &loss, judged == EFFNET_OK ? err : NULL);
        if (judged == EFFNET_OK) judged = part_judged;
        if (judged != EFFNET_OK && !exchange && !ready) return judged;
        host->losses[at] += loss * part.count;
        TRY(replica_backward(replica, &part, gradients, done > 0, last ? ready : NULL,
                             judged == EFFNET_OK ? err : NULL));
    }
    return judged;
}

static effnet_status run_lane(void *context, int lane, const BatchNormExchange *exchange, effnet_error *err) {
    const StepRun *run = context;
    return run_replica(run, run->first + lane, exchange, NULL, run->host->lane_gradients[lane], err);
}

/* Neighbouring replicas that share moments, here and perhaps on other workers. */
static effnet_status run_group(const StepRun *run, int lanes, effnet_error *err) {
    HostExecutor *host = run->host;
    const BatchNormExchange beyond = {.sum = host_workers_moments, .context = &host->moments};
    TRY(replica_group_run(host->group, lanes, run_lane, (void *)(size_t)run, host->moments.workers ? &beyond : NULL,
                          err));
    for (int i = 0; i < lanes; i++) {
        memcpy(gradient_tree_next(&host->tree), host->lane_gradients[i],
               host->network->parameter_floats * sizeof(float));
        gradient_tree_add(&host->tree, host->team);
    }
    return EFFNET_OK;
}

/* One after the other, without an exchange. Of several workers the last replica's gradients travel while they are
 * computed, so that whatever was not finite before is told after it. */
static effnet_status run_in_turn(StepRun *run, int used, effnet_error *err) {
    HostExecutor *host = run->host;
    const GradientsReady travel = {.ready = host_workers_ready, .context = host};
    const bool several = workers_count(host->workers) > 1;
    effnet_status judged = EFFNET_OK;
    for (int at = 0; at < used; at++) {
        effnet_status status = run_replica(run, at, NULL, several && at == used - 1 ? &travel : NULL,
                                           gradient_tree_next(&host->tree), judged == EFFNET_OK ? err : NULL);
        if (status != EFFNET_OK && (!several || status != EFFNET_ERROR_NUMERIC)) return status;
        if (judged == EFFNET_OK) judged = status;
        if (host->travelling > 0) gradient_tree_add(&host->tree, host->team);
    }
    if (host->travelling == 0) return judged;
    gradient_tree_finish(&host->tree, host->team); /* of an engine that does not say what is finished */
    effnet_status sent = host_workers_send(host, judged == EFFNET_OK ? err : NULL);
    return judged == EFFNET_OK ? sent : judged;
}

static effnet_status check_part(const HostExecutor *host, const ExecutorBatch *batch, effnet_error *err) {
    const int workers = workers_count(host->workers);
    TRY(executor_check_batch(batch, host->spec.batch, host->network->config.num_classes, err));
    if (workers == 1 || batch->size == host->spec.batch / workers) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "a part of %d pictures of a batch of %d over %d workers; each has %d",
                batch->size, host->spec.batch, workers, host->spec.batch / workers);
}

/* Every replica of this worker that has pictures, in order; the sum of their gradients in state.gradients. */
static effnet_status run_replicas(HostExecutor *host, const ExecutorBatch *batch, effnet_error *err) {
    int share = host->spec.batch / host->spec.replicas, used = (batch->size + share - 1) / share;
    StepRun run = {.host = host, .batch = batch};
    TRY(check_part(host, batch, err));
    gradient_tree_begin(&host->tree, host->state.gradients);
    if (!host->group) return run_in_turn(&run, used, err);
    for (; run.first < used; run.first += host->lanes)
        TRY(run_group(&run, used - run.first < host->lanes ? used - run.first : host->lanes, err));
    gradient_tree_finish(&host->tree, host->team);
    return EFFNET_OK;
}

/* Forward and backward on all workers: the sum of the gradients, the running statistics and the batch's mean loss. */
static effnet_status compute(HostExecutor *host, const ExecutorBatch *batch, double *loss, effnet_error *err) {
    const StepSpec *spec = &host->spec;
    const int workers = workers_count(host->workers), share = spec->batch / spec->replicas;
    const int pictures = batch->size * workers, used = (pictures + share - 1) / share;
    const double *losses = host->losses;
    host_workers_begin(host);
    effnet_status status = run_replicas(host, batch, err);
    if (workers > 1) {
        status = host_workers_merge(host, status, err);
        losses += spec->replicas;
    }
    TRY(status);
    if (host->rows)
        replica_statistics_merge(host->network, spec, host->all_rows, used, pictures, host->statistics_before,
                                 host->state.statistics);
    double sum = 0;
    for (int r = 0; r < used; r++) sum += losses[r];
    *loss = sum / pictures;
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

effnet_status host_step(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResults *results,
                        effnet_error *err) {
    HostExecutor *host = (HostExecutor *)executor;
    TrainState *state = &host->state;
    size_t statistic_bytes = host->network->statistic_floats * sizeof(float);
    if (!host->replicas) return fail(err, EFFNET_ERROR_ARGUMENT, "a step of an executor that only evaluates");
    memcpy(host->statistics_before, state->statistics, statistic_bytes);
    double loss = 0, norm = 0;
    effnet_status status = compute(host, batch, &loss, err);
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
    results->list[results->count++] = (StepResult){.step = state->step,
                                                   .loss = loss,
                                                   .gradient_norm = norm,
                                                   .weight_norm = weight_norm,
                                                   .update_norm = update_norm};
    return EFFNET_OK;
}
