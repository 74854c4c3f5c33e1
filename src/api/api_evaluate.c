/* api_evaluate.c - accuracy of a model on a folder of pictures. */
#include "api/handles.h"

#include "data/sources/class_match.h"
#include "data/feed/loader.h"

enum { DEFAULT_BATCH = 64, MAX_BATCH = 65536 };

/* The model's own weights, its engine: a LogitsFunction. */
static effnet_status model_logits(void *context, int set, const ExecutorBatch *batch, float *logits,
                                  effnet_error *err) {
    (void)set;
    const effnet_model *model = context;
    const EngineForward call = {.batch = batch->size,
                                .images = batch->images,
                                .parameters = model->parameters,
                                .statistics = model->statistics,
                                .logits = logits};
    return engine_forward(model->engine, &call, err);
}

static effnet_status evaluate(effnet_model *model, const Dataset *dataset, int batch, int workers,
                              effnet_progress_function *progress, void *context, Accuracy *out, effnet_error *err) {
    const LoaderOptions options = {
        .dataset = dataset,
        .preprocess = model->preprocess,
        .batch = batch,
        .workers = workers,
        .bad_images = BAD_IMAGES_SKIP,
    };
    Loader *loader;
    TRY(model_engine(model, batch, err));
    TRY(loader_create(&options, &loader, err));
    const Evaluation evaluation = {.logits = model_logits,
                                   .logits_context = model,
                                   .count = 1,
                                   .classes = model->network.config.num_classes,
                                   .loader = loader,
                                   .pictures = dataset_size(dataset),
                                   .progress = progress,
                                   .progress_context = context};
    effnet_status status = evaluate_all(&evaluation, out, err);
    loader_free(loader);
    return status;
}

static void tell_remarks(const Dataset *dataset, effnet_progress_function *progress, void *context) {
    for (int i = 0; progress && dataset_remark(dataset, i); i++) {
        const effnet_progress remark = {.phase = "data",
                                        .message = dataset_remark(dataset, i),
                                        .top1 = -1,
                                        .top5 = -1,
                                        .ema_top1 = -1,
                                        .ema_top5 = -1};
        (void)progress(context, &remark); /* a wish to stop is asked for again at the first batch */
    }
}

effnet_status effnet_evaluate(effnet_model *model, const char *data, int batch, int workers,
                              effnet_progress_function *progress, void *context, effnet_evaluation *out,
                              effnet_error *error) {
    Dataset *dataset;
    Accuracy accuracy = {0};
    if (batch == 0) batch = DEFAULT_BATCH;
    if (batch < 1 || batch > MAX_BATCH)
        return fail(error, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to %d, or 0 for the default", batch,
                    MAX_BATCH);
    if (workers < 0 || workers > 256)
        return fail(error, EFFNET_ERROR_ARGUMENT, "workers is %d; allowed: 1 to 256, or 0 for one a processor",
                    workers);
    TRY(dataset_open(data, SPLIT_EVALUATION, NULL, &dataset, error));
    tell_remarks(dataset, progress, context);
    effnet_status status = classes_match(dataset, (const char *const *)model->card.class_names,
                                         model->network.config.num_classes, data, error);
    if (status == EFFNET_OK) status = evaluate(model, dataset, batch, workers, progress, context, &accuracy, error);
    if (status == EFFNET_OK && accuracy.images == 0)
        status = fail(error, EFFNET_ERROR_FORMAT, "not one picture of '%s' could be read", data);
    dataset_free(dataset);
    if (status != EFFNET_OK) return status;
    *out = (effnet_evaluation){
        .images = accuracy.images,
        .skipped = accuracy.skipped,
        .top1 = accuracy.top1,
        .top5 = accuracy.top5,
        .loss = accuracy.loss,
        .seconds = accuracy.seconds,
        .images_per_s = accuracy.seconds > 0 ? (double)accuracy.images / accuracy.seconds : 0,
    };
    return EFFNET_OK;
}
