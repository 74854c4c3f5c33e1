/* api_compare.c - two models on the same pictures; two runs by their recipes and logs. */
#include "api/handles.h"

#include "base/file.h"
#include "report/compare_report.h"
#include "report/run_curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- models ---- */

typedef struct Compared {
    effnet_model *model;
    Dataset *dataset;
    Predictions predictions;
} Compared;

static effnet_status evaluate_one(Compared *compared, const char *data, const effnet_evaluate_options *options,
                                  effnet_error *err) {
    Accuracy accuracy;
    TRY(model_open_data(compared->model, data, options, &compared->dataset, err));
    TRY(dataset_need_single(compared->dataset, "effnet compare", err));
    return model_evaluate(compared->model, compared->dataset, options, &accuracy, &compared->predictions, err);
}

static effnet_status write_report(const Compared compared[2], const char *data, const PairedTest *test,
                                  const char *folder, effnet_error *err) {
    CompareReport report = {.data = data, .dataset = compared[0].dataset};
    const char **labels[2] = {NULL, NULL};
    effnet_status status = EFFNET_OK;
    for (int m = 0; m < 2 && status == EFFNET_OK; m++) {
        labels[m] = model_labels(compared[m].model, err);
        if (!labels[m]) status = EFFNET_ERROR_MEMORY;
        report.models[m] = (ComparedModel){.title = effnet_model_file(compared[m].model),
                                           .class_names = labels[m],
                                           .predictions = &compared[m].predictions};
        model_describe(compared[m].model, report.models[m].about, sizeof report.models[m].about);
    }
    if (status == EFFNET_OK) status = compare_report_write(&report, test, folder, err);
    free(labels[0]);
    free(labels[1]);
    return status;
}

static void tell(const PairedTest *test, effnet_comparison *out) {
    int64_t count = test->both + test->only_first + test->only_second + test->neither;
    const int64_t right[2] = {test->both + test->only_first, test->both + test->only_second};
    effnet_comparison told = {.pictures = count,
                              .both = test->both,
                              .only_first = test->only_first,
                              .only_second = test->only_second,
                              .neither = test->neither,
                              .difference = 100 * test->difference,
                              .difference_low = 100 * test->interval.low,
                              .difference_high = 100 * test->interval.high,
                              .p = test->p};
    for (int m = 0; m < 2; m++) {
        Interval interval = wilson_interval(right[m], count);
        told.top1[m] = 100 * (double)right[m] / (double)count;
        told.top1_low[m] = 100 * interval.low;
        told.top1_high[m] = 100 * interval.high;
    }
    result_write(out, &told, sizeof told);
}

