/* json_rows.h - rows of JSON, one object a line (.jsonl, .ndjson): {"file_name": "a.jpg", "labels": ["cat", "dog"]}. The
 * keys are the usual names of columns (table_columns.h); a label is a text, a whole number, or a list of them.
 * Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_JSON_ROWS_H
#define EFFNET_DATA_SOURCES_JSON_ROWS_H

#include "base/error.h"

typedef struct JsonRow {
    int line; /* from 1 */
    const char *path;
    char *const *labels;
    int count;
    bool list;              /* the label was one, whatever is in it */
    const char *split_name; /* the key that tells the row's split; NULL: it has none */
    const char *split;      /* what it says, as text, or "" */
} JsonRow;

bool json_rows_named(const char *path); /* by its ending */
/* Does the file's first line have a picture and a label? */
bool json_rows_begin(const char *path);
/* `text` is changed. `take` gets each row, `lose` a message about each line that is none. */
effnet_status json_rows_read(const char *path, char *text,
                             effnet_status (*take)(void *context, const JsonRow *row, effnet_error *err),
                             void (*lose)(void *context, const char *message), void *context, effnet_error *err);

#endif
