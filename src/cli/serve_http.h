/* serve_http.h - the HTTP server of `effnet serve`, over libmicrohttpd: one thread speaks to all clients and never waits
 * for one, workers (serve_queue.h) run the model.
 *
 *   POST /predict[?topk=K]   a picture, as the body or as the file of a form -> {"model": ..., "topk": [...]}
 *   GET  /                   a page to drop a picture on
 *   GET  /health             {"status": "ok", ...}; 503 while the server is ending
 *   GET  /metrics            for Prometheus
 *
 * Errors are {"error": "..."} with a fitting status. */
#ifndef EFFNET_CLI_SERVE_HTTP_H
#define EFFNET_CLI_SERVE_HTTP_H

#include "effnet.h"

typedef struct ServeOptions {
    effnet_model *model;
    const char *address; /* "127.0.0.1", "::1", "localhost" */
    int port;            /* 0: any that is free */
    int workers, batch, topk;
    int connections;        /* at most; more wait outside */
    size_t most_bytes;      /* of one picture's file */
    size_t most_body_bytes; /* of all that are being received or wait */
    int timeout;            /* seconds for a request to arrive, and for its answer to be read */
} ServeOptions;

typedef struct ServeServer ServeServer;

/* NULL: `problem` says why. Runs in threads of its own. */
ServeServer *serve_start(const ServeOptions *options, char *problem, size_t size);
int serve_port(const ServeServer *server);
/* To be called a few times a second: ends connections that take too long. */
void serve_watch(ServeServer *server);
/* Takes no more pictures, answers those that it has, for at most options.timeout seconds, and frees the server. */
void serve_stop(ServeServer *server);

#endif
