/* table_split.c - see table_split.h. */
#include "data/sources/table_split.h"

#include "base/text_file.h"

#include <stddef.h>
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

/* What the cell says, as the name of a split: of true and false those that the column's name means. */
static const char *split_of_cell(const TableSplit *split, const TableRow *row) {
    static const char *const yes[] = {"true", "1", "1.0", "yes", "t", "y", NULL}, *const no[] = {"false", "0", "0.0",
                                                                                                 "no",    "f", "n",
                                                                                                 NULL};
    const char *cell = split->column < row->count ? text_trim(row->fields[split->column]) : "";
    if (!split->valid && !split->inverted) return cell;
    if (is_among(cell, yes)) return split->valid ? "val" : "train";
    return is_among(cell, no) ? (split->valid ? "train" : "val") : "";
}

/* The place of the cell among the names, -1: not there. */
static int find_name(const TableSplit *split, const TableRow *row, const char *const *names) {
    const char *cell = split_of_cell(split, row);
    for (int i = 0; *cell && names[i]; i++)
        if (split_is_called(cell, names[i])) return i;
    return -1;
}

bool table_split_begin(TableSplit *split, const TableRow *heading) {
    static const char *const usual[] = {"split", "set",     "subset",     "partition", "phase",
                                        "usage", "dataset", "data_split", "data set",  NULL};
    static const char *const valid[] = {"is_valid", "is_val", "is_validation", "is_test", NULL}, *const train[] = {
                                                                                                     "is_train",
                                                                                                     "is_training",
                                                                                                     NULL};
    for (int i = 0; i < heading->count; i++) {
        const char *name = heading->fields[i];
        split->valid = is_among(name, valid);
        split->inverted = is_among(name, train);
        split->column = i;
        if (split->valid || split->inverted || is_among(name, usual)) return true;
    }
    split->column = -1;
    return false;
}

effnet_status table_split_find(TableSplit *split, const TableRow *first, TableReader rest,
                               const char *const *const known[2], const char **strange, effnet_error *err) {
    TableRow row = *first;
    int best = -1;
    *strange = NULL;
    split->chosen = NULL;
    if (!first->count) return EFFNET_OK;
    if (find_name(split, first, split->names) < 0 && find_name(split, first, known[0]) < 0 &&
        find_name(split, first, known[1]) < 0) {
        *strange = split->column < first->count ? first->fields[split->column] : "";
        split->column = -1;
        return EFFNET_OK;
    }
    while (row.count) {
        const int place = find_name(split, &row, split->names);
        if (place >= 0 && (best < 0 || place < best)) best = place;
        TRY(table_next(&rest, &row, err));
    }
    split->chosen = best < 0 ? NULL : split->names[best];
    return EFFNET_OK;
}

bool table_split_takes(const TableSplit *split, const TableRow *row) {
    const char *const chosen[2] = {split->chosen, NULL};
    return split->column < 0 || (split->chosen && find_name(split, row, chosen) == 0);
}
