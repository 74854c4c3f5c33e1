/* run_log.c - see run_log.h. */
#include "train/run_log.h"

#include "base/file.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Finds where to cut: the offset of the first line that is torn, no JSON object with a step, or of a later step. */
static long offset_to_keep(RunLog *log, int64_t step) {
    char *text = NULL;
    size_t capacity = 0;
    long keep = 0;
    for (ssize_t length; (length = getline(&text, &capacity, log->stream)) > 0; keep += length) {
        if (text[length - 1] != '\n') break;
        json_t *line = json_loadb(text, (size_t)length, 0, NULL);
        json_t *at = json_object_get(line, "step");
        int64_t line_step = json_integer_value(at);
        bool good = json_is_integer(at) && line_step <= step;
        if (good && json_is_number(json_object_get(line, "top1"))) log->evaluated_step = line_step;
        json_decref(line);
        if (!good) break;
    }
    free(text);
    return keep;
}

effnet_status run_log_open(RunLog *log, const char *folder, effnet_error *err) {
    *log = (RunLog){.evaluated_step = -1};
    TRY(path_join(log->path, sizeof log->path, folder, "log.jsonl", err));
    log->stream = fopen(log->path, "a+");
    if (!log->stream) return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", log->path, strerror(errno));
    if (flock(fileno(log->stream), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        run_log_close(log);
        return fail(err, EFFNET_ERROR_IO, "another process is training in '%s'; wait for it or choose another --out",
                    folder);
    }
    return EFFNET_OK;
}

effnet_status run_log_cut(RunLog *log, int64_t step, effnet_error *err) {
    rewind(log->stream);
    long keep = offset_to_keep(log, step);
    if (ferror(log->stream) || fseek(log->stream, 0, SEEK_END) != 0 || ftruncate(fileno(log->stream), keep) != 0) {
        int reason = errno;
        run_log_close(log);
        return fail(err, EFFNET_ERROR_IO, "cannot cut '%s' back to step %lld: %s", log->path, (long long)step,
                    strerror(reason));
    }
    return EFFNET_OK;
}

void run_log_close(RunLog *log) {
    if (log->stream) fclose(log->stream);
    log->stream = NULL;
}

/* JSON has no NaN and no infinity. */
static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static int set_number(json_t *object, const char *key, double value) {
    return json_object_set_new(object, key, number(value));
}

static int set_accuracy(json_t *object, const effnet_progress *now) {
    int failed = set_number(object, "top1", now->top1) | set_number(object, "top5", now->top5);
    if (now->average_precision > 0)
        failed |= set_number(object, "average_precision", now->average_precision) | set_number(object, "f1", now->f1);
    if (now->ema_top1 < 0) return failed;
    return failed | set_number(object, "ema_top1", now->ema_top1) | set_number(object, "ema_top5", now->ema_top5);
}

effnet_status run_log_take(void *context, const RunEvent *event, bool *stop, effnet_error *err) {
    (void)stop;
    RunLog *log = context;
    const effnet_progress *now = &event->now;
    if (event->kind != RUN_EVENT_INTERVAL && event->kind != RUN_EVENT_EPOCH) return EFFNET_OK;
    json_t *object = json_object();
    int failed = json_object_set_new(object, "epoch", json_integer(now->epoch));
    failed |= json_object_set_new(object, "step", json_integer(now->step));
    failed |= set_number(object, "loss", now->loss);
    failed |= set_number(object, "lr", now->lr);
    failed |= set_number(object, "images_per_s", now->images_per_s);
    failed |= set_number(object, "seconds", now->seconds);
    failed |= set_number(object, "gradient_norm", event->gradient_norm);
    failed |= set_number(object, "weight_norm", event->weight_norm);
    failed |= set_number(object, "update_norm", event->update_norm);
    failed |= set_number(object, "data_wait", event->data_wait);
    if (event->kind == RUN_EVENT_EPOCH) failed |= json_object_set_new(object, "ends_epoch", json_true());
    if (event->has_fingerprint)
        failed |= json_object_set_new(object, "fingerprint", json_sprintf("%08x", (unsigned)event->fingerprint));
    if (event->evaluated) failed |= set_accuracy(object, now);
    char *text = failed ? NULL : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (!text) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a line of '%s'", log->path);
    errno = 0;
    bool written = fprintf(log->stream, "%s\n", text) > 0 && fflush(log->stream) == 0;
    free(text);
    if (!written) return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", log->path, strerror(errno));
    if (event->evaluated) log->evaluated_step = now->step;
    return EFFNET_OK;
}
