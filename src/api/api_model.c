/* api_model.c - a model as the public header has it: made by name or from a checkpoint, its weights, its labels. */
#include "api/handles.h"

#include "base/memory.h"
#include "model/initialize.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/weights.h"

#include <stdlib.h>
#include <string.h>

static effnet_status number_labels(effnet_model *model, effnet_error *err) {
    int classes = model->network.config.num_classes;
    model->numbers = calloc((size_t)classes, sizeof *model->numbers);
    if (!model->numbers) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the labels of %d classes", classes);
    for (int i = 0; i < classes; i++) snprintf(model->numbers[i], sizeof *model->numbers, "%d", i);
    return EFFNET_OK;
}

/* The two locks, as one block. */
static effnet_status make_locks(effnet_model *model, effnet_error *err) {
    struct Locks {
        pthread_rwlock_t weights;
        pthread_mutex_t lock;
    } *locks = calloc(1, sizeof *locks);
    if (!locks) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a model");
    pthread_rwlock_init(&locks->weights, NULL);
    pthread_mutex_init(&locks->lock, NULL);
    model->weights = &locks->weights;
    model->lock = &locks->lock;
    return EFFNET_OK;
}

static effnet_status allocate_parts(effnet_model *model, effnet_team *team, int threads, effnet_error *err) {
    void *block;
    TRY(network_build(&model->card.config, &model->network, err));
    TRY(memory_allocate(model->network.parameter_floats, sizeof(float), "the parameters", &block, err));
    model->parameters = block;
    TRY(memory_allocate(model->network.statistic_floats, sizeof(float), "the batch norm statistics", &block, err));
    model->statistics = block;
    if (!model->card.class_names) TRY(number_labels(model, err));
    TRY(make_locks(model, err));
    if (!team) return thread_team_create(threads, &model->team, err);
    model->team = team->team;
    model->team_is_shared = true;
    return EFFNET_OK;
}

effnet_status model_allocate(ModelCard *card, effnet_team *team, int threads, const char *engine, effnet_model **out,
                             effnet_error *err) {
    *out = NULL;
    effnet_model *model = calloc(1, sizeof *model);
    if (!model) {
        model_card_free(card);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a model");
    }
    model->card = *card;
    memset(card, 0, sizeof *card);
    model->card.config.input = model->card.transform.input;
    effnet_status status = engine_find(engine, &model->engine_kind, err);
    if (status == EFFNET_OK) status = allocate_parts(model, team, threads, err);
    if (status != EFFNET_OK) {
        effnet_model_free(model);
        return status;
    }
    *out = model;
    return EFFNET_OK;
}

effnet_status dtype_by_name(const char *name, Dtype *out, effnet_error *err) {
    out->int8 = name && strcmp(name, "int8") == 0;
    out->bf16 = out->int8 || (name && strcmp(name, "bf16") == 0);
    if (!name || out->bf16 || strcmp(name, "fp32") == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "dtype is '%.40s'; allowed: fp32, bf16, int8", name);
}

effnet_status input_choose(int height, int width, TensorShape *input, effnet_error *err) {
    enum { MOST = 2048 };
    if (height < 0 || height > MOST)
        return fail(err, EFFNET_ERROR_ARGUMENT, "resolution is %d; allowed: 1 to %d, or 0 for the model's own", height,
                    (int)MOST);
    if (width < 0 || width > MOST || (width && !height))
        return fail(
            err, EFFNET_ERROR_ARGUMENT,
            "resolution_width is %d, and resolution, the height, %d; allowed: 1 to %d where resolution is given, "
            "or 0 for a square",
            width, height, (int)MOST);
    if (!height) return EFFNET_OK;
    input->height = height;
    input->width = width ? width : height;
    return EFFNET_OK;
}

