/* card.c - see card.h. Every value is text; numbers and lists are JSON, made and read by jansson, which
 * writes a decimal point whatever the locale of the program around us. */
#include "train/card.h"

#include "base/number_text.h"
#include "base/text_file.h"
#include "recipe/recipe.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const padding_names[] = {"same", "symmetric", NULL};
static const char *const variance_names[] = {"biased", "unbiased", NULL};
static const char *const interpolation_names[] = {"bilinear", "bicubic", NULL};
static const char *const val_crop_names[] = {"center", "none", "resize_shorter", NULL};
static const char *const overshoot_names[] = {"clip", "keep", NULL};
static const char *const resize_names[] = {"pillow", "tensorflow", "tensorflow1", "torch", NULL};
static const char *const head_width_names[] = {"scaled", "fixed", NULL};
static const char *const se_round_names[] = {"floor", "even", NULL};

/* A JSON string of a class name. Names are folder names, so any bytes: what is not UTF-8 becomes U+FFFD. */
static json_t *label_to_json(const char *label) {
    size_t size = strlen(label), used = 0;
    char *repaired = malloc(3 * size + 1);
    if (!repaired) return NULL;
    for (const char *c = label; *c;) {
        size_t length = text_utf8_length(c);
        memcpy(repaired + used, length ? c : "\xEF\xBF\xBD", length ? length : 3);
        used += length ? length : 3;
        c += length ? length : 1;
    }
    json_t *string = json_stringn(repaired, used);
    free(repaired);
    return string;
}

static json_t *labels_to_json(const ModelCard *card) {
    json_t *labels = json_array();
    for (int i = 0; labels && i < card->config.num_classes; i++)
        if (json_array_append_new(labels, label_to_json(card->class_names[i])) != 0) {
            json_decref(labels);
            return NULL;
        }
    return labels;
}

static json_t *channels_to_json(const double *values, int channels) {
    json_t *list = json_array();
    for (int c = 0; c < channels; c++) json_array_append_new(list, json_real(values[c]));
    return list;
}

enum { MOST_METADATA = 40 };

typedef struct Pairs {
    char **texts; /* key, value, ..., NULL: room for MOST_METADATA pairs */
    int used;
    bool failed; /* memory ran out */
} Pairs;

static void add_text(Pairs *pairs, const char *key, const char *value) {
    char *copies[2] = {strdup(key), value ? strdup(value) : NULL};
    if (!copies[0] || !copies[1] || pairs->used >= 2 * MOST_METADATA) {
        free(copies[0]);
        free(copies[1]);
        pairs->failed = true;
        return;
    }
    pairs->texts[pairs->used++] = copies[0];
    pairs->texts[pairs->used++] = copies[1];
}

/* Takes `value` over. */
static void add_json(Pairs *pairs, const char *key, json_t *value) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    add_text(pairs, key, text);
    free(text);
    json_decref(value);
}

effnet_status card_metadata(const ModelCard *card, char ***out, effnet_error *err) {
    *out = NULL;
    const ModelConfig *config = &card->config;
    Pairs pairs = {.texts = calloc(2 * MOST_METADATA + 1, sizeof(char *))};
    if (!pairs.texts) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the description of the weights");
    add_text(&pairs, "format", "pt"); /* PyTorch's layouts: transformers refuses a file that does not say so */
    add_text(&pairs, "effnet.model", config->name);
    add_json(&pairs, "effnet.width_coefficient", json_real(config->width));
    add_json(&pairs, "effnet.depth_coefficient", json_real(config->depth));
    add_json(&pairs, "effnet.num_classes", json_integer(config->num_classes));
    /* [rows, columns] where they differ: a reader of squares alone refuses it */
    const TensorShape input = card->transform.input;
    add_json(&pairs, "effnet.resolution",
             input.height == input.width ? json_integer(input.height) : json_pack("[i,i]", input.height, input.width));
    add_text(&pairs, "effnet.padding", padding_names[config->padding != MODEL_PADDING_SAME]);
    add_json(&pairs, "effnet.bn_eps", json_real(config->bn_eps));
    add_json(&pairs, "effnet.bn_momentum", json_real(config->bn_momentum));
    add_text(&pairs, "effnet.bn_variance", variance_names[config->bn_unbiased]);
    add_text(&pairs, "effnet.head_width", head_width_names[config->head_fixed]);
    add_text(&pairs, "effnet.se_round", se_round_names[config->squeeze_even]);
    if (input.channels != 3) add_json(&pairs, "effnet.in_chans", json_integer(input.channels));
    add_json(&pairs, "effnet.mean", channels_to_json(card->transform.mean, input.channels));
    add_json(&pairs, "effnet.std", channels_to_json(card->transform.std, input.channels));
    add_json(&pairs, "effnet.crop_pct", json_real(card->transform.crop_pct));
    add_text(&pairs, "effnet.interpolation",
             interpolation_names[card->transform.interpolation != INTERPOLATION_BILINEAR]);
    add_text(&pairs, "effnet.resize", resize_names[card->transform.resize & 3]);
    add_text(&pairs, "effnet.overshoot", overshoot_names[card->transform.overshoot != OVERSHOOT_CLIP]);
    add_text(&pairs, "effnet.val_crop", val_crop_names[card->transform.val_crop % 3]);
    add_json(&pairs, "effnet.pad_to", json_integer(card->transform.pad_to));
    if (card->transform.exif_orientation) add_text(&pairs, "effnet.exif_orientation", "true");
    if (card->several) add_text(&pairs, "effnet.labels", "several");
    add_json(&pairs, "effnet.step", json_integer(card->step));
    if (card->listing[0]) {
        add_json(&pairs, "effnet.train_pictures", json_integer(card->pictures));
        add_text(&pairs, "effnet.train_listing", card->listing);
    }
    if (card->evaluated_listing[0]) add_text(&pairs, "effnet.evaluated_listing", card->evaluated_listing);
    if (card->origin) add_json(&pairs, "effnet.origin", label_to_json(card->origin));
    if (card->class_names) add_json(&pairs, "effnet.class_names", labels_to_json(card));
    if (pairs.failed) {
        card_metadata_free(pairs.texts);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the description of the weights");
    }
    *out = pairs.texts;
    return EFFNET_OK;
}

