/* series.c - see series.h. The record is kept as the JSON that it is written as:
 *
 *   {"kind": "seeds", "count": 3, "seed": 42, "from": ..., "settings": [...],
 *    "runs": [{"name": "seed-1", "setting": "seed=42", "metric": "top1", "accuracy": 94.8, "images": 153, ...}, ...],
 *    "mean": ..., "deviation": ..., "least": ..., "most": ..., "images": ..., "together": ...}
 *
 * The last line where all runs are there. deviation: sqrt(sum((x - mean)^2) / (n - 1)); images and together, of folds:
 * all pictures, each evaluated by the run that had not seen it. */
#include "train/series.h"

#include "base/file.h"
#include "base/number_text.h"
#include "report/statistics.h"
#include "train/run_state.h"
#include "train/series_curve.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_RECORD = 1 << 24, MOST_RUNS = 1000 };
static const json_int_t most_seed = 9007199254740991; /* as the recipe key allows */

struct Series {
    SeriesOptions options;
    json_t *record;
    const char **settings; /* into record */
    char path[1024];
    int count;
};

static bool has_folds(const Series *series) {
    return series->options.folds > 0;
}

bool series_is_wanted(const Recipe *recipe) {
    return recipe->seeds > 1 || recipe->folds > 0;
}

bool series_is_in(const char *out) {
    char path[1100];
    return path_join(path, sizeof path, out, "series.json", NULL) == EFFNET_OK && path_exists(path);
}

effnet_status series_check_new(const char *out, effnet_error *err) {
    if (!series_is_in(out)) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "'%.200s' already holds a series of runs (series.json); go on with it by --resume, or choose another "
                "--out",
                out);
}

/* ---- the record ---- */

static effnet_status create_record(Series *series, effnet_error *err) {
    const SeriesOptions *options = &series->options;
    json_t *settings = json_array();
    for (const char *const *at = options->settings; at && *at; at++) json_array_append_new(settings, json_string(*at));
    series->record = json_pack("{s:s, s:I, s:I, s:s?, s:o, s:[]}", "kind", has_folds(series) ? "folds" : "seeds",
                               "count", (json_int_t)series->count, "seed", (json_int_t)options->seed, "from",
                               options->from, "settings", settings, "runs");
    if (series->record) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "the series cannot be written down: a setting or '%.100s' is no UTF-8",
                options->from ? options->from : "");
}

static effnet_status no_record(const Series *series, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT, "'%.300s' is damaged: it is no record of a series of runs", series->path);
}

/* What a record has at least, checked once. */
static bool record_is_whole(const json_t *record) {
    const json_t *runs = json_object_get(record, "runs"), *settings = json_object_get(record, "settings");
    const json_t *from = json_object_get(record, "from");
    json_t *item;
    size_t i;
    if (!json_is_string(json_object_get(record, "kind")) || !json_is_integer(json_object_get(record, "count")) ||
        !json_is_integer(json_object_get(record, "seed")) || !json_is_array(runs) || !json_is_array(settings) ||
        !(json_is_null(from) || json_is_string(from)))
        return false;
    json_array_foreach(settings, i, item) if (!json_is_string(item)) return false;
    json_array_foreach(runs, i, item) if (!json_is_string(json_object_get(item, "name")) ||
                                          !json_is_number(json_object_get(item, "accuracy")) ||
                                          !json_is_integer(json_object_get(item, "images"))) return false;
    return true;
}

static effnet_status read_record(Series *series, effnet_error *err) {
    char *text;
    size_t size;
    TRY(file_read(series->path, LONGEST_RECORD, &text, &size, err));
    series->record = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    return record_is_whole(series->record) ? EFFNET_OK : no_record(series, err);
}

/* Of a series that is resumed: what is asked for now and was asked for then. Seeds may be more than before; where nothing
 * is said of them (seeds 1, folds 0) it goes on as it began. */
static effnet_status compare_record(Series *series, effnet_error *err) {
    SeriesOptions *options = &series->options;
    const char *kind = json_string_value(json_object_get(series->record, "kind"));
    const json_int_t count = json_integer_value(json_object_get(series->record, "count")),
                     seed = json_integer_value(json_object_get(series->record, "seed"));
    const bool folds = strcmp(kind, "folds") == 0;
    if (count < 1 || count > MOST_RUNS || seed < 0 || seed > most_seed || (!folds && strcmp(kind, "seeds") != 0))
        return no_record(series, err);
    if (options->seeds <= 1 && options->folds == 0) {
        options->seed = seed;
        options->folds = folds ? count : 0;
        options->seeds = folds ? 1 : count;
    }
    const int64_t asked = options->folds ? options->folds : options->seeds;
    if (folds != has_folds(series) || options->seed != seed || (folds ? asked != count : asked < count))
        return fail(
            err, EFFNET_ERROR_ARGUMENT,
            "'%.200s' holds a series of %lld %s from seed %lld and this is one of %lld %s from seed %lld: go on "
            "with the same, or choose another --out",
            options->out, (long long)count, kind, (long long)seed, (long long)asked,
            has_folds(series) ? "folds" : "seeds", (long long)options->seed);
    json_object_set_new(series->record, "count", json_integer(asked));
    return EFFNET_OK;
}