effnet_status effnet_compare(effnet_model *first, effnet_model *second, const char *data,
                             const effnet_evaluate_options *options, effnet_comparison *out, effnet_error *error) {
    effnet_evaluate_options chosen;
    NEED(first);
    NEED(second);
    NEED(data);
    NEED(out);
    TRY(result_clear(out, "effnet_comparison", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_evaluate_options", error));
    TRY(evaluate_options_check(&chosen, error));
    Compared compared[2] = {{.model = first}, {.model = second}};
    effnet_status status = evaluate_one(&compared[0], data, &chosen, error);
    if (status == EFFNET_OK) status = evaluate_one(&compared[1], data, &chosen, error);
    if (status == EFFNET_OK) {
        PairedTest test = compare_predictions(&compared[0].predictions, &compared[1].predictions);
        if (test.both + test.only_first + test.only_second + test.neither == 0)
            status = fail(error, EFFNET_ERROR_FORMAT, "not one picture of '%s' could be read", data);
        else if (chosen.report)
            status = write_report(compared, data, &test, chosen.report, error);
        if (status == EFFNET_OK) tell(&test, out);
    }
    for (int m = 0; m < 2; m++) {
        predictions_free(&compared[m].predictions);
        dataset_free(compared[m].dataset);
    }
    return status;
}

/* ---- runs ---- */

typedef struct KeyPass {
    const Recipe *recipes[2];
    const effnet_diff_options *options;
    int64_t different;
} KeyPass;

static void compare_key(void *context, const char *section, const char *key, const char *type,
                        const char *default_value, const char *allowed, const char *help) {
    KeyPass *pass = context;
    char values[2][1000] = {"", ""};
    (void)section, (void)type, (void)default_value, (void)allowed, (void)help;
    for (int r = 0; r < 2; r++) (void)recipe_get(pass->recipes[r], key, values[r], sizeof values[r], NULL);
    if (strcmp(values[0], values[1]) == 0) return;
    pass->different++;
    if (pass->options->key) pass->options->key(pass->options->context, key, values[0], values[1]);
}

/* Lines of the same step are compared in their order; a step may have two, an interval's and an epoch's. */
static bool next_line(const RunCurves *first, const RunCurves *second, int64_t *a, int64_t *b) {
    while (*a < first->count && *b < second->count) {
        double x = first->values[CURVE_STEP][*a], y = second->values[CURVE_STEP][*b];
        if (x == y && first->ends_epoch[*a] == second->ends_epoch[*b]) return true;
        if (x < y || (x == y && !first->ends_epoch[*a]))
            ++*a;
        else
            ++*b;
    }
    return false;
}

static bool same_number(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

/* Which of a line's values differ: NULL where none does. Weights first: it is they that make all that follows. */
static const char *difference(const RunCurves *first, const RunCurves *second, int64_t a, int64_t b) {
    static const struct {
        const char *name;
        int curve;
    } compared[] = {{"lr", CURVE_LR}, {"loss", CURVE_LOSS}, {"gradient_norm", CURVE_GRADIENT_NORM}};
    for (size_t k = 0; k < sizeof compared / sizeof *compared; k++)
        if (!same_number(first->values[compared[k].curve][a], second->values[compared[k].curve][b]))
            return compared[k].name;
    const char *x = first->fingerprints[a], *y = second->fingerprints[b];
    return *x && *y && strcmp(x, y) != 0 ? "fingerprint" : NULL;
}

static double last_of(const RunCurves *curves, int curve) {
    for (int64_t i = curves->count - 1; i >= 0; i--)
        if (!isnan(curves->values[curve][i])) return curves->values[curve][i];
    return NAN;
}

static void compare_curves(const RunCurves *first, const RunCurves *second, effnet_run_difference *out) {
    out->parted_step = out->apart_step = -1;
    for (int64_t a = 0, b = 0; next_line(first, second, &a, &b); a++, b++) {
        const int64_t step = (int64_t)first->values[CURVE_STEP][a];
        const double x = first->values[CURVE_LOSS][a], y = second->values[CURVE_LOSS][b];
        const char *what = difference(first, second, a, b);
        out->lines++;
        if (what && out->parted_step < 0) {
            out->parted_step = step;
            snprintf(out->parted_by, sizeof out->parted_by, "%s", what);
            out->parted_loss[0] = x;
            out->parted_loss[1] = y;
        }
        if (!first->ends_epoch[a] && out->apart_step < 0 && fabs(x - y) > 0.01 * fmax(fabs(x), fabs(y)))
            out->apart_step = step;
    }
    const RunCurves *const both[2] = {first, second};
    for (int r = 0; r < 2; r++) {
        double averaged = last_of(both[r], CURVE_EMA_TOP1), raw = last_of(both[r], CURVE_TOP1);
        out->last_step[r] = (int64_t)last_of(both[r], CURVE_STEP);
        out->loss[r] = last_of(both[r], CURVE_LOSS);
        out->top1[r] = isnan(averaged) ? isnan(raw) ? -1 : raw : averaged;
    }
}

static effnet_status read_run(const char *folder, Recipe *recipe, RunCurves *curves, effnet_error *err) {
    char path[1024];
    if (!path_is_folder(folder))
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' is no run: a folder that 'effnet train' wrote is wanted", folder);
    TRY(path_join(path, sizeof path, folder, "recipe.yaml", err));
    TRY(recipe_read(path, recipe, err));
    TRY(run_curves_read(folder, curves, err));
    if (curves->count == 0) return fail(err, EFFNET_ERROR_FORMAT, "the log of '%s' has no line yet", folder);
    return EFFNET_OK;
}

effnet_status effnet_diff_runs(const char *first, const char *second, const effnet_diff_options *options,
                               effnet_run_difference *out, effnet_error *error) {
    effnet_diff_options chosen;
    Recipe recipes[2];
    RunCurves curves[2];
    NEED(first);
    NEED(second);
    NEED(out);
    TRY(result_clear(out, "effnet_run_difference", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_diff_options", error));
    memset(curves, 0, sizeof curves);
    recipe_defaults(&recipes[0]);
    recipe_defaults(&recipes[1]);
    effnet_status status = read_run(first, &recipes[0], &curves[0], error);
    if (status == EFFNET_OK) status = read_run(second, &recipes[1], &curves[1], error);
    if (status == EFFNET_OK) {
        effnet_run_difference told = {.struct_size = sizeof told};
        KeyPass pass = {.recipes = {&recipes[0], &recipes[1]}, .options = &chosen};
        recipe_visit_keys(compare_key, &pass);
        told.keys = pass.different;
        compare_curves(&curves[0], &curves[1], &told);
        result_write(out, &told, sizeof told);
    }
    run_curves_free(&curves[0]);
    run_curves_free(&curves[1]);
    return status;
}
