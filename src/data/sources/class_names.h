/* class_names.h - lists of names, and how a data set's classes come by theirs: gathered from its pictures and numbered
 * in bytewise order, read from a file with one name a line, or merely counted. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_CLASS_NAMES_H
#define EFFNET_DATA_SOURCES_CLASS_NAMES_H

#include "base/error.h"

/* A list of names in one numbered array; {0} is empty. */
typedef struct NameList {
    char **names;
    int count, capacity;
} NameList;

effnet_status name_list_add(NameList *list, const char *name, effnet_error *err);
void name_list_sort(NameList *list);                        /* bytewise */
int name_list_find(const NameList *list, const char *name); /* in a sorted list; -1 */
void name_list_free(NameList *list);
/* Lines of a text file (base/text_file.h) without blanks at their ends; empty ones at its end do not count. */
effnet_status name_list_read(const char *path, NameList *list, effnet_error *err);
/* "0", "1", ... to `count` of them. */
effnet_status name_list_count(NameList *list, int count, effnet_error *err);

/* Each name once, numbered as they come. {0} is empty. */
typedef struct NameSet {
    NameList list;
    int *slots; /* open addressing: number + 1, or 0 */
    int num_slots;
} NameSet;

/* The number of `name`, added if it is new. */
effnet_status name_set_add(NameSet *set, const char *name, int *number, effnet_error *err);
int name_set_find(const NameSet *set, const char *name); /* -1: not there */
/* Sorts bytewise; *map (freed with free()) has the new number of each old one. The set can no longer be searched. */
effnet_status name_set_sort(NameSet *set, int **map, effnet_error *err);
void name_set_free(NameSet *set);

/* An error where two classes have one name; `where` names the data. */
effnet_status name_list_check_unique(const NameList *list, const char *where, effnet_error *err);

#endif