static effnet_status check_options(const effnet_model_options *options, Dtype *dtype, effnet_error *err) {
    TRY(dtype_by_name(options->dtype, dtype, err));
    if (options->num_classes < 0 || options->num_classes > 100000)
        return fail(err, EFFNET_ERROR_ARGUMENT, "num_classes is %d; allowed: 1 to 100000, or 0 for the default",
                    options->num_classes);
    TRY(input_choose(options->resolution, options->resolution_width, &(TensorShape){0}, err));
    if (options->in_chans < 0 || options->in_chans > MOST_CHANNELS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "in_chans is %d; allowed: 1 to %d, or 0 for 3", options->in_chans,
                    (int)MOST_CHANNELS);
    if (options->most_pixels < 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "most_pixels is %lld; allowed: 1 or more, or 0 for 200 million",
                    (long long)options->most_pixels);
    return EFFNET_OK;
}

effnet_status effnet_model_create(const char *name, const effnet_model_options *options, effnet_model **out,
                                  effnet_error *error) {
    effnet_model_options chosen;
    Dtype dtype;
    ModelConfig config;
    ModelCard card;
    Recipe recipe;
    NEED_OUT(out);
    NEED(name);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_model_options", error));
    TRY(check_options(&chosen, &dtype, error));
    TRY(model_config_by_name(name, &config, error));
    if (chosen.num_classes) config.num_classes = chosen.num_classes;
    TRY(input_choose(chosen.resolution, chosen.resolution_width, &config.input, error));
    if (chosen.in_chans) config.input.channels = chosen.in_chans;
    if (chosen.width_coefficient != 0) config.width = chosen.width_coefficient; /* bounds: network_build's */
    if (chosen.depth_coefficient != 0) config.depth = chosen.depth_coefficient;
    recipe_defaults(&recipe);
    model_card_from_recipe(&recipe, &config, &card);
    TRY(model_allocate(&card, chosen.team, chosen.threads, chosen.engine, out, error));
    (*out)->dtype = dtype;
    (*out)->most_pixels = chosen.most_pixels;
    effnet_status status = model_device_choose(*out, chosen.device, error);
    if (status != EFFNET_OK) {
        effnet_model_free(*out);
        *out = NULL;
        return status;
    }
    const InitializeOptions initialize = {.seed = chosen.seed};
    network_initialize(&(*out)->network, &initialize, (*out)->parameters, (*out)->statistics);
    return EFFNET_OK;
}

effnet_status effnet_model_open(const char *path, const effnet_model_options *options, effnet_model **out,
                                effnet_error *error) {
    effnet_model_options chosen;
    Dtype dtype;
    ModelCard card;
    char file[1100];
    NEED_OUT(out);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_model_options", error));
    TRY(check_options(&chosen, &dtype, error));
    TRY(model_find_file(path, chosen.raw_weights, file, sizeof file, error));
    TRY(weights_read_card(file, &card, error));
    if (chosen.num_classes && chosen.num_classes != card.config.num_classes) {
        int has = card.config.num_classes;
        model_card_free(&card);
        return fail(error, EFFNET_ERROR_ARGUMENT, "'%s' has %d classes, not the %d asked for", file, has,
                    chosen.num_classes);
    }
    effnet_model *model;
    (void)input_choose(chosen.resolution, chosen.resolution_width, &card.transform.input, NULL); /* checked above */
    TRY(model_allocate(&card, chosen.team, chosen.threads, chosen.engine, &model, error));
    model->dtype = dtype;
    model->most_pixels = chosen.most_pixels;
    effnet_status status = model_device_choose(model, chosen.device, error);
    if (status == EFFNET_OK)
        status = weights_read(file, &model->network, model->parameters, model->statistics, false, NULL, error);
    if (status == EFFNET_OK && !(model->file = strdup(file)))
        status = fail(error, EFFNET_ERROR_MEMORY, "no memory to open '%s'", file);
    if (status != EFFNET_OK) {
        effnet_model_free(model);
        return status;
    }
    *out = model;
    return EFFNET_OK;
}

