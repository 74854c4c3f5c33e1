/* imagenet_labels.c - see imagenet_labels.h. */
#include "data/sources/imagenet_labels.h"
#include "data/sources/shard_source.h"
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void imagenet_labels_free(ImagenetLabels *labels) {
    name_list_free(&labels->classes);
    name_list_free(&labels->files);
}

/* Whole and not negative, or -1. */
static long number_of(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return *text && !*end && !errno && value >= 0 ? value : -1;
}

/* A class a line; of each line the first word counts (synset_words.txt has the class's description after it). */
static effnet_status read_classes(const char *path, NameList *classes, effnet_error *err) {
    TRY(name_list_read(path, classes, err));
    for (int i = 0; i < classes->count; i++) classes->names[i][strcspn(classes->names[i], " \t,")] = 0;
    return name_list_check_unique(classes, path, err);
}

static bool is_sorted(const NameList *list) {
    for (int i = 1; i < list->count; i++)
        if (strcmp(list->names[i - 1], list->names[i]) > 0) return false;
    return true;
}

/* Numbers from 1, in `lines`, become names. */
static effnet_status name_numbers(NameList *lines, const char *path, const char *list_path, effnet_error *err) {
    NameList classes = {0};
    effnet_status status = read_classes(list_path, &classes, err);
    if (status == EFFNET_OK && classes.count > 100 && is_sorted(&classes))
        status = fail(err, EFFNET_ERROR_FORMAT,
                      "'%s' is in the order of the names, and '%s' counts in the order of ILSVRC2012_ID of the "
                      "development kit's meta.mat: write the classes in that order",
                      list_path, path);
    for (int i = 0; status == EFFNET_OK && i < lines->count; i++) {
        long number = number_of(lines->names[i]);
        char *name = number >= 1 && number <= classes.count ? strdup(classes.names[number - 1]) : NULL;
        if (number < 1 || number > classes.count)
            status = fail(err, EFFNET_ERROR_FORMAT, "'%s': line %d is '%.40s'; wanted a number from 1 to %d", path,
                          i + 1, lines->names[i], classes.count);
        else if (!name)
            status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the labels of '%s'", path);
        else {
            free(lines->names[i]);
            lines->names[i] = name;
        }
    }
    name_list_free(&classes);
    return status;
}

/* "NAME LABEL" a line, in any order of names. */
static effnet_status read_table(ImagenetLabels *out, effnet_error *err) {
    NameList lines = {0}, classes = {0};
    char list_path[SOURCE_PATH_BYTES];
    effnet_status status = path_beside(list_path, sizeof list_path, out->path, "synsets.txt", err);
    if (status == EFFNET_OK && path_exists(list_path)) status = read_classes(list_path, &classes, err);
    name_list_sort(&classes);
    if (status == EFFNET_OK) status = name_list_read(out->path, &lines, err);
    name_list_sort(&lines); /* by name: the beginning of the line */
    for (int i = 0; status == EFFNET_OK && i < lines.count; i++) {
        char *name = lines.names[i], *label = name + strcspn(name, " \t");
        while (*label && isspace((unsigned char)*label)) *label++ = 0;
        long number = number_of(label);
        if (number >= 0 && number >= classes.count)
            status = fail(err, EFFNET_ERROR_FORMAT, "'%s': '%s' has the label %ld, and '%s' names %d classes",
                          out->path, name, number, list_path, classes.count);
        else if (!*label)
            status = fail(err, EFFNET_ERROR_FORMAT, "'%s': '%.80s' has no label after it", out->path, name);
        if (status == EFFNET_OK) status = name_list_add(&out->files, name, err);
        if (status == EFFNET_OK)
            status = name_list_add(&out->classes, number >= 0 ? classes.names[number] : label, err);
    }
    name_list_free(&lines);
    name_list_free(&classes);
    return status;
}

static effnet_status look(const char *tar, const char *name, ImagenetLabels *out, bool *found, effnet_error *err) {
    TRY(path_beside(out->path, sizeof out->path, tar, name, err));
    *found = path_exists(out->path);
    return EFFNET_OK;
}

static effnet_status read_any(const char *tar, ImagenetLabels *out, bool *found, effnet_error *err) {
    TRY(look(tar, "imagenet_2012_validation_synset_labels.txt", out, found, err));
    if (*found) return name_list_read(out->path, &out->classes, err);
    TRY(look(tar, "ILSVRC2012_validation_ground_truth.txt", out, found, err));
    if (*found) {
        char list_path[SOURCE_PATH_BYTES];
        TRY(path_beside(list_path, sizeof list_path, tar, "ILSVRC2012_synsets.txt", err));
        TRY(name_list_read(out->path, &out->classes, err));
        return name_numbers(&out->classes, out->path, list_path, err);
    }
    TRY(look(tar, "val.txt", out, found, err));
    return *found ? read_table(out, err) : EFFNET_OK;
}

effnet_status imagenet_labels_read(const char *tar, ImagenetLabels *out, bool *found, effnet_error *err) {
    *out = (ImagenetLabels){0};
    *found = false;
    effnet_status status = read_any(tar, out, found, err);
    if (status != EFFNET_OK) imagenet_labels_free(out);
    return status;
}

const char *imagenet_labels_find(const ImagenetLabels *labels, const char *name) {
    const char *slash = strrchr(name, '/');
    if (slash) name = slash + 1;
    if (labels->files.count) {
        int place = name_list_find(&labels->files, name);
        return place < 0 ? NULL : labels->classes.names[place];
    }
    /* ILSVRC2012_val_00000001.JPEG: the digits before the ending. */
    const char *end = strrchr(name, '.');
    if (!end) end = name + strlen(name);
    const char *begin = end;
    while (begin > name && isdigit((unsigned char)begin[-1])) begin--;
    if (begin == end || end - begin > 9) return NULL;
    long number = strtol(begin, NULL, 10);
    return number >= 1 && number <= labels->classes.count ? labels->classes.names[number - 1] : NULL;
}
