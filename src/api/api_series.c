/* api_series.c - see api_series.h: what a run of a series is, for training and for fine-tuning. */
#include "api/api_series.h"

#include "base/file.h"
#include "report/run_curves.h"
#include "train/batch_fit.h"
#include "train/loop.h"
#include "train/resume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

effnet_status api_series_is_meant(const Recipe *recipe, const char *out, bool resume, bool *series, effnet_error *err) {
    *series = series_is_in(out) || series_is_wanted(recipe);
    return resume ? EFFNET_OK : series_check_new(out, err);
}

/* ---- training ---- */

typedef struct TrainSeries {
    const Recipe *recipe;
    const effnet_train_options *options;
    const char *init;
} TrainSeries;

/* Its last evaluation, out of its log: a run that had reached its end before the series was interrupted evaluates
 * nothing when it is resumed. */
static effnet_status read_last_evaluation(const char *folder, SeriesOutcome *out, effnet_error *err) {
    static const struct {
        const char *key;
        int curve;
    } metrics[] = {/* the first that a line has counts */
                   {"average_precision", CURVE_AVERAGE_PRECISION},
                   {"ema_top1", CURVE_EMA_TOP1},
                   {"top1", CURVE_TOP1}};
    RunCurves curves;
    TRY(run_curves_read(folder, &curves, err));
    out->metric = NULL;
    for (int64_t line = curves.count - 1; line >= 0 && !out->metric; line--)
        for (size_t i = 0; i < sizeof metrics / sizeof *metrics && !out->metric; i++) {
            const double value = curves.values[metrics[i].curve][line];
            if (isnan(value)) continue;
            out->metric = metrics[i].key;
            out->accuracy = value;
        }
    run_curves_free(&curves);
    if (out->metric) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT, "the log of '%s' has no evaluation", folder);
}

static effnet_status train_part(void *context, const SeriesPart *part, SeriesOutcome *out, effnet_error *err) {
    const TrainSeries *series = context;
    Recipe recipe = *series->recipe;
    effnet_train_options options = *series->options;
    effnet_train_result told;
    recipe.seeds = 1;
    recipe.folds = 0;
    TRY(recipe_set(&recipe, "seed", strchr(part->seed_setting, '=') + 1, err));
    if (part->split_setting[0]) TRY(recipe_set(&recipe, "val_split", strchr(part->split_setting, '=') + 1, err));
    if (path_is_folder(part->first) && strcmp(part->first, part->out) != 0)
        TRY(batch_of_run(part->first, &recipe, err));
    options.out = part->out;
    options.resume = part->resume;
    options.init = part->resume ? NULL : series->init;
    TRY(train_run(&recipe, &options, &told, err));
    TRY(read_last_evaluation(part->out, out, err));
    out->best = told.best_top1;
    out->images = told.images;
    out->steps = told.steps;
    out->best_step = told.best_step;
    out->seconds = told.seconds;
    snprintf(out->checkpoint, sizeof out->checkpoint, "%s", told.checkpoint);
    snprintf(out->report, sizeof out->report, "%s", told.report);
    return EFFNET_OK;
}

/* What all runs have in common, beside their folders: written once, compared where a series goes on. */
static effnet_status settle_recipe(const Recipe *recipe, const char *out, bool resume, effnet_error *err) {
    char path[1100];
    if (resume) return resume_check_recipe(out, recipe, err);
    TRY(path_join(path, sizeof path, out, "recipe.yaml", err));
    TRY(folder_create(out, err));
    return recipe_save(recipe, path, NULL, err);
}

