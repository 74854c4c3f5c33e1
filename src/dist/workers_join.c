/* workers_join.c - see workers.h: joining a run, waiting with an end, and the small exchanges
 *
 * Small exchanges go from everybody to everybody at once: one message each way and no worker in between who could be
 * slow. A run has tens of workers and such an exchange some hundred bytes to some hundred kilobytes; the large one, the
 * gradients, is worker_sum.c's. */
#include "dist/workers.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dist/transport_load.h"
#include "dist/workers_inside.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double usual_timeout = 300;
static const double patience = 100e-6; /* of looking again at once, before a sleep between looks */

int workers_rank(const Workers *workers) {
    return workers && workers->transport ? workers->transport->rank : 0;
}

int workers_count(const Workers *workers) {
    return workers && workers->transport ? workers->transport->count : 1;
}

const char *workers_name(const Workers *workers, int rank) {
    return workers && workers->transport ? workers->names[rank] : "this process";
}

WorkersTraffic workers_traffic(Workers *workers, bool clear) {
    if (!workers) return (WorkersTraffic){0};
    WorkersTraffic traffic = workers->traffic;
    if (clear) workers->traffic = (WorkersTraffic){0};
    return traffic;
}

void exchange_enter(Workers *workers) {
    if (workers->exchanges++ == 0) workers->exchange_began = clock_seconds();
}

void exchange_leave(Workers *workers) {
    if (--workers->exchanges == 0) workers->traffic.seconds += clock_seconds() - workers->exchange_began;
}

bool workers_are_broken(const Workers *workers) {
    return workers && workers->broken;
}

/* ---- messages ---- */

int workers_take_tag(Workers *workers) {
    int tag = workers->next_tag;
    workers->next_tag = (tag + 1) % TAGS;
    return tag;
}

static effnet_status broken(Workers *workers, int other, const char *message, effnet_error *err) {
    workers->broken = true;
    return fail(err, EFFNET_ERROR_IO, "%s cannot reach %s: %s", workers_name(workers, workers_rank(workers)),
                workers_name(workers, other), message);
}

static effnet_status check_whole(const Workers *workers, effnet_error *err) {
    if (!workers->broken) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "the workers lost touch earlier; go on from the newest checkpoint with --resume");
}

effnet_status message_send(Workers *workers, int other, int tag, const void *block, size_t bytes, Message *out,
                           effnet_error *err) {
    char message[TRANSPORT_MESSAGE];
    *out = (Message){.other = other};
    TRY(check_whole(workers, err));
    if (!workers->transport->vtable->send(workers->transport, other, tag, block, bytes, &out->request, message))
        return broken(workers, other, message, err);
    workers->traffic.bytes += (int64_t)bytes;
    return EFFNET_OK;
}

effnet_status message_receive(Workers *workers, int other, int tag, void *block, size_t bytes, Message *out,
                              effnet_error *err) {
    char message[TRANSPORT_MESSAGE];
    *out = (Message){.other = other};
    TRY(check_whole(workers, err));
    if (!workers->transport->vtable->receive(workers->transport, other, tag, block, bytes, &out->request, message))
        return broken(workers, other, message, err);
    return EFFNET_OK;
}

effnet_status messages_test(Workers *workers, Message *messages, int count, bool *done, effnet_error *err) {
    char message[TRANSPORT_MESSAGE];
    *done = true;
    for (int i = 0; i < count; i++) {
        if (!messages[i].request) continue;
        bool over = false;
        if (!workers->transport->vtable->test(workers->transport, messages[i].request, &over, message))
            return broken(workers, messages[i].other, message, err);
        if (over)
            messages[i].request = NULL;
        else
            *done = false;
    }
    return EFFNET_OK;
}

/* The end of patience: names every worker that has not answered. */
static effnet_status timed_out(Workers *workers, const Message *messages, int count, const char *what,
                               effnet_error *err) {
    char late[300] = "";
    int others = 0, last = -1;
    for (int i = 0; i < count; i++) {
        if (!messages[i].request || messages[i].other == last) continue;
        last = messages[i].other;
        size_t used = strlen(late);
        if (others++ < 2)
            snprintf(late + used, sizeof late - used, "%s%s", used ? ", " : "", workers_name(workers, last));
    }
    workers->broken = true;
    char more[32] = "";
    if (others > 2) snprintf(more, sizeof more, " and %d more", others - 2);
    return fail(
        err, EFFNET_ERROR_IO,
        "%s%s did not answer for %g s: %s waited for %s; it may have been killed, be stopped or hang; go on from the "
        "newest checkpoint with --resume",
        late, more, workers->timeout_seconds, workers_name(workers, workers_rank(workers)), what);
}