effnet_status card_metadata_add(char **metadata, const char *key, const char *value, effnet_error *err) {
    Pairs pairs = {.texts = metadata};
    while (metadata[pairs.used]) pairs.used++;
    add_text(&pairs, key, value);
    return pairs.failed ? fail(err, EFFNET_ERROR_MEMORY, "no memory for '%s' in the metadata", key) : EFFNET_OK;
}

void card_metadata_free(char **metadata) {
    for (char **text = metadata; text && *text; text++) free(*text);
    free(metadata);
}

effnet_status metadata_number_text(double value, char **out, effnet_error *err) {
    json_t *number = json_real(value);
    *out = number ? json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(number);
    return *out ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for the metadata of a checkpoint");
}

/* ---- reading ---- */

static const char *text_of(const CardTexts *texts, const char *key) {
    return texts->find(texts->file, key);
}

static effnet_status bad_value(const CardTexts *texts, const char *key, const char *allowed, effnet_error *err) {
    const char *text = text_of(texts, key);
    if (!text) return fail(err, EFFNET_ERROR_FORMAT, "'%s': __metadata__ lacks '%s'", texts->path, key);
    return fail(err, EFFNET_ERROR_FORMAT, "'%s': '%s' in __metadata__ is '%.60s'; allowed: %s", texts->path, key, text,
                allowed);
}

