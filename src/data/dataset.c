/* dataset.c - finds out what a folder holds, and the part of a dataset that is the same for every source: names of
 * classes, and their renumbering where a model numbers them in another order. */
#include "data/source.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* ---- names ---- */

effnet_status name_list_add(NameList *list, const char *name, effnet_error *err) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 16;
        char **larger = realloc(list->names, (size_t)capacity * sizeof *larger);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d names", capacity);
        list->names = larger;
        list->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the name '%s'", name);
    list->names[list->count++] = copy;
    return EFFNET_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void name_list_sort(NameList *list) {
    if (list->count > 1) qsort(list->names, (size_t)list->count, sizeof *list->names, compare_names);
}

int name_list_find(const NameList *list, const char *name) {
    if (!list->count) return -1;
    char *const *place = bsearch(&name, list->names, (size_t)list->count, sizeof *list->names, compare_names);
    return place ? (int)(place - list->names) : -1;
}

void name_list_free(NameList *list) {
    for (int i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
    *list = (NameList){0};
}

/* ---- which source ---- */

static const char *const train_names[] = {"train", NULL};
static const char *const validation_names[] = {"val", "validation", "test", "t10k", NULL};

static bool split_exists(const char *root, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        char path[PATH_BYTES], labels[PATH_BYTES];
        bool idx = false;
        if (path_join(path, sizeof path, root, names[i], NULL) == EFFNET_OK && path_is_folder(path)) return true;
        if (source_idx_find(root, names[i], path, labels, sizeof path, &idx, NULL) == EFFNET_OK && idx) return true;
    }
    return false;
}

/* Opens ROOT's split `name`, if there is such a one. */
static effnet_status open_split(const char *root, const char *name, Dataset **out, bool *found, effnet_error *err) {
    char path[PATH_BYTES], labels[PATH_BYTES];
    TRY(source_idx_find(root, name, path, labels, sizeof path, found, err));
    if (*found) return source_idx_open(root, path, labels, out, err);
    TRY(path_join(path, sizeof path, root, name, err));
    *found = path_is_folder(path);
    if (!*found) return EFFNET_OK;
    /* The training folder numbers the classes of every split: a class that has no validation pictures must not shift
     * the others. */
    char classes[PATH_BYTES];
    TRY(path_join(classes, sizeof classes, root, "train", err));
    return source_folder_open(path, path_is_folder(classes) ? classes : NULL, out, err);
}

effnet_status dataset_open(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                           effnet_error *err) {
    *out = NULL;
    if (!root || !root[0])
        return fail(err, EFFNET_ERROR_ARGUMENT, "no data folder given: set 'data' in the recipe or use --data DIR");
    if (!path_exists(root))
        return fail(err, EFFNET_ERROR_IO, "cannot open the data folder '%s': %s", root, strerror(errno));
    if (!path_is_folder(root))
        return fail(err, EFFNET_ERROR_IO, "'%s' is a file; wanted a folder of class folders or of IDX files", root);
    bool named = split_name && split_name[0];
    const char *given[2] = {split_name, NULL};
    const char *const *names = named ? given : split == SPLIT_TRAIN ? train_names : validation_names;
    for (int i = 0; names[i]; i++) {
        bool found = false;
        TRY(open_split(root, names[i], out, &found, err));
        if (found) return EFFNET_OK;
    }
    if (named)
        return fail(err, EFFNET_ERROR_IO,
                    "the data folder '%s' has neither a folder '%s' nor '%s-images-idx3-ubyte[.gz]'", root, split_name,
                    split_name);
    if (split == SPLIT_TRAIN ? split_exists(root, validation_names) : split_exists(root, train_names))
        return fail(err, EFFNET_ERROR_IO,
                    "the data folder '%s' has no %s pictures: wanted a folder or an IDX prefix %s", root,
                    split == SPLIT_TRAIN ? "training" : "validation",
                    split == SPLIT_TRAIN ? "'train' (or name one as train_split)"
                                         : "'val', 'validation', 'test' or 't10k' (or name one as val_split)");
    return source_folder_open(root, NULL, out, err);
}

/* ---- what every source shares ---- */

void dataset_free(Dataset *dataset) {
    if (!dataset) return;
    dataset->methods->release(dataset);
    name_list_free(&dataset->own_classes);
    name_list_free(&dataset->given_classes);
    free(dataset->renumbered);
    free(dataset);
}

int64_t dataset_size(const Dataset *dataset) {
    return dataset->size;
}

static const NameList *classes_of(const Dataset *dataset) {
    return dataset->renumbered ? &dataset->given_classes : &dataset->own_classes;
}

int dataset_num_classes(const Dataset *dataset) {
    return classes_of(dataset)->count;
}

const char *dataset_class_name(const Dataset *dataset, int class_index) {
    const NameList *classes = classes_of(dataset);
    return class_index >= 0 && class_index < classes->count ? classes->names[class_index] : "";
}

int dataset_label(const Dataset *dataset, int64_t index) {
    int label = dataset->methods->label(dataset, index);
    return dataset->renumbered ? dataset->renumbered[label] : label;
}

void dataset_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    dataset->methods->describe(dataset, index, buffer, size);
}

effnet_status dataset_read_with(const Dataset *dataset, int64_t index, Decoder *decoder, Picture *out,
                                effnet_error *err) {
    *out = (Picture){0};
    if (index < 0 || index >= dataset->size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no picture %lld: the data set has %lld", (long long)index,
                    (long long)dataset->size);
    return dataset->methods->read(dataset, index, decoder, out, err);
}

effnet_status dataset_read(const Dataset *dataset, int64_t index, Picture *out, effnet_error *err) {
    Decoder decoder = {0};
    effnet_status status = dataset_read_with(dataset, index, &decoder, out, err);
    if (status == EFFNET_OK)
        decoder.pixels = NULL; /* the caller's now */
    else
        *out = (Picture){0};
    decoder_release(&decoder);
    return status;
}

/* Linear search: class lists from a model may be in any order. */
static int find_class(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* map[i] = place of the source's class i among `names`; by number where the source has no names. */
static effnet_status map_classes(const Dataset *dataset, const char *const *names, int count, int *map,
                                 effnet_error *err) {
    for (int i = 0; i < dataset->own_classes.count; i++) {
        const char *name = dataset->own_classes.names[i];
        map[i] = dataset->classes_named ? find_class(names, count, name) : i;
        if (map[i] < 0 || map[i] >= count)
            return fail(err, EFFNET_ERROR_ARGUMENT,
                        "the data has a class '%s' that is not among the %d known ('%s', ...)", name, count,
                        count > 0 ? names[0] : "");
    }
    return EFFNET_OK;
}

effnet_status dataset_use_classes(Dataset *dataset, const char *const *names, int count, effnet_error *err) {
    NameList list = {0};
    int *map = calloc((size_t)dataset->own_classes.count, sizeof *map);
    effnet_status status = map ? map_classes(dataset, names, count, map, err)
                               : fail(err, EFFNET_ERROR_MEMORY, "no memory to renumber the classes");
    for (int i = 0; status == EFFNET_OK && i < count; i++) status = name_list_add(&list, names[i], err);
    if (status != EFFNET_OK) {
        name_list_free(&list);
        free(map);
        return status;
    }
    name_list_free(&dataset->given_classes);
    free(dataset->renumbered);
    dataset->given_classes = list;
    dataset->renumbered = map;
    return EFFNET_OK;
}
