/* run_curves.c - see run_curves.h. */
#include "report/run_curves.h"

#include "base/file.h"
#include "report/chart.h"
#include "report/page.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const keys[CURVES] = {
    "epoch",       "step",        "loss",      "lr",   "images_per_s", "seconds",          "gradient_norm",
    "weight_norm", "update_norm", "data_wait", "top1", "ema_top1",     "average_precision"};

static bool make_room(RunCurves *curves) {
    if (curves->count < curves->capacity) return true;
    int64_t capacity = curves->capacity ? 2 * curves->capacity : 256;
    for (int k = 0; k < CURVES; k++) {
        double *values = realloc(curves->values[k], (size_t)capacity * sizeof *values);
        if (!values) return false;
        curves->values[k] = values;
    }
    void *marks = realloc(curves->fingerprints, (size_t)capacity * sizeof *curves->fingerprints);
    if (!marks) return false;
    curves->fingerprints = marks;
    void *ends = realloc(curves->ends_epoch, (size_t)capacity * sizeof *curves->ends_epoch);
    if (!ends) return false;
    curves->ends_epoch = ends;
    curves->capacity = capacity;
    return true;
}

static void add_line(RunCurves *curves, const json_t *line) {
    for (int k = 0; k < CURVES; k++) {
        const json_t *value = json_object_get(line, keys[k]);
        curves->values[k][curves->count] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    const char *mark = json_string_value(json_object_get(line, "fingerprint"));
    snprintf(curves->fingerprints[curves->count], sizeof *curves->fingerprints, "%s", mark ? mark : "");
    curves->ends_epoch[curves->count] = json_is_true(json_object_get(line, "ends_epoch"));
    curves->count++;
}

effnet_status run_curves_read(const char *path, RunCurves *out, effnet_error *err) {
    char name[1024], *text = NULL;
    size_t capacity = 0;
    effnet_status status = EFFNET_OK;
    *out = (RunCurves){0};
    if (path_is_folder(path))
        TRY(path_join(name, sizeof name, path, "log.jsonl", err));
    else if ((size_t)snprintf(name, sizeof name, "%s", path) >= sizeof name)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
    int descriptor;
    TRY(file_open(name, &descriptor, NULL, err));
    FILE *file = fdopen(descriptor, "r");
    if (!file) {
        close(descriptor);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to read the log '%s'", name);
    }
    for (int64_t line = 1; getline(&text, &capacity, file) > 0 && status == EFFNET_OK; line++) {
        json_error_t wrong;
        json_t *object = json_loads(text, 0, &wrong);
        bool whole = strchr(text, '\n') != NULL;
        if (json_is_object(object) && json_is_number(json_object_get(object, "step"))) {
            if (make_room(out))
                add_line(out, object);
            else
                status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the log '%s'", name);
        } else if (whole) {
            status =
                fail(err, EFFNET_ERROR_FORMAT,
                     "'%s', line %lld, is not a line of a run's log: a JSON object with a step", name, (long long)line);
        }
        json_decref(object);
    }
    free(text);
    fclose(file);
    if (status != EFFNET_OK) run_curves_free(out);
    return status;
}

void run_curves_free(RunCurves *curves) {
    for (int k = 0; k < CURVES; k++) free(curves->values[k]);
    free(curves->fingerprints);
    free(curves->ends_epoch);
    *curves = (RunCurves){0};
}

/* ---- drawn ---- */

static ChartSeries series(const RunCurves *curves, int key, const char *name, int colour) {
    return (ChartSeries){.name = name,
                         .x = curves->values[CURVE_STEP],
                         .y = curves->values[key],
                         .count = curves->count,
                         .colour = colour};
}

static void draw(FILE *out, const char *title, bool log_y, bool from_zero, const ChartSeries *list, int count) {
    const Chart chart = {
        .title = title, .x_label = "step", .log_y = log_y, .from_zero = from_zero, .series = list, .num_series = count};
    chart_curves(out, &chart);
}

/* Means over an epoch do not belong on a curve of means over intervals, unless there are no others. */
static void leave_out_epochs(RunCurves *curves) {
    static const int of_interval[] = {CURVE_LOSS, CURVE_IMAGES_PER_S, CURVE_GRADIENT_NORM, CURVE_DATA_WAIT};
    int64_t intervals = 0;
    for (int64_t i = 0; i < curves->count; i++) intervals += !curves->ends_epoch[i];
    for (int64_t i = 0; intervals > 1 && i < curves->count; i++)
        for (int k = 0; curves->ends_epoch[i] && k < 4; k++) curves->values[of_interval[k]][i] = NAN;
}

/* Its points as steps, up to the run's last. */
static int64_t place_reference(const RunCurves *curves, const ReferenceCurve *reference, int64_t steps_per_epoch,
                               double *steps, double *accuracies) {
    const double last = curves->values[CURVE_STEP][curves->count - 1];
    int64_t count = 0;
    for (int i = 0; reference && i < reference->count; i++) {
        steps[count] = reference->points[i].epoch * (double)steps_per_epoch;
        accuracies[count] = reference->points[i].accuracy;
        if (steps[count] <= last) count++;
    }
    return count;
}

void run_curves_write(FILE *out, RunCurves *curves, const ReferenceCurve *reference, int64_t steps_per_epoch) {
    double steps[REFERENCE_POINTS + 1], accuracies[REFERENCE_POINTS + 1];
    if (!curves->count) return;
    leave_out_epochs(curves);
    ChartSeries accuracy[] = {
        series(curves, CURVE_EMA_TOP1, "averaged weights (EMA)", 1),
        series(curves, CURVE_TOP1, "raw weights", 2),
        {.name = "reference", .x = steps, .y = accuracies, .colour = 3, .dots = true, .dashed = true}};
    accuracy[2].count = place_reference(curves, reference, steps_per_epoch, steps, accuracies);
    accuracy[0].dots = accuracy[1].dots = true;
    const ChartSeries loss = series(curves, CURVE_LOSS, "loss", 1), rate = series(curves, CURVE_LR, "learning rate", 4);
    const ChartSeries norms[] = {series(curves, CURVE_WEIGHT_NORM, "weights", 1),
                                 series(curves, CURVE_GRADIENT_NORM, "gradient, before clipping", 2),
                                 series(curves, CURVE_UPDATE_NORM, "update of a step", 3)};
    const ChartSeries speed = series(curves, CURVE_IMAGES_PER_S, "images/s", 3);
    ChartSeries wait = series(curves, CURVE_DATA_WAIT, "share of time", 2);
    page_section(out, "Training",
                 "From the run's log; at each point the mean since the point before. A norm that grows "
                 "without end, or an update that is no longer a small part of the weights, is the first sign "
                 "of a run that diverges.");
    fputs("<div class=\"pair\">", out);
    draw(out, "Accuracy on the evaluation pictures, %", false, false, accuracy, accuracy[2].count ? 3 : 2);
    draw(out, "Training loss", false, false, &loss, 1);
    draw(out, "Learning rate", false, true, &rate, 1);
    draw(out, "Norms", true, false, norms, 3);
    draw(out, "Speed of training, images a second", false, true, &speed, 1);
    draw(out, "Share of time waiting for pictures", false, true, &wait, 1);
    fputs("</div>", out);
    page_section_end(out);
}
