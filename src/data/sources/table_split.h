/* table_split.h - what a table says of the split that a row belongs to, in a column or, of a row of JSON, under a key:
 * `split`, `subset`, ... with the names that folders have, or `is_valid`, `is_train` with true and false. A table is looked
 * through once before its rows are taken, as it may have the wanted split under several names (`val` and `test`), of which
 * the first is meant. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TABLE_SPLIT_H
#define EFFNET_DATA_SOURCES_TABLE_SPLIT_H

#include <stdbool.h>

enum { SPLIT_CELL_BYTES = 64 };

typedef struct TableSplit {
    const char *const *names;     /* of the split that is wanted, in the order of preference, ended by NULL */
    const char *const *known[2];  /* of training and of evaluation */
    bool column;                  /* a row that was looked at has a column or a key of splits */
    bool there;                   /* the table tells the splits: a row has a name that is known */
    int best;                     /* of `names` the first that a row has; -1: none has */
    long long others;             /* rows of no split that is known */
    char other[SPLIT_CELL_BYTES]; /* what the first of them says */
} TableSplit;

/* "Train", "training_set", "Test images": the split's name in other letters, with what people add to it. */
bool split_is_called(const char *text, const char *split);
/* Is a column or a key of this name one of splits? */
bool table_split_named(const char *name);
/* Takes note of a row that is looked at: the column's name and its cell, "" where the row has none. */
void table_split_see(TableSplit *split, const char *name, const char *cell);
/* Behind that of all rows: does the row belong to the split that is wanted? Every row where none tells a split. */
bool table_split_takes(const TableSplit *split, const char *name, const char *cell);
/* The name by which the wanted split is there, or NULL. */
const char *table_split_chosen(const TableSplit *split);

#endif
