/* worker_sum.c - the sum of a long vector over the workers, in the background.
 *
 * Each worker owns one share of the vector. It sends every other its share and receives its own from all of them, adds
 * the W contributions up in the tree's order, and sends the sum to everybody:
 *
 *   scatter:  worker r -> worker s: v_r[share s]           W - 1 messages each way, count / W floats each
 *   add:      worker s: the tree over v_0[share s] ... v_{W-1}[share s]
 *   gather:   worker s -> worker r: the sum                 the same again
 *
 * So 2 (W - 1) / W of the vector leaves each worker, the least that any algorithm can do (Thakur, Rabenseifner and
 * Gropp, "Optimization of collective communication operations in MPICH", 2005), the additions are shared out, and the
 * order of every single addition is the tree's for any number of workers: that a ring or MPI_Allreduce does not
 * promise. */
#include "dist/workers.h"

#include "base/memory.h"
#include "dist/workers_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum SumStage { SUM_SCATTERS, SUM_GATHERS, SUM_DONE, SUM_FAILED } SumStage;

struct WorkersSum {
    WorkersSum *next;
    float *values, *received; /* received: (W, share) contributions to this worker's share; its own slot too */
    size_t count, share;      /* floats of all, of a share at most */
    SumStage stage;
    int gather_tag, messages_begun;
    Message *messages;
    char what[96];
    effnet_error error; /* where SUM_FAILED */
};

/* Share s is [s * share, min((s + 1) * share, count)). */
static size_t share_begin(const WorkersSum *sum, int s) {
    size_t begin = (size_t)s * sum->share;
    return begin < sum->count ? begin : sum->count;
}

static size_t share_floats(const WorkersSum *sum, int s) {
    return share_begin(sum, s + 1) - share_begin(sum, s);
}

static effnet_status begin_scatter(Workers *workers, WorkersSum *sum, int tag, effnet_error *err) {
    int rank = workers_rank(workers), count = workers_count(workers);
    size_t mine = share_floats(sum, rank);
    memcpy(sum->received + (size_t)rank * sum->share, sum->values + share_begin(sum, rank), mine * sizeof(float));
    for (int distance = 1; distance < count; distance++) {
        int from = (rank - distance + count) % count, to = (rank + distance) % count;
        if (mine)
            TRY(message_receive(workers, from, tag, sum->received + (size_t)from * sum->share, mine * sizeof(float),
                                &sum->messages[sum->messages_begun++], err));
        if (share_floats(sum, to))
            TRY(message_send(workers, to, tag, sum->values + share_begin(sum, to),
                             share_floats(sum, to) * sizeof(float), &sum->messages[sum->messages_begun++], err));
    }
    return EFFNET_OK;
}

static effnet_status add_and_begin_gather(Workers *workers, WorkersSum *sum, effnet_error *err) {
    int rank = workers_rank(workers), count = workers_count(workers);
    size_t mine = share_floats(sum, rank);
    for (int stride = 1; stride < count; stride *= 2)
        for (int i = 0; i + stride < count; i += 2 * stride) {
            float *restrict into = sum->received + (size_t)i * sum->share;
            const float *restrict from = sum->received + (size_t)(i + stride) * sum->share;
            for (size_t k = 0; k < mine; k++) into[k] += from[k];
        }
    float *own = sum->values + share_begin(sum, rank);
    memcpy(own, sum->received, mine * sizeof(float));
    sum->messages_begun = 0;
    for (int distance = 1; distance < count; distance++) {
        int from = (rank - distance + count) % count, to = (rank + distance) % count;
        if (share_floats(sum, from))
            TRY(message_receive(workers, from, sum->gather_tag, sum->values + share_begin(sum, from),
                                share_floats(sum, from) * sizeof(float), &sum->messages[sum->messages_begun++], err));
        if (mine)
            TRY(message_send(workers, to, sum->gather_tag, own, mine * sizeof(float),
                             &sum->messages[sum->messages_begun++], err));
    }
    return EFFNET_OK;
}

