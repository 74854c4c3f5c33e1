/* api_finetune.c - from trained weights and a folder of pictures to a classifier, in one call:
 *
 *   weights -> recipe by the set's size -> features of the training pictures -> classifier (train/probe.h)
 *   -> OUT/start.safetensors -> a run of all weights (train/loop.c), which evaluates its beginning too -> the best
 *
 * So a fine-tuning ends with no less than a linear classifier on the features that there were. */
#include "api/handles.h"
#include "api/api_series.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/number_text.h"
#include "model/input_channels.h"
#include "report/reference_curve.h"
#include "train/features.h"
#include "train/finetune_recipe.h"
#include "train/run_check.h"
#include "train/run_classes.h"
#include "train/run_state.h"
#include "train/from_recipe.h"
#include "train/weights.h"
#include "train/loop.h"

#include <stdlib.h>
#include <string.h>

/* Pictures of which features are kept: in three views, mirrored too, at all. Above, the classifier begins with zeros. */
enum { MOST_VIEWED = 2000, MOST_MIRRORED = 10000, MOST_PICTURES = 100000 };

typedef struct Finetune {
    const char *pictures;
    const effnet_finetune_options *options;
    effnet_model *source;
    Recipe recipe;
    char out[1000], start[1100];
    Dataset *train_set;
    int64_t evaluated; /* pictures kept apart */
    Network network;
    ThreadTeam *team;
    float *parameters; /* of network: the source's, and the fitted classifier */
    ProbeResult probe;
    bool probed;
} Finetune;

static void finetune_free(Finetune *run) {
    effnet_model_free(run->source);
    dataset_free(run->train_set);
    network_free(&run->network);
    thread_team_free(run->team);
    free(run->parameters);
}

static effnet_status tell(const Finetune *run, const char *phase, const char *message, effnet_error *err) {
    const effnet_progress progress = {.struct_size = sizeof progress,
                                      .phase = phase,
                                      .message = message,
                                      .step = dataset_size(run->train_set),
                                      .steps = dataset_size(run->train_set),
                                      .top1 = -1,
                                      .top5 = -1,
                                      .ema_top1 = -1,
                                      .ema_top5 = -1};
    if (!run->options->progress || !run->options->progress(run->options->progress_context, &progress)) return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "interrupted before the first step");
}

/* A run or checkpoint of ours, or a file of any program that is known. */
static effnet_status open_source(Finetune *run, effnet_error *err) {
    const char *from = run->options->from, *naming = "";
    const effnet_model_options opening = {.struct_size = sizeof opening, .threads = run->options->threads};
    const effnet_import_options import = {.struct_size = sizeof import, .threads = run->options->threads};
    char named[1024];
    effnet_error ignored;
    const bool ours =
        path_is_folder(from) ||
        (model_is_file(from) && model_find_file(from, false, named, sizeof named, &ignored) == EFFNET_OK &&
         strcmp(named, from) != 0);
    if (ours) return effnet_model_open(from, &opening, &run->source, err);
    return effnet_model_import(from, &import, &run->source, &naming, err);
}

static effnet_status apply_settings(const effnet_finetune_options *options, Recipe *recipe, effnet_error *err) {
    for (const char *const *at = options->settings; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        char key[100];
        if (!equals || equals == *at || (size_t)(equals - *at) >= sizeof key)
            return fail(err, EFFNET_ERROR_ARGUMENT, "the setting '%.60s' is not KEY=VALUE", *at);
        snprintf(key, sizeof key, "%.*s", (int)(equals - *at), *at);
        TRY(recipe_set(recipe, key, equals + 1, err));
    }
    return EFFNET_OK;
}

/* The folder that the pictures' path ends with, below runs/. */
static effnet_status choose_out(const char *pictures, const char *given, char *out, size_t size, effnet_error *err) {
    if (given) {
        if ((size_t)snprintf(out, size, "%s", given) < size) return EFFNET_OK;
        return fail(err, EFFNET_ERROR_ARGUMENT, "the run folder is too long: '%.80s...'", given);
    }
    size_t end = strlen(pictures);
    while (end > 1 && pictures[end - 1] == '/') end--;
    size_t first = end;
    while (first > 0 && pictures[first - 1] != '/') first--;
    if (end == first || end - first > 200 || pictures[first] == '.' || pictures[first] == '@')
        snprintf(out, size, "runs/finetune");
    else
        snprintf(out, size, "runs/%.*s", (int)(end - first), pictures + first);
    return EFFNET_OK;
}

