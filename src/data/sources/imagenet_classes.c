/* imagenet_classes.c - see imagenet_classes.h. */
#include "data/sources/imagenet_classes.h"

#include <stdio.h>
#include <string.h>

static const struct ImagenetClass {
    const char *wordnet_id, *name;
} classes[] = {
#define IMAGENET_CLASS(wordnet_id, name) {wordnet_id, name},
#include "data/sources/imagenet_classes.def"
#undef IMAGENET_CLASS
};
_Static_assert(sizeof classes / sizeof *classes == IMAGENET_CLASSES, "ImageNet-1k has 1,000 classes");

const char *imagenet_wordnet_id(int label) {
    return classes[label].wordnet_id;
}

const char *imagenet_name(int label) {
    return classes[label].name;
}

/* The label after `after` with that name, or -1. */
static int find_name(const char *name, int after) {
    for (int i = after + 1; i < IMAGENET_CLASSES; i++)
        if (strcmp(classes[i].name, name) == 0) return i;
    return -1;
}

/* A name that `text` begins with, followed by its own WordNet id in brackets. */
static int find_described(const char *text) {
    const char *bracket = strstr(text, " (n");
    for (int i = 0; bracket && i < IMAGENET_CLASSES; i++)
        if (strncmp(bracket + 2, classes[i].wordnet_id, 9) == 0 && strcmp(bracket + 11, ")") == 0) return i;
    return -1;
}

int imagenet_find(const char *text) {
    for (int i = 0; i < IMAGENET_CLASSES; i++)
        if (strcmp(classes[i].wordnet_id, text) == 0) return i;
    int label = find_name(text, -1);
    if (label < 0) return find_described(text);
    return find_name(text, label) < 0 ? label : -1;
}

void imagenet_describe(int label, char *buffer, int size) {
    const char *name = classes[label].name;
    int first = find_name(name, -1);
    if (find_name(name, first) < 0)
        snprintf(buffer, (size_t)size, "%s", name);
    else
        snprintf(buffer, (size_t)size, "%s (%s)", name, classes[label].wordnet_id);
}
