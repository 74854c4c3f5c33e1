/* api_evaluate.c - accuracy of a model on a folder of pictures. */
#include "api/handles.h"

#include "data/sources/class_match.h"
#include "data/feed/loader.h"

enum { DEFAULT_BATCH = 64, MAX_BATCH = 65536 };

typedef struct Judge {
    effnet_model *model;
    ModelState *state;
} Judge;

/* The model's own weights, its engine: a LogitsFunction. */
static effnet_status model_logits(void *context, int set, const ExecutorBatch *batch, float *logits,
                                  effnet_error *err) {
    const Judge *judge = context;
    (void)set;
    return model_state_run(judge->model, judge->state, batch->images, batch->size, logits, NULL, err);
}

static effnet_status evaluate(effnet_model *model, const Dataset *dataset, const effnet_evaluate_options *chosen,
                              Accuracy *out, effnet_error *err) {
    const LoaderOptions options = {
        .dataset = dataset,
        .preprocess = model->preprocess,
        .batch = chosen->batch,
        .workers = chosen->workers,
        .bad_images = BAD_IMAGES_SKIP,
    };
    Loader *loader;
    Judge judge = {.model = model};
    TRY(loader_create(&options, &loader, err));
    const Evaluation evaluation = {.logits = model_logits,
                                   .logits_context = &judge,
                                   .count = 1,
                                   .classes = model->network.config.num_classes,
                                   .loader = loader,
                                   .pictures = dataset_size(dataset),
                                   .progress = chosen->progress,
                                   .progress_context = chosen->progress_context};
    effnet_status status = model_state_take(model, chosen->batch, 0, &judge.state, err);
    if (status == EFFNET_OK) status = evaluate_all(&evaluation, out, err);
    model_state_give(model, judge.state);
    loader_free(loader);
    return status;
}

static void tell_remarks(const Dataset *dataset, effnet_progress_function *progress, void *context) {
    for (int i = 0; progress && dataset_remark(dataset, i); i++) {
        const effnet_progress remark = {.struct_size = sizeof remark,
                                        .phase = "data",
                                        .message = dataset_remark(dataset, i),
                                        .top1 = -1,
                                        .top5 = -1,
                                        .ema_top1 = -1,
                                        .ema_top5 = -1};
        (void)progress(context, &remark); /* a wish to stop is asked for again at the first batch */
    }
}

static effnet_status check_options(effnet_evaluate_options *options, effnet_error *err) {
    if (options->batch == 0) options->batch = DEFAULT_BATCH;
    if (options->batch < 1 || options->batch > MAX_BATCH)
        return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to %d, or 0 for the default", options->batch,
                    MAX_BATCH);
    if (options->workers < 0 || options->workers > 256)
        return fail(err, EFFNET_ERROR_ARGUMENT, "workers is %d; allowed: 1 to 256, or 0 for one a processor",
                    options->workers);
    return EFFNET_OK;
}

effnet_status effnet_evaluate(effnet_model *model, const char *data, const effnet_evaluate_options *options,
                              effnet_evaluation *out, effnet_error *error) {
    effnet_evaluate_options chosen;
    Dataset *dataset;
    Accuracy accuracy = {0};
    NEED(model);
    NEED(data);
    NEED(out);
    TRY(result_clear(out, "effnet_evaluation", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_evaluate_options", error));
    TRY(check_options(&chosen, error));
    TRY(dataset_open(data, SPLIT_EVALUATION, NULL, &dataset, error));
    tell_remarks(dataset, chosen.progress, chosen.progress_context);
    effnet_status status = classes_match(dataset, (const char *const *)model->card.class_names,
                                         model->network.config.num_classes, data, error);
    if (status == EFFNET_OK) status = evaluate(model, dataset, &chosen, &accuracy, error);
    if (status == EFFNET_OK && accuracy.images == 0)
        status = fail(error, EFFNET_ERROR_FORMAT, "not one picture of '%s' could be read", data);
    dataset_free(dataset);
    if (status != EFFNET_OK) return status;
    const effnet_evaluation told = {
        .images = accuracy.images,
        .skipped = accuracy.skipped,
        .top1 = accuracy.top1,
        .top5 = accuracy.top5,
        .loss = accuracy.loss,
        .seconds = accuracy.seconds,
        .images_per_s = accuracy.seconds > 0 ? (double)accuracy.images / accuracy.seconds : 0,
    };
    result_write(out, &told, sizeof told);
    return EFFNET_OK;
}
