/* api_import.c - a model from another program's weights: whose names they are, which model, how it is run, values. */
#include "api/handles.h"

#include "base/number_text.h"
#include "data/sources/class_names.h"
#include "data/sources/imagenet_classes.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/import_settings.h"
#include "train/weights.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SETTING_KEY = 100, MOST_CLASS_NAME = 1000 };

/* "KEY=VALUE" into the recipe. */
static effnet_status apply_setting(Recipe *recipe, const char *setting, effnet_error *err) {
    const char *equals = strchr(setting, '=');
    char key[MOST_SETTING_KEY];
    if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof key)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the setting '%.60s' is not KEY=VALUE", setting);
    snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
    return recipe_set(recipe, key, equals + 1, err);
}

/* What the model is run as before the user's own settings: as the file's own card says where effnet wrote it
 * (*own, whose names and steps are then kept), else as its program does. */
static effnet_status choose_settings(const WeightImport *import, const effnet_import_options *options, Recipe *recipe,
                                     ModelCard *own, ImportSettings *found, effnet_error *err) {
    recipe_defaults(recipe);
    if (!safetensors_metadata(import->file, "effnet.model"))
        return import_settings_find(import, options->model, options->settings, recipe, found, err);
    TRY(weights_read_card(safetensors_path(import->file), own, err));
    recipe_from_card(own, recipe);
    import_settings_note(found, "effnet's own file: size, crop, colours, padding and class names as its metadata say");
    return options->model ? recipe_set(recipe, "model", options->model, err) : EFFNET_OK;
}

/* The configuration with the classes that the file has, and its input channels where none are asked for. */
static effnet_status configure(const WeightImport *import, const effnet_import_options *options, Recipe *recipe,
                               ModelConfig *config, ImportSettings *found, effnet_error *err) {
    Network network;
    int classes = 0;
    bool channels_given = false;
    for (const char *const *setting = options->settings; setting && *setting; setting++) {
        TRY(apply_setting(recipe, *setting, err));
        channels_given = channels_given || strncmp(*setting, "in_chans=", 9) == 0;
    }
    TRY(model_config_from_recipe(recipe, 1, config, err));
    TRY(network_build(config, &network, err));
    effnet_status status = weight_import_classes(import, &network, &classes, err);
    const int channels = weight_import_channels(import, &network);
    network_free(&network);
    config->num_classes = classes;
    if (!channels_given) recipe->in_chans = config->input.channels = channels;
    if (config->input.channels != channels)
        import_settings_note(found, "the first convolution, of %d input channel%s, is converted to %d as timm does",
                             channels, channels > 1 ? "s" : "", config->input.channels);
    return status == EFFNET_OK ? recipe_check_channels(recipe, err) : status;
}

/* ---- class names ---- */

static effnet_status check_names(const NameList *names, const char *path, int classes, effnet_error *err) {
    if (names->count != classes)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has %d lines; the model has %d classes, one name a line each", path,
                    names->count, classes);
    for (int i = 0; i < classes; i++) {
        size_t length = strlen(names->names[i]);
        if (length == 0 || length > MOST_CLASS_NAME)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': line %d is %s; a class name has 1 to %d bytes", path, i + 1,
                        length ? "too long" : "empty", MOST_CLASS_NAME);
    }
    return EFFNET_OK;
}

static effnet_status imagenet_names(NameList *names, effnet_error *err) {
    char name[200];
    for (int i = 0; i < IMAGENET_CLASSES; i++) {
        imagenet_describe(i, name, sizeof name);
        TRY(name_list_add(names, name, err));
    }
    return EFFNET_OK;
}

/* The names that the card gets: the user's, the file's own, those of config.json, ImageNet's of 1,000; or none. */
static effnet_status choose_names(const effnet_import_options *options, const ModelCard *own, ImportSettings *found,
                                  int classes, NameList *names, effnet_error *err) {
    if (options->class_names) {
        TRY(name_list_read(options->class_names, names, err));
        return check_names(names, options->class_names, classes, err);
    }
    const HubConfig *hub = &found->hub;
    if (hub->class_names && hub->class_name_count != classes)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' names %d classes and the weights have %d; mend it or move it away",
                    hub->path, hub->class_name_count, classes);
    char **given = own->class_names ? own->class_names : hub->class_names;
    for (int i = 0; given && i < classes; i++) TRY(name_list_add(names, given[i], err));
    if (given || own->config.name[0] || classes != IMAGENET_CLASSES) return EFFNET_OK;
    import_settings_note(found, "assumed: class names are ImageNet's, as there are 1,000 (--class-names gives others)");
    return imagenet_names(names, err);
}