/* The pictures by the user's splits, then the recipe by their number, with the user's settings over it. */
static effnet_status choose_recipe(Finetune *run, effnet_error *err) {
    Recipe asked;
    recipe_defaults(&asked);
    TRY(apply_settings(run->options, &asked, err));
    TRY(dataset_open_with(run->pictures, SPLIT_TRAIN, asked.train_split, asked.val_split, &run->train_set, err));
    TRY(run_check_classes(run->train_set, run->pictures, err));
    Dataset *val_set; /* whose faults are to be known before the work begins */
    TRY(dataset_open_with(run->pictures, SPLIT_VALIDATION, asked.train_split, asked.val_split, &val_set, err));
    run->evaluated = dataset_size(val_set);
    dataset_free(val_set);
    finetune_recipe(&run->source->card, dataset_size(run->train_set), &run->recipe);
    TRY(apply_settings(run->options, &run->recipe, err));
    ReferenceCurve reference; /* read by the run; wrong text is told before the work begins */
    TRY(reference_curve_read(run->recipe.reference_curve, &reference, err));
    TRY(recipe_need_batch(&run->recipe, "fine-tuning, whose learning rate goes with its batch,", err));
    if (strcmp(run->recipe.model, run->source->card.config.name) != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "model is %.40s and the weights are of %s; leave it out",
                    run->recipe.model, run->source->card.config.name);
    if (run->options->threads > 0) run->recipe.threads = run->options->threads;
    run->recipe.num_classes = dataset_num_classes(run->train_set);
    return recipe_check(&run->recipe, err);
}

/* The source's weights in a network with the data's classes; its classifier is zero. */
static effnet_status build_network(Finetune *run, effnet_error *err) {
    ModelConfig config;
    bool statistic;
    TRY(model_config_from_recipe(&run->recipe, 0, &config, err));
    TRY(network_from_recipe(&run->recipe, &config, &run->network, err));
    const Parameter *here = network_find(&run->network, "classifier.weight", &statistic);
    const Parameter *there = network_find(&run->source->network, "classifier.weight", &statistic);
    if (!here || !there ||
        here->offset - network_stem(&run->network)->count !=
            there->offset - network_stem(&run->source->network)->count ||
        here->shape[1] != there->shape[1])
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "'%s' has another shape than %s as the settings make it; leave out head_width and se_round",
                    run->options->from, config.name);
    run->parameters = calloc(run->network.parameter_floats, sizeof *run->parameters);
    if (!run->parameters) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the weights");
    const Parameter *stem = network_stem(&run->network), *trained = network_stem(&run->source->network);
    stem_for_channels(run->source->parameters + trained->offset, stem->shape[0], trained->shape[1],
                      stem->shape[2] * stem->shape[3], stem->shape[1], run->parameters + stem->offset);
    memcpy(run->parameters + stem->offset + stem->count, run->source->parameters + trained->offset + trained->count,
           (here->offset - stem->count) * sizeof *run->parameters);
    return thread_team_create((int)run->recipe.threads, &run->team, err);
}

static bool asked_to_stop(void *context) {
    const Finetune *run = context;
    effnet_error ignored;
    return tell(run, "features", NULL, &ignored) != EFFNET_OK;
}

