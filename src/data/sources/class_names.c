/* class_names.c - see class_names.h. */
#include "data/sources/class_names.h"
#include "base/text_file.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_LIMIT = 8 << 20 };

effnet_status name_list_add(NameList *list, const char *name, effnet_error *err) {
    if (list->count == list->capacity) {
        if (list->capacity > INT_MAX / 2) return fail(err, EFFNET_ERROR_MEMORY, "too many names: %d", list->count);
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

effnet_status name_list_read(const char *path, NameList *list, effnet_error *err) {
    char *text = NULL;
    size_t size = 0;
    TRY(text_file_read(path, NAMES_LIMIT, &text, &size, err));
    while (size > 0 && strchr("\n \t", text[size - 1])) text[--size] = 0;
    effnet_status status = EFFNET_OK;
    for (char *line = text; status == EFFNET_OK && line && line < text + size;) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        status = name_list_add(list, text_trim(line), err);
        line = end ? end + 1 : NULL;
    }
    free(text);
    return status;
}

effnet_status name_list_count(NameList *list, int count, effnet_error *err) {
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        TRY(name_list_add(list, number, err));
    }
    return EFFNET_OK;
}

/* ---- sets ---- */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv. */
static uint64_t hash_name(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 0x100000001B3u;
    return hash;
}

/* The slot that holds `name`, or the empty one where it would go. */
static int find_slot(const NameSet *set, const char *name) {
    int slot = (int)(hash_name(name) % (uint64_t)set->num_slots);
    while (set->slots[slot] && strcmp(set->list.names[set->slots[slot] - 1], name) != 0)
        slot = slot + 1 < set->num_slots ? slot + 1 : 0;
    return slot;
}

static effnet_status grow_slots(NameSet *set, effnet_error *err) {
    if (set->num_slots > INT_MAX / 4) return fail(err, EFFNET_ERROR_MEMORY, "too many names: %d", set->list.count);
    int wanted = set->num_slots ? 2 * set->num_slots : 64;
    int *slots = calloc((size_t)wanted, sizeof *slots);
    if (!slots) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d names", wanted);
    free(set->slots);
    set->slots = slots;
    set->num_slots = wanted;
    for (int i = 0; i < set->list.count; i++) slots[find_slot(set, set->list.names[i])] = i + 1;
    return EFFNET_OK;
}

effnet_status name_set_add(NameSet *set, const char *name, int *number, effnet_error *err) {
    if (2 * set->list.count >= set->num_slots) TRY(grow_slots(set, err));
    int slot = find_slot(set, name);
    if (!set->slots[slot]) {
        TRY(name_list_add(&set->list, name, err));
        set->slots[slot] = set->list.count;
    }
    *number = set->slots[slot] - 1;
    return EFFNET_OK;
}

int name_set_find(const NameSet *set, const char *name) {
    return set->num_slots ? set->slots[find_slot(set, name)] - 1 : -1;
}

effnet_status name_set_sort(NameSet *set, int **map, effnet_error *err) {
    *map = NULL;
    int count = set->list.count;
    char **before = malloc(((size_t)count + 1) * sizeof *before);
    int *numbers = malloc(((size_t)count + 1) * sizeof *numbers);
    if (!before || !numbers) {
        free(before);
        free(numbers);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to sort %d names", count);
    }
    if (count) memcpy(before, set->list.names, (size_t)count * sizeof *before);
    name_list_sort(&set->list);
    for (int i = 0; i < count; i++) numbers[i] = name_list_find(&set->list, before[i]);
    free(before);
    free(set->slots);
    set->slots = NULL;
    set->num_slots = 0;
    *map = numbers;
    return EFFNET_OK;
}

void name_set_free(NameSet *set) {
    name_list_free(&set->list);
    free(set->slots);
    *set = (NameSet){0};
}

effnet_status name_list_check_unique(const NameList *list, const char *where, effnet_error *err) {
    NameSet set = {0};
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < list->count; i++) {
        int number;
        status = name_set_add(&set, list->names[i], &number, err);
        if (status == EFFNET_OK && number != i)
            status = fail(err, EFFNET_ERROR_FORMAT,
                          "'%s': classes %d and %d are both called '%.200s'; give each a name of its own", where,
                          number, i, list->names[i]);
    }
    name_set_free(&set);
    return status;
}
