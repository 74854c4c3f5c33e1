/* evaluate.c - accuracy on a validation set: top-1, top-5 and cross-entropy without smoothing, every picture counted.
 *
 * A picture is right in top-k if fewer than k classes have a logit that is not below that of its label. So equal logits
 * count against the label (a network that answers the same for everything gets 0, not 100 per cent), and so does NaN.
 * With k >= classes everything is right. */
#include "train/evaluate.h"

#include "executor/executor.h"
#include "step/loss.h"

#include "base/clock.h"
#include "base/memory.h"
#include "data/feed/loader.h"
#include "report/predictions.h"
#include "train/set_metrics.h"

#include <math.h>
#include <string.h>

static const double report_seconds = 0.45; /* "about twice a second" */

void accuracy_add(Accuracy *accuracy, const float *logits, const int32_t *labels, int batch, int classes) {
    for (int n = 0; n < batch; n++) {
        const float *row = logits + (size_t)n * (size_t)classes;
        if (labels[n] < 0 || labels[n] >= classes) continue; /* a class the network does not know is never right */
        int beaten_by = -1;                                  /* the label itself is not below itself */
        for (int c = 0; c < classes; c++) beaten_by += !(row[c] < row[labels[n]]);
        accuracy->top1 += beaten_by < 1;
        accuracy->top5 += beaten_by < 5;
    }
    accuracy->loss += batch * loss_cross_entropy(logits, labels, batch, classes, 0, 1, NULL);
    accuracy->images += batch;
}

/* The same of several labels a picture, targets (N, classes): right where the best class is one of them, and, of a
 * picture without any, where no class is answered with yes. The loss is binary cross-entropy, the mean over classes. */
static void add_sets(Accuracy *accuracy, const float *logits, const float *targets, int batch, int classes) {
    static const StepSpec binary = {.loss = STEP_LOSS_BINARY};
    const Targets wanted = {.dense = targets};
    for (int n = 0; n < batch; n++) {
        const float *row = logits + (size_t)n * (size_t)classes, *target = targets + (size_t)n * (size_t)classes;
        float best = -INFINITY, others = -INFINITY;
        bool any = false;
        for (int c = 0; c < classes; c++) {
            const bool is_wanted = target[c] > 0.5f;
            any |= is_wanted;
            if (is_wanted && row[c] > best) best = row[c];
            if (!is_wanted && !(row[c] <= others)) others = row[c];
        }
        int beaten_by = 0;
        for (int c = 0; c < classes; c++) beaten_by += !(target[c] > 0.5f) && !(row[c] < best);
        accuracy->top1 += any ? beaten_by < 1 : others < 0;
        accuracy->top5 += any ? beaten_by < 5 : others < 0;
    }
    accuracy->loss += batch * loss_of_step(&binary, logits, &wanted, batch, classes, 1, NULL, NULL);
    accuracy->images += batch;
}

void accuracy_finish(Accuracy *accuracy) {
    if (accuracy->images == 0) return;
    accuracy->top1 *= 100.0 / (double)accuracy->images;
    accuracy->top5 *= 100.0 / (double)accuracy->images;
    accuracy->loss /= (double)accuracy->images;
}

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
            add_sets(&sets[s], logits, batch.targets, batch.size, evaluation->classes);
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

/* Batches of the worker with the most, and its end: so often all of them meet. */
static effnet_status count_rounds(const Evaluation *evaluation, int64_t *out, effnet_error *err) {
    const int workers = workers_count(evaluation->workers);
    *out = 0;
    if (workers == 1) return EFFNET_OK;
    int64_t mine = loader_steps_per_epoch(evaluation->loader);
    void *block;
    TRY(memory_allocate((size_t)workers, sizeof mine, "the workers' batches", &block, err));
    int64_t *all = block;
    effnet_status status =
        workers_gather(evaluation->workers, &mine, sizeof mine, all, "the length of the evaluation", err);
    for (int w = 0; w < workers && status == EFFNET_OK; w++)
        if (all[w] + 1 > *out) *out = all[w] + 1;
    memory_free(block);
    return status;
}

/* The sums of all workers, in their order. */
static effnet_status add_workers(const Evaluation *evaluation, Accuracy *sets, effnet_error *err) {
    const int workers = workers_count(evaluation->workers), count = evaluation->count;
    if (workers == 1) return EFFNET_OK;
    void *block;
    TRY(memory_allocate((size_t)workers * (size_t)count, sizeof *sets, "the workers' answers", &block, err));
    Accuracy *all = block;
    effnet_status status = workers_gather(evaluation->workers, sets, (size_t)count * sizeof *sets, all,
                                          "the answers of the evaluation", err);
    for (int s = 0; s < count && status == EFFNET_OK; s++) {
        Accuracy sum = {0};
        for (int w = 0; w < workers; w++) {
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

static effnet_status run(const Evaluation *evaluation, Running *running, Accuracy *sets, effnet_error *err) {
    int64_t rounds;
    TRY(count_rounds(evaluation, &rounds, err));
    for (int64_t round = 0; !running->ended || round < rounds; round++)
        TRY(workers_agree(evaluation->workers, run_batch(evaluation, running, sets, err), err));
    for (int s = 0; s < evaluation->count; s++) sets[s].skipped = loader_skipped(evaluation->loader);
    TRY(add_workers(evaluation, sets, err));
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
