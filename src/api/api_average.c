/* api_average.c - the mean of several trained weights as one model, and batch norm statistics for it. The files are read
 * one after the other and added up in doubles, so that memory does not grow with their number. */
#include "api/handles.h"

#include "base/memory.h"
#include "train/batch_norm_estimate.h"
#include "train/card.h"
#include "train/weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEFAULT_BATCH = 32, MOST_BATCH = 65536, DEFAULT_PICTURES = 10000, MOST_PATHS = 10000, MOST_NAMED = 50 };

typedef struct Averaging {
    const effnet_average_options *options;
    char (*files)[1100]; /* (count), each once */
    int count;
    effnet_model *model;         /* of the first; in the end the mean's */
    double *parameters;          /* sums, as are: */
    double *statistics;          /* ... */
    float *one, *one_statistics; /* of the file that is read */
    int64_t estimated;           /* pictures */
} Averaging;

/* ---- which files ---- */

static bool same_file(const char *a, const char *b) {
    struct stat first, second;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static effnet_status find_files(Averaging *run, const char *const *paths, int count, effnet_error *err) {
    void *block;
    TRY(memory_allocate((size_t)count, sizeof *run->files, "the files' names", &block, err));
    run->files = block;
    for (int i = 0; i < count; i++) {
        char *file = run->files[run->count];
        if (!paths[i]) return fail(err, EFFNET_ERROR_ARGUMENT, "path %d of %d is NULL", i, count);
        TRY(model_find_file(paths[i], run->options->raw_weights, file, sizeof run->files[0], err));
        int before = 0;
        while (before < run->count && !same_file(run->files[before], file)) before++;
        if (before == run->count) run->count++;
    }
    if (run->count == 1 && !run->options->data)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "there is nothing to average: '%s' is all that was given; give several checkpoints, or data to "
                    "estimate its batch norm statistics on",
                    run->files[0]);
    return EFFNET_OK;
}

/* ---- whether they are of one kind ---- */

/* May differ: how and for how long they were trained, and on what. */
static bool may_differ(const char *key) {
    static const char *const keys[] = {
        "effnet.step",   "effnet.train_pictures", "effnet.train_listing", "effnet.evaluated_listing",
        "effnet.origin", "effnet.bn_momentum",    "effnet.class_names"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static const char *value_of(char *const *texts, const char *key) {
    for (; *texts; texts += 2)
        if (strcmp(texts[0], key) == 0) return texts[1];
    return "";
}

/* An error that names the first key of `texts` that the others have differently. */
static effnet_status compare_texts(const Averaging *run, int which, char *const *texts, char *const *others,
                                   bool turned, effnet_error *err) {
    for (; *texts; texts += 2) {
        const char *here = texts[1], *there = value_of(others, texts[0]);
        if (may_differ(texts[0]) || strcmp(here, there) == 0) continue;
        const char *key = texts[0] + (strncmp(texts[0], "effnet.", 7) == 0 ? 7 : 0);
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "only models of one kind can be averaged: %s is '%.60s' in '%.150s' and '%.60s' in '%.150s'", key,
                    turned ? there : here, run->files[0], turned ? here : there, run->files[which]);
    }
    return EFFNET_OK;
}

static effnet_status compare_classes(const Averaging *run, int which, const ModelCard *card, effnet_error *err) {
    const ModelCard *first = &run->model->card;
    for (int i = 0; first->class_names && card->class_names && i < card->config.num_classes; i++)
        if (strcmp(first->class_names[i], card->class_names[i]) != 0)
            return fail(err, EFFNET_ERROR_ARGUMENT,
                        "only models of one kind can be averaged: class %d is '%.60s' in '%.150s' and '%.60s' in "
                        "'%.150s'",
                        i, first->class_names[i], run->files[0], card->class_names[i], run->files[which]);
    return EFFNET_OK;
}

static effnet_status compare_cards(const Averaging *run, int which, const ModelCard *card, effnet_error *err) {
    char **first, **texts;
    TRY(card_metadata(&run->model->card, &first, err));
    effnet_status status = card_metadata(card, &texts, err);
    if (status == EFFNET_OK) {
        status = compare_texts(run, which, first, texts, false, err);
        if (status == EFFNET_OK) status = compare_texts(run, which, texts, first, true, err);
        if (status == EFFNET_OK) status = compare_classes(run, which, card, err);
        card_metadata_free(texts);
    }
    card_metadata_free(first);
    return status;
}

/* ---- the mean ---- */

static void add(double *sums, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] += (double)values[i];
}

static void divide(const double *sums, size_t count, int by, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = (float)(sums[i] / by);
}

static effnet_status add_file(Averaging *run, int which, effnet_error *err) {
    const Network *network = &run->model->network;
    ModelCard card, *mine = &run->model->card;
    TRY(weights_read_card(run->files[which], &card, err));
    effnet_status status = compare_cards(run, which, &card, err);
    if (card.step > mine->step) mine->step = card.step;
    if (strcmp(card.listing, mine->listing) != 0) mine->listing[0] = 0; /* they were not trained on the same */
    model_card_free(&card);
    if (status != EFFNET_OK) return status;
    TRY(weights_read(run->files[which], network, run->one, run->one_statistics, false, NULL, err));
    add(run->parameters, run->one, network->parameter_floats);
    add(run->statistics, run->one_statistics, network->statistic_floats);
    return EFFNET_OK;
}

