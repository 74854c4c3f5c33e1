/* host_workers.c - a step of the host executor on several workers: replicas in blocks, sums in the tree over replicas.
 *
 *   replicas   0 1 2 3 | 4 5 6 7          worker w has replicas w * replicas / workers and on
 *   worker     0       | 1
 *
 * A worker adds up its block, then dist/ adds up the workers' sums by the same tree. That is the tree over all replicas
 * where a block is a subtree: where it is a power of two, or the only one. So the bits do not depend on the number of
 * workers. Losses and running statistics are small; each worker gathers those of all replicas and adds them up in
 * order.
 *
 * Gradients travel while backward still computes: the engine says which are finished, the last layers' first, and each
 * megabyte of them becomes a sum of its own, which goes on between the passes. Every number is added in the same order as
 * in one sum at the end. Replicas that share moments across workers wait for one another in every layer as it is, and
 * their gradients travel afterwards. */
#include "executor/host_executor.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static bool is_power_of_two(int n) {
    return (n & (n - 1)) == 0;
}

/* Whether `workers` can share the replicas. */
static bool can_share(const StepSpec *spec, int workers) {
    int block = spec->replicas / workers;
    if (workers == 1) return true;
    if (spec->replicas % workers != 0 || !is_power_of_two(block)) return false;
    return block % spec->bn_group == 0 || (spec->bn_group % block == 0 && spec->replicas % spec->bn_group == 0);
}

effnet_status host_workers_check(const StepSpec *spec, const Workers *workers, effnet_error *err) {
    int count = workers_count(workers);
    if (can_share(spec, count)) return EFFNET_OK;
    char counts[200] = "1";
    for (int n = 2; n <= spec->replicas && strlen(counts) < sizeof counts - 12; n++)
        if (can_share(spec, n)) {
            size_t used = strlen(counts);
            snprintf(counts + used, sizeof counts - used, ", %d", n);
        }
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "%d workers cannot share %d replicas: equal blocks of 1, 2, 4, 8 or so are wanted, which batch norm's "
                "groups (of %d) fill or are filled by; so many workers can: %s; or set replicas: %d",
                count, spec->replicas, spec->bn_group, counts, count);
}

/* Room for `count` values of each worker. */
static effnet_status reserve_moments(WorkersMoments *moments, size_t count, effnet_error *err) {
    size_t workers = (size_t)workers_count(moments->workers), wanted;
    void *block;
    if (!size_multiply(count, workers, &wanted))
        return fail(err, EFFNET_ERROR_MEMORY, "the workers' moments are too many");
    if (wanted <= moments->room) return EFFNET_OK;
    memory_free(moments->all);
    moments->all = NULL;
    moments->room = 0;
    TRY(memory_allocate(wanted, sizeof(double), "the workers' moments", &block, err));
    moments->all = block;
    moments->room = wanted;
    return EFFNET_OK;
}

effnet_status host_workers_moments(void *context, double *values, size_t count, effnet_error *err) {
    WorkersMoments *moments = context;
    effnet_status status = workers_agree(moments->workers, reserve_moments(moments, count, err), err);
    moments->agreed = status;
    TRY(status);
    TRY(workers_gather(moments->workers, values, count * sizeof(double), moments->all, "batch norm's moments", err));
    double *all = moments->all + (size_t)moments->first * count;
    for (int stride = 1; stride < moments->count; stride *= 2)
        for (int w = 0; w + stride < moments->count; w += 2 * stride)
            for (size_t k = 0; k < count; k++) all[(size_t)w * count + k] += all[(size_t)(w + stride) * count + k];
    memcpy(values, all, count * sizeof(double));
    return EFFNET_OK;
}

/* ---- gradients on their way ---- */

void host_workers_begin(HostExecutor *host) {
    host->num_sums = 0;
    host->moments.agreed = EFFNET_OK;
    host->travelling = host->network->parameter_floats;
}

/* Where the next sum begins that is sent: places that every worker knows, whatever its engine has said so far. */
static size_t next_edge(const HostExecutor *host) {
    return host->travelling > GRADIENT_BUCKET ? host->travelling - GRADIENT_BUCKET : 0;
}

/* state.gradients[from ..] are this worker's sums, or, of a step that has failed here, whatever they are. */
static effnet_status send_from(HostExecutor *host, size_t from, effnet_error *err) {
    const size_t end = host->travelling;
    host->travelling = from;
    return workers_sum_begin(host->workers, host->state.gradients + from, end - from, "the gradients",
                             &host->sums[host->num_sums++], err);
}

effnet_status host_workers_ready(void *context, size_t from, effnet_error *err) {
    HostExecutor *host = context;
    while (host->travelling > 0 && next_edge(host) >= from) {
        gradient_tree_finish_part(&host->tree, next_edge(host), host->travelling, host->team);
        TRY(send_from(host, next_edge(host), err));
    }
    return workers_progress(host->workers, err);
}

effnet_status host_workers_send(HostExecutor *host, effnet_error *err) {
    while (workers_count(host->workers) > 1 && host->travelling > 0) TRY(send_from(host, next_edge(host), err));
    return EFFNET_OK;
}

static effnet_status gather_results(HostExecutor *host, effnet_error *err) {
    Workers *workers = host->workers;
    size_t ours = (size_t)host->used_replicas;
    TRY(workers_gather(workers, host->losses, ours * sizeof(double), host->losses + host->spec.replicas,
                       "the losses of a step", err));
    if (host->rows)
        TRY(workers_gather(workers, host->rows, ours * host->network->statistic_floats * sizeof(float), host->all_rows,
                           "the running statistics", err));
    return EFFNET_OK;
}

/* A step that fails on one worker must not leave the others waiting for its part. Where replicas go in turn, gradients are on
 * their way before the workers agree: this worker's are sent too, with whatever is in them, and the sums finished. Where
 * moments are exchanged, the others' next exchange begins with an agreement, as the end of the step does: whichever they
 * are at, it meets this one's here. */
effnet_status host_workers_merge(HostExecutor *host, effnet_status status, effnet_error *err) {
    effnet_error unused;
    if (status != EFFNET_OK && !host->group && !workers_are_broken(host->workers))
        (void)host_workers_send(host, &unused);
    if (host->moments.agreed == EFFNET_OK) status = workers_agree(host->workers, status, err);
    if (status == EFFNET_OK) status = gather_results(host, err);
    if (status == EFFNET_OK) status = host_workers_send(host, err);
    for (int i = 0; i < host->num_sums && !workers_are_broken(host->workers); i++) {
        effnet_status summed = workers_sum_finish(host->workers, host->sums[i], status == EFFNET_OK ? err : &unused);
        if (status == EFFNET_OK) status = summed;
    }
    return status;
}
