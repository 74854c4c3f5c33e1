/* api_predict.c - pictures in, classes, logits and features out. Pictures go through the network in parts of a bounded
 * size: each part is read and prepared by the model's threads, a picture a task; those that could be read close ranks
 * and run as one batch. */
#include "api/handles.h"

#include "base/memory.h"
#include "data/transform/mirror.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 32 }; /* pictures at once, so that memory stays bounded */

effnet_status effnet_logits(effnet_model *model, const float *images, int batch, float *logits, effnet_error *error) {
    NEED(model);
    NEED(images);
    NEED(logits);
    if (batch < 1) return fail(error, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 or more", batch);
    const int part = batch < PART ? batch : PART;
    const size_t picture = shape_floats(model->card.transform.input),
                 classes = (size_t)model->network.config.num_classes;
    ModelState *state;
    TRY(model_state_take(model, part, 0, &state, error));
    effnet_status status = EFFNET_OK;
    for (int first = 0; first < batch && status == EFFNET_OK; first += part)
        status =
            model_state_run(model, state, images + (size_t)first * picture, batch - first < part ? batch - first : part,
                            logits + (size_t)first * classes, NULL, error);
    model_state_give(model, state);
    return status;
}

/* ---- features ---- */

/* The output of the last block whose output is 1 / 2^level of the input's sides; -1: none. */
static int reduction_tensor(const Network *network, int level) {
    TensorShape wanted = network->config.input;
    int found = -1;
    for (int i = 0; i < level; i++) {
        wanted.height = (wanted.height + 1) / 2;
        wanted.width = (wanted.width + 1) / 2;
    }
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->block < 0 || op->block >= network->num_blocks) continue;
        const bool last = i + 1 == network->num_ops || network->ops[i + 1].block != op->block;
        const TensorShape made = network->tensors[op->output];
        if (last && made.height == wanted.height && made.width == wanted.width) found = op->output;
    }
    return found;
}

static int pool_tensor(const Network *network) {
    for (int i = 0; i < network->num_ops; i++)
        if (network->ops[i].kind == OP_GLOBAL_POOL) return network->ops[i].output;
    return -1;
}

effnet_status model_find_feature(const effnet_model *model, const char *feature, int *tensor, TensorShape *shape,
                                 effnet_error *err) {
    static const char prefix[] = "reduction_";
    const size_t length = sizeof prefix - 1;
    *tensor = -1;
    if (strcmp(feature, "gap") == 0) *tensor = pool_tensor(&model->network);
    if (strncmp(feature, prefix, length) == 0 && feature[length] >= '1' && feature[length] <= '5' &&
        !feature[length + 1])
        *tensor = reduction_tensor(&model->network, feature[length] - '0');
    if (*tensor < 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no feature '%.40s'; allowed: gap, reduction_1 to reduction_5",
                    feature);
    *shape = model->network.tensors[*tensor];
    return EFFNET_OK;
}

effnet_status effnet_model_feature(const effnet_model *model, const char *feature, int shape[3], effnet_error *error) {
    int tensor;
    TensorShape found = {0};
    NEED(model);
    NEED(feature);
    NEED(shape);
    TRY(model_find_feature(model, feature, &tensor, &found, error));
    shape[0] = found.height;
    shape[1] = found.width;
    shape[2] = found.channels;
    return EFFNET_OK;
}

/* ---- what becomes of logits ---- */

/* Turns logits into probabilities; false where one is not finite. */
static bool softmax(const float *logits, int count, float *out) {
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) {
        if (!isfinite(logits[i])) return false;
        if (logits[i] > largest) largest = logits[i];
    }
    for (int i = 0; i < count; i++) sum += exp(logits[i] - largest);
    for (int i = 0; i < count; i++) out[i] = (float)(exp(logits[i] - largest) / sum);
    return true;
}

/* The same of classes that are a yes or no each: nothing sums to 1. */
static bool sigmoid(const float *logits, int count, float *out) {
    for (int i = 0; i < count; i++) {
        if (!isfinite(logits[i])) return false;
        out[i] = (float)(1 / (1 + exp(-(double)logits[i])));
    }
    return true;
}

/* Likelier first; among equals the lower index. */
static int compare_predictions(const void *a, const void *b) {
    const effnet_prediction *left = a, *right = b;
    if (left->probability != right->probability) return left->probability < right->probability ? 1 : -1;
    return left->index < right->index ? -1 : 1;
}

/* ---- a part of the pictures ---- */

