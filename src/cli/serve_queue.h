/* serve_queue.h - pictures that wait for the model, and the workers that run it on them. A worker takes its share of what
 * waits, several pictures at once where there are many, one where there is one; nobody waits for a batch to fill. */
#ifndef EFFNET_CLI_SERVE_QUEUE_H
#define EFFNET_CLI_SERVE_QUEUE_H

#include "effnet.h"

typedef struct ServeJob {
    const void *bytes; /* the picture's file, the caller's */
    size_t size;
    int top;                        /* predictions wanted */
    effnet_prediction *predictions; /* (top), the caller's */
    effnet_error error;             /* what came of it */
    void *owner;
    struct ServeJob *next; /* the queue's own */
} ServeJob;

/* Called by a worker once the job is done: it is the caller's again. */
typedef void ServeDone(void *context, ServeJob *job);
/* Called by a worker after each batch. */
typedef void ServeBatch(void *context, int pictures, double seconds);

typedef struct ServeQueueOptions {
    effnet_model *model;
    int workers, batch; /* batch: pictures of a worker at once, 1 to SERVE_BATCH_MOST */
    ServeDone *done;
    ServeBatch *ran;
    void *context;
} ServeQueueOptions;

enum { SERVE_BATCH_MOST = 32 };

typedef struct ServeQueue ServeQueue;

/* NULL: no memory, or no thread. */
ServeQueue *serve_queue_start(const ServeQueueOptions *options);
void serve_queue_add(ServeQueue *queue, ServeJob *job);
int serve_queue_waiting(ServeQueue *queue);
/* Finishes what waits, then ends; no job may come any more. */
void serve_queue_stop(ServeQueue *queue);

#endif
