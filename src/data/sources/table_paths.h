/* table_paths.h - the paths that a table names, from the table's own folder, as people and their programs write them.
 * Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TABLE_PATHS_H
#define EFFNET_DATA_SOURCES_TABLE_PATHS_H

#include "base/error.h"

#include <stdbool.h>

/* Is there anything of that name? */
bool table_names_file(const char *table, const char *field);
/* ".jpg" where the field names nothing and nothing but that ending is missing (a column `id`); else "". */
const char *table_lacking_ending(const char *table, const char *field);
/* The field as a path: without "file://", with '/' for '\\' where only so a file is named, `ending` (may be "") put behind
 * it where it is missing. */
effnet_status table_tidy_path(const char *table, const char *field, const char *ending, char *out, size_t size,
                              effnet_error *err);

#endif
