/* torch_state.c - see torch_state.h. The names are those that timm, torchvision's references, Lightning and others
 * write; tools/convert.py has the same lists. */
#include "format/torch_state.h"

#include "format/torch_values.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_TENSORS = 100000,
    MOST_NESTED = 32,
    MOST_NAME = 250,
    MOST_WRAPPED = 3,
    KEYS_SHOWN = 12,
    AVERAGES = 6,
    MOST_KEYS = 100
};

/* Averages first. */
static const char *const wrappers[] = {"state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict",
                                       "ema_model",      "ema",       "state_dict",     "model_state_dict",
                                       "model",          "net",       "network",        "module",
                                       "weights",        "params",    "net_state_dict"};
enum { WRAPPERS = sizeof wrappers / sizeof *wrappers };

/* ---- dicts and modules ---- */

/* A dict of a module that was saved as an object: "_parameters", "_buffers", "_modules". */
static bool module_part(const Pickle *pickle, PickleRef reference, const char *part, PickleRef *out) {
    const PickleValue *value = pickle_value(pickle, reference);
    return value->kind == PICKLE_OBJECT && value->state && pickle_find(pickle, value->state, part, out);
}

static bool is_module(const Pickle *pickle, PickleRef reference) {
    PickleRef modules;
    return module_part(pickle, reference, "_modules", &modules);
}

static bool is_dict(const Pickle *pickle, PickleRef reference) {
    PickleKind kind = pickle_value(pickle, reference)->kind;
    return (kind == PICKLE_DICT || kind == PICKLE_OBJECT) && !torch_is_tensor(pickle, reference);
}

/* Tensors of a dict itself; a module counts as some. */
static int count_tensors(const Pickle *pickle, PickleRef reference) {
    int count = is_module(pickle, reference);
    if (!is_dict(pickle, reference)) return 0;
    const PickleValue *value = pickle_value(pickle, reference);
    for (uint32_t i = 0; i + 1 < value->count; i += 2)
        count +=
            pickle_value(pickle, value->items[i])->kind == PICKLE_TEXT && torch_is_tensor(pickle, value->items[i + 1]);
    return count;
}

/* Tensors in it, or in one of its first dicts: a checkpoint has few keys. */
static bool leads_to_tensors(const Pickle *pickle, PickleRef reference) {
    if (count_tensors(pickle, reference)) return true;
    if (!is_dict(pickle, reference)) return false;
    const PickleValue *value = pickle_value(pickle, reference);
    for (uint32_t i = 0; i + 1 < value->count && i < 2 * MOST_KEYS; i += 2)
        if (count_tensors(pickle, value->items[i + 1])) return true;
    return false;
}

/* ---- the tensors with their names ---- */

typedef struct Collection {
    const Pickle *pickle;
    const char *path;
    TorchState *state;
    int dicts; /* looked into: a module that is its own child has no end */
    effnet_error *err;
} Collection;

static effnet_status add(Collection *collection, const char *prefix, const PickleValue *key, PickleRef tensor) {
    TorchState *state = collection->state;
    char name[MOST_NAME + 1];
    if (memchr(key->text, 0, key->count) || strlen(prefix) + key->count > MOST_NAME)
        return fail(collection->err, EFFNET_ERROR_FORMAT,
                    "'%s': the name of a tensor, '%.60s%.*s...', has more than %d bytes, or zeros", collection->path,
                    prefix, (int)(key->count < 60 ? key->count : 60), key->text, MOST_NAME);
    if (state->count == MOST_TENSORS)
        return fail(collection->err, EFFNET_ERROR_FORMAT, "'%s' has more than %d tensors", collection->path,
                    MOST_TENSORS);
    if (state->count == state->room) {
        int room = state->room ? 2 * state->room : 64;
        TorchNamed *grown = realloc(state->tensors, (size_t)room * sizeof *grown);
        if (!grown) return fail(collection->err, EFFNET_ERROR_MEMORY, "no memory for the tensors of a .pth file");
        state->tensors = grown;
        state->room = room;
    }
    snprintf(name, sizeof name, "%s%.*s", prefix, (int)key->count, key->text);
    if (strcmp(name, "n_averaged") == 0) return EFFNET_OK; /* torch.optim.swa_utils counts there */
    TorchNamed *named = &state->tensors[state->count];
    *named = (TorchNamed){strdup(name), tensor};
    if (!named->name) return fail(collection->err, EFFNET_ERROR_MEMORY, "no memory for the tensors of a .pth file");
    state->count++;
    return EFFNET_OK;
}

static effnet_status collect_dict(Collection *collection, PickleRef dict, const char *prefix) {
    const PickleValue *value = pickle_value(collection->pickle, dict);
    if (!is_dict(collection->pickle, dict)) return EFFNET_OK;
    for (uint32_t i = 0; i + 1 < value->count; i += 2) {
        const PickleValue *key = pickle_value(collection->pickle, value->items[i]);
        if (key->kind == PICKLE_TEXT && torch_is_tensor(collection->pickle, value->items[i + 1]))
            TRY(add(collection, prefix, key, value->items[i + 1]));
    }
    return EFFNET_OK;
}

