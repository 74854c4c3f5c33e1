/* series.h - one recipe run several times, to know how much of a result is chance: with other seeds (recipe key `seeds`),
 * or with each part of the pictures kept apart in turn (`folds`, a cross-validation).
 *
 * OUT/seed-1, OUT/seed-2, ... or OUT/fold-1, ... are runs like any other; OUT/series.json says what was asked for and,
 * after each run, how it ended: a series that is resumed passes over the runs that are there, goes on with the one that was
 * interrupted and begins the others. At its end OUT/curve.txt has their mean accuracy by epoch (series_curve.h). */
#ifndef EFFNET_TRAIN_SERIES_H
#define EFFNET_TRAIN_SERIES_H

#include "base/error.h"
#include "effnet.h"
#include "recipe/recipe.h"

typedef struct Series Series;

typedef struct SeriesOptions {
    const char *out;             /* the folder of all */
    const char *from;            /* weights that every run begins with; may be NULL */
    const char *const *settings; /* further "KEY=VALUE" of every run, ends with NULL; may be NULL */
    int64_t seeds, folds, seed;  /* as the recipe has them */
    bool resume;                 /* from and settings are those written down; more seeds than before may be asked for */
    effnet_progress_function *progress;
    void *progress_context;
} SeriesOptions;

/* One run of it. */
typedef struct SeriesPart {
    char name[32];                            /* seed-2 */
    char out[1024], first[1024];              /* its folder, and that of the first run: what that one found, all have */
    char seed_setting[40], split_setting[40]; /* what it has of its own, as settings; split_setting "": nothing */
    bool resume;                              /* it has a checkpoint */
} SeriesPart;

typedef struct SeriesOutcome {
    const char *metric; /* "top1", "ema_top1", or "average_precision" of several labels; not owned */
    double accuracy;    /* per cent, by that metric: of the result of the run */
    double best;        /* of its evaluations */
    int64_t images, steps, best_step;
    double seconds;
    char checkpoint[1024], report[1024];
} SeriesOutcome;

typedef struct SeriesSummary {
    int runs;
    double mean, deviation, least, most; /* of the runs' accuracies, per cent; deviation: of a sample, by n - 1 */
    int64_t images;                      /* of folds: all, each evaluated by the run that did not see it; else 0 */
    double together, together_low, together_high; /* their accuracy with its 95 % interval (Wilson) */
    double seconds;
    char record[1024]; /* the path of series.json */
} SeriesSummary;

typedef effnet_status SeriesRunFunction(void *context, const SeriesPart *part, SeriesOutcome *out, effnet_error *err);

/* Does the recipe ask for one? */
bool series_is_wanted(const Recipe *recipe);
/* Does the folder hold one? */
bool series_is_in(const char *out);

/* An error where it does. */
effnet_status series_check_new(const char *out, effnet_error *err);

/* Nothing is written yet. Freed by series_free. */
effnet_status series_open(const SeriesOptions *options, Series **out, effnet_error *err);
void series_free(Series *series);
const char *series_from(const Series *series);            /* NULL: none; as long as the series */
const char *const *series_settings(const Series *series); /* ends with NULL; as long as the series */
/* Runs what is not there yet, one after the other; ends at the first that fails or is interrupted. */
effnet_status series_run(Series *series, SeriesRunFunction *run, void *context, SeriesSummary *out, effnet_error *err);

#endif