typedef struct Run {
    effnet_model *model;
    ModelState *state;
    const effnet_outputs *outputs;
    size_t classes, pixels, feature; /* floats a picture */
    bool ranked;                     /* predictions or probabilities are wanted */
    const effnet_picture *pictures;  /* of this part, as are: */
    int first;                       /* its place among all */
    int count;                       /* of all */
    effnet_error errors[PART];
    float *images, *logits, *kept, *probabilities; /* (part, ...); probabilities (classes) */
    effnet_prediction *order;                      /* (classes) */
    float *mirrored, *mirrored_logits;             /* of the pictures from right to left; NULL: not asked for */
} Run;

static void prepare_one(void *context, int index, int thread) {
    Run *run = context;
    char name[40];
    (void)thread;
    if (run->count == 1)
        snprintf(name, sizeof name, "the picture");
    else
        snprintf(name, sizeof name, "picture %d", run->first + index);
    run->errors[index] = (effnet_error){.status = EFFNET_OK};
    effnet_error *err = &run->errors[index];
    effnet_status status =
        model_prepare(run->model, &run->pictures[index], name, run->images + (size_t)index * run->pixels, err);
    err->status = status;
}

/* Copies what was made for the picture in place `row` of the batch to where the caller wants it; row -1: zeros. */
static void write_floats(float *to, int place, size_t floats, const float *from, int row) {
    if (!to) return;
    to += (size_t)place * floats;
    if (row < 0)
        memset(to, 0, floats * sizeof *to);
    else
        memcpy(to, from + (size_t)row * floats, floats * sizeof *to);
}

static effnet_status rank(Run *run, const float *logits, int place, effnet_error *err) {
    const effnet_outputs *outputs = run->outputs;
    const int classes = (int)run->classes;
    if (!(run->model->card.several ? sigmoid : softmax)(logits, classes, run->probabilities))
        return fail(err, EFFNET_ERROR_NUMERIC, "the output of %s is not finite; its weights are damaged",
                    run->model->network.config.name);
    write_floats(outputs->probabilities, place, run->classes, run->probabilities, 0);
    if (!outputs->predictions) return EFFNET_OK;
    for (int i = 0; i < classes; i++)
        run->order[i] = (effnet_prediction){
            .index = i, .probability = run->probabilities[i], .label = effnet_model_label(run->model, i)};
    qsort(run->order, run->classes, sizeof *run->order, compare_predictions);
    memcpy(outputs->predictions + (size_t)place * (size_t)outputs->top, run->order,
           (size_t)outputs->top * sizeof *run->order);
    return EFFNET_OK;
}

static effnet_status write_outputs(Run *run, int index, int row, effnet_error *err) {
    const effnet_outputs *outputs = run->outputs;
    const int place = run->first + index;
    write_floats(outputs->logits, place, run->classes, run->logits, row);
    write_floats(outputs->features, place, run->feature, run->kept, row);
    if (row >= 0) return run->ranked ? rank(run, run->logits + (size_t)row * run->classes, place, err) : EFFNET_OK;
    write_floats(outputs->probabilities, place, run->classes, NULL, row);
    for (int k = 0; outputs->predictions && k < outputs->top; k++)
        outputs->predictions[(size_t)place * (size_t)outputs->top + (size_t)k] =
            (effnet_prediction){.index = -1, .label = ""};
    return EFFNET_OK;
}

static effnet_status run_part(Run *run, int count, effnet_error *err) {
    const effnet_outputs *outputs = run->outputs;
    thread_team_run(run->model->team, prepare_one, run, count);
    int good = 0;
    for (int i = 0; i < count; i++) {
        const effnet_error *failed = &run->errors[i];
        if (outputs->errors) outputs->errors[run->first + i] = *failed;
        if (failed->status != EFFNET_OK && !outputs->errors) {
            if (err) *err = *failed;
            return failed->status;
        }
        if (failed->status != EFFNET_OK) continue;
        if (good < i)
            memcpy(run->images + (size_t)good * run->pixels, run->images + (size_t)i * run->pixels,
                   run->pixels * sizeof *run->images);
        good++;
    }
    if (good) TRY(model_state_run(run->model, run->state, run->images, good, run->logits, run->kept, err));
    if (good && run->mirrored) {
        images_mirror(run->images, good, run->model->card.transform.input, run->mirrored);
        TRY(model_state_run(run->model, run->state, run->mirrored, good, run->mirrored_logits, NULL, err));
        model_mean_of_views(run->model, run->logits, run->mirrored_logits, good);
    }
    for (int i = 0, row = 0; i < count; i++)
        TRY(write_outputs(run, i, run->errors[i].status == EFFNET_OK ? row++ : -1, err));
    return EFFNET_OK;
}

