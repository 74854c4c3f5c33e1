/* workers_inside.h - what the files of dist/ share of Workers. */
#ifndef EFFNET_DIST_WORKERS_INSIDE_H
#define EFFNET_DIST_WORKERS_INSIDE_H

#include "dist/workers.h"

enum { WORKER_HOST = 64, WORKER_NAME = 128 };

/* Tags: a call takes the next number, the same on every worker, so that a straggler's message is never taken for
 * another's. MPI promises tags up to 32767. */
enum { TAGS = 1 << 14 };

struct Workers {
    Transport *transport; /* NULL: alone */
    double timeout_seconds;
    int next_tag;
    bool broken;
    char (*names)[WORKER_NAME]; /* (count) */
    WorkersTraffic traffic;
    int exchanges;         /* public calls under way, one within another */
    double exchange_began; /* the outermost */
    WorkersSum
        *sums; /* under way, the oldest first; and failed ones, into whose memory the transport may still write */
};

/* One message under way. */
typedef struct Message {
    void *request; /* NULL: none, or done */
    int other;
} Message;

/* Around what a public call does, so that its time is counted, once. */
void exchange_enter(Workers *workers);
void exchange_leave(Workers *workers);
/* Frees every sum, done or not: once the transport is closed. */
void worker_sums_free(Workers *workers);
int workers_take_tag(Workers *workers);
effnet_status message_send(Workers *workers, int other, int tag, const void *block, size_t bytes, Message *out,
                           effnet_error *err);
effnet_status message_receive(Workers *workers, int other, int tag, void *block, size_t bytes, Message *out,
                              effnet_error *err);
/* Whether all of them are done, without waiting. */
effnet_status messages_test(Workers *workers, Message *messages, int count, bool *done, effnet_error *err);
/* Between two looks at what is under way: sleeps a little, and fails once timeout_seconds are over,
 * naming the workers of the messages that are not done. *began 0: the wait begins. */
effnet_status worker_pause(Workers *workers, double *began, const Message *messages, int count, const char *what,
                           effnet_error *err);
/* Waits for all; drives the sums on meanwhile. The messages are no sum's. */
effnet_status messages_wait(Workers *workers, Message *messages, int count, const char *what, effnet_error *err);

#endif
