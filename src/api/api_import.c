/* api_import.c - a model from another program's weights: whose names they are, which model, how it is run, values. */
#include "api/handles.h"

#include "train/import_weights.h"

#include <errno.h>
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

static effnet_status choose_model(const WeightImport *import, const char *wanted, Recipe *recipe, effnet_error *err) {
    const char *name = wanted ? wanted : weight_import_guess(import);
    if (!name)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' has %s's names and the shapes of no model known here (%s); say which it should be, and the "
                    "first tensor that does not fit will be named",
                    safetensors_path(import->file), naming_label(import->naming.style), model_names());
    return recipe_set(recipe, "model", name, err);
}

/* The recipe of how to run the model, and its configuration with the classes that the file has. */
static effnet_status configure(const WeightImport *import, const effnet_import_options *options, Recipe *recipe,
                               ModelConfig *config, effnet_error *err) {
    Network network;
    int classes = 0;
    recipe_defaults(recipe);
    TRY(choose_model(import, options->model, recipe, err));
    TRY(weight_import_presets(import, recipe, err));
    for (const char *const *setting = options->settings; setting && *setting; setting++)
        TRY(apply_setting(recipe, *setting, err));
    TRY(model_config_from_recipe(recipe, 1, config, err));
    TRY(network_build(config, &network, err));
    effnet_status status = weight_import_classes(import, &network, &classes, err);
    network_free(&network);
    config->num_classes = classes;
    return status;
}

/* ---- class names ---- */

static effnet_status bad_names(const char *path, int lines, int classes, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' has %s%d lines; the model has %d classes, one name a line each", path,
                lines > classes ? "more than " : "", lines > classes ? classes : lines, classes);
}

/* Lines of the file into card->class_names, which is the card's, complete or not. */
static effnet_status read_lines(FILE *stream, const char *path, ModelCard *card, effnet_error *err) {
    int classes = card->config.num_classes, count = 0;
    char line[MOST_CLASS_NAME + 2];
    card->class_names = calloc((size_t)classes, sizeof *card->class_names);
    if (!card->class_names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d classes", classes);
    while (fgets(line, sizeof line, stream)) {
        size_t length = strcspn(line, "\r\n");
        if (count == classes) return bad_names(path, classes + 1, classes, err);
        if (length == 0 || length > MOST_CLASS_NAME)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': line %d is %s; a class name has 1 to %d bytes", path,
                        count + 1, length ? "too long" : "empty", MOST_CLASS_NAME);
        line[length] = 0;
        card->class_names[count] = strdup(line);
        if (!card->class_names[count]) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the class names");
        count++;
    }
    if (ferror(stream)) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
    return count == classes ? EFFNET_OK : bad_names(path, count, classes, err);
}

static effnet_status read_class_names(const char *path, ModelCard *card, effnet_error *err) {
    FILE *stream = fopen(path, "r");
    if (!stream) return fail(err, EFFNET_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    effnet_status status = read_lines(stream, path, card, err);
    fclose(stream);
    return status;
}

/* ---- all together ---- */

static effnet_status import_model(const WeightImport *import, const effnet_import_options *options, effnet_model **out,
                                  effnet_error *err) {
    Recipe recipe;
    ModelConfig config;
    ModelCard card;
    effnet_model *model;
    TRY(configure(import, options, &recipe, &config, err));
    model_card_from_recipe(&recipe, &config, &card);
    effnet_status status = options->class_names ? read_class_names(options->class_names, &card, err) : EFFNET_OK;
    if (status != EFFNET_OK) {
        model_card_free(&card);
        return status;
    }
    TRY(model_allocate(&card, options->threads, false, &model, err));
    status = weight_import_read(import, &model->network, model->parameters, model->statistics, err);
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
    *out = NULL;
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_import_options", error));
    effnet_status status = weight_import_open(path, &import, error);
    if (status == EFFNET_OK && naming) *naming = naming_label(import.naming.style);
    if (status == EFFNET_OK) status = import_model(&import, &chosen, out, error);
    weight_import_close(&import);
    return status;
}