/* The classifier on the features as they are. */
static effnet_status fit_classifier(Finetune *run, effnet_error *err) {
    const int64_t pictures = dataset_size(run->train_set);
    FeatureSet features;
    bool statistic;
    if (pictures > MOST_PICTURES) return EFFNET_OK;
    const FeatureOptions options = {.network = &run->network,
                                    .parameters = run->parameters,
                                    .statistics = run->source->statistics,
                                    .recipe = &run->recipe,
                                    .dataset = run->train_set,
                                    .views = pictures <= MOST_VIEWED ? 3 : 1,
                                    .mirrored = run->recipe.hflip > 0 && pictures <= MOST_MIRRORED,
                                    .team = run->team,
                                    .progress = run->options->progress,
                                    .progress_context = run->options->progress_context};
    effnet_status status = features_collect(&options, &features, err);
    if (status == EFFNET_OK && features.data.rows == 0)
        status = fail(err, EFFNET_ERROR_FORMAT, "not one picture of '%s' could be read", run->pictures);
    const Parameter *weight = network_find(&run->network, "classifier.weight", &statistic);
    const Parameter *bias = network_find(&run->network, "classifier.bias", &statistic);
    if (status == EFFNET_OK)
        status = probe_fit(&features.data, run->team, asked_to_stop, run, run->parameters + weight->offset,
                           run->parameters + bias->offset, &run->probe, err);
    run->probed = status == EFFNET_OK;
    features_free(&features);
    return status;
}

