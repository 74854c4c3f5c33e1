/* table_split.c - see table_split.h. */
#include "data/sources/table_split.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool split_is_called(const char *text, const char *split) {
    static const char *const added[] = {"", "set", "data", "images", "pictures", "folder", "split"};
    size_t length = strlen(split);
    if (strncasecmp(text, split, length) != 0) return false;
    const char *rest = text + length + strspn(text + length, "_- ");
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        if (strcasecmp(rest, added[i]) == 0) return !*rest == !text[length];
    return false;
}

static bool is_among(const char *text, const char *const *names) {
    while (*names && strcasecmp(text, *names) != 0) names++;
    return *names != NULL;
}

/* Columns of true and false: whether those of evaluation, or of training, say true. */
static const char *const valid_names[] = {"is_valid", "is_val", "is_validation", "is_test", NULL};
static const char *const train_names[] = {"is_train", "is_training", NULL};

bool table_split_named(const char *name) {
    static const char *const usual[] = {"split", "set",     "subset",     "partition", "phase",
                                        "usage", "dataset", "data_split", "data set",  NULL};
    return is_among(name, usual) || is_among(name, valid_names) || is_among(name, train_names);
}

/* What the cell says, as the name of a split: of true and false those that the column's name means. */
static const char *split_of_cell(const char *name, const char *cell) {
    static const char *const yes[] = {"true", "1", "1.0", "yes", "t", "y", NULL};
    static const char *const no[] = {"false", "0", "0.0", "no", "f", "n", NULL};
    const bool valid = is_among(name, valid_names);
    if (!valid && !is_among(name, train_names)) return cell;
    if (is_among(cell, yes)) return valid ? "val" : "train";
    return is_among(cell, no) ? (valid ? "train" : "val") : "";
}

/* The place of what the cell says among the names, -1: not there. */
static int find_name(const char *said, const char *const *names) {
    for (int i = 0; *said && names[i]; i++)
        if (split_is_called(said, names[i])) return i;
    return -1;
}

void table_split_see(TableSplit *split, const char *name, const char *cell) {
    const char *said = split_of_cell(name, cell);
    split->column = true;
    const int place = find_name(said, split->names);
    if (place >= 0 && (split->best < 0 || place < split->best)) split->best = place;
    if (place >= 0 || find_name(said, split->known[0]) >= 0 || find_name(said, split->known[1]) >= 0) {
        split->there = true;
    } else if (split->others++ == 0) {
        snprintf(split->other, sizeof split->other, "%s", cell);
    }
}

const char *table_split_chosen(const TableSplit *split) {
    return split->there && split->best >= 0 ? split->names[split->best] : NULL;
}

bool table_split_takes(const TableSplit *split, const char *name, const char *cell) {
    const char *chosen = table_split_chosen(split);
    return !split->there || (chosen && find_name(split_of_cell(name, cell), (const char *const[]){chosen, NULL}) == 0);
}