void effnet_model_free(effnet_model *model) {
    if (!model) return;
    model_states_free(model);
    model_device_free(model);
    if (!model->team_is_shared) thread_team_free(model->team);
    if (model->weights) {
        pthread_rwlock_destroy(model->weights);
        pthread_mutex_destroy(model->lock);
        free(model->weights); /* the block begins with it */
    }
    if (model->bytes) static_bytes_free(model->bytes);
    free(model->bytes);
    memory_free(model->parameters);
    memory_free(model->statistics);
    free(model->numbers);
    free(model->file);
    network_free(&model->network);
    model_card_free(&model->card);
    free(model);
}

const char *effnet_model_name(const effnet_model *model) {
    return model ? model->network.config.name : "";
}

int effnet_model_classes(const effnet_model *model) {
    return model ? model->network.config.num_classes : 0;
}

int effnet_model_resolution(const effnet_model *model) {
    return model ? model->card.transform.input.height : 0;
}

void effnet_model_input(const effnet_model *model, int shape[3]) {
    if (!shape) return;
    const TensorShape input = model ? model->card.transform.input : (TensorShape){0};
    shape[0] = input.height;
    shape[1] = input.width;
    shape[2] = input.channels;
}

const char *effnet_model_file(const effnet_model *model) {
    return model && model->file ? model->file : "";
}

const char *effnet_model_weights(const effnet_model *model) {
    if (!model || !model->file) return "";
    const char *slash = strrchr(model->file, '/'), *name = slash ? slash + 1 : model->file;
    return strcmp(name, "ema.safetensors") == 0 ? "ema" : strcmp(name, "raw.safetensors") == 0 ? "raw" : "";
}

int64_t effnet_model_step(const effnet_model *model) {
    return model ? model->card.step : 0;
}

const char *effnet_model_notes(const effnet_model *model) {
    return model && model->card.origin ? model->card.origin : "";
}

const char *effnet_model_label(const effnet_model *model, int class_index) {
    if (!model || class_index < 0 || class_index >= model->network.config.num_classes) return "";
    return model->card.class_names ? model->card.class_names[class_index] : model->numbers[class_index];
}

/* Where a tensor's values are, once its name and count are right. */
static effnet_status find_values(const effnet_model *model, const char *name, size_t count, float **out,
                                 effnet_error *err) {
    bool is_statistic = false;
    *out = NULL;
    const Parameter *parameter = network_find(&model->network, name, &is_statistic);
    if (!parameter)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s has no tensor '%.100s'; names are timm's, such as '%s'",
                    model->network.config.name, name, model->network.parameters[0].name);
    if (parameter->count != count)
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' of %s has %zu elements, not %zu", name,
                    model->network.config.name, parameter->count, count);
    *out = (is_statistic ? model->statistics : model->parameters) + parameter->offset;
    return EFFNET_OK;
}

effnet_status effnet_weights_read(const effnet_model *model, const char *name, float *values, size_t count,
                                  effnet_error *error) {
    float *from;
    NEED(model);
    NEED(name);
    NEED(values);
    TRY(find_values(model, name, count, &from, error));
    pthread_rwlock_rdlock(model->weights);
    memcpy(values, from, count * sizeof *values);
    pthread_rwlock_unlock(model->weights);
    return EFFNET_OK;
}

effnet_status effnet_weights_write(effnet_model *model, const char *name, const float *values, size_t count,
                                   effnet_error *error) {
    float *to;
    NEED(model);
    NEED(name);
    NEED(values);
    TRY(find_values(model, name, count, &to, error));
    if (model->bytes)
        return fail(error, EFFNET_ERROR_ARGUMENT,
                    "the weights of a calibrated model are rounded and stay; write them before effnet_calibrate");
    pthread_rwlock_wrlock(model->weights);
    model->writes++;
    memcpy(to, values, count * sizeof *values);
    pthread_rwlock_unlock(model->weights);
    return EFFNET_OK;
}

effnet_status effnet_model_save(const effnet_model *model, const char *path, effnet_error *error) {
    NEED(model);
    NEED(path);
    return weights_write(path, &model->network, model->parameters, model->statistics, &model->card, error);
}
