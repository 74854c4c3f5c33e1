/* table_columns.h - what columns of a table, or keys of a row of JSON, are usually called. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TABLE_COLUMNS_H
#define EFFNET_DATA_SOURCES_TABLE_COLUMNS_H

#include <stdbool.h>

/* Names that the path of a picture has, and its label; ended by NULL, the earliest goes first. */
extern const char *const table_path_names[], *const table_label_names[];
/* "labels", "tags", ...: several in one field, with '|' or ';' between. */
bool table_label_is_plural(const char *name);

#endif