static effnet_status list_settings(Series *series, effnet_error *err) {
    const json_t *settings = json_object_get(series->record, "settings");
    json_t *item;
    size_t i;
    series->settings = calloc(json_array_size(settings) + 1, sizeof *series->settings);
    if (!series->settings) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the settings of a series");
    json_array_foreach(settings, i, item) series->settings[i] = json_string_value(item);
    return EFFNET_OK;
}

static effnet_status write_record(const Series *series, effnet_error *err) {
    AtomicFile file;
    char *text = json_dumps(series->record, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (!text) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", series->path);
    effnet_status status = atomic_file_open(&file, series->path, err);
    if (status == EFFNET_OK) {
        fputs(text, file.stream);
        fputc('\n', file.stream);
        status = atomic_file_commit(&file, err);
    }
    free(text);
    return status;
}

static const json_t *find_run(const Series *series, const char *name) {
    json_t *run;
    size_t i;
    json_array_foreach(json_object_get(series->record, "runs"), i,
                       run) if (strcmp(json_string_value(json_object_get(run, "name")), name) == 0) return run;
    return NULL;
}

/* ---- opening ---- */

static effnet_status open_record(Series *series, effnet_error *err) {
    const char *out = series->options.out;
    TRY(path_join(series->path, sizeof series->path, out, "series.json", err));
    TRY(run_state_check_new(out, err));
    if (!series->options.resume) TRY(series_check_new(out, err));
    if (path_exists(series->path)) {
        TRY(read_record(series, err));
        TRY(compare_record(series, err));
    } else if (series->options.resume) {
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "there is no series of runs in '%.200s' to resume; begin it without --resume, or correct --out",
                    out);
    }
    series->count = (int)(has_folds(series) ? series->options.folds : series->options.seeds);
    if (!series->record) TRY(create_record(series, err));
    return list_settings(series, err);
}

effnet_status series_open(const SeriesOptions *options, Series **out, effnet_error *err) {
    Series *series = calloc(1, sizeof *series);
    *out = NULL;
    if (!series) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a series of runs");
    series->options = *options;
    effnet_status status = open_record(series, err);
    if (status == EFFNET_OK)
        *out = series;
    else
        series_free(series);
    return status;
}

void series_free(Series *series) {
    if (!series) return;
    json_decref(series->record);
    free(series->settings);
    free(series);
}

const char *series_from(const Series *series) {
    return json_string_value(json_object_get(series->record, "from"));
}

const char *const *series_settings(const Series *series) {
    return series->settings;
}

/* ---- running ---- */

static effnet_status tell(const Series *series, const char *message, effnet_error *err) {
    const SeriesOptions *options = &series->options;
    const effnet_progress progress = {.struct_size = sizeof progress,
                                      .phase = "run",
                                      .message = message,
                                      .top1 = -1,
                                      .top5 = -1,
                                      .ema_top1 = -1,
                                      .ema_top5 = -1};
    if (!options->progress || !options->progress(options->progress_context, &progress)) return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "interrupted between two runs of '%.200s'; go on with --resume", options->out);
}

static effnet_status describe_part(const Series *series, int number, SeriesPart *out, effnet_error *err) {
    const SeriesOptions *options = &series->options;
    *out = (SeriesPart){0};
    snprintf(out->name, sizeof out->name, "%s-%d", has_folds(series) ? "fold" : "seed", number);
    snprintf(out->seed_setting, sizeof out->seed_setting, "seed=%lld",
             (long long)(options->seed + (has_folds(series) ? 0 : number - 1)));
    if (has_folds(series))
        snprintf(out->split_setting, sizeof out->split_setting, "val_split=fold %d/%d", number, series->count);
    TRY(path_join(out->out, sizeof out->out, options->out, out->name, err));
    char first[32];
    snprintf(first, sizeof first, "%.5s1", out->name);
    TRY(path_join(out->first, sizeof out->first, options->out, first, err));
    out->resume = options->resume && run_state_check_new(out->out, NULL) == EFFNET_ERROR_ARGUMENT;
    return EFFNET_OK;
}

static effnet_status add_outcome(const Series *series, const SeriesPart *part, const SeriesOutcome *outcome,
                                 effnet_error *err) {
    json_t *run = json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:I, s:I, s:f, s:s, s:s}", "name", part->name, "setting",
                            has_folds(series) ? part->split_setting : part->seed_setting, "metric", outcome->metric,
                            "accuracy", outcome->accuracy, "best", outcome->best, "images", (json_int_t)outcome->images,
                            "steps", (json_int_t)outcome->steps, "best_step", (json_int_t)outcome->best_step, "seconds",
                            outcome->seconds, "checkpoint", outcome->checkpoint, "report", outcome->report);
    if (!run || json_array_append_new(json_object_get(series->record, "runs"), run) != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the end of '%.200s' cannot be written down: its path is no UTF-8",
                    part->out);
    return write_record(series, err);
}