/* A module's tensors and those of its children, whose names go before. Recursion ends at MOST_NESTED. */
static effnet_status collect_module(Collection *collection, PickleRef module, const char *prefix, int depth) {
    PickleRef part;
    if (depth > MOST_NESTED || ++collection->dicts > MOST_TENSORS)
        return fail(collection->err, EFFNET_ERROR_FORMAT,
                    "'%s' holds a module with more than %d levels or %d parts, or one within itself; save its "
                    "state_dict() instead",
                    collection->path, MOST_NESTED, MOST_TENSORS);
    if (module_part(collection->pickle, module, "_parameters", &part)) TRY(collect_dict(collection, part, prefix));
    if (module_part(collection->pickle, module, "_buffers", &part)) TRY(collect_dict(collection, part, prefix));
    if (!module_part(collection->pickle, module, "_modules", &part)) return EFFNET_OK;
    const PickleValue *children = pickle_value(collection->pickle, part);
    if (!is_dict(collection->pickle, part)) return EFFNET_OK;
    for (uint32_t i = 0; i + 1 < children->count; i += 2) {
        const PickleValue *key = pickle_value(collection->pickle, children->items[i]);
        char below[MOST_NAME + 1];
        if (key->kind != PICKLE_TEXT ||
            snprintf(below, sizeof below, "%s%.*s.", prefix, (int)key->count, key->text) > MOST_NAME)
            continue; /* what is in it has a longer name than any model's */
        TRY(collect_module(collection, children->items[i + 1], below, depth + 1));
    }
    return EFFNET_OK;
}

static int compare_named(const void *left, const void *right) {
    const TorchNamed *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : a->tensor < b->tensor ? -1 : a->tensor > b->tensor;
}

/* In order, and of several of one name the last. */
static void sort_names(TorchState *state) {
    int kept = 0;
    if (state->count) qsort(state->tensors, (size_t)state->count, sizeof *state->tensors, compare_named);
    for (int i = 0; i < state->count; i++) {
        if (i + 1 < state->count && strcmp(state->tensors[i].name, state->tensors[i + 1].name) == 0)
            free(state->tensors[i].name);
        else
            state->tensors[kept++] = state->tensors[i];
    }
    state->count = kept;
}

/* ---- which of them ---- */

/* Goes from the checkpoint to the dict of weights. */
static PickleRef choose(const Pickle *pickle, PickleRef from, TorchState *out) {
    for (int depth = 0; depth <= MOST_WRAPPED && is_dict(pickle, from) && !is_module(pickle, from); depth++) {
        PickleRef chosen = 0, other;
        int taken = -1;
        for (int i = 0; i < WRAPPERS && taken < 0; i++)
            if (pickle_find(pickle, from, wrappers[i], &chosen) &&
                (count_tensors(pickle, chosen) || (depth < MOST_WRAPPED && leads_to_tensors(pickle, chosen))))
                taken = i;
        if (taken < 0) break;
        size_t used = strlen(out->taken);
        snprintf(out->taken + used, sizeof out->taken - used, "%staken: '%s', %s", used ? "; in it " : "",
                 wrappers[taken], taken < AVERAGES ? "the averaged weights" : "weights that were not averaged");
        const char *between = "; left: ";
        for (int i = 0; i < WRAPPERS; i++) {
            if (i == taken || !pickle_find(pickle, from, wrappers[i], &other) || !count_tensors(pickle, other))
                continue;
            used = strlen(out->taken);
            snprintf(out->taken + used, sizeof out->taken - used, "%s%s", between, wrappers[i]);
            between = ", ";
        }
        from = chosen;
    }
    return from;
}

/* "these keys: a (3 tensors), b (an int)": what the file has instead of weights. */
static void list_keys(const Pickle *pickle, PickleRef from, char *out, size_t size) {
    const PickleValue *value = pickle_value(pickle, from);
    char what[150];
    if (!is_dict(pickle, from) || value->count < 2) {
        pickle_describe(pickle, from, what, sizeof what);
        snprintf(out, size, "it holds %s", torch_is_tensor(pickle, from) ? "a tensor alone" : what);
        return;
    }
    snprintf(out, size, "it has these keys: ");
    for (uint32_t i = 0; i + 1 < value->count; i += 2) {
        const PickleValue *key = pickle_value(pickle, value->items[i]);
        const size_t used = strlen(out);
        pickle_describe(pickle, value->items[i + 1], what, sizeof what);
        if (i / 2 == KEYS_SHOWN) {
            snprintf(out + used, size - used, ", ...");
            return;
        }
        if (torch_is_tensor(pickle, value->items[i + 1])) snprintf(what, sizeof what, "a tensor");
        if (key->kind == PICKLE_TEXT)
            snprintf(out + used, size - used, "%s%.*s (%s)", i ? ", " : "", (int)(key->count < 40 ? key->count : 40),
                     key->text, what);
    }
}

