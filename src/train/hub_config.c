/* hub_config.c - see hub_config.h. */
#include "train/hub_config.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/number_text.h"
#include "base/text_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_LIMIT = 16 << 20, MOST_CLASSES = 100000 };

static effnet_status path_beside(const char *weights_path, char *out, size_t size, effnet_error *err) {
    const char *slash = strrchr(weights_path, '/');
    int folder = slash ? (int)(slash - weights_path) + 1 : 0;
    if (snprintf(out, size, "%.*sconfig.json", folder, weights_path) < (int)size) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", weights_path);
}

static void copy_text(const json_t *object, const char *key, char *out, size_t size) {
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, size, "%s", text && strlen(text) < size ? text : "");
}

static effnet_status read_class_names(const json_t *names, HubConfig *out, effnet_error *err) {
    size_t count = json_array_size(names), i;
    const json_t *name;
    if (!count) return EFFNET_OK;
    if (count > MOST_CLASSES)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': label_names has %zu names; allowed: %d", out->path, count,
                    MOST_CLASSES);
    out->class_names = calloc(count, sizeof *out->class_names);
    if (!out->class_names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu class names", count);
    out->class_name_count = (int)count;
    json_array_foreach(names, i, name) {
        if (!json_string_value(name))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': name %zu of label_names is not a text", out->path, i);
        out->class_names[i] = strdup(json_string_value(name));
        if (!out->class_names[i]) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu class names", count);
    }
    return EFFNET_OK;
}

static effnet_status parse(const char *text, size_t size, HubConfig *out, effnet_error *err) {
    json_error_t trouble;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &trouble);
    out->root = root;
    if (!root || !json_is_object(root))
        return fail(
            err, EFFNET_ERROR_FORMAT,
            "'%s', which says how the weights are run, is not a JSON object (line %d: %.100s); mend it or move it "
            "away",
            out->path, root ? 1 : trouble.line, root ? "another value" : trouble.text);
    const json_t *nested = json_object_get(root, "pretrained_cfg");
    out->pretrained = (void *)(json_is_object(nested) ? nested : root); /* older files have one level */
    copy_text(root, "architecture", out->architecture, sizeof out->architecture);
    copy_text(out->pretrained, "tag", out->tag, sizeof out->tag);
    json_t *classes = json_object_get(root, "num_classes");
    if (!classes) classes = json_object_get(out->pretrained, "num_classes");
    json_int_t count = json_integer_value(classes);
    out->num_classes = count > 0 && count <= MOST_CLASSES ? (int)count : 0;
    const json_t *names = json_object_get(root, "label_names");
    if (!names) names = json_object_get(out->pretrained, "label_names");
    return *out->architecture ? read_class_names(names, out, err) : EFFNET_OK;
}

effnet_status hub_config_read(const char *weights_path, const char *noted, HubConfig *out, effnet_error *err) {
    char *text = NULL;
    size_t size = 0;
    *out = (HubConfig){0};
    TRY(path_beside(weights_path, out->path, sizeof out->path, err));
    if (!path_exists(out->path)) {
        snprintf(out->path, sizeof out->path, "%s", noted ? weights_path : "");
        return noted ? parse(noted, strlen(noted), out, err) : EFFNET_OK;
    }
    TRY(text_file_read(out->path, CONFIG_LIMIT, &text, &size, err));
    effnet_status status = parse(text, size, out, err);
    free(text);
    return status;
}

void hub_config_free(HubConfig *config) {
    json_decref(config->root);
    for (int i = 0; i < config->class_name_count; i++) free(config->class_names[i]);
    free(config->class_names);
    *config = (HubConfig){0};
}

/* ---- what it says ---- */

static effnet_status bad(const HubConfig *config, const char *key, const json_t *value, const char *allowed,
                         effnet_error *err) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    effnet_status status = fail(err, EFFNET_ERROR_FORMAT, "'%s': %s is %.60s; allowed: %s", config->path, key,
                                text ? text : "unreadable", allowed);
    free(text);
    return status;
}

