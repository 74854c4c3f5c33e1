/* serve_metrics.c - see serve_metrics.h. */
#include "serve_metrics.h"

#include "text.h"

#include <stdio.h>

static const unsigned statuses[SERVE_STATUSES] = {200, 400, 404, 405, 413, 422, 500, 503, 0}; /* 0: any other */
static const double bounds[SERVE_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

void serve_count_reply(ServeMetrics *metrics, unsigned status) {
    int i = 0;
    while (statuses[i] && statuses[i] != status) i++;
    pthread_mutex_lock(&metrics->lock);
    metrics->replies[i]++;
    pthread_mutex_unlock(&metrics->lock);
}

void serve_count_batch(ServeMetrics *metrics, int pictures, double seconds) {
    pthread_mutex_lock(&metrics->lock);
    metrics->batches++;
    metrics->pictures += pictures;
    metrics->compute_seconds += seconds;
    pthread_mutex_unlock(&metrics->lock);
}

void serve_count_answer(ServeMetrics *metrics, double seconds) {
    pthread_mutex_lock(&metrics->lock);
    metrics->answered++;
    metrics->answer_seconds += seconds;
    for (int i = 0; i < SERVE_BUCKETS; i++) metrics->buckets[i] += seconds <= bounds[i];
    pthread_mutex_unlock(&metrics->lock);
}

void serve_count_cut_off(ServeMetrics *metrics) {
    pthread_mutex_lock(&metrics->lock);
    metrics->cut_off++;
    pthread_mutex_unlock(&metrics->lock);
}

static void print_heading(FILE *stream, const char *name, const char *type, const char *help) {
    fprintf(stream, "# HELP effnet_%s %s\n# TYPE effnet_%s %s\n", name, help, name, type);
}

static void print_count(FILE *stream, const char *name, const char *type, const char *help, int64_t value) {
    print_heading(stream, name, type, help);
    fprintf(stream, "effnet_%s %lld\n", name, (long long)value);
}

static void print_seconds(FILE *stream, const char *name, double value) {
    char text[40];
    text_number(value, 9, text, sizeof text);
    fprintf(stream, "effnet_%s %s\n", name, text);
}

static void print_answers(FILE *stream, const ServeMetrics *metrics) {
    print_heading(stream, "answer_seconds", "histogram",
                  "From a request's first byte to the answer about its picture.");
    for (int i = 0; i < SERVE_BUCKETS; i++) {
        char bound[40];
        text_number(bounds[i], 4, bound, sizeof bound);
        fprintf(stream, "effnet_answer_seconds_bucket{le=\"%s\"} %lld\n", bound, (long long)metrics->buckets[i]);
    }
    fprintf(stream, "effnet_answer_seconds_bucket{le=\"+Inf\"} %lld\n", (long long)metrics->answered);
    print_seconds(stream, "answer_seconds_sum", metrics->answer_seconds);
    fprintf(stream, "effnet_answer_seconds_count %lld\n", (long long)metrics->answered);
}

char *serve_metrics_text(ServeMetrics *metrics, const ServeGauges *gauges) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    pthread_mutex_lock(&metrics->lock);
    print_heading(stream, "replies_total", "counter", "Replies by HTTP status.");
    int last = 0;
    for (; statuses[last]; last++)
        fprintf(stream, "effnet_replies_total{status=\"%u\"} %lld\n", statuses[last],
                (long long)metrics->replies[last]);
    fprintf(stream, "effnet_replies_total{status=\"other\"} %lld\n", (long long)metrics->replies[last]);
    print_count(stream, "pictures_total", "counter", "Pictures that the model was run on, or that could not be read.",
                metrics->pictures);
    print_count(stream, "batches_total", "counter", "Times that a worker took pictures.", metrics->batches);
    print_heading(stream, "compute_seconds_total", "counter", "Time that workers decoded and computed.");
    print_seconds(stream, "compute_seconds_total", metrics->compute_seconds);
    print_count(stream, "cut_off_total", "counter", "Connections ended for taking longer than --timeout.",
                metrics->cut_off);
    print_answers(stream, metrics);
    pthread_mutex_unlock(&metrics->lock);
    print_count(stream, "connections", "gauge", "Open connections.", gauges->connections);
    print_count(stream, "waiting", "gauge", "Pictures that wait for a worker.", gauges->waiting);
    print_count(stream, "body_bytes", "gauge", "Memory that holds pictures as they were sent.",
                (int64_t)gauges->body_bytes);
    return fclose(stream) == 0 ? text : NULL;
}