/* As far as it goes without waiting. */
static effnet_status advance(Workers *workers, WorkersSum *sum, effnet_error *err) {
    while (sum->stage == SUM_SCATTERS || sum->stage == SUM_GATHERS) {
        bool done;
        TRY(messages_test(workers, sum->messages, sum->messages_begun, &done, err));
        if (!done) return EFFNET_OK;
        if (sum->stage == SUM_SCATTERS) TRY(add_and_begin_gather(workers, sum, err));
        sum->stage = sum->stage == SUM_SCATTERS ? SUM_GATHERS : SUM_DONE;
    }
    return EFFNET_OK;
}

effnet_status workers_progress(Workers *workers, effnet_error *err) {
    effnet_status status = EFFNET_OK;
    if (!workers || !workers->sums) return EFFNET_OK;
    exchange_enter(workers);
    for (WorkersSum *sum = workers->sums; sum && status == EFFNET_OK; sum = sum->next) {
        status = advance(workers, sum, &sum->error);
        if (status == EFFNET_OK) continue;
        sum->stage = SUM_FAILED;
        fail(err, status, "%s", sum->error.message);
    }
    exchange_leave(workers);
    return status;
}

effnet_status workers_sum_begin(Workers *workers, float *values, size_t count, const char *what, WorkersSum **out,
                                effnet_error *err) {
    *out = NULL;
    int all = workers_count(workers);
    if (all == 1 || count == 0) return EFFNET_OK;
    enum { CACHE_LINE = 16 }; /* floats: shares begin on one */
    WorkersSum *sum = calloc(1, sizeof *sum);
    Message *messages = calloc((size_t)all * 2, sizeof *messages);
    if (!sum || !messages) {
        free(sum);
        free(messages);
        workers->broken = true; /* the others have begun theirs and are not to wait for it */
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for messages between %d workers", all);
    }
    *sum = (WorkersSum){.values = values, .count = count, .messages = messages};
    sum->share = round_up((count + (size_t)all - 1) / (size_t)all, CACHE_LINE);
    snprintf(sum->what, sizeof sum->what, "%s", what);
    WorkersSum **last = &workers->sums;
    while (*last) last = &(*last)->next;
    *last = sum;
    int scatter_tag = workers_take_tag(workers);
    sum->gather_tag = workers_take_tag(workers);
    void *received = NULL;
    effnet_status status =
        memory_allocate((size_t)all * sum->share, sizeof(float), "the other workers' gradients", &received, err);
    sum->received = received;
    exchange_enter(workers);
    if (status == EFFNET_OK) status = begin_scatter(workers, sum, scatter_tag, err);
    exchange_leave(workers);
    if (status != EFFNET_OK) {
        workers->broken = true;
        sum->stage = SUM_FAILED;
        if (err) sum->error = *err;
        return status;
    }
    *out = sum;
    return EFFNET_OK;
}

static void sum_free(Workers *workers, WorkersSum *sum) {
    WorkersSum **at = &workers->sums;
    while (*at && *at != sum) at = &(*at)->next;
    if (*at) *at = sum->next;
    memory_free(sum->received);
    free(sum->messages);
    free(sum);
}

void worker_sums_free(Workers *workers) {
    while (workers->sums) sum_free(workers, workers->sums);
}

static effnet_status finish(Workers *workers, WorkersSum *sum, effnet_error *err) {
    double began = 0;
    for (;;) {
        if (sum->stage == SUM_FAILED) return fail(err, sum->error.status, "%s", sum->error.message);
        if (workers->broken)
            return fail(err, EFFNET_ERROR_IO, "the workers lost touch earlier, while they added up %s", sum->what);
        TRY(workers_progress(workers, err));
        if (sum->stage == SUM_DONE) return EFFNET_OK;
        TRY(worker_pause(workers, &began, sum->messages, sum->messages_begun, sum->what, err));
    }
}

effnet_status workers_sum_finish(Workers *workers, WorkersSum *sum, effnet_error *err) {
    if (!sum) return EFFNET_OK;
    exchange_enter(workers);
    effnet_status status = finish(workers, sum, err);
    exchange_leave(workers);
    if (status == EFFNET_OK)
        sum_free(workers, sum);
    else
        workers->broken = true;
    return status;
}

effnet_status workers_sum(Workers *workers, float *values, size_t count, const char *what, effnet_error *err) {
    WorkersSum *sum;
    TRY(workers_sum_begin(workers, values, count, what, &sum, err));
    return workers_sum_finish(workers, sum, err);
}
