/* evaluate.c - accuracy on a validation set, batch by batch, by several sets of weights side by side. What a right answer
 * is: accuracy.h. */
#include "train/evaluate.h"

#include "executor/executor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "data/feed/loader.h"
#include "report/predictions.h"
#include "train/evaluate_workers.h"

#include <string.h>

static const double report_seconds = 0.45; /* "about twice a second" */

static double per_cent_so_far(double right, int64_t images) {
    return images ? 100 * right / (double)images : -1;
}

/* True where the caller asks to stop. `sets[0]` is the raw weights, `sets[1]`, where there is one, the averages. */
static bool report(const Evaluation *evaluation, const Accuracy *sets, double seconds, const char *message) {
    const int count = evaluation->count;
    const int64_t pictures = evaluation->pictures, workers = workers_count(evaluation->workers);
    int64_t done = sets[0].images * workers; /* the others' parts are as large, but for the last pictures */
    if (done > pictures) done = pictures;
    effnet_progress now = {.struct_size = sizeof now,
                           .phase = "eval",
                           .step = done,
                           .steps = pictures,
                           .seconds = seconds,
                           .message = message};
    now.images_per_s = seconds > 0 ? (double)done / seconds : 0;
    now.seconds_left = done > 0 && pictures > done ? (double)(pictures - done) / now.images_per_s : 0;
    const int64_t seen = sets[0].images;
    now.loss = seen ? sets[0].loss / (double)seen : 0;
    now.top1 = per_cent_so_far(sets[0].top1, seen);
    now.top5 = per_cent_so_far(sets[0].top5, seen);
    now.ema_top1 = count > 1 ? per_cent_so_far(sets[1].top1, seen) : -1;
    now.ema_top5 = count > 1 ? per_cent_so_far(sets[1].top5, seen) : -1;
    return evaluation->progress(evaluation->progress_context, &now);
}

/* Logits of one batch, grown to the largest seen: the first batch of an evaluation is. */
typedef struct Logits {
    float *values;
    int batch;
} Logits;

static effnet_status make_room(Logits *logits, int batch, int classes, effnet_error *err) {
    if (batch <= logits->batch) return EFFNET_OK;
    memory_free(logits->values);
    *logits = (Logits){0};
    size_t count;
    void *block;
    if (!size_multiply((size_t)batch, (size_t)classes, &count))
        return fail(err, EFFNET_ERROR_MEMORY, "the size of the logits overflows");
    TRY(memory_allocate(count, sizeof(float), "the logits", &block, err));
    *logits = (Logits){block, batch};
    return EFFNET_OK;
}

typedef struct Running {
    Logits logits;
    SetMetrics metrics[2]; /* of each set of weights, where pictures have several labels */
    double started, reported;
    bool ended; /* this worker's pictures are done */
} Running;

/* The next batch of this worker's part, if there is one left. */
static effnet_status run_batch(const Evaluation *evaluation, Running *running, Accuracy *sets, effnet_error *err) {
    const int count = evaluation->count;
    effnet_progress_function *progress = evaluation->progress;
    Batch batch = {0};
    if (!running->ended) TRY(loader_next(evaluation->loader, &batch, err));
    char warning[500];
    bool stop = false;
    while (progress && loader_take_warning(evaluation->loader, warning, sizeof warning))
        stop |= report(evaluation, sets, clock_seconds() - running->started, warning);
    running->ended = batch.size == 0;
    if (running->ended && workers_count(evaluation->workers) == 1) return EFFNET_OK;
    if (batch.size) {
        TRY(make_room(&running->logits, batch.size, evaluation->classes, err));
        if (evaluation->look) evaluation->look(evaluation->look_context, &batch);
        float *logits = running->logits.values;
        const ExecutorBatch pictures = {.size = batch.size, .images = batch.images, .labels = batch.labels};
        for (int s = 0; s < count; s++) {
            TRY(evaluation->logits(evaluation->logits_context, s, &pictures, logits, err));
            if (!batch.targets) {
                accuracy_add(&sets[s], logits, batch.labels, batch.size, evaluation->classes);
                continue;
            }
            accuracy_add_sets(&sets[s], logits, batch.targets, batch.size, evaluation->classes);
            TRY(set_metrics_add(&running->metrics[s], logits, batch.targets, batch.size, err));
        }
        if (evaluation->predictions)
            TRY(predictions_add(evaluation->predictions, logits, batch.labels, batch.pictures, batch.size, err));
    }
    double now = clock_seconds();
    if (progress && now - running->reported >= report_seconds) {
        stop |= report(evaluation, sets, now - running->started, NULL);
        running->reported = now;
    }
    return stop ? fail(err, EFFNET_INTERRUPTED, "the evaluation was interrupted") : EFFNET_OK;
}

static effnet_status run(const Evaluation *evaluation, Running *running, Accuracy *sets, effnet_error *err) {
    int64_t rounds;
    TRY(evaluate_workers_rounds(evaluation->workers, loader_steps_per_epoch(evaluation->loader), &rounds, err));
    for (int64_t round = 0; !running->ended || round < rounds; round++)
        TRY(workers_agree(evaluation->workers, run_batch(evaluation, running, sets, err), err));
    for (int s = 0; s < evaluation->count; s++) sets[s].skipped = loader_skipped(evaluation->loader);
    TRY(evaluate_workers_merge(evaluation->workers, evaluation->count, sets, running->metrics, evaluation->predictions,
                               err));
    for (int s = 0; s < evaluation->count; s++) {
        sets[s].seconds = clock_seconds() - running->started;
        accuracy_finish(&sets[s]);
        if (running->metrics[s].pictures)
            TRY(set_metrics_finish(&running->metrics[s], &sets[s].average_precision, &sets[s].f1, err));
    }
    return EFFNET_OK;
}

effnet_status evaluate_all(const Evaluation *evaluation, Accuracy *out, effnet_error *err) {
    memset(out, 0, (size_t)evaluation->count * sizeof *out);
    double now = clock_seconds();
    Running running = {.started = now, .reported = now - report_seconds}; /* the first batch is told of */
    for (int s = 0; s < evaluation->count && s < 2; s++) running.metrics[s].classes = evaluation->classes;
    effnet_status status = run(evaluation, &running, out, err);
    memory_free(running.logits.values);
    for (int s = 0; s < 2; s++) set_metrics_free(&running.metrics[s]);
    return status;
}

effnet_status executor_logits(void *context, int set, const ExecutorBatch *batch, float *logits, effnet_error *err) {
    return executor_evaluate(context, set ? EXECUTOR_AVERAGED : EXECUTOR_RAW, batch, logits, err);
}
