/* set_metrics.c - see set_metrics.h. */
#include "train/set_metrics.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

effnet_status set_metrics_room(SetMetrics *metrics, int64_t pictures, effnet_error *err) {
    size_t count;
    if (!size_multiply((size_t)pictures, (size_t)metrics->classes, &count) || count > SIZE_MAX / sizeof(float) - 1)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the answers to %lld pictures", (long long)pictures);
    float *values = realloc(metrics->logits, (count + 1) * sizeof *values);
    if (values) metrics->logits = values;
    uint8_t *marks = realloc(metrics->wanted, count + 1);
    if (marks) metrics->wanted = marks;
    if (!values || !marks)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the answers to %lld pictures", (long long)pictures);
    metrics->room = pictures;
    return EFFNET_OK;
}

effnet_status set_metrics_add(SetMetrics *metrics, const float *logits, const float *targets, int batch,
                              effnet_error *err) {
    const size_t row = (size_t)metrics->classes;
    if (metrics->pictures + batch > metrics->room) TRY(set_metrics_room(metrics, 2 * metrics->room + batch, err));
    const size_t at = (size_t)metrics->pictures * row, count = (size_t)batch * row;
    memcpy(metrics->logits + at, logits, count * sizeof *logits);
    for (size_t i = 0; i < count; i++) metrics->wanted[at + i] = targets[i] > 0.5f;
    metrics->pictures += batch;
    return EFFNET_OK;
}

typedef struct Answer {
    float logit;
    bool wanted;
} Answer;

static int compare_answers(const void *left, const void *right) {
    const Answer *a = left, *b = right;
    return (a->logit < b->logit) - (a->logit > b->logit); /* the highest first */
}

static double average_precision_of(Answer *answers, int64_t pictures, int64_t positives) {
    double sum = 0;
    int64_t right = 0;
    qsort(answers, (size_t)pictures, sizeof *answers, compare_answers);
    for (int64_t i = 0; i < pictures;) {
        const float threshold = answers[i].logit;
        const int64_t before = right;
        for (; i < pictures && answers[i].logit >= threshold; i++) right += answers[i].wanted;
        sum += (double)right / (double)i * (double)(right - before) / (double)positives;
    }
    return sum;
}

effnet_status set_metrics_finish(const SetMetrics *metrics, double *average_precision, double *f1, effnet_error *err) {
    int with_positives = 0, with_any = 0;
    void *block;
    *average_precision = *f1 = 0;
    TRY(memory_allocate((size_t)metrics->pictures + 1, sizeof(Answer), "the answers of a class", &block, err));
    Answer *answers = block;
    for (int c = 0; c < metrics->classes; c++) {
        int64_t positives = 0, given = 0, both = 0;
        for (int64_t i = 0; i < metrics->pictures; i++) {
            const size_t at = (size_t)i * (size_t)metrics->classes + (size_t)c;
            const float logit = metrics->logits[at];
            answers[i] = (Answer){isnan(logit) ? -INFINITY : logit, metrics->wanted[at]};
            positives += answers[i].wanted;
            given += answers[i].logit > 0;
            both += answers[i].wanted && answers[i].logit > 0;
        }
        if (positives + given) {
            *f1 += 2 * (double)both / (double)(positives + given);
            with_any++;
        }
        if (!positives) continue;
        *average_precision += average_precision_of(answers, metrics->pictures, positives);
        with_positives++;
    }
    memory_free(block);
    if (with_positives) *average_precision *= 100.0 / with_positives;
    if (with_any) *f1 *= 100.0 / with_any;
    return EFFNET_OK;
}

void set_metrics_free(SetMetrics *metrics) {
    free(metrics->logits);
    free(metrics->wanted);
    *metrics = (SetMetrics){0};
}