/* A number a channel, or one or three whose average is every channel's, into out; absent or null: stays. */
static effnet_status read_channels(const HubConfig *config, const char *key, int channels, double least, double most,
                                   ChannelValues *out, effnet_error *err) {
    json_t *value = json_object_get(config->pretrained, key);
    if (!value || json_is_null(value)) return EFFNET_OK;
    size_t count = json_array_size(value);
    bool good = count == 3 || count == 1 || count == (size_t)channels;
    ChannelValues read = {.count = (int64_t)count};
    for (size_t c = 0; good && c < count; c++) {
        json_t *number = json_array_get(value, c);
        read.values[c] = json_number_value(number);
        good = json_is_number(number) && read.values[c] >= least && read.values[c] <= most;
    }
    if (!good)
        return bad(config, key, value, channels == 3 ? "three numbers of pixels in 0..1" : "numbers of pixels in 0..1",
                   err);
    *out = channel_values_for(&read, channels);
    return EFFNET_OK;
}

static effnet_status read_number(const HubConfig *config, const json_t *object, const char *key, double least,
                                 double most, double *out, effnet_error *err) {
    json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value)) return EFFNET_OK;
    char allowed[60];
    number_print(allowed, sizeof allowed, "numbers %g to %g", least, most);
    if (!json_is_number(value) || !(json_number_value(value) >= least && json_number_value(value) <= most))
        return bad(config, key, value, allowed, err);
    *out = json_number_value(value);
    return EFFNET_OK;
}

/* input_size: [3, 224, 224], channels and rows first */
static effnet_status read_size(const HubConfig *config, Recipe *recipe, effnet_error *err) {
    json_t *value = json_object_get(config->pretrained, "input_size");
    if (!value || json_is_null(value)) return EFFNET_OK;
    const json_int_t channels = json_integer_value(json_array_get(value, 0)),
                     height = json_integer_value(json_array_get(value, 1)),
                     width = json_integer_value(json_array_get(value, 2));
    if (json_array_size(value) != 3 || channels < 1 || channels > MOST_CHANNELS || height < 1 || height > 2048 ||
        width < 1 || width > 2048)
        return bad(config, "input_size", value,
                   "[CHANNELS, HEIGHT, WIDTH] with 1 to 16 channels and sides of 1 to 2048", err);
    recipe->in_chans = channels;
    recipe->resolution = (PictureSize){(int)height, (int)width};
    return EFFNET_OK;
}

static effnet_status read_choice(const HubConfig *config, const json_t *object, const char *key,
                                 const char *const *texts, const int *values, int *out, effnet_error *err) {
    json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value)) return EFFNET_OK;
    char allowed[80] = "";
    for (int i = 0; texts[i]; i++) {
        if (text && strcmp(text, texts[i]) == 0) {
            *out = values[i];
            return EFFNET_OK;
        }
        size_t used = strlen(allowed);
        number_print(allowed + used, sizeof allowed - used, "%s'%s'", i ? ", " : "", texts[i]);
    }
    return bad(config, key, value, allowed, err);
}

effnet_status hub_config_apply(const HubConfig *config, Recipe *recipe, effnet_error *err) {
    static const char *const interpolations[] = {"bilinear", "bicubic", NULL};
    static const char *const crops[] = {"center", "squash", NULL}, *const paddings[] = {"same", "", "symmetric", NULL};
    static const int kinds[] = {INTERPOLATION_BILINEAR, INTERPOLATION_BICUBIC};
    static const int modes[] = {VAL_CROP_RESIZE_SHORTER, VAL_CROP_NONE};
    static const int pads[] = {PADDING_SAME, PADDING_SYMMETRIC, PADDING_SYMMETRIC};
    const json_t *arguments = json_object_get(config->root, "model_args");
    TRY(read_size(config, recipe, err));
    TRY(read_number(config, config->pretrained, "crop_pct", 0.05, 1, &recipe->crop_pct, err));
    TRY(read_choice(config, config->pretrained, "interpolation", interpolations, kinds, &recipe->interpolation, err));
    TRY(read_choice(config, config->pretrained, "crop_mode", crops, modes, &recipe->val_crop, err));
    TRY(read_channels(config, "mean", (int)recipe->in_chans, 0, 1, &recipe->mean, err));
    TRY(read_channels(config, "std", (int)recipe->in_chans, 1e-3, 10, &recipe->std, err));
    TRY(read_choice(config, arguments, "pad_type", paddings, pads, &recipe->padding, err));
    return read_number(config, arguments, "bn_eps", 1e-12, 1, &recipe->bn_eps, err);
}