/* ---- all together ---- */

static void list_channels(const double *values, int channels, char *out, size_t size) {
    size_t used = 0;
    for (int c = 0; c < channels && used < size; c++)
        used += (size_t)number_print(out + used, size - used, "%s%.4g", c ? "," : "", values[c]);
}

static void note_result(const ModelCard *card, ImportSettings *found) {
    const TensorShape input = card->transform.input;
    char resolution[40], mean[200], std[200];
    list_channels(card->transform.mean, input.channels, mean, sizeof mean);
    list_channels(card->transform.std, input.channels, std, sizeof std);
    if (input.height == input.width)
        snprintf(resolution, sizeof resolution, "%d", input.height);
    else
        snprintf(resolution, sizeof resolution, "%dx%d", input.height, input.width);
    import_settings_note(found, "run with: resolution %s, crop_pct %.6g, %s, mean %s, std %s, %s padding, bn_eps %g",
                         resolution, card->transform.crop_pct,
                         card->transform.interpolation == INTERPOLATION_BILINEAR ? "bilinear" : "bicubic", mean, std,
                         card->config.padding == MODEL_PADDING_SAME ? "same" : "symmetric", card->config.bn_eps);
}

/* What is noted in the model and in every file that is saved of it; NULL: no memory. */
static char *describe_origin(const WeightImport *import, const ModelCard *own, const ImportSettings *found) {
    const char *path = safetensors_path(import->file), *slash = strrchr(path, '/');
    char *text;
    const int size = asprintf(&text, "%s%simported from %.200s, names of %s%s%s", own->origin ? own->origin : "",
                              own->origin ? "\n" : "", slash ? slash + 1 : path, naming_label(import->naming.style),
                              found->notes[0] ? "\n" : "", found->notes);
    return size < 0 ? NULL : text;
}

static effnet_status import_model(const WeightImport *import, const effnet_import_options *options, ModelCard *own,
                                  ImportSettings *found, effnet_model **out, effnet_error *err) {
    Recipe recipe;
    ModelConfig config;
    ModelCard card;
    NameList names = {0};
    effnet_model *model;
    TRY(choose_settings(import, options, &recipe, own, found, err));
    TRY(configure(import, options, &recipe, &config, found, err));
    effnet_status status = choose_names(options, own, found, config.num_classes, &names, err);
    if (status != EFFNET_OK) {
        name_list_free(&names);
        return status;
    }
    model_card_from_recipe(&recipe, &config, &card);
    note_result(&card, found);
    card.step = own->step;
    card.several = own->several;
    card.class_names = names.names; /* the card's from here on; NULL where there are none */
    TRY(model_allocate(&card, options->team, options->threads, NULL, &model, err));
    status = weight_import_read(import, &model->network, model->parameters, model->statistics, false, NULL, err);
    free(model->card.origin);
    model->card.origin = describe_origin(import, own, found);
    if (status == EFFNET_OK && !model->card.origin)
        status = fail(err, EFFNET_ERROR_MEMORY, "no memory to import '%s'", safetensors_path(import->file));
    if (status != EFFNET_OK) {
        effnet_model_free(model);
        return status;
    }
    *out = model;
    return EFFNET_OK;
}

effnet_status effnet_model_import(const char *path, const effnet_import_options *options, effnet_model **out,
                                  const char **naming, effnet_error *error) {
    effnet_import_options chosen;
    WeightImport import;
    ModelCard own = {0};
    ImportSettings found = {0};
    NEED_OUT(out);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_import_options", error));
    effnet_status status = weight_import_open(path, &import, error);
    if (status == EFFNET_OK && naming) *naming = naming_label(import.naming.style);
    if (status == EFFNET_OK) status = import_model(&import, &chosen, &own, &found, out, error);
    model_card_free(&own);
    import_settings_free(&found);
    weight_import_close(&import);
    return status;
}
