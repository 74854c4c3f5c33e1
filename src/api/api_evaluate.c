/* api_evaluate.c - accuracy of a model on a folder of pictures. */
#include "api/handles.h"

#include "base/memory.h"
#include "data/sources/class_match.h"
#include "data/feed/loader.h"
#include "data/sources/source.h"
#include "data/transform/mirror.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BATCH = 64, MAX_BATCH = 65536 };

typedef struct Judge {
    effnet_model *model;
    ModelState *state;
    float *mirrored, *logits; /* a batch from right to left, and what is made of it; NULL: not asked for */
} Judge;

/* The model's own weights, its engine: a LogitsFunction. */
static effnet_status model_logits(void *context, int set, const ExecutorBatch *batch, float *logits,
                                  effnet_error *err) {
    const Judge *judge = context;
    (void)set;
    TRY(model_state_run(judge->model, judge->state, batch->images, batch->size, logits, NULL, err));
    if (!judge->mirrored) return EFFNET_OK;
    images_mirror(batch->images, batch->size, judge->model->card.transform.input, judge->mirrored);
    TRY(model_state_run(judge->model, judge->state, judge->mirrored, batch->size, judge->logits, NULL, err));
    model_mean_of_views(judge->model, logits, judge->logits, batch->size);
    return EFFNET_OK;
}

static effnet_status make_room_to_mirror(Judge *judge, int batch, effnet_error *err) {
    const size_t count = (size_t)batch, picture = shape_floats(judge->model->card.transform.input);
    TRY(memory_allocate_floats(count, picture, "the mirrored pictures", &judge->mirrored, err));
    return memory_allocate_floats(count, (size_t)judge->model->network.config.num_classes, "their logits",
                                  &judge->logits, err);
}

effnet_status model_evaluate_looking(effnet_model *model, const Dataset *dataset, const effnet_evaluate_options *chosen,
                                     Accuracy *out, Predictions *predictions, BatchLook *look, void *look_context,
                                     effnet_error *err) {
    const LoaderOptions options = {
        .dataset = dataset,
        .preprocess = preprocess_of_transform(&model->card.transform),
        .batch = chosen->batch,
        .workers = chosen->workers,
        .bad_images = BAD_IMAGES_SKIP,
        .targets = model->card.several,
    };
    Loader *loader;
    Judge judge = {.model = model};
    *predictions = (Predictions){.classes = model->network.config.num_classes};
    TRY(loader_create(&options, &loader, err));
    const Evaluation evaluation = {.logits = model_logits,
                                   .logits_context = &judge,
                                   .count = 1,
                                   .classes = model->network.config.num_classes,
                                   .loader = loader,
                                   .pictures = dataset_size(dataset),
                                   .progress = chosen->progress,
                                   .progress_context = chosen->progress_context,
                                   .predictions = dataset_has_sets(dataset) ? NULL : predictions,
                                   .look = look,
                                   .look_context = look_context};
    effnet_status status = model_state_take(model, chosen->batch, 0, &judge.state, err);
    if (status == EFFNET_OK && chosen->mirrored) status = make_room_to_mirror(&judge, chosen->batch, err);
    if (status == EFFNET_OK) status = evaluate_all(&evaluation, out, err);
    model_state_give(model, judge.state);
    memory_free(judge.mirrored);
    memory_free(judge.logits);
    loader_free(loader);
    return status;
}

effnet_status model_evaluate(effnet_model *model, const Dataset *dataset, const effnet_evaluate_options *chosen,
                             Accuracy *out, Predictions *predictions, effnet_error *err) {
    return model_evaluate_looking(model, dataset, chosen, out, predictions, NULL, NULL, err);
}

