/* evaluate_workers.c - see evaluate_workers.h. Sums are added in the workers' order, so that all of them, and a run on
 * another number of workers, judge by the same numbers. */
#include "train/evaluate_workers.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

effnet_status evaluate_workers_rounds(Workers *workers, int64_t batches, int64_t *out, effnet_error *err) {
    const int count = workers_count(workers);
    *out = 0;
    if (count == 1) return EFFNET_OK;
    void *block;
    TRY(memory_allocate((size_t)count, sizeof batches, "the workers' batches", &block, err));
    int64_t *all = block;
    effnet_status status = workers_gather(workers, &batches, sizeof batches, all, "the length of the evaluation", err);
    for (int w = 0; w < count && status == EFFNET_OK; w++)
        if (all[w] + 1 > *out) *out = all[w] + 1;
    memory_free(block);
    return status;
}

/* The sums of all workers, in their order. */
static effnet_status add_sums(Workers *workers, int count, Accuracy *sets, effnet_error *err) {
    const int parts = workers_count(workers);
    void *block;
    TRY(memory_allocate((size_t)parts * (size_t)count, sizeof *sets, "the workers' answers", &block, err));
    Accuracy *all = block;
    effnet_status status =
        workers_gather(workers, sets, (size_t)count * sizeof *sets, all, "the answers of the evaluation", err);
    for (int s = 0; s < count && status == EFFNET_OK; s++) {
        Accuracy sum = {0};
        for (int w = 0; w < parts; w++) {
            const Accuracy *part = &all[w * count + s];
            sum.images += part->images;
            sum.skipped += part->skipped;
            sum.top1 += part->top1;
            sum.top5 += part->top5;
            sum.loss += part->loss;
        }
        sets[s] = sum;
    }
    memory_free(block);
    return status;
}

static int compare_pictures(const void *left, const void *right) {
    const Prediction *a = left, *b = right;
    return (a->picture > b->picture) - (a->picture < b->picture);
}

static effnet_status join_predictions(Workers *workers, Predictions *predictions, effnet_error *err) {
    void *all;
    size_t bytes;
    TRY(workers_gather_lists(workers, predictions->list, (size_t)predictions->count * sizeof *predictions->list, &all,
                             &bytes, "the predictions of the evaluation", err));
    Prediction *list = realloc(predictions->list, bytes + sizeof *list); /* room, though nobody had a picture */
    if (!list) {
        memory_free(all);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu predictions", bytes / sizeof *list);
    }
    memcpy(list, all, bytes);
    memory_free(all);
    predictions->list = list;
    predictions->count = (int64_t)(bytes / sizeof *list);
    predictions->capacity = predictions->count + 1;
    qsort(list, (size_t)predictions->count, sizeof *list, compare_pictures);
    return EFFNET_OK;
}

/* The order of the pictures is of no consequence there. */
static effnet_status join_metrics(Workers *workers, SetMetrics *metrics, effnet_error *err) {
    const size_t values = (size_t)metrics->pictures * (size_t)metrics->classes;
    void *logits, *wanted;
    size_t logit_bytes, wanted_bytes;
    TRY(workers_gather_lists(workers, metrics->logits, values * sizeof(float), &logits, &logit_bytes,
                             "the answers of the evaluation", err));
    effnet_status status = workers_gather_lists(workers, metrics->wanted, values, &wanted, &wanted_bytes,
                                                "the labels of the evaluation", err);
    const int64_t pictures = (int64_t)(wanted_bytes / (size_t)metrics->classes);
    SetMetrics joined = {.classes = metrics->classes};
    if (status == EFFNET_OK) status = set_metrics_room(&joined, pictures, err);
    if (status == EFFNET_OK) {
        memcpy(joined.logits, logits, logit_bytes);
        memcpy(joined.wanted, wanted, wanted_bytes);
        joined.pictures = pictures;
        set_metrics_free(metrics);
        *metrics = joined;
    }
    memory_free(logits);
    memory_free(wanted);
    return status;
}

effnet_status evaluate_workers_merge(Workers *workers, int count, Accuracy *sets, SetMetrics *metrics,
                                     Predictions *predictions, effnet_error *err) {
    if (workers_count(workers) == 1) return EFFNET_OK;
    TRY(add_sums(workers, count, sets, err));
    for (int s = 0; s < count; s++) TRY(join_metrics(workers, &metrics[s], err));
    return predictions ? join_predictions(workers, predictions, err) : EFFNET_OK;
}