effnet_status api_train_series(const Recipe *recipe, const effnet_train_options *options, const char *out,
                               effnet_train_result *told, effnet_error *err) {
    const SeriesOptions asked = {.out = out,
                                 .from = options->init,
                                 .seeds = recipe->seeds,
                                 .folds = recipe->folds,
                                 .seed = recipe->seed,
                                 .resume = options->resume,
                                 .progress = options->progress,
                                 .progress_context = options->progress_context};
    Recipe common = *recipe;
    Series *series;
    SeriesSummary summary;
    if (options->dist && strcmp(options->dist, "none") != 0)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "seeds and folds are runs one after the other in one process, and dist is %.20s: start each with a "
                    "seed of its own",
                    options->dist);
    if (options->data && (size_t)snprintf(common.data, sizeof common.data, "%s", options->data) >= sizeof common.data)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the path of the data is too long: '%.80s...'", options->data);
    TRY(recipe_check(&common, err));
    TRY(series_open(&asked, &series, err));
    TrainSeries context = {.recipe = &common, .options = options, .init = series_from(series)};
    effnet_status status = settle_recipe(&common, out, options->resume, err);
    if (status == EFFNET_OK) status = series_run(series, train_part, &context, &summary, err);
    if (status == EFFNET_OK) {
        told->seconds = summary.seconds;
        told->top1 = summary.mean;
        snprintf(told->report, sizeof told->report, "%s", summary.record);
    }
    series_free(series);
    return status;
}

/* ---- fine-tuning ---- */

typedef struct FinetuneSeries {
    const char *pictures;
    const effnet_finetune_options *options;
    const Series *series;
    FinetuneFunction *finetune;
} FinetuneSeries;

/* The settings of all runs, and those of this one behind them. */
static const char **list_settings(const Series *series, const SeriesPart *part) {
    const char *const *common = series_settings(series);
    size_t count = 0;
    while (common[count]) count++;
    const char **all = calloc(count + 5, sizeof *all);
    if (!all) return NULL;
    memcpy(all, common, count * sizeof *all);
    all[count++] = "seeds=1";
    all[count++] = "folds=0";
    all[count++] = part->seed_setting;
    if (part->split_setting[0]) all[count++] = part->split_setting;
    return all;
}

static effnet_status finetune_part(void *context, const SeriesPart *part, SeriesOutcome *out, effnet_error *err) {
    const FinetuneSeries *series = context;
    effnet_finetune_options options = *series->options;
    effnet_finetune_result told = {0};
    const char **settings = list_settings(series->series, part);
    if (!settings) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the settings of a run");
    options.settings = settings;
    options.from = part->resume ? NULL : series_from(series->series);
    options.out = part->out;
    effnet_status status = series->finetune(series->pictures, &options, &told, err);
    free(settings);
    TRY(status);
    *out = (SeriesOutcome){.metric = "top1",
                           .accuracy = told.top1,
                           .best = told.top1,
                           .images = told.images,
                           .steps = told.steps,
                           .best_step = told.best_step,
                           .seconds = told.seconds};
    snprintf(out->checkpoint, sizeof out->checkpoint, "%s", told.checkpoint);
    snprintf(out->report, sizeof out->report, "%s", told.report);
    return EFFNET_OK;
}

effnet_status api_finetune_series(const char *pictures, const effnet_finetune_options *options, const Recipe *asked,
                                  FinetuneFunction *finetune, effnet_finetune_result *told, effnet_error *err) {
    const SeriesOptions wanted = {.out = options->out,
                                  .from = options->from,
                                  .settings = options->settings,
                                  .seeds = asked->seeds,
                                  .folds = asked->folds,
                                  .seed = asked->seed,
                                  .resume = !options->from,
                                  .progress = options->progress,
                                  .progress_context = options->progress_context};
    Series *series;
    SeriesSummary summary;
    TRY(series_open(&wanted, &series, err));
    FinetuneSeries context = {.pictures = pictures, .options = options, .series = series, .finetune = finetune};
    effnet_status status = series_from(series) ? series_run(series, finetune_part, &context, &summary, err)
                                               : fail(err, EFFNET_ERROR_ARGUMENT,
                                                      "'%.200s' is a series of training runs: go on by "
                                                      "'effnet train'",
                                                      options->out);
    if (status == EFFNET_OK) {
        told->seconds = summary.seconds;
        told->top1 = summary.mean;
        snprintf(told->report, sizeof told->report, "%s", summary.record);
    }
    series_free(series);
    return status;
}
