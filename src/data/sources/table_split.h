/* table_split.h - a column of a table that says which split a row belongs to: `split`, `subset`, ... with the names that
 * folders have, or `is_valid`, `is_train` with true and false. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TABLE_SPLIT_H
#define EFFNET_DATA_SOURCES_TABLE_SPLIT_H

#include "data/sources/table_file.h"

#include <stdbool.h>

/* The names of the split that is wanted, in the order in which they are preferred, ended by NULL. */
typedef struct TableSplit {
    const char *const *names;
    int column;           /* -1: the table has none */
    const char *chosen;   /* of the names the first that a row has; NULL: none has */
    bool valid, inverted; /* the column is true or false: for evaluation, or for training */
} TableSplit;

/* "Train", "training_set", "Test images": the split's name in other letters, with what people add to it. */
bool split_is_called(const char *text, const char *split);
/* Whether the heading has such a column, and which. */
bool table_split_begin(TableSplit *split, const TableRow *heading);
/* Behind a table_split_begin that found one: looks through all rows, the first and those behind it, by a reader of a text
 * of its own. A column whose first cell is no name of a split at all, `known` being all there are, is none: then *strange
 * is that cell. */
effnet_status table_split_find(TableSplit *split, const TableRow *first, TableReader rest,
                               const char *const *const known[2], const char **strange, effnet_error *err);
/* Does the row belong to the split that is wanted? */
bool table_split_takes(const TableSplit *split, const TableRow *row);

#endif