/* ---- all of them ---- */

static effnet_status check_outputs(const effnet_model *model, const effnet_outputs *outputs, effnet_error *err) {
    const int classes = model->network.config.num_classes;
    if (!outputs->predictions && !outputs->probabilities && !outputs->logits && !outputs->features)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "no output is wanted; give predictions, probabilities, logits or features");
    if (outputs->predictions && (outputs->top < 1 || outputs->top > classes))
        return fail(err, EFFNET_ERROR_ARGUMENT, "%d predictions are asked for; allowed: 1 to the model's %d classes",
                    outputs->top, classes);
    if (outputs->features && !outputs->feature)
        return fail(err, EFFNET_ERROR_ARGUMENT, "features are asked for and `feature` does not say which");
    if (outputs->features && outputs->mirrored)
        return fail(err, EFFNET_ERROR_ARGUMENT, "`mirrored` is for probabilities and logits; ask for features without");
    return EFFNET_OK;
}

static effnet_status allocate(Run *run, int part, effnet_error *err) {
    void *order;
    const bool logits = run->outputs->logits || run->ranked;
    TRY(memory_allocate_floats((size_t)part, run->pixels, "the pictures", &run->images, err));
    if (logits) TRY(memory_allocate_floats((size_t)part, run->classes, "the logits", &run->logits, err));
    if (run->outputs->mirrored) {
        TRY(memory_allocate_floats((size_t)part, run->pixels, "the mirrored pictures", &run->mirrored, err));
        TRY(memory_allocate_floats((size_t)part, run->classes, "their logits", &run->mirrored_logits, err));
    }
    if (run->feature) TRY(memory_allocate_floats((size_t)part, run->feature, "the features", &run->kept, err));
    if (!run->ranked) return EFFNET_OK;
    TRY(memory_allocate_floats(1, run->classes, "the probabilities", &run->probabilities, err));
    TRY(memory_allocate(run->classes, sizeof *run->order, "the order of the classes", &order, err));
    run->order = order;
    return EFFNET_OK;
}

effnet_status effnet_run(effnet_model *model, const effnet_picture *pictures, int count, const effnet_outputs *outputs,
                         effnet_error *error) {
    effnet_outputs chosen;
    int keep = 0;
    TensorShape shape = {0};
    NEED(model);
    NEED(pictures);
    NEED(outputs);
    TRY(options_copy(outputs, &chosen, sizeof chosen, "effnet_outputs", error));
    TRY(check_outputs(model, &chosen, error));
    if (count < 0) return fail(error, EFFNET_ERROR_ARGUMENT, "count is %d; allowed: 0 or more", count);
    if (chosen.features) TRY(model_find_feature(model, chosen.feature, &keep, &shape, error));
    if (!count) return EFFNET_OK;
    const int part = count < PART ? count : PART;
    Run run = {.model = model,
               .count = count,
               .outputs = &chosen,
               .classes = (size_t)model->network.config.num_classes,
               .pixels = shape_floats(model->card.transform.input),
               .feature = shape_floats(shape),
               .ranked = chosen.predictions || chosen.probabilities};
    effnet_status status = allocate(&run, part, error);
    if (status == EFFNET_OK) status = model_state_take(model, part, keep, &run.state, error);
    for (run.first = 0; run.first < count && status == EFFNET_OK; run.first += part) {
        run.pictures = pictures + run.first;
        status = run_part(&run, count - run.first < part ? count - run.first : part, error);
    }
    model_state_give(model, run.state);
    memory_free(run.images);
    memory_free(run.logits);
    memory_free(run.kept);
    memory_free(run.probabilities);
    memory_free(run.order);
    memory_free(run.mirrored);
    memory_free(run.mirrored_logits);
    return status;
}

effnet_status effnet_predict(effnet_model *model, const effnet_picture *picture, effnet_prediction *out, int count,
                             effnet_error *error) {
    NEED(model);
    NEED(picture);
    NEED(out);
    const effnet_outputs outputs = {.struct_size = sizeof outputs, .predictions = out, .top = count};
    return effnet_run(model, picture, 1, &outputs, error);
}

effnet_status effnet_predict_file(effnet_model *model, const char *path, effnet_prediction *out, int count,
                                  effnet_error *error) {
    NEED(path);
    const effnet_picture picture = {.path = path};
    return effnet_predict(model, &picture, out, count, error);
}