/* ---- what it says of its model ---- */

/* The dict of an argparse.Namespace, or a dict. */
static bool settings_dict(const Pickle *pickle, PickleRef loaded, PickleRef *out) {
    if (!pickle_find(pickle, loaded, "args", out) && !pickle_find(pickle, loaded, "hyper_parameters", out))
        return false;
    const PickleValue *value = pickle_value(pickle, *out);
    if (value->kind == PICKLE_OBJECT && value->state) *out = value->state;
    return is_dict(pickle, *out);
}

static json_t *to_json(const Pickle *pickle, PickleRef reference, int depth) {
    const PickleValue *value = pickle_value(pickle, reference);
    if (value->kind == PICKLE_INT) return json_integer(value->integer);
    if (value->kind == PICKLE_FLOAT) return json_real(value->real); /* NULL: not finite */
    if (value->kind == PICKLE_TEXT) return json_stringn(value->text, value->count);
    if ((value->kind != PICKLE_TUPLE && value->kind != PICKLE_LIST) || depth > 1 || value->count > 8) return NULL;
    json_t *array = json_array();
    for (uint32_t i = 0; i < value->count; i++)
        json_array_append_new(array, to_json(pickle, value->items[i], depth + 1));
    return array;
}

static bool copy_setting(const Pickle *pickle, PickleRef dict, const char *key, json_t *object) {
    PickleRef found;
    if (!pickle_find(pickle, dict, key, &found)) return false;
    json_t *value = to_json(pickle, found, 0);
    bool useful =
        value && !(json_is_array(value) && !json_array_size(value)) &&
        !(json_is_string(value) && strcmp(key, "interpolation") == 0 &&
          strcmp(json_string_value(value), "bilinear") != 0 && strcmp(json_string_value(value), "bicubic") != 0);
    if (useful) json_object_set(object, key, value);
    json_decref(value);
    return useful;
}

static const PickleValue *text_under(const Pickle *pickle, PickleRef dict, const char *key) {
    PickleRef found;
    if (!pickle_find(pickle, dict, key, &found) || pickle_value(pickle, found)->kind != PICKLE_TEXT) return NULL;
    return pickle_value(pickle, found);
}

/* timm's trainer writes `arch` and its command line, which `effnet import` obeys as it does a config.json. */
static char *find_config(const Pickle *pickle, PickleRef loaded) {
    static const char *const copied[] = {"mean", "std", "crop_pct", "interpolation"};
    PickleRef settings = 0, side;
    if (!is_dict(pickle, loaded)) return NULL;
    bool has_settings = settings_dict(pickle, loaded, &settings);
    const PickleValue *name = text_under(pickle, loaded, "arch");
    if (!name && has_settings) name = text_under(pickle, settings, "model");
    if (!name && has_settings) name = text_under(pickle, settings, "arch");
    if (!name) return NULL;
    json_t *root = json_object(), *pictures = json_object();
    for (size_t i = 0; has_settings && i < sizeof copied / sizeof *copied; i++)
        copy_setting(pickle, settings, copied[i], pictures);
    if (has_settings && !copy_setting(pickle, settings, "input_size", pictures) &&
        pickle_find(pickle, settings, "img_size", &side) && pickle_value(pickle, side)->kind == PICKLE_INT)
        json_object_set_new(
            pictures, "input_size",
            json_pack("[iII]", 3, pickle_value(pickle, side)->integer, pickle_value(pickle, side)->integer));
    const char *dot = memchr(name->text, '.', name->count);
    size_t length = dot ? (size_t)(dot - name->text) : name->count;
    if (dot && name->count > length + 1)
        json_object_set_new(pictures, "tag", json_stringn(dot + 1, name->count - length - 1));
    json_object_set_new(root, "architecture", json_stringn(name->text, length));
    json_object_set_new(root, "pretrained_cfg", pictures);
    char *text = json_object_get(root, "architecture") ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

effnet_status torch_state_find(const Pickle *pickle, const char *path, TorchState *out, effnet_error *err) {
    Collection collection = {pickle, path, out, 0, err};
    *out = (TorchState){0};
    PickleRef chosen = choose(pickle, pickle->result, out);
    TRY(is_module(pickle, chosen) ? collect_module(&collection, chosen, "", 0) : collect_dict(&collection, chosen, ""));
    sort_names(out);
    if (out->count) {
        out->config = find_config(pickle, pickle->result);
        return EFFNET_OK;
    }
    char keys[600];
    list_keys(pickle, chosen, keys, sizeof keys);
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' has no weights where programs put them ('state_dict', 'model', 'net', ...): %s; "
                "tools/convert.py --key takes them from under any key",
                path, keys);
}

void torch_state_free(TorchState *state) {
    for (int i = 0; i < state->count; i++) free(state->tensors[i].name);
    free(state->tensors);
    free(state->config);
    *state = (TorchState){0};
}
