/* replica_group.c - see replica_group.h. One baton: who holds it runs, the caller or a lane, and gives it back when it
 * waits for the others or is done. */
#include "executor/replica_group.h"

#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CALLER = -1 };

typedef enum LaneState { LANE_DONE, LANE_BEGINS, LANE_MEETS } LaneState;

typedef struct Lane {
    ReplicaGroup *group;
    int index;
    pthread_t thread;
    pthread_cond_t turn;
    LaneState state;
    double *values; /* of LANE_MEETS: what it brought */
    size_t count;
    effnet_status status; /* of LANE_DONE */
    effnet_error error;
} Lane;

struct ReplicaGroup {
    pthread_mutex_t mutex;
    pthread_cond_t callers_turn;
    int holder; /* of the baton: a lane, or CALLER */
    bool ending;
    ReplicaWork *work;
    void *context;
    effnet_status meeting; /* of the last meeting */
    effnet_error failure;
    int num_lanes;
    Lane *lanes;
};

/* Mutex held: gives the baton back and waits for it; false where the group ends. */
static bool wait_for_turn(Lane *lane) {
    ReplicaGroup *group = lane->group;
    while (group->holder != lane->index && !group->ending) pthread_cond_wait(&lane->turn, &group->mutex);
    return !group->ending;
}

static void give_back(ReplicaGroup *group) {
    group->holder = CALLER;
    pthread_cond_signal(&group->callers_turn);
}

static effnet_status meet(void *context, double *values, size_t count, effnet_error *err) {
    Lane *lane = context;
    ReplicaGroup *group = lane->group;
    pthread_mutex_lock(&group->mutex);
    lane->state = LANE_MEETS;
    lane->values = values;
    lane->count = count;
    give_back(group);
    wait_for_turn(lane); /* a group does not end while it runs */
    effnet_status status = group->meeting;
    pthread_mutex_unlock(&group->mutex);
    return status == EFFNET_OK ? EFFNET_OK : fail(err, status, "%s", group->failure.message);
}

static void *lane_main(void *argument) {
    Lane *lane = argument;
    ReplicaGroup *group = lane->group;
    const BatchNormExchange exchange = {.sum = meet, .context = lane};
    pthread_setname_np(pthread_self(), "effnet-replica");
    pthread_mutex_lock(&group->mutex);
    while (wait_for_turn(lane)) {
        pthread_mutex_unlock(&group->mutex);
        effnet_status status = group->work(group->context, lane->index, &exchange, &lane->error);
        pthread_mutex_lock(&group->mutex);
        lane->status = status;
        lane->state = LANE_DONE;
        give_back(group);
    }
    pthread_mutex_unlock(&group->mutex);
    return NULL;
}

