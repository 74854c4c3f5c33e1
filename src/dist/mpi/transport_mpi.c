/* transport_mpi.c - carries bytes between workers by MPI: the module libeffnet_mpi.so.
 *
 * Linked with the MPI that was found when it was built, and loaded by transport_load.c at run time. One communicator of
 * our own, point-to-point and non-blocking messages of bytes only; MPI's errors come back as texts instead of ending
 * the program. A message longer than INT_MAX bytes is refused: callers send shares of vectors, far below. */
#include "dist/transport.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct MpiTransport {
    Transport base;
    MPI_Comm everybody;
    bool ours; /* MPI was begun here, and is ended here */
} MpiTransport;

static MpiTransport *mpi_of(Transport *transport) {
    return (MpiTransport *)transport;
}

static bool well(int code, char *message) {
    if (code == MPI_SUCCESS) return true;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    snprintf(message, TRANSPORT_MESSAGE, "%.200s", length > 0 ? text : "an error without a text");
    return false;
}

static bool begin(bool sends, Transport *transport, int other, int tag, void *block, size_t bytes, void **out,
                  char *message) {
    *out = NULL;
    if (bytes > INT_MAX) {
        snprintf(message, TRANSPORT_MESSAGE, "a message of %zu bytes is longer than MPI carries", bytes);
        return false;
    }
    MPI_Request *request = malloc(sizeof *request);
    if (!request) {
        snprintf(message, TRANSPORT_MESSAGE, "no memory for a message");
        return false;
    }
    MPI_Comm everybody = mpi_of(transport)->everybody;
    int code = sends ? MPI_Isend(block, (int)bytes, MPI_BYTE, other, tag, everybody, request)
                     : MPI_Irecv(block, (int)bytes, MPI_BYTE, other, tag, everybody, request);
    if (!well(code, message)) {
        free(request);
        return false;
    }
    *out = request;
    return true;
}

static bool mpi_send(Transport *transport, int other, int tag, const void *block, size_t bytes, void **request,
                     char *message) {
    return begin(true, transport, other, tag, (void *)(size_t)block, bytes, request, message); /* MPI only reads it */
}

static bool mpi_receive(Transport *transport, int other, int tag, void *block, size_t bytes, void **request,
                        char *message) {
    return begin(false, transport, other, tag, block, bytes, request, message);
}

static bool mpi_test(Transport *transport, void *request, bool *done, char *message) {
    (void)transport;
    int flag = 0;
    bool fine = well(MPI_Test(request, &flag, MPI_STATUS_IGNORE), message);
    *done = fine && flag;
    if (!fine || flag) free(request);
    return fine;
}

static void end_everybody(void) {
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void mpi_close(Transport *transport, bool broken) {
    MpiTransport *mpi = mpi_of(transport);
    if (broken) { /* what is under way may still write into the caller's memory, so nothing of MPI is freed */
        if (atexit(end_everybody) != 0) end_everybody();
        return;
    }
    MPI_Comm_free(&mpi->everybody);
    if (mpi->ours) MPI_Finalize();
    free(mpi);
}

static const TransportVtable *vtable(void) {
    static char name[64];
    static TransportVtable table = {name, mpi_send, mpi_receive, mpi_test, mpi_close};
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(version, &length);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(version, ",\n"), version);
    return &table;
}

static bool join(MpiTransport *mpi, char *message) {
    int begun = 0, ended = 0, level;
    if (!well(MPI_Initialized(&begun), message) || !well(MPI_Finalized(&ended), message)) return false;
    if (ended) {
        snprintf(message, TRANSPORT_MESSAGE, "MPI was ended in this process already; a process can join one run");
        return false;
    }
    if (!begun && !well(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level), message)) return false;
    mpi->ours = !begun;
    return well(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->everybody), message) &&
           well(MPI_Comm_set_errhandler(mpi->everybody, MPI_ERRORS_RETURN), message) &&
           well(MPI_Comm_rank(mpi->everybody, &mpi->base.rank), message) &&
           well(MPI_Comm_size(mpi->everybody, &mpi->base.count), message);
}

__attribute__((visibility("default"))) TransportOpen effnet_transport_open;

Transport *effnet_transport_open(int version, char *message) {
    if (version != TRANSPORT_VERSION) {
        snprintf(message, TRANSPORT_MESSAGE,
                 "the module is of version %d, the library wants %d; install both of one build", TRANSPORT_VERSION,
                 version);
        return NULL;
    }
    MpiTransport *mpi = calloc(1, sizeof *mpi);
    if (!mpi) {
        snprintf(message, TRANSPORT_MESSAGE, "no memory");
        return NULL;
    }
    if (!join(mpi, message)) {
        free(mpi);
        return NULL;
    }
    mpi->base.vtable = vtable();
    return &mpi->base;
}