effnet_status worker_pause(Workers *workers, double *began, const Message *messages, int count, const char *what,
                           effnet_error *err) {
    double now = clock_seconds();
    if (*began == 0) *began = now;
    double waited = now - *began;
    /* Later workers are more patient, so that one tells what all of them see. */
    if (waited > workers->timeout_seconds + 0.25 * workers_rank(workers))
        return timed_out(workers, messages, count, what, err);
    if (waited < patience)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = waited < 1e-2 ? 20000 : 200000}, NULL);
    return EFFNET_OK;
}

effnet_status messages_wait(Workers *workers, Message *messages, int count, const char *what, effnet_error *err) {
    double began = 0;
    for (;;) {
        bool done = false;
        TRY(messages_test(workers, messages, count, &done, err));
        if (done) return EFFNET_OK;
        TRY(workers_progress(workers, err));
        TRY(worker_pause(workers, &began, messages, count, what, err));
    }
}

/* ---- exchanges ---- */

static effnet_status allocate_messages(int count, Message **out, effnet_error *err) {
    *out = calloc((size_t)count, sizeof **out);
    return *out ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for %d messages between workers", count);
}

static effnet_status begin_gather(Workers *workers, const void *mine, size_t bytes, char *all, Message *messages,
                                  int *begun, effnet_error *err) {
    int rank = workers_rank(workers), count = workers_count(workers), tag = workers_take_tag(workers);
    for (int distance = 1; distance < count; distance++) { /* everybody begins with another */
        int from = (rank - distance + count) % count, to = (rank + distance) % count;
        TRY(message_receive(workers, from, tag, all + (size_t)from * bytes, bytes, &messages[(*begun)++], err));
        TRY(message_send(workers, to, tag, mine, bytes, &messages[(*begun)++], err));
    }
    return EFFNET_OK;
}

effnet_status workers_gather(Workers *workers, const void *mine, size_t bytes, void *all, const char *what,
                             effnet_error *err) {
    int rank = workers_rank(workers), count = workers_count(workers), begun = 0;
    memcpy((char *)all + (size_t)rank * bytes, mine, bytes);
    if (count == 1) return EFFNET_OK;
    Message *messages;
    TRY(allocate_messages(2 * count, &messages, err));
    exchange_enter(workers);
    effnet_status status = begin_gather(workers, mine, bytes, all, messages, &begun, err);
    if (status == EFFNET_OK) status = messages_wait(workers, messages, begun, what, err);
    exchange_leave(workers);
    free(messages);
    return status;
}

effnet_status workers_broadcast(Workers *workers, void *block, size_t bytes, const char *what, effnet_error *err) {
    int rank = workers_rank(workers), count = workers_count(workers), begun = 0;
    if (count == 1) return EFFNET_OK;
    Message *messages;
    TRY(allocate_messages(count, &messages, err));
    int tag = workers_take_tag(workers);
    effnet_status status = EFFNET_OK;
    exchange_enter(workers);
    /* A binomial tree: who has the block hands it to the worker that many places on. */
    for (int stride = 1; stride < count && status == EFFNET_OK; stride *= 2) {
        if (rank < stride) {
            if (rank + stride < count)
                status = message_send(workers, rank + stride, tag, block, bytes, &messages[begun++], err);
        } else if (rank < 2 * stride) {
            Message message;
            status = message_receive(workers, rank - stride, tag, block, bytes, &message, err);
            if (status == EFFNET_OK) status = messages_wait(workers, &message, 1, what, err);
        }
    }
    if (status == EFFNET_OK) status = messages_wait(workers, messages, begun, what, err);
    exchange_leave(workers);
    free(messages);
    return status;
}

