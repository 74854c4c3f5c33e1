/* workers.h - who is in a run, and what they do together: exchange, add up, agree.
 *
 * A worker is a process of a run: alone, or one of several that MPI started. Every function below is called by all
 * workers in the same order; a worker that is alone returns at once. Results never depend on who is fast: sums are
 * added in a binary tree over the workers,
 *
 *   ((0 + 1) + (2 + 3)) + ((4 + 5) + ...)      stride 1, then 2, then 4: worker i takes in worker i + stride
 *
 * so that workers which each hold a subtree of the replicas' own tree add up to the same bits, however many they are.
 *
 * A worker that is killed, stopped or stuck must not leave the others waiting: each wait has an end (timeout_seconds),
 * and then fails with a message that names the worker, its host and process, and what was waited for. After such a
 * failure the workers are broken: each further call fails at once and workers_close ends the whole run. */
#ifndef EFFNET_DIST_WORKERS_H
#define EFFNET_DIST_WORKERS_H

#include "base/error.h"
#include "dist/transport.h"

#include <stdint.h>

typedef struct Workers Workers;

typedef struct WorkersOptions {
    const char *kind;       /* "none" or NULL: alone; "mpi" */
    double timeout_seconds; /* longest wait for another worker; 0: 300 */
} WorkersOptions;

effnet_status workers_open(const WorkersOptions *options, Workers **out, effnet_error *err);
/* The same over a transport that is there; it belongs to the workers from here on, after a failure too. */
effnet_status workers_create(Transport *transport, double timeout_seconds, Workers **out, effnet_error *err);
/* NULL is allowed. Where the workers are broken, ends every process of the run (transport.h). */
void workers_close(Workers *workers);

bool workers_are_broken(const Workers *workers);

/* NULL: alone, 0 of 1. */
int workers_rank(const Workers *workers);
int workers_count(const Workers *workers);
/* "worker 3 of 8 (process 4711 on node17)"; alone: "this process". Owned by `workers`. */
const char *workers_name(const Workers *workers, int rank);

/* all (count * bytes) becomes every worker's `mine`, in the workers' order. `what` names it in messages: "the moments
 * of blocks.1.0.bn1". `mine` and `all` do not overlap. */
effnet_status workers_gather(Workers *workers, const void *mine, size_t bytes, void *all, const char *what,
                             effnet_error *err);
/* The same of blocks of different lengths: *all (*total bytes, to be freed by memory_free) has them one behind the other,
 * without gaps. */
effnet_status workers_gather_lists(Workers *workers, const void *mine, size_t bytes, void **all, size_t *total,
                                   const char *what, effnet_error *err);
/* Worker 0's block everywhere. */
effnet_status workers_broadcast(Workers *workers, void *block, size_t bytes, const char *what, effnet_error *err);
/* Where any worker's `mine` is not EFFNET_OK: that status, and the message of the first such worker, with its name, in
 * everybody's err. A worker's own err holds its message when it calls. Broken workers keep their own. */
effnet_status workers_agree(Workers *workers, effnet_status mine, effnet_error *err);
/* EFFNET_ERROR_ARGUMENT, naming `what` and the workers, where a text (a digest, a version) differs between workers. */
effnet_status workers_check_same(Workers *workers, const char *text, const char *what, effnet_error *err);

/* values[i] becomes the sum over the workers, in the tree's order; the same bits everywhere. */
effnet_status workers_sum(Workers *workers, float *values, size_t count, const char *what, effnet_error *err);

/* The same in the background. A sum goes on during every call that waits or tests; several may be under way, begun in
 * the same order by all. The values stay untouched in between. */
typedef struct WorkersSum WorkersSum;
effnet_status workers_sum_begin(Workers *workers, float *values, size_t count, const char *what, WorkersSum **out,
                                effnet_error *err);
/* Drives all sums on without waiting. */
effnet_status workers_progress(Workers *workers, effnet_error *err);
/* Waits for it; the handle is gone afterwards, after a failure too. NULL is allowed. */
effnet_status workers_sum_finish(Workers *workers, WorkersSum *sum, effnet_error *err);

typedef struct WorkersTraffic {
    int64_t bytes;  /* sent by this worker */
    double seconds; /* in the calls above: carrying, adding up, waiting for who is slower */
} WorkersTraffic;
/* Since the beginning or the last call with `clear`. */
WorkersTraffic workers_traffic(Workers *workers, bool clear);

#endif