/* The classes' names, as a run of this data will have them, and whose weights these were. */
static effnet_status write_start(Finetune *run, effnet_error *err) {
    ModelCard card;
    char origin[700];
    TRY(path_join(run->start, sizeof run->start, run->out, "start.safetensors", err));
    TRY(folder_create(run->out, err));
    model_card_from_recipe(&run->recipe, &run->network.config, &card);
    card.class_names = run_class_names(run->train_set, (int)run->recipe.num_classes);
    if (!card.class_names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of the classes");
    snprintf(origin, sizeof origin, "weights of %.300s with a classifier of their features", run->options->from);
    card.origin = origin;
    effnet_status status =
        weights_write(run->start, &run->network, run->parameters, run->source->statistics, &card, err);
    free(card.class_names);
    return status;
}

static effnet_status tell_plan(const Finetune *run, effnet_error *err) {
    const Recipe *recipe = &run->recipe;
    char text[400];
    number_print(text, sizeof text,
                 "%lld training pictures of %lld classes, %lld to evaluate on: %lld epochs in batches of %lld at "
                 "%dx%d, learning rate %.2g falling to %.2g of it at the stem, batch norm %s",
                 (long long)dataset_size(run->train_set), (long long)recipe->num_classes, (long long)run->evaluated,
                 (long long)recipe->epochs, (long long)recipe->batch_size, run->network.config.input.height,
                 run->network.config.input.width, recipe_learning_rate(recipe), run->network.parameters[0].lr_scale,
                 run->network.ops[1].frozen ? "by its running statistics" : "by each batch");
    TRY(tell(run, "run", text, err));
    if (!run->probed) return EFFNET_OK;
    number_print(text, sizeof text,
                 "a classifier for the features as they are: %.2f %% in a cross-validation on the training pictures",
                 run->probe.accuracy);
    return tell(run, "run", text, err);
}

static void fill_result(const Finetune *run, const effnet_train_result *trained, double began,
                        effnet_finetune_result *out) {
    *out = (effnet_finetune_result){.num_classes = (int)run->recipe.num_classes,
                                    .resolution = run->network.config.input.height,
                                    .resolution_width = run->network.config.input.width,
                                    .training = dataset_size(run->train_set),
                                    .images = trained->images,
                                    .head_top1 = trained->first_top1,
                                    .top1 = trained->best_top1,
                                    .top1_low = trained->top1_low,
                                    .top1_high = trained->top1_high,
                                    .best_step = trained->best_step,
                                    .steps = trained->steps,
                                    .seconds = clock_seconds() - began};
    snprintf(out->model, sizeof out->model, "%s", run->network.config.name);
    if (trained->best_step >= 0)
        snprintf(out->checkpoint, sizeof out->checkpoint, "%.950s/checkpoints/%08lld", run->out,
                 (long long)trained->best_step);
    snprintf(out->report, sizeof out->report, "%s", trained->report);
}

static effnet_status finetune(Finetune *run, effnet_train_result *trained, effnet_error *err) {
    TRY(run_state_check_new(run->out, err));
    TRY(open_source(run, err));
    TRY(choose_recipe(run, err));
    TRY(build_network(run, err));
    TRY(fit_classifier(run, err));
    TRY(tell_plan(run, err));
    TRY(write_start(run, err));
    const effnet_train_options options = {.struct_size = sizeof options,
                                          .data = run->pictures,
                                          .out = run->out,
                                          .init = run->start,
                                          .threads = run->options->threads,
                                          .progress = run->options->progress,
                                          .progress_context = run->options->progress_context,
                                          .no_report = run->options->no_report,
                                          .evaluate_first = true,
                                          .end_with_best = true};
    Recipe resolved = run->recipe; /* written into by the run */
    return train_run(&resolved, &options, trained, err);
}

static effnet_status begin(const char *pictures, const effnet_finetune_options *options, effnet_finetune_result *told,
                           effnet_error *err) {
    const double began = clock_seconds();
    effnet_train_result trained = {.best_step = -1, .first_top1 = -1, .best_top1 = -1};
    Finetune *run = calloc(1, sizeof *run);
    if (!run) return fail(err, EFFNET_ERROR_MEMORY, "no memory to fine-tune");
    run->pictures = pictures;
    run->options = options;
    snprintf(run->out, sizeof run->out, "%s", options->out);
    effnet_status status = finetune(run, &trained, err);
    if (run->train_set) fill_result(run, &trained, began, told);
    finetune_free(run);
    free(run);
    return status;
}

/* An interrupted run, by what it left. */
static effnet_status go_on(const char *pictures, const effnet_finetune_options *options, effnet_finetune_result *told,
                           effnet_error *err) {
    char path[1100];
    Recipe recipe;
    effnet_train_result trained;
    TRY(path_join(path, sizeof path, options->out, "recipe.yaml", err));
    TRY(recipe_read(path, &recipe, err));
    const effnet_train_options resumed = {.struct_size = sizeof resumed,
                                          .data = pictures,
                                          .out = options->out,
                                          .resume = true,
                                          .threads = options->threads,
                                          .no_report = options->no_report,
                                          .end_with_best = true,
                                          .progress = options->progress,
                                          .progress_context = options->progress_context};
    effnet_status status = train_run(&recipe, &resumed, &trained, err);
    *told = (effnet_finetune_result){.num_classes = (int)recipe.num_classes,
                                     .resolution = recipe.resolution.height,
                                     .resolution_width = recipe.resolution.width,
                                     .images = trained.images,
                                     .head_top1 = -1,
                                     .top1 = trained.best_top1,
                                     .top1_low = trained.top1_low,
                                     .top1_high = trained.top1_high,
                                     .best_step = trained.best_step,
                                     .steps = trained.steps,
                                     .seconds = trained.seconds};
    snprintf(told->model, sizeof told->model, "%.60s", recipe.model);
    if (trained.best_step >= 0)
        snprintf(told->checkpoint, sizeof told->checkpoint, "%.950s/checkpoints/%08lld", options->out,
                 (long long)trained.best_step);
    snprintf(told->report, sizeof told->report, "%s", trained.report);
    return status;
}

static effnet_status finetune_once(const char *pictures, const effnet_finetune_options *options,
                                   effnet_finetune_result *told, effnet_error *err) {
    return !options->from ? go_on(pictures, options, told, err) : begin(pictures, options, told, err);
}

effnet_status effnet_finetune(const char *pictures, const effnet_finetune_options *options,
                              effnet_finetune_result *result, effnet_error *error) {
    effnet_finetune_options chosen;
    effnet_finetune_result told = {.head_top1 = -1, .top1 = -1, .best_step = -1};
    char out[1000];
    Recipe asked;
    bool series;
    NEED(pictures);
    if (result) TRY(result_clear(result, "effnet_finetune_result", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_finetune_options", error));
    TRY(choose_out(pictures, chosen.out, out, sizeof out, error));
    chosen.out = out;
    recipe_defaults(&asked);
    TRY(apply_settings(&chosen, &asked, error));
    TRY(recipe_check_series(&asked, error));
    TRY(api_series_is_meant(&asked, out, !chosen.from, &series, error));
    effnet_status status = series ? api_finetune_series(pictures, &chosen, &asked, finetune_once, &told, error)
                                  : finetune_once(pictures, &chosen, &told, error);
    if (result) result_write(result, &told, sizeof told);
    return status;
}
