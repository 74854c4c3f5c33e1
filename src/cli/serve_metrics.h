/* serve_metrics.h - what the server counts, as Prometheus reads it (text format 0.0.4). Several threads may count at
 * once. */
#ifndef EFFNET_CLI_SERVE_METRICS_H
#define EFFNET_CLI_SERVE_METRICS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVE_STATUSES = 10, SERVE_BUCKETS = 12 };

/* {.lock = PTHREAD_MUTEX_INITIALIZER} is a new one. */
typedef struct ServeMetrics {
    pthread_mutex_t lock;
    int64_t replies[SERVE_STATUSES]; /* by HTTP status, in serve_metrics.c's order */
    int64_t pictures, batches, cut_off;
    double compute_seconds;
    int64_t buckets[SERVE_BUCKETS], answered; /* how long pictures took from the request's first byte to its answer */
    double answer_seconds;
} ServeMetrics;

/* What only the server knows, now. */
typedef struct ServeGauges {
    int connections, waiting;
    size_t body_bytes;
} ServeGauges;

void serve_count_reply(ServeMetrics *metrics, unsigned status);
void serve_count_batch(ServeMetrics *metrics, int pictures, double seconds);
void serve_count_answer(ServeMetrics *metrics, double seconds);
/* A connection that was ended for taking too long. */
void serve_count_cut_off(ServeMetrics *metrics);
/* Freed with free(); NULL where memory runs out. */
char *serve_metrics_text(ServeMetrics *metrics, const ServeGauges *gauges);

#endif