effnet_status workers_agree(Workers *workers, effnet_status mine, effnet_error *err) {
    int count = workers_count(workers);
    if (count == 1 || (mine != EFFNET_OK && workers->broken)) return mine;
    effnet_error ours = {0}, *all = calloc((size_t)count, sizeof *all);
    if (!all) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the state of %d workers", count);
    if (mine != EFFNET_OK && err) ours = *err;
    ours.status = mine;
    effnet_status status = workers_gather(workers, &ours, sizeof ours, all, "whether every worker is well", err);
    for (int r = 0; r < count && status == EFFNET_OK; r++) {
        if (all[r].status == EFFNET_OK) continue;
        all[r].message[sizeof all[r].message - 1] = 0;
        status = mine == all[r].status && r == workers_rank(workers)
                     ? fail(err, mine, "%s", ours.message)
                     : fail(err, all[r].status, "%s: %s", workers_name(workers, r), all[r].message);
    }
    free(all);
    return status;
}

effnet_status workers_check_same(Workers *workers, const char *text, const char *what, effnet_error *err) {
    enum { MOST = 256 };
    int count = workers_count(workers);
    if (count == 1) return EFFNET_OK;
    char mine[MOST] = "", (*all)[MOST] = calloc((size_t)count, sizeof *all);
    if (!all) return fail(err, EFFNET_ERROR_MEMORY, "no memory to compare %d workers", count);
    snprintf(mine, sizeof mine, "%s", text);
    effnet_status status = workers_gather(workers, mine, sizeof mine, all, what, err);
    for (int r = 1; r < count && status == EFFNET_OK; r++)
        if (memcmp(all[0], all[r], MOST) != 0)
            status = fail(err, EFFNET_ERROR_ARGUMENT,
                          "%s differs: %s has '%.80s', %s has '%.80s'; give every worker the same", what,
                          workers_name(workers, 0), all[0], workers_name(workers, r), all[r]);
    free(all);
    return status;
}

/* ---- joining and leaving ---- */

/* Every worker tells where it is, so that messages can say so. */
static effnet_status exchange_names(Workers *workers, effnet_error *err) {
    int count = workers_count(workers);
    char host[WORKER_HOST] = "", mine[WORKER_NAME] = "";
    workers->names = calloc((size_t)count, sizeof *workers->names);
    if (!workers->names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d workers", count);
    for (int r = 0; r < count; r++) snprintf(workers->names[r], WORKER_NAME, "worker %d of %d", r, count);
    gethostname(host, sizeof host - 1);
    snprintf(mine, sizeof mine, "worker %d of %d (process %ld on %s)", workers_rank(workers), count, (long)getpid(),
             host);
    char(*all)[WORKER_NAME] = calloc((size_t)count, sizeof *all);
    if (!all) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d workers", count);
    effnet_status status = workers_gather(workers, mine, sizeof mine, all, "the other workers' names", err);
    for (int r = 0; r < count && status == EFFNET_OK; r++) {
        memcpy(workers->names[r], all[r], WORKER_NAME);
        workers->names[r][WORKER_NAME - 1] = 0;
    }
    free(all);
    return status;
}

effnet_status workers_create(Transport *transport, double timeout_seconds, Workers **out, effnet_error *err) {
    *out = NULL;
    Workers *workers = calloc(1, sizeof *workers);
    if (!workers) {
        transport->vtable->close(transport, false);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the workers of a run");
    }
    workers->transport = transport;
    workers->timeout_seconds = timeout_seconds;
    effnet_status status = exchange_names(workers, err);
    if (status != EFFNET_OK)
        workers_close(workers);
    else
        *out = workers;
    return status;
}

effnet_status workers_open(const WorkersOptions *options, Workers **out, effnet_error *err) {
    *out = NULL;
    if (!options->kind || !*options->kind || strcmp(options->kind, "none") == 0) return EFFNET_OK;
    const double timeout = options->timeout_seconds == 0 ? usual_timeout : options->timeout_seconds;
    if (!(timeout > 0))
        return fail(err, EFFNET_ERROR_ARGUMENT, "a wait of %g s for other workers; more than 0 is needed", timeout);
    Transport *transport;
    TRY(transport_load(options->kind, &transport, err));
    return workers_create(transport, timeout, out, err);
}

void workers_close(Workers *workers) {
    if (!workers) return;
    if (workers->transport) workers->transport->vtable->close(workers->transport, workers->broken || workers->sums);
    worker_sums_free(workers);
    free(workers->names);
    free(workers);
}
