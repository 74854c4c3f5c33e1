/* api_audit.c - a data set looked over by a model: labels that are likely wrong, and pictures that stand nearly the same in
 * training and in evaluation. One pass over each split: the answers tell of the labels, the pictures as the network sees
 * them are hashed on the way. */
#include "api/handles.h"

#include "data/feed/loader.h"
#include "data/sources/class_match.h"
#include "report/audit_report.h"

#include <stdlib.h>

enum { NAME = 4096 };

/* Who looks at the batches of an evaluation. */
typedef struct Hashing {
    const effnet_model *model;
    AuditedSplit *split;
    bool failed; /* no memory */
} Hashing;

static void hash_batch(void *context, const Batch *batch) {
    Hashing *hashing = context;
    AuditedSplit *split = hashing->split;
    const TensorShape input = hashing->model->card.transform.input;
    if (split->hash_count + batch->size > split->hash_capacity) {
        int64_t capacity = 2 * split->hash_capacity + batch->size;
        PictureHash *larger = realloc(split->hashes, (size_t)capacity * sizeof *larger);
        if (!larger) hashing->failed = true;
        if (!larger) return;
        split->hashes = larger;
        split->hash_capacity = capacity;
    }
    for (int n = 0; n < batch->size; n++) {
        PictureHash *hash = &split->hashes[split->hash_count++];
        picture_hash(batch->images + (size_t)n * shape_floats(input), input, hashing->model->card.transform.mean,
                     hashing->model->card.transform.std, hash);
        hash->picture = batch->pictures[n];
    }
}

static effnet_status audit_split(effnet_model *model, const char *data, const effnet_evaluate_options *options,
                                 AuditedSplit *split, effnet_error *err) {
    Accuracy accuracy;
    Hashing hashing = {.model = model, .split = split};
    TRY(dataset_need_single(split->dataset, "effnet data audit", err));
    TRY(classes_match(split->dataset, (const char *const *)model->card.class_names, model->network.config.num_classes,
                      data, err));
    TRY(model_evaluate_looking(model, split->dataset, options, &accuracy, &split->predictions, hash_batch, &hashing,
                               err));
    if (hashing.failed) return fail(err, EFFNET_ERROR_MEMORY, "no memory for what is kept of '%s'", data);
    return label_audit(&split->predictions, &split->suspects, &split->num_suspects, err);
}

static void tell_suspects(const AuditReport *report, int s, const effnet_audit_options *options) {
    const AuditedSplit *split = &report->splits[s];
    char name[NAME];
    for (int64_t i = 0; i < split->num_suspects; i++) {
        const Prediction *p = &split->predictions.list[split->suspects[i].place];
        dataset_describe(split->dataset, p->picture, name, sizeof name);
        const effnet_audit_finding finding = {.struct_size = sizeof finding,
                                              .kind = EFFNET_AUDIT_LABEL,
                                              .training = s == 0,
                                              .picture = name,
                                              .label = audit_label(report, p->label),
                                              .other_label = audit_label(report, split->suspects[i].meant),
                                              .certainty = (double)split->suspects[i].certainty};
        options->found(options->context, &finding);
    }
}

static void tell_pairs(const AuditReport *report, const effnet_audit_options *options) {
    char names[2][NAME];
    for (int64_t i = 0; i < report->num_pairs; i++) {
        const NearPair *pair = &report->pairs[i];
        const Prediction *first = &report->splits[0].predictions.list[pair->first];
        const Prediction *second = &report->splits[1].predictions.list[pair->second];
        dataset_describe(report->splits[0].dataset, first->picture, names[0], sizeof names[0]);
        dataset_describe(report->splits[1].dataset, second->picture, names[1], sizeof names[1]);
        const effnet_audit_finding finding = {.struct_size = sizeof finding,
                                              .kind = EFFNET_AUDIT_NEAR_DUPLICATE,
                                              .training = true,
                                              .picture = names[0],
                                              .label = audit_label(report, first->label),
                                              .other_picture = names[1],
                                              .other_label = audit_label(report, second->label),
                                              .certainty = 1 - pair->distance / 256.0,
                                              .mirrored = pair->mirrored};
        options->found(options->context, &finding);
    }
}

static effnet_status conclude(const effnet_model *model, const char *data, const effnet_audit_options *options,
                              AuditedSplit splits[2], effnet_audit *told, effnet_error *err) {
    NearPair *pairs = NULL;
    AuditReport report = {.splits = splits, .data = data, .classes = model->network.config.num_classes};
    char about[300];
    effnet_status status = EFFNET_OK;
    const char **labels = model_labels(model, err);
    if (!labels) return EFFNET_ERROR_MEMORY;
    report.class_names = labels;
    model_describe(model, about, sizeof about);
    report.model = about;
    if (splits[0].dataset && splits[1].dataset && !datasets_are_same(splits[0].dataset, splits[1].dataset))
        status = near_pairs(splits[0].hashes, splits[0].hash_count, splits[1].hashes, splits[1].hash_count, &pairs,
                            &report.num_pairs, err);
    report.pairs = pairs;
    told->near_duplicates = report.num_pairs;
    for (int64_t i = 0; status == EFFNET_OK && i < report.num_pairs; i++)
        told->near_duplicates_labels +=
            splits[0].predictions.list[pairs[i].first].label != splits[1].predictions.list[pairs[i].second].label;
    for (int s = 0; s < 2; s++) {
        told->pictures[s] = splits[s].predictions.count;
        told->suspects[s] = splits[s].num_suspects;
    }
    if (status == EFFNET_OK && options->report) status = audit_report_write(&report, options->report, err);
    if (status == EFFNET_OK && options->found) {
        tell_suspects(&report, 1, options);
        tell_suspects(&report, 0, options);
        tell_pairs(&report, options);
    }
    free(pairs);
    free(labels);
    return status;
}

effnet_status effnet_data_audit(effnet_model *model, const char *data, const effnet_audit_options *options,
                                effnet_audit *out, effnet_error *error) {
    effnet_audit_options chosen;
    NEED(model);
    NEED(data);
    NEED(out);
    TRY(result_clear(out, "effnet_audit", error));
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_audit_options", error));
    effnet_evaluate_options evaluate = {.struct_size = sizeof evaluate,
                                        .batch = chosen.batch,
                                        .workers = chosen.workers,
                                        .progress = chosen.progress,
                                        .progress_context = chosen.context};
    TRY(evaluate_options_check(&evaluate, error));
    Dataset *datasets[2];
    AuditedSplit splits[2] = {{.dataset = NULL}, {.dataset = NULL}};
    effnet_audit told = {.struct_size = sizeof told};
    effnet_status status = datasets_open(data, datasets, error);
    for (int s = 0; s < 2; s++) splits[s].dataset = datasets[s];
    for (int s = 0; s < 2 && status == EFFNET_OK; s++)
        if (splits[s].dataset) status = audit_split(model, data, &evaluate, &splits[s], error);
    if (status == EFFNET_OK) status = conclude(model, data, &chosen, splits, &told, error);
    if (status == EFFNET_OK) result_write(out, &told, sizeof told);
    for (int s = 0; s < 2; s++) {
        predictions_free(&splits[s].predictions);
        free(splits[s].hashes);
        free(splits[s].suspects);
        dataset_free(splits[s].dataset);
    }
    return status;
}
