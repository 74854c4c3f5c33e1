/* thread_transport.h - workers as threads of one test: the transport of dist/transport.h over a shared board of
 * messages.
 *
 * A message sent is copied onto the board at once; a receive takes it from there when it is tested, so nothing is ever
 * written behind the tester's back. deaf: tests of that worker's sends and receives never end, as if it were stopped;
 * broken_after: its sends fail from that number on. */
#ifndef EFFNET_TESTS_THREAD_TRANSPORT_H
#define EFFNET_TESTS_THREAD_TRANSPORT_H

#include "dist/transport.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORKERS = 9 };

typedef struct Posted {
    struct Posted *next;
    int from, to, tag;
    size_t bytes;
    char block[];
} Posted;

typedef struct Board {
    pthread_mutex_t lock;
    Posted *first, **last;
    int count, closed, broken;       /* broken: closes that said so */
    int sends_allowed[MOST_WORKERS]; /* -1: any number */
} Board;

typedef struct ThreadRequest {
    struct ThreadRequest *next; /* of those that are not done */
    bool sent;
    int from, tag;
    void *block;
    size_t bytes;
} ThreadRequest;

typedef struct ThreadTransport {
    Transport base;
    Board *board;
    ThreadRequest *open;
} ThreadTransport;

static inline void board_init(Board *board, int count) {
    memset(board, 0, sizeof *board);
    pthread_mutex_init(&board->lock, NULL);
    board->last = &board->first;
    board->count = count;
    for (int w = 0; w < MOST_WORKERS; w++) board->sends_allowed[w] = -1;
}

static inline void board_clear(Board *board) {
    while (board->first) {
        Posted *next = board->first->next;
        free(board->first);
        board->first = next;
    }
    pthread_mutex_destroy(&board->lock);
}

static inline ThreadRequest *open_request(Transport *transport, ThreadRequest request) {
    ThreadTransport *threads = (ThreadTransport *)transport;
    ThreadRequest *made = malloc(sizeof *made);
    *made = request;
    made->next = threads->open;
    threads->open = made;
    return made;
}

static inline void close_request(Transport *transport, ThreadRequest *request) {
    ThreadRequest **at = &((ThreadTransport *)transport)->open;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    free(request);
}

static inline bool thread_send(Transport *transport, int other, int tag, const void *block, size_t bytes,
                               void **request, char *message) {
    Board *board = ((ThreadTransport *)transport)->board;
    Posted *posted = malloc(sizeof *posted + bytes);
    *posted = (Posted){.from = transport->rank, .to = other, .tag = tag, .bytes = bytes};
    memcpy(posted->block, block, bytes);
    pthread_mutex_lock(&board->lock);
    int *allowed = &board->sends_allowed[transport->rank];
    bool fine = *allowed != 0;
    if (*allowed > 0) --*allowed;
    if (fine) {
        *board->last = posted;
        board->last = &posted->next;
    }
    pthread_mutex_unlock(&board->lock);
    if (!fine) {
        free(posted);
        snprintf(message, TRANSPORT_MESSAGE, "the wire is cut");
        return false;
    }
    *request = open_request(transport, (ThreadRequest){.sent = true});
    return true;
}

static inline bool thread_receive(Transport *transport, int other, int tag, void *block, size_t bytes, void **request,
                                  char *message) {
    (void)message;
    *request = open_request(transport, (ThreadRequest){.from = other, .tag = tag, .block = block, .bytes = bytes});
    return true;
}

static inline bool thread_test(Transport *transport, void *request, bool *done, char *message) {
    Board *board = ((ThreadTransport *)transport)->board;
    ThreadRequest *wanted = request;
    *done = wanted->sent;
    bool fine = true;
    pthread_mutex_lock(&board->lock);
    for (Posted **at = &board->first; *at && !*done; at = &(*at)->next) {
        Posted *posted = *at;
        if (posted->from != wanted->from || posted->to != transport->rank || posted->tag != wanted->tag) continue;
        fine = posted->bytes == wanted->bytes;
        if (!fine)
            snprintf(message, TRANSPORT_MESSAGE, "%zu bytes came, %zu were wanted", posted->bytes, wanted->bytes);
        if (fine) memcpy(wanted->block, posted->block, posted->bytes);
        *at = posted->next;
        if (board->last == &posted->next) board->last = at;
        free(posted);
        *done = true;
        break;
    }
    pthread_mutex_unlock(&board->lock);
    if (*done) close_request(transport, wanted);
    return fine;
}

static inline void thread_close(Transport *transport, bool broken) {
    Board *board = ((ThreadTransport *)transport)->board;
    pthread_mutex_lock(&board->lock);
    board->closed++;
    board->broken += broken;
    pthread_mutex_unlock(&board->lock);
    while (((ThreadTransport *)transport)->open) close_request(transport, ((ThreadTransport *)transport)->open);
    free(transport);
}

static inline Transport *thread_transport(Board *board, int rank) {
    static const TransportVtable table = {"threads", thread_send, thread_receive, thread_test, thread_close};
    ThreadTransport *made = malloc(sizeof *made);
    *made = (ThreadTransport){.base = {&table, rank, board->count}, .board = board};
    return &made->base;
}

#endif
