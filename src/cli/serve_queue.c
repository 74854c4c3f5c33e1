/* serve_queue.c - see serve_queue.h. */
#include "serve_queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ServeQueue {
    ServeQueueOptions options;
    pthread_t *threads;
    int started;
    pthread_mutex_t lock; /* over: */
    pthread_cond_t filled;
    ServeJob *first, **last;
    int waiting;
    bool ending;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A worker's share of what waits: all workers together take it all. Waits for the first; 0: there is an end. */
static int take(ServeQueue *queue, ServeJob *jobs[SERVE_BATCH_MOST]) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->ending) pthread_cond_wait(&queue->filled, &queue->lock);
    const int workers = queue->options.workers;
    int share = (queue->waiting + workers - 1) / workers, count = 0;
    if (share > queue->options.batch) share = queue->options.batch;
    for (; count < share && queue->first; count++) {
        jobs[count] = queue->first;
        queue->first = queue->first->next;
    }
    if (!queue->first) queue->last = &queue->first;
    queue->waiting -= count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

/* Messages speak of "'picture 3'" where there are several: the client sent one. */
static void rename_picture(effnet_error *error, int index, int count) {
    char name[40];
    snprintf(name, sizeof name, "'picture %d'", index);
    if (count == 1) snprintf(name, sizeof name, "'the picture'");
    const size_t length = strlen(name);
    if (strncmp(error->message, name, length) != 0) return;
    char rest[sizeof error->message];
    snprintf(rest, sizeof rest, "%s", error->message + length);
    snprintf(error->message, sizeof error->message, "the picture%.480s", rest);
}

static void run(ServeQueue *queue, ServeJob *jobs[], int count) {
    effnet_picture pictures[SERVE_BATCH_MOST] = {{0}};
    effnet_error errors[SERVE_BATCH_MOST] = {{0}}, whole = {0};
    int top = 1;
    for (int i = 0; i < count; i++) {
        pictures[i] = (effnet_picture){.bytes = jobs[i]->bytes, .size = jobs[i]->size};
        if (jobs[i]->top > top) top = jobs[i]->top;
    }
    effnet_prediction *predictions = calloc((size_t)count * (size_t)top, sizeof *predictions);
    const effnet_outputs outputs = {
        .struct_size = sizeof outputs, .predictions = predictions, .top = top, .errors = errors};
    effnet_status status = EFFNET_ERROR_MEMORY;
    snprintf(whole.message, sizeof whole.message, "no memory for %d predictions", top);
    if (predictions) status = effnet_run(queue->options.model, pictures, count, &outputs, &whole);
    whole.status = status;
    for (int i = 0; i < count; i++) {
        jobs[i]->error = status == EFFNET_OK ? errors[i] : whole;
        rename_picture(&jobs[i]->error, i, count);
        if (jobs[i]->error.status == EFFNET_OK)
            memcpy(jobs[i]->predictions, predictions + (size_t)i * (size_t)top,
                   (size_t)jobs[i]->top * sizeof *predictions);
    }
    free(predictions);
}

static void *work(void *argument) {
    ServeQueue *queue = argument;
    ServeJob *jobs[SERVE_BATCH_MOST];
    for (int count; (count = take(queue, jobs)) > 0;) {
        const double before = now();
        run(queue, jobs, count);
        queue->options.ran(queue->options.context, count, now() - before);
        for (int i = 0; i < count; i++) queue->options.done(queue->options.context, jobs[i]);
    }
    return NULL;
}

ServeQueue *serve_queue_start(const ServeQueueOptions *options) {
    ServeQueue *queue = calloc(1, sizeof *queue);
    if (!queue) return NULL;
    queue->options = *options;
    queue->last = &queue->first;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->threads = calloc((size_t)options->workers, sizeof *queue->threads);
    for (int i = 0; queue->threads && i < options->workers; i++) {
        if (pthread_create(&queue->threads[i], NULL, work, queue) != 0) break;
        queue->started++;
    }
    if (queue->started == options->workers) return queue;
    serve_queue_stop(queue);
    return NULL;
}

void serve_queue_add(ServeQueue *queue, ServeJob *job) {
    job->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->last = job;
    queue->last = &job->next;
    queue->waiting++;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

int serve_queue_waiting(ServeQueue *queue) {
    pthread_mutex_lock(&queue->lock);
    int waiting = queue->waiting;
    pthread_mutex_unlock(&queue->lock);
    return waiting;
}

void serve_queue_stop(ServeQueue *queue) {
    if (!queue) return;
    pthread_mutex_lock(&queue->lock);
    queue->ending = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; i < queue->started; i++) pthread_join(queue->threads[i], NULL);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
    free(queue->threads);
    free(queue);
}
