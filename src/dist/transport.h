/* transport.h - what carries bytes between the workers of a run: point-to-point, non-blocking, in order.
 *
 * Everything that workers do together (workers_join.c, worker_sum.c) is written over these six functions, so that a way to
 * carry bytes is one small file: MPI's stands in src/dist/mpi, built as a module of its own and loaded at run time
 * (transport_load.c), and the tests' own runs workers as threads. A transport never blocks and never times out; who
 * waits for it, how long and with what message is decided above. Called from one thread at a time. */
#ifndef EFFNET_DIST_TRANSPORT_H
#define EFFNET_DIST_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

enum { TRANSPORT_VERSION = 1, TRANSPORT_MESSAGE = 256 };

typedef struct Transport Transport;

typedef struct TransportVtable {
    const char *name; /* "Open MPI v4.1.4" */
    /* Begins to send `bytes` to or to receive exactly so many from worker `other`; messages of one tag between two
     * workers arrive in order. The block stays untouched until transport_test says done. *request is the transport's
     * own; it is gone once done. False: the transport has failed, `message` (TRANSPORT_MESSAGE bytes) says why. */
    bool (*send)(Transport *transport, int other, int tag, const void *block, size_t bytes, void **request,
                 char *message);
    bool (*receive)(Transport *transport, int other, int tag, void *block, size_t bytes, void **request, char *message);
    /* Whether a request is done; drives the others on as well. */
    bool (*test)(Transport *transport, void *request, bool *done, char *message);
    /* Ends this process's part. broken: others may be gone or wait for ever, so when this process exits (it may have
     * something to say first) every worker is ended, with a status that is not 0. */
    void (*close)(Transport *transport, bool broken);
} TransportVtable;

/* Every transport's struct begins so. */
struct Transport {
    const TransportVtable *vtable;
    int rank, count; /* this worker, 0..count-1 */
};

/* What a module exports under the name TRANSPORT_SYMBOL: joins the run that this process was started in. NULL, and why
 * in `message`, where that cannot be, or where `version` is not the module's. */
typedef Transport *TransportOpen(int version, char *message);
#define TRANSPORT_SYMBOL "effnet_transport_open"

#endif