static effnet_status make_mean(Averaging *run, effnet_error *err) {
    const Network *network = &run->model->network;
    void *block;
    TRY(memory_allocate_floats(1, network->parameter_floats, "the weights", &run->one, err));
    TRY(memory_allocate_floats(1, network->statistic_floats, "the statistics", &run->one_statistics, err));
    TRY(memory_allocate(network->parameter_floats, sizeof(double), "the sum of the weights", &block, err));
    run->parameters = block;
    TRY(memory_allocate(network->statistic_floats, sizeof(double), "the sum of the statistics", &block, err));
    run->statistics = block;
    add(run->parameters, run->model->parameters, network->parameter_floats);
    add(run->statistics, run->model->statistics, network->statistic_floats);
    for (int i = 1; i < run->count; i++) TRY(add_file(run, i, err));
    divide(run->parameters, network->parameter_floats, run->count, run->model->parameters);
    divide(run->statistics, network->statistic_floats, run->count, run->model->statistics);
    return EFFNET_OK;
}

/* ---- statistics ---- */

static effnet_status estimate(Averaging *run, effnet_error *err) {
    const effnet_average_options *options = run->options;
    Dataset *dataset;
    TRY(dataset_open(options->data, SPLIT_TRAIN, NULL, &dataset, err));
    model_tell_remarks(dataset, options->progress, options->progress_context);
    const BatchNormEstimate estimate = {.network = &run->model->network,
                                        .parameters = run->model->parameters,
                                        .statistics = run->model->statistics,
                                        .transform = &run->model->card.transform,
                                        .dataset = dataset,
                                        .batch = options->batch ? options->batch : DEFAULT_BATCH,
                                        .pictures = options->pictures ? options->pictures : DEFAULT_PICTURES,
                                        .workers = options->workers,
                                        .team = run->model->team,
                                        .progress = options->progress,
                                        .progress_context = options->progress_context};
    effnet_status status = batch_norm_estimate(&estimate, &run->estimated, err);
    dataset_free(dataset);
    return status;
}

/* A sentence more where the weights come from. */
static effnet_status note(Averaging *run, effnet_error *err) {
    ModelCard *card = &run->model->card;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a note");
    if (card->origin) fprintf(stream, "%s\n", card->origin);
    if (run->count > 1) fprintf(stream, "mean of the weights of %d files: ", run->count);
    for (int i = 0; run->count > 1 && i < run->count && i < MOST_NAMED; i++)
        fprintf(stream, "%s%s", i ? ", " : "", run->files[i]);
    if (run->count > MOST_NAMED) fprintf(stream, ", ...");
    if (run->count > 1) fprintf(stream, "; ");
    if (run->options->data)
        fprintf(stream, "batch norm statistics estimated on %lld pictures of %s", (long long)run->estimated,
                run->options->data);
    else
        fprintf(stream, "batch norm statistics averaged like the weights");
    if (fclose(stream) != 0) {
        free(text);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a note");
    }
    free(card->origin);
    card->origin = text;
    return EFFNET_OK;
}

static effnet_status check_options(const effnet_average_options *options, int count, effnet_error *err) {
    if (count < 1 || count > MOST_PATHS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "count is %d; allowed: 1 to %d", count, MOST_PATHS);
    if (options->pictures < 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "pictures is %lld; allowed: 1 or more, or 0 for %d",
                    (long long)options->pictures, DEFAULT_PICTURES);
    if (options->batch < 0 || options->batch == 1 || options->batch > MOST_BATCH)
        return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 2 to %d, or 0 for %d", options->batch,
                    MOST_BATCH, DEFAULT_BATCH);
    return EFFNET_OK;
}

effnet_status effnet_average(const char *const *paths, int count, const effnet_average_options *options,
                             effnet_model **out, effnet_error *error) {
    effnet_average_options chosen;
    NEED_OUT(out);
    NEED(paths);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_average_options", error));
    TRY(check_options(&chosen, count, error));
    Averaging run = {.options = &chosen};
    const effnet_model_options opening = {.struct_size = sizeof opening,
                                          .raw_weights = chosen.raw_weights,
                                          .threads = chosen.threads,
                                          .team = chosen.team};
    effnet_status status = find_files(&run, paths, count, error);
    if (status == EFFNET_OK) status = effnet_model_open(run.files[0], &opening, &run.model, error);
    if (status == EFFNET_OK) status = make_mean(&run, error);
    if (status == EFFNET_OK && chosen.data) status = estimate(&run, error);
    if (status == EFFNET_OK) status = note(&run, error);
    memory_free(run.files);
    memory_free(run.one);
    memory_free(run.one_statistics);
    memory_free(run.parameters);
    memory_free(run.statistics);
    if (status != EFFNET_OK) {
        effnet_model_free(run.model);
        return status;
    }
    free(run.model->file); /* read from several, and no checkpoint's */
    run.model->file = NULL;
    *out = run.model;
    return EFFNET_OK;
}
