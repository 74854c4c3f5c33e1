/* class_match.c - see class_match.h. */
#include "data/sources/class_match.h"

#include "data/sources/imagenet_classes.h"
#include "data/sources/source.h"
#include "base/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The output of a class by its name in the data set; -1: none. */
typedef int FindOutput(const char *const *names, int count, const char *name);

static int by_name(const char *const *names, int count, const char *name) {
    for (int i = 0; names && i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

static int by_imagenet(const char *const *names, int count, const char *name) {
    int label = count == IMAGENET_CLASSES ? imagenet_find(name) : -1;
    return label >= 0 && (!names || imagenet_find(names[label]) == label) ? label : -1;
}

static int by_number(const char *const *names, int count, const char *name) {
    char *end;
    long number = strtol(name, &end, 10);
    return !names && *name >= '0' && *name <= '9' && !*end && number < count ? (int)number : -1;
}

/* map[i] = output of the data's class i; false where one has none, which *stranger then is, or two have one. */
static bool map_all(const Dataset *dataset, const char *const *names, int count, FindOutput *find, int *map,
                    bool *taken, const char **stranger) {
    memset(taken, 0, (size_t)count * sizeof *taken);
    for (int i = 0; i < dataset->own_classes.count; i++) {
        const char *name = dataset->own_classes.names[i];
        map[i] = find(names, count, name);
        if (map[i] < 0 || taken[map[i]]) {
            *stranger = name;
            return false;
        }
        taken[map[i]] = true;
    }
    return true;
}

static bool by_order(const Dataset *dataset, const char *const *names, int count, int *map) {
    if (names || dataset->own_classes.count != count) return false;
    for (int i = 0; i < count; i++) map[i] = i;
    return true;
}

/* The outputs called as the data calls its classes, the others as the model does. */
static effnet_status use(Dataset *dataset, const char *const *names, int count, const int *map, effnet_error *err) {
    NameList list = {0};
    char number[24];
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < count; i++) {
        snprintf(number, sizeof number, "#%d", i); /* no class of the data is called so: it would be in the map */
        status = name_list_add(&list, names ? names[i] : number, err);
    }
    for (int i = 0; status == EFFNET_OK && i < dataset->own_classes.count; i++) {
        char *copy = strdup(dataset->own_classes.names[i]);
        if (!copy) status = fail(err, EFFNET_ERROR_MEMORY, "no memory for %d class names", count);
        if (!copy) break;
        free(list.names[map[i]]);
        list.names[map[i]] = copy;
    }
    if (status == EFFNET_OK) status = dataset_use_classes(dataset, (const char *const *)list.names, count, err);
    name_list_free(&list);
    return status;
}

static effnet_status refuse(const Dataset *dataset, const char *const *names, int count, const char *data,
                            const char *stranger, effnet_error *err) {
    char hint[400] = "";
    for (int i = 0; names && i < count && !*hint; i++) text_normalisation_hint(stranger, names[i], hint, sizeof hint);
    if (names)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "'%s' has a class '%.100s' that is none of the model's %d ('%.60s', ...); give the data that it "
                    "was trained on, or call the folders as the model calls its classes%s",
                    data, stranger, count, names[0], hint);
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "'%s' has %d classes ('%.100s', ...) and the model %d without names, so that nothing tells which is "
                "which; give the model names ('effnet import --class-names FILE') or the data it was trained on",
                data, dataset->own_classes.count, dataset->own_classes.count ? dataset->own_classes.names[0] : "",
                count);
}

effnet_status classes_match(Dataset *dataset, const char *const *names, int count, const char *data,
                            effnet_error *err) {
    static FindOutput *const ways[] = {by_name, by_imagenet, by_number};
    int own = dataset->own_classes.count;
    if (!dataset->classes_named) {
        if (own <= count) return names ? dataset_use_classes(dataset, names, count, err) : EFFNET_OK;
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' has %d classes and the model %d; give the data it was trained on",
                    data, own, count);
    }
    int *map = calloc((size_t)own + 1, sizeof *map);
    bool *taken = calloc((size_t)count + 1, sizeof *taken);
    const char *stranger = "", *ignored = "";
    bool found = false;
    for (size_t way = 0; map && taken && !found && way < sizeof ways / sizeof *ways; way++)
        found = map_all(dataset, names, count, ways[way], map, taken, way ? &ignored : &stranger);
    if (map && taken && !found) found = by_order(dataset, names, count, map);
    effnet_status status = !map || !taken ? fail(err, EFFNET_ERROR_MEMORY, "no memory to match %d classes", own)
                           : found        ? use(dataset, names, count, map, err)
                                          : refuse(dataset, names, count, data, stranger, err);
    free(map);
    free(taken);
    return status;
}