void model_tell_remarks(const Dataset *dataset, effnet_progress_function *progress, void *context) {
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

const char **model_labels(const effnet_model *model, effnet_error *err) {
    int classes = model->network.config.num_classes;
    const char **labels = calloc((size_t)classes, sizeof *labels);
    if (!labels) (void)fail(err, EFFNET_ERROR_MEMORY, "no memory for the labels of %d classes", classes);
    for (int c = 0; labels && c < classes; c++) labels[c] = effnet_model_label(model, c);
    return labels;
}

void model_describe(const effnet_model *model, char *out, size_t size) {
    char step[40] = "";
    const char *kind = effnet_model_weights(model);
    if (model->card.step) snprintf(step, sizeof step, " of step %lld", (long long)model->card.step);
    snprintf(out, size, "%s at %dx%d, %sweights%s", model->network.config.name, model->card.transform.input.height,
             model->card.transform.input.width,
             strcmp(kind, "ema") == 0   ? "averaged "
             : strcmp(kind, "raw") == 0 ? "raw "
                                        : "",
             step);
}

static effnet_status write_report(const effnet_model *model, const char *data, const char *folder,
                                  const Dataset *dataset, const Accuracy *accuracy, const Predictions *predictions,
                                  effnet_error *err) {
    const char **labels = model_labels(model, err);
    if (!labels) return EFFNET_ERROR_MEMORY;
    Report report = {.title = effnet_model_file(model),
                     .data = data,
                     .class_names = labels,
                     .predictions = predictions,
                     .dataset = dataset,
                     .skipped = accuracy->skipped,
                     .seconds = accuracy->seconds};
    if (!*report.title) report.title = model->network.config.name;
    model_describe(model, report.model, sizeof report.model);
    effnet_status status = report_write(&report, folder, err);
    free(labels);
    return status;
}

effnet_status model_open_data(const effnet_model *model, const char *data, const effnet_evaluate_options *options,
                              Dataset **out, effnet_error *err) {
    TRY(dataset_open(data, SPLIT_EVALUATION, NULL, out, err));
    model_tell_remarks(*out, options->progress, options->progress_context);
    effnet_status status =
        classes_match(*out, (const char *const *)model->card.class_names, model->network.config.num_classes, data, err);
    if (status == EFFNET_OK) return status;
    dataset_free(*out);
    *out = NULL;
    return status;
}

effnet_status model_read_spaced(const effnet_model *model, const Dataset *dataset, int64_t i, int64_t wanted,
                                float *image, bool *read, effnet_error *err) {
    Picture picture;
    Decoder decoder = model_decoder(model);
    effnet_error why;
    effnet_status status = dataset_read_with(dataset, dataset_size(dataset) * i / wanted, &decoder, &picture, &why);
    if (status == EFFNET_OK) status = preprocess_eval(&model->card.transform, &picture, image, &why);
    decoder_release(&decoder);
    *read = status == EFFNET_OK;
    return status == EFFNET_ERROR_MEMORY ? fail(err, status, "%s", why.message) : EFFNET_OK;
}

effnet_status evaluate_options_check(effnet_evaluate_options *options, effnet_error *err) {
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
    TRY(evaluate_options_check(&chosen, error));
    TRY(model_open_data(model, data, &chosen, &dataset, error));
    Predictions predictions = {0};
    effnet_status status = chosen.report ? dataset_need_single(dataset, "a report", error) : EFFNET_OK;
    if (status == EFFNET_OK) status = model_evaluate(model, dataset, &chosen, &accuracy, &predictions, error);
    if (status == EFFNET_OK && accuracy.images == 0)
        status = fail(error, EFFNET_ERROR_FORMAT, "not one picture of '%s' could be read", data);
    if (status == EFFNET_OK && chosen.report)
        status = write_report(model, data, chosen.report, dataset, &accuracy, &predictions, error);
    Summary summary;
    predictions_summarize(&predictions, &summary, NULL, NULL);
    predictions_free(&predictions);
    const bool sets = dataset_has_sets(dataset);
    dataset_free(dataset);
    if (status != EFFNET_OK) return status;
    Interval interval = {0};
    if (!sets) interval = wilson_interval(summary.right, accuracy.images);
    const effnet_evaluation told = {
        .images = accuracy.images,
        .skipped = accuracy.skipped,
        .top1 = accuracy.top1,
        .top5 = accuracy.top5,
        .loss = accuracy.loss,
        .seconds = accuracy.seconds,
        .images_per_s = accuracy.seconds > 0 ? (double)accuracy.images / accuracy.seconds : 0,
        .top1_low = 100 * interval.low,
        .top1_high = 100 * interval.high,
        .calibration_error = 100 * summary.calibration.error,
        .average_precision = accuracy.average_precision,
        .f1 = accuracy.f1,
    };
    result_write(out, &told, sizeof told);
    return EFFNET_OK;
}