static effnet_status run_part(const Series *series, const SeriesPart *part, int number, SeriesRunFunction *run,
                              void *context, effnet_error *err) {
    SeriesOutcome outcome = {0};
    char text[1300];
    snprintf(text, sizeof text, "%s, %d of %d: %s%s", has_folds(series) ? part->split_setting : part->seed_setting,
             number, series->count, part->out, part->resume ? ", going on" : "");
    TRY(tell(series, text, err));
    effnet_status status = run(context, part, &outcome, err);
    if (status != EFFNET_OK) return fail_further(err, status, " (%s of a series)", part->name);
    TRY(add_outcome(series, part, &outcome, err));
    number_print(text, sizeof text, "%s: %.2f %% of %lld pictures", part->name, outcome.accuracy,
                 (long long)outcome.images);
    return tell(series, text, err);
}

/* Mean and deviation of the runs' accuracies; of folds all pictures together. */
static void summarize(const Series *series, SeriesSummary *out) {
    double sum = 0, squares = 0, right = 0;
    bool countable = has_folds(series);
    json_t *run;
    size_t i;
    const json_t *runs = json_object_get(series->record, "runs");
    *out = (SeriesSummary){.runs = (int)json_array_size(runs)};
    snprintf(out->record, sizeof out->record, "%s", series->path);
    json_array_foreach(runs, i, run) {
        const double accuracy = json_number_value(json_object_get(run, "accuracy"));
        const json_int_t images = json_integer_value(json_object_get(run, "images"));
        if (i == 0 || accuracy < out->least) out->least = accuracy;
        if (i == 0 || accuracy > out->most) out->most = accuracy;
        const char *metric = json_string_value(json_object_get(run, "metric"));
        countable = countable && metric && strcmp(metric, "average_precision") != 0;
        sum += accuracy;
        out->images += images;
        right += accuracy / 100 * (double)images;
        out->seconds += json_number_value(json_object_get(run, "seconds"));
    }
    out->mean = out->runs ? sum / out->runs : 0;
    json_array_foreach(runs, i, run) {
        const double apart = json_number_value(json_object_get(run, "accuracy")) - out->mean;
        squares += apart * apart;
    }
    out->deviation = out->runs > 1 ? sqrt(squares / (out->runs - 1)) : 0;
    if (!countable) {
        out->images = 0;
        return;
    }
    const Interval interval = wilson_interval(llround(right), out->images);
    out->together = out->images ? 100 * right / (double)out->images : 0;
    out->together_low = 100 * interval.low;
    out->together_high = 100 * interval.high;
}

static effnet_status write_summary(const Series *series, const SeriesSummary *result, effnet_error *err) {
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"mean", result->mean},
                   {"deviation", result->deviation},
                   {"least", result->least},
                   {"most", result->most},
                   {"seconds", result->seconds},
                   {"together", result->together},
                   {"together_low", result->together_low},
                   {"together_high", result->together_high}};
    const size_t count = sizeof numbers / sizeof *numbers - (result->images ? 0 : 3);
    for (size_t i = 0; i < count; i++) json_object_set_new(series->record, numbers[i].key, json_real(numbers[i].value));
    if (result->images) json_object_set_new(series->record, "images", json_integer(result->images));
    return write_record(series, err);
}

/* The runs' accuracies by epoch, for others of the recipe to be held against. */
static effnet_status write_curve(const Series *series, effnet_error *err) {
    char path[1024];
    TRY(path_join(path, sizeof path, series->options.out, "curve.txt", err));
    SeriesPart *parts = calloc((size_t)series->count, sizeof *parts);
    const char **folders = calloc((size_t)series->count, sizeof *folders);
    effnet_status status = parts && folders ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for '%s'", path);
    for (int i = 0; i < series->count && status == EFFNET_OK; i++) {
        status = describe_part(series, i + 1, &parts[i], err);
        folders[i] = parts[i].out;
    }
    if (status == EFFNET_OK) status = series_curve_write(path, folders, series->count, err);
    free(parts);
    free(folders);
    return status;
}

/* A series whose first run could not begin (a wrong path, a wrong key) leaves nothing behind, so that the command can be
 * given again, corrected. Folders that hold anything else stay. */
static void forget(const Series *series, const SeriesPart *part) {
    char recipe[1100];
    if (run_state_check_new(part->out, NULL) != EFFNET_OK) return;
    unlink(series->path);
    if (path_join(recipe, sizeof recipe, series->options.out, "recipe.yaml", NULL) == EFFNET_OK) unlink(recipe);
    rmdir(part->out);
    rmdir(series->options.out);
}

effnet_status series_run(Series *series, SeriesRunFunction *run, void *context, SeriesSummary *out, effnet_error *err) {
    TRY(folder_create(series->options.out, err));
    TRY(write_record(series, err));
    for (int number = 1; number <= series->count; number++) {
        SeriesPart part;
        TRY(describe_part(series, number, &part, err));
        if (find_run(series, part.name)) continue;
        const effnet_status status = run_part(series, &part, number, run, context, err);
        if (status != EFFNET_OK && status != EFFNET_INTERRUPTED && number == 1) forget(series, &part);
        TRY(status);
    }
    summarize(series, out);
    TRY(write_summary(series, out, err));
    return write_curve(series, err);
}