/* The JSON value of a key, NULL where it is missing or not JSON. */
static json_t *json_of(const CardTexts *texts, const char *key) {
    const char *text = text_of(texts, key);
    return text ? json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static bool json_to_number(const json_t *value, double least, double most, double *out) {
    *out = json_number_value(value);
    return json_is_number(value) && *out >= least && *out <= most;
}

static effnet_status read_integer(const CardTexts *texts, const char *key, int64_t least, int64_t most, int64_t *out,
                                  effnet_error *err) {
    json_t *value = json_of(texts, key);
    *out = json_integer_value(value);
    bool good = json_is_integer(value) && *out >= least && *out <= most;
    json_decref(value);
    if (good) return EFFNET_OK;
    char allowed[80];
    number_print(allowed, sizeof allowed, "whole numbers %lld to %lld", (long long)least, (long long)most);
    return bad_value(texts, key, allowed, err);
}

/* A whole number, or [rows, columns]; of `out` the channels stay. */
static effnet_status read_resolution(const CardTexts *texts, TensorShape *out, effnet_error *err) {
    enum { MOST = 2048 };
    json_t *value = json_of(texts, "effnet.resolution");
    bool good = json_is_integer(value) || json_array_size(value) == 2;
    int64_t sides[2] = {0};
    for (size_t i = 0; good && i < 2; i++) {
        const json_t *side = json_is_array(value) ? json_array_get(value, i) : value;
        sides[i] = json_integer_value(side);
        good = json_is_integer(side) && sides[i] >= 1 && sides[i] <= MOST;
    }
    json_decref(value);
    if (!good)
        return bad_value(texts, "effnet.resolution", "whole numbers 1 to 2048, or two of them in brackets, rows first",
                         err);
    out->height = (int)sides[0];
    out->width = (int)sides[1];
    return EFFNET_OK;
}

static effnet_status read_number(const CardTexts *texts, const char *key, double least, double most, double *out,
                                 effnet_error *err) {
    json_t *value = json_of(texts, key);
    bool good = json_to_number(value, least, most, out);
    json_decref(value);
    if (good) return EFFNET_OK;
    char allowed[80];
    number_print(allowed, sizeof allowed, "numbers %g to %g", least, most);
    return bad_value(texts, key, allowed, err);
}

/* A number for each channel; the rest of `out` is 0. */
static effnet_status read_channels(const CardTexts *texts, const char *key, int channels, double least, double most,
                                   double out[MOST_CHANNELS], effnet_error *err) {
    const size_t count = (size_t)channels;
    json_t *value = json_of(texts, key);
    bool good = json_array_size(value) == count;
    memset(out, 0, MOST_CHANNELS * sizeof *out);
    for (size_t i = 0; good && i < count; i++) good = json_to_number(json_array_get(value, i), least, most, &out[i]);
    json_decref(value);
    if (good) return EFFNET_OK;
    char allowed[80];
    number_print(allowed, sizeof allowed, "%s numbers %g to %g in brackets, one a channel",
                 channels == 3 ? "three" : "as many as in_chans", least, most);
    return bad_value(texts, key, allowed, err);
}

/* One of `names`, ended by NULL. */
static effnet_status read_choice(const CardTexts *texts, const char *key, const char *const *names, int *out,
                                 effnet_error *err) {
    const char *text = text_of(texts, key);
    char allowed[80] = "";
    for (int i = 0; names[i]; i++) {
        if (text && strcmp(text, names[i]) == 0) {
            *out = i;
            return EFFNET_OK;
        }
        size_t used = strlen(allowed);
        number_print(allowed + used, sizeof allowed - used, "%s%s", i ? ", " : "", names[i]);
    }
    return bad_value(texts, key, allowed, err);
}

/* The same for a key that files of older programs lack: *out is then 0, the first name. */
static effnet_status read_newer_choice(const CardTexts *texts, const char *key, const char *const *names, int *out,
                                       effnet_error *err) {
    *out = 0;
    return text_of(texts, key) ? read_choice(texts, key, names, out, err) : EFFNET_OK;
}

/* A number that files of older programs lack: *out stays as it is. */
static effnet_status read_newer_number(const CardTexts *texts, const char *key, double least, double most, double *out,
                                       effnet_error *err) {
    return text_of(texts, key) ? read_number(texts, key, least, most, out, err) : EFFNET_OK;
}

static effnet_status read_labels(const CardTexts *texts, ModelCard *card, effnet_error *err) {
    if (!text_of(texts, "effnet.class_names")) return EFFNET_OK;
    json_t *labels = json_of(texts, "effnet.class_names");
    size_t count = (size_t)card->config.num_classes;
    effnet_status result = EFFNET_OK;
    if (!json_is_array(labels) || json_array_size(labels) != count)
        result = fail(err, EFFNET_ERROR_FORMAT, "'%s': 'effnet.class_names' in __metadata__ is not a list of %zu names",
                      texts->path, count);
    if (result == EFFNET_OK) card->class_names = calloc(count, sizeof(char *));
    for (size_t i = 0; result == EFFNET_OK && i < count; i++) {
        const char *label = json_string_value(json_array_get(labels, i));
        if (!label)
            result = fail(err, EFFNET_ERROR_FORMAT, "'%s': name %zu of 'effnet.class_names' is not a string",
                          texts->path, i);
        else if (!card->class_names || !(card->class_names[i] = strdup(label)))
            result = fail(err, EFFNET_ERROR_MEMORY, "no memory for the class names of '%s'", texts->path);
    }
    json_decref(labels);
    return result;
}

/* Absent in older files. */
static effnet_status read_origin(const CardTexts *texts, ModelCard *card, effnet_error *err) {
    const char *text = text_of(texts, "effnet.origin");
    if (!text) return EFFNET_OK;
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    const char *origin = json_string_value(value);
    effnet_status result = EFFNET_OK;
    if (!origin)
        result = fail(err, EFFNET_ERROR_FORMAT, "'%s': 'effnet.origin' is not a JSON text", texts->path);
    else if (!(card->origin = strdup(origin)))
        result = fail(err, EFFNET_ERROR_MEMORY, "no memory for the origin of '%s'", texts->path);
    json_decref(value);
    return result;
}

/* The bounds are those of the recipe's keys (recipe/keys.def). */
static effnet_status read_fields(const CardTexts *texts, ModelCard *card, effnet_error *err) {
    ModelConfig *config = &card->config;
    int64_t value;
    int unbiased, fixed, even;
    TRY(read_newer_number(texts, "effnet.width_coefficient", 1e-3, 16, &config->width, err));
    TRY(read_newer_number(texts, "effnet.depth_coefficient", 1e-3, 16, &config->depth, err));
    TRY(read_integer(texts, "effnet.num_classes", 1, 100000, &value, err));
    config->num_classes = (int)value;
    TRY(read_resolution(texts, &config->input, err));
    config->input.channels = 3; /* files of three channels do not say it */
    if (text_of(texts, "effnet.in_chans")) {
        TRY(read_integer(texts, "effnet.in_chans", 1, MOST_CHANNELS, &value, err));
        config->input.channels = (int)value;
    }
    card->transform.input = config->input;
    TRY(read_choice(texts, "effnet.padding", padding_names, &config->padding, err));
    TRY(read_number(texts, "effnet.bn_eps", 1e-12, 1, &config->bn_eps, err));
    TRY(read_number(texts, "effnet.bn_momentum", 0, 1, &config->bn_momentum, err));
    TRY(read_choice(texts, "effnet.bn_variance", variance_names, &unbiased, err));
    config->bn_unbiased = unbiased == 1;
    TRY(read_newer_choice(texts, "effnet.head_width", head_width_names, &fixed, err));
    TRY(read_newer_choice(texts, "effnet.se_round", se_round_names, &even, err));
    config->head_fixed = fixed == 1;
    config->squeeze_even = even == 1;
    TRY(read_channels(texts, "effnet.mean", config->input.channels, 0, 1, card->transform.mean, err));
    TRY(read_channels(texts, "effnet.std", config->input.channels, 1e-3, 10, card->transform.std, err));
    TRY(read_number(texts, "effnet.crop_pct", 0.05, 1, &card->transform.crop_pct, err));
    TRY(read_choice(texts, "effnet.interpolation", interpolation_names, &card->transform.interpolation, err));
    TRY(read_newer_choice(texts, "effnet.resize", resize_names, &card->transform.resize, err));
    TRY(read_newer_choice(texts, "effnet.overshoot", overshoot_names, &card->transform.overshoot, err));
    TRY(read_choice(texts, "effnet.val_crop", val_crop_names, &card->transform.val_crop, err));
    TRY(read_integer(texts, "effnet.pad_to", 0, 2048, &value, err));
    card->transform.pad_to = (int)value;
    const char *upright = text_of(texts, "effnet.exif_orientation"); /* absent: false */
    card->transform.exif_orientation = upright && strcmp(upright, "true") == 0;
    const char *labels = text_of(texts, "effnet.labels"); /* absent: one */
    card->several = labels && strcmp(labels, "several") == 0;
    TRY(read_integer(texts, "effnet.step", 0, INT64_MAX, &card->step, err));
    const char *listing = text_of(texts, "effnet.train_listing"); /* absent in older files */
    if (listing) {
        TRY(read_integer(texts, "effnet.train_pictures", 0, INT64_MAX, &card->pictures, err));
        snprintf(card->listing, sizeof card->listing, "%s", listing);
    }
    const char *evaluated = text_of(texts, "effnet.evaluated_listing");
    if (evaluated) snprintf(card->evaluated_listing, sizeof card->evaluated_listing, "%s", evaluated);
    TRY(read_origin(texts, card, err));
    return read_labels(texts, card, err);
}

effnet_status card_from_texts(const CardTexts *texts, ModelCard *out, bool *found, effnet_error *err) {
    memset(out, 0, sizeof *out);
    const char *name = text_of(texts, "effnet.model");
    *found = name != NULL;
    if (!*found) return EFFNET_OK;
    effnet_status result = model_config_by_name(name, &out->config, err);
    if (result != EFFNET_OK) return fail_within(err, EFFNET_ERROR_FORMAT, "'%s'", texts->path);
    result = read_fields(texts, out, err);
    if (result != EFFNET_OK) model_card_free(out);
    return result;
}

/* ---- of a safetensors file ---- */

static const char *find_in_safetensors(const void *file, const char *key) {
    return safetensors_metadata(file, key);
}

static CardTexts texts_of(const Safetensors *file) {
    return (CardTexts){safetensors_path(file), find_in_safetensors, file};
}

effnet_status metadata_integer(const Safetensors *file, const char *key, int64_t least, int64_t most, int64_t *out,
                               effnet_error *err) {
    const CardTexts texts = texts_of(file);
    return read_integer(&texts, key, least, most, out, err);
}

effnet_status metadata_number(const Safetensors *file, const char *key, double least, double most, double *out,
                              effnet_error *err) {
    const CardTexts texts = texts_of(file);
    return read_number(&texts, key, least, most, out, err);
}

effnet_status card_from_metadata(const Safetensors *file, ModelCard *out, bool *found, effnet_error *err) {
    const CardTexts texts = texts_of(file);
    return card_from_texts(&texts, out, found, err);
}

void model_card_free(ModelCard *card) {
    for (int i = 0; card->class_names && i < card->config.num_classes; i++) free(card->class_names[i]);
    free(card->class_names);
    free(card->origin);
    card->class_names = NULL;
    card->origin = NULL;
}
