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

/* What is to stay of a log. */
typedef struct Kept {
    long whole; /* bytes from its beginning in which every line is good */
    char *rest; /* good lines behind one that is none, one after the other; NULL: there are none */
    size_t rest_size;
} Kept;

static bool keep_line(Kept *kept, const char *text, size_t length, bool behind) {
    if (!behind) {
        kept->whole += (long)length;
        return true;
    }
    char *larger = realloc(kept->rest, kept->rest_size + length);
    if (!larger) return false;
    memcpy(larger + kept->rest_size, text, length);
    kept->rest = larger;
    kept->rest_size += length;
    return true;
}

/* A line of steps counts for those since the line before it; one that ends an epoch begins the next. `before`: the step of
 * the line before. */
static void count_steps(LoggedSteps *epoch, const json_t *line, int64_t before, int64_t step) {
    const json_t *loss = json_object_get(line, "loss"), *norm = json_object_get(line, "gradient_norm");
    if (json_is_true(json_object_get(line, "ends_epoch"))) {
        *epoch = (LoggedSteps){0};
        return;
    }
    const double steps = (double)(step - before);
    if (step <= before || !json_is_number(loss) || !json_is_number(norm)) return;
    epoch->steps += step - before;
    epoch->loss += steps * json_number_value(loss);
    epoch->gradient_norm += steps * json_number_value(norm);
}

/* Up to the first line that is torn or of a later step; a line between that is no JSON object with a step is left out. */
static bool find_kept(RunLog *log, int64_t step, Kept *kept) {
    char *text = NULL;
    size_t capacity = 0;
    bool good = true, later = false, behind = false; /* behind a line that is none */
    int64_t before = 0;
    log->epoch = (LoggedSteps){0};
    *kept = (Kept){0};
    errno = 0;
    for (ssize_t length; good && !later && (length = getline(&text, &capacity, log->stream)) > 0;) {
        if (text[length - 1] != '\n') break;
        json_t *line = json_loadb(text, (size_t)length, 0, NULL);
        json_t *at = json_object_get(line, "step");
        int64_t line_step = json_integer_value(at);
        later = json_is_integer(at) && line_step > step;
        if (!json_is_integer(at)) {
            behind = true;
        } else if (!later) {
            if (json_is_number(json_object_get(line, "top1"))) log->evaluated_step = line_step;
            count_steps(&log->epoch, line, before, line_step);
            before = line_step;
            good = keep_line(kept, text, (size_t)length, behind);
        }
        json_decref(line);
    }
    good = good && errno != ENOMEM && !ferror(log->stream);
    free(text);
    return good;
}

effnet_status run_log_open(RunLog *log, const char *folder, effnet_error *err) {
    *log = (RunLog){.evaluated_step = -1};
    TRY(path_join(log->path, sizeof log->path, folder, "log.jsonl", err));
    TRY(file_check_writable(log->path, err));
    log->stream = fopen(log->path, "a+");
    if (!log->stream) return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", log->path, strerror(errno));
    if (flock(fileno(log->stream), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        run_log_close(log);
        return fail(err, EFFNET_ERROR_IO, "another process is training in '%s'; wait for it or choose another --out",
                    folder);
    }
    return EFFNET_OK;
}

/* The log as it was, beside it, before lines in its middle are left out. */
static effnet_status set_aside(RunLog *log, effnet_error *err) {
    char path[sizeof log->path + 10];
    AtomicFile copy = {0};
    snprintf(path, sizeof path, "%s.damaged", log->path);
    TRY(atomic_file_open(&copy, path, err));
    rewind(log->stream);
    for (int c; (c = getc(log->stream)) != EOF;) putc(c, copy.stream);
    return atomic_file_commit(&copy, err);
}

effnet_status run_log_cut(RunLog *log, int64_t step, effnet_error *err) {
    Kept kept;
    rewind(log->stream);
    bool done = find_kept(log, step, &kept);
    effnet_status status = done && kept.rest ? set_aside(log, err) : EFFNET_OK;
    done = done && status == EFFNET_OK && fseek(log->stream, 0, SEEK_END) == 0 &&
           (ftell(log->stream) == kept.whole || ftruncate(fileno(log->stream), kept.whole) == 0);
    if (done && kept.rest)
        done = fwrite(kept.rest, 1, kept.rest_size, log->stream) == kept.rest_size && fflush(log->stream) == 0;
    free(kept.rest);
    if (done) return EFFNET_OK;
    int reason = errno;
    run_log_close(log);
    if (status != EFFNET_OK) return status;
    return fail(err, EFFNET_ERROR_IO, "cannot cut '%s' back to step %lld: %s", log->path, (long long)step,
                strerror(reason));
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