/* Signals are the main thread's business. */
static int start(Lane *lane) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = thread_start(&lane->thread, lane_main, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

effnet_status replica_group_create(int lanes, ReplicaGroup **out, effnet_error *err) {
    *out = NULL;
    ReplicaGroup *group = calloc(1, sizeof *group);
    if (group) group->lanes = calloc((size_t)lanes, sizeof *group->lanes);
    if (!group || !group->lanes) {
        free(group);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d replicas side by side", lanes);
    }
    pthread_mutex_init(&group->mutex, NULL);
    pthread_cond_init(&group->callers_turn, NULL);
    group->holder = CALLER;
    for (int i = 0; i < lanes; i++) {
        Lane *lane = &group->lanes[i];
        *lane = (Lane){.group = group, .index = i};
        pthread_cond_init(&lane->turn, NULL);
        int failed = start(lane);
        if (failed) {
            pthread_cond_destroy(&lane->turn);
            replica_group_free(group);
            return fail(err, EFFNET_ERROR_MEMORY, "cannot start the thread of replica %d of %d: %s", i + 1, lanes,
                        strerror(failed));
        }
        group->num_lanes = i + 1;
    }
    *out = group;
    return EFFNET_OK;
}

void replica_group_free(ReplicaGroup *group) {
    if (!group) return;
    pthread_mutex_lock(&group->mutex);
    group->ending = true;
    for (int i = 0; i < group->num_lanes; i++) pthread_cond_signal(&group->lanes[i].turn);
    pthread_mutex_unlock(&group->mutex);
    for (int i = 0; i < group->num_lanes; i++) {
        pthread_join(group->lanes[i].thread, NULL);
        pthread_cond_destroy(&group->lanes[i].turn);
    }
    pthread_cond_destroy(&group->callers_turn);
    pthread_mutex_destroy(&group->mutex);
    free(group->lanes);
    free(group);
}

/* Mutex held: the lane runs until it meets or is done. */
static void let_run(ReplicaGroup *group, Lane *lane) {
    group->holder = lane->index;
    pthread_cond_signal(&lane->turn);
    while (group->holder != CALLER) pthread_cond_wait(&group->callers_turn, &group->mutex);
}

static effnet_status add_up(ReplicaGroup *group, int lanes, const BatchNormExchange *beyond, effnet_error *err) {
    Lane *first = group->lanes;
    const size_t count = first->count;
    for (int i = 1; i < lanes; i++)
        if (first[i].count != count)
            return fail(err, EFFNET_ERROR_ARGUMENT, "replicas of a group ask for sums of %zu and of %zu values", count,
                        first[i].count);
    for (int stride = 1; stride < lanes; stride *= 2)
        for (int i = 0; i + stride < lanes; i += 2 * stride)
            for (size_t k = 0; k < count; k++) first[i].values[k] += first[i + stride].values[k];
    if (beyond) TRY(beyond->sum(beyond->context, first->values, count, err));
    for (int i = 1; i < lanes; i++) memcpy(first[i].values, first->values, count * sizeof(double));
    return EFFNET_OK;
}

/* Mutex held; every lane meets or is done. Whether any meets: those then go on with the meeting's status. */
static bool hold_meeting(ReplicaGroup *group, int lanes, const BatchNormExchange *beyond) {
    int meeting = 0, failed = -1;
    for (int i = lanes - 1; i >= 0; i--) {
        meeting += group->lanes[i].state == LANE_MEETS;
        if (group->lanes[i].state == LANE_DONE && group->lanes[i].status != EFFNET_OK) failed = i;
    }
    if (meeting == 0 || group->meeting != EFFNET_OK) return meeting > 0;
    if (meeting == lanes)
        group->meeting = add_up(group, lanes, beyond, &group->failure);
    else if (failed >= 0)
        group->meeting = fail(&group->failure, group->lanes[failed].status, "%s", group->lanes[failed].error.message);
    else
        group->meeting = fail(&group->failure, EFFNET_ERROR_ARGUMENT, "a replica is done while others wait for it");
    return true;
}

effnet_status replica_group_run(ReplicaGroup *group, int lanes, ReplicaWork *work, void *context,
                                const BatchNormExchange *beyond, effnet_error *err) {
    pthread_mutex_lock(&group->mutex);
    group->work = work;
    group->context = context;
    group->meeting = EFFNET_OK;
    for (int i = 0; i < lanes; i++) group->lanes[i].state = LANE_BEGINS;
    do {
        for (int i = 0; i < lanes; i++)
            if (group->lanes[i].state != LANE_DONE) let_run(group, &group->lanes[i]);
    } while (hold_meeting(group, lanes, beyond));
    effnet_status status = group->meeting;
    if (status != EFFNET_OK) fail(err, status, "%s", group->failure.message);
    for (int i = 0; i < lanes && status == EFFNET_OK; i++)
        if (group->lanes[i].status != EFFNET_OK)
            status = fail(err, group->lanes[i].status, "%s", group->lanes[i].error.message);
    pthread_mutex_unlock(&group->mutex);
    return status;
}
