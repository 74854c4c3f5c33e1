/* batch_norm_estimate.c - see batch_norm_estimate.h. A forward pass in training with a momentum of 0 leaves the statistics
 * of its own batch; they are added up in doubles, batch by batch. Drop path and dropout are off. */
#include "train/batch_norm_estimate.h"

#include "base/memory.h"
#include "data/feed/loader.h"
#include "engine/engine.h"
#include "train/picture_progress.h"

#include <math.h>
#include <string.h>

typedef struct Estimating {
    const BatchNormEstimate *estimate;
    Network network; /* the estimate's, its momentum 0 */
    int batch;
    int64_t steps, done; /* batches to do and done */
    Engine *engine;
    Loader *loader;
    float *statistics, *logits; /* of a batch; nobody looks at the logits */
    double *sums;
    PictureProgress progress;
} Estimating;

static effnet_status open_all(Estimating *run, effnet_error *err) {
    const BatchNormEstimate *estimate = run->estimate;
    const EngineVtable *kind;
    void *block;
    TRY(memory_allocate_floats(1, run->network.statistic_floats, "the statistics of a batch", &run->statistics, err));
    TRY(memory_allocate_floats((size_t)run->batch, (size_t)run->network.config.num_classes, "the logits", &run->logits,
                               err));
    TRY(memory_allocate(run->network.statistic_floats, sizeof *run->sums, "the sums of the statistics", &block, err));
    run->sums = block;
    TRY(engine_find(NULL, &kind, err));
    const EngineOptions options = {.batch = run->batch, .training = true, .team = estimate->team};
    TRY(engine_create(kind, &run->network, &options, &run->engine, err));
    const LoaderOptions loader = {.dataset = estimate->dataset,
                                  .preprocess = preprocess_of_transform(estimate->transform),
                                  .training = true,
                                  .plain = true,
                                  .batch = run->batch,
                                  .workers = estimate->workers,
                                  .bad_images = BAD_IMAGES_SKIP};
    return loader_create(&loader, &run->loader, err);
}

static effnet_status run_batches(Estimating *run, effnet_error *err) {
    const BatchNormEstimate *estimate = run->estimate;
    for (; run->done < run->steps; run->done++) {
        Batch batch;
        TRY(loader_next(run->loader, &batch, err));
        const bool stop = picture_progress_warn(&run->progress, run->done * run->batch, run->loader);
        const EngineForward call = {.batch = batch.size,
                                    .images = batch.images,
                                    .parameters = estimate->parameters,
                                    .statistics = run->statistics,
                                    .training = true,
                                    .logits = run->logits};
        TRY(engine_forward(run->engine, &call, err));
        for (size_t i = 0; i < run->network.statistic_floats; i++) run->sums[i] += (double)run->statistics[i];
        if (picture_progress_tell(&run->progress, (run->done + 1) * run->batch) || stop)
            return fail(err, EFFNET_INTERRUPTED, "interrupted; nothing was written");
    }
    return EFFNET_OK;
}

static effnet_status finish(const Estimating *run, effnet_error *err) {
    const Network *network = &run->network;
    for (int i = 0; i < network->num_statistics; i++) {
        const Parameter *statistic = &network->statistics[i];
        for (size_t k = statistic->offset; k < statistic->offset + statistic->count; k++) {
            run->estimate->statistics[k] = (float)(run->sums[k] / (double)run->steps);
            if (!isfinite(run->estimate->statistics[k]))
                return fail(err, EFFNET_ERROR_NUMERIC, "'%s' of these pictures is not finite: the weights are damaged",
                            statistic->name);
        }
    }
    return EFFNET_OK;
}

effnet_status batch_norm_estimate(const BatchNormEstimate *estimate, int64_t *used, effnet_error *err) {
    const int64_t all = dataset_size(estimate->dataset);
    *used = 0;
    if (all < 1) return fail(err, EFFNET_ERROR_ARGUMENT, "there are no pictures to estimate batch norm statistics on");
    Estimating run = {.estimate = estimate,
                      .network = *estimate->network,
                      .batch = all < estimate->batch ? (int)all : estimate->batch,
                      .progress = {.tell = estimate->progress,
                                   .context = estimate->progress_context,
                                   .phase = "statistics",
                                   .message_phase = "statistics"}};
    run.network.config.bn_momentum = 0;
    const int64_t batches = all / run.batch, wanted = (estimate->pictures + run.batch - 1) / run.batch;
    run.steps = wanted < batches ? wanted : batches;
    run.progress.pictures = run.steps * run.batch;
    picture_progress_begin(&run.progress);
    effnet_status status = open_all(&run, err);
    if (status == EFFNET_OK) status = run_batches(&run, err);
    if (status == EFFNET_OK) status = finish(&run, err);
    if (status == EFFNET_OK) *used = run.steps * run.batch;
    loader_free(run.loader);
    engine_free(run.engine);
    memory_free(run.statistics);
    memory_free(run.logits);
    memory_free(run.sums);
    return status;
}
