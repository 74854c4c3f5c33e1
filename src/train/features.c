/* features.c - see features.h. */
#include "train/features.h"

#include "base/memory.h"
#include "data/transform/mirror.h"
#include "train/picture_progress.h"

#include <string.h>

enum { BATCH = 32 };

typedef struct Collecting {
    const FeatureOptions *options;
    FeatureSet *out;
    Engine *engine;
    Loader *loader;
    float *mirror; /* (BATCH, the input) */
    PictureProgress progress;
    int64_t done;
} Collecting;

static effnet_status add_rows(Collecting *run, const Batch *batch, const float *images, effnet_error *err) {
    FeatureSet *out = run->out;
    const size_t width = (size_t)run->options->network->features, row = (size_t)out->data.rows;
    const EngineForward call = {.batch = batch->size,
                                .images = images,
                                .parameters = run->options->parameters,
                                .statistics = run->options->statistics,
                                .kept = out->values + row * width,
                                .version = 1};
    TRY(engine_forward(run->engine, &call, err));
    for (int i = 0; i < batch->size; i++) {
        out->labels[row + (size_t)i] = batch->labels[i];
        out->pictures[row + (size_t)i] = (int32_t)batch->pictures[i];
    }
    out->data.rows += batch->size;
    return EFFNET_OK;
}

static effnet_status run_batches(Collecting *run, effnet_error *err) {
    const Network *network = run->options->network;
    for (Batch batch;;) {
        TRY(loader_next(run->loader, &batch, err));
        bool stop = picture_progress_warn(&run->progress, run->done, run->loader);
        if (batch.size == 0) return EFFNET_OK;
        TRY(add_rows(run, &batch, batch.images, err));
        if (run->mirror) {
            images_mirror(batch.images, batch.size, network->config.input, run->mirror);
            TRY(add_rows(run, &batch, run->mirror, err));
        }
        run->done += batch.size;
        stop = picture_progress_tell(&run->progress, run->done) || stop;
        if (stop) return fail(err, EFFNET_INTERRUPTED, "interrupted before the first step");
    }
}

static int pool_output(const Network *network) {
    for (int i = 0; i < network->num_ops; i++)
        if (network->ops[i].kind == OP_GLOBAL_POOL) return network->ops[i].output;
    return 0;
}

static effnet_status allocate(Collecting *run, effnet_error *err) {
    const FeatureOptions *options = run->options;
    const Network *network = options->network;
    FeatureSet *out = run->out;
    const size_t rows = (size_t)dataset_size(options->dataset) * (size_t)options->views * (options->mirrored ? 2 : 1);
    void *block;
    TRY(memory_allocate_floats(rows, (size_t)network->features, "the features of the pictures", &out->values, err));
    TRY(memory_allocate(rows, sizeof *out->labels, "the labels of the pictures", &block, err));
    out->labels = block;
    TRY(memory_allocate(rows, sizeof *out->pictures, "the numbers of the pictures", &block, err));
    out->pictures = block;
    if (options->mirrored)
        TRY(memory_allocate_floats(BATCH, shape_floats(network->config.input), "the mirrored pictures", &run->mirror,
                                   err));
    out->data = (ProbeData){.features = network->features,
                            .classes = network->config.num_classes,
                            .values = out->values,
                            .labels = out->labels,
                            .pictures = out->pictures};
    return EFFNET_OK;
}

static effnet_status open_all(Collecting *run, effnet_error *err) {
    const FeatureOptions *options = run->options;
    const Network *network = options->network;
    const EngineVtable *engine;
    TRY(allocate(run, err));
    TRY(engine_find(options->recipe->engine, &engine, err));
    const EngineOptions made = {.batch = BATCH, .keep = pool_output(network), .team = options->team};
    TRY(engine_create(engine, network, &made, &run->engine, err));
    return EFFNET_OK;
}

/* The same pictures as an evaluation shows them, or less or more of each. Where an evaluation shows all of a picture, so
 * does the first view, and the others are of its middle. */
static effnet_status open_view(Collecting *run, int view, effnet_error *err) {
    static const double shares[] = {0, 1, 0.75}; /* of the shorter side; 0: the recipe's */
    const FeatureOptions *options = run->options;
    LoaderOptions loader;
    TRY(loader_options_from_recipe(options->recipe, options->network->config.input, options->dataset, false, &loader,
                                   err));
    loader.batch = BATCH;
    loader.cache = false;
    loader.drop_remainder = false;
    if (shares[view] > 0) {
        if (loader.preprocess.transform.val_crop == VAL_CROP_NONE)
            loader.preprocess.transform.val_crop = VAL_CROP_CENTER;
        loader.preprocess.transform.crop_pct = shares[view];
    }
    return loader_create(&loader, &run->loader, err);
}

static effnet_status run_views(Collecting *run, effnet_error *err) {
    for (int view = 0; view < run->options->views; view++) {
        TRY(open_view(run, view, err));
        TRY(run_batches(run, err));
        if (view == 0) run->out->skipped = loader_skipped(run->loader);
        loader_free(run->loader);
        run->loader = NULL;
    }
    return EFFNET_OK;
}

effnet_status features_collect(const FeatureOptions *options, FeatureSet *out, effnet_error *err) {
    *out = (FeatureSet){0};
    Collecting run = {.options = options,
                      .out = out,
                      .progress = {.tell = options->progress,
                                   .context = options->progress_context,
                                   .phase = "features",
                                   .message_phase = "train",
                                   .pictures = dataset_size(options->dataset) * options->views}};
    picture_progress_begin(&run.progress);
    effnet_status status = open_all(&run, err);
    if (status == EFFNET_OK) status = run_views(&run, err);
    loader_free(run.loader);
    engine_free(run.engine);
    memory_free(run.mirror);
    return status;
}

void features_free(FeatureSet *features) {
    memory_free(features->values);
    memory_free(features->labels);
    memory_free(features->pictures);
    *features = (FeatureSet){0};
}
