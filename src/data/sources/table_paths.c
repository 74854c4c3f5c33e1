/* table_paths.c - see table_paths.h. */
#include "data/sources/table_paths.h"

#include "base/file.h"
#include "base/text_ends.h"
#include "data/sources/shard_source.h"

#include <stdio.h>
#include <string.h>

bool table_names_file(const char *table, const char *field) {
    char path[2 * SOURCE_PATH_BYTES];
    if (!*field) return false;
    if (field[0] == '/') return path_exists(field);
    return path_beside(path, sizeof path, table, field, NULL) == EFFNET_OK && path_exists(path);
}

const char *table_lacking_ending(const char *table, const char *field) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".JPG", ".JPEG",
                                          ".PNG", ".webp", ".bmp", ".tif", ".gif"};
    char path[SOURCE_PATH_BYTES];
    if (!*field || table_names_file(table, field)) return "";
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if ((size_t)snprintf(path, sizeof path, "%s%s", field, endings[i]) < sizeof path &&
            table_names_file(table, path))
            return endings[i];
    return "";
}

effnet_status table_tidy_path(const char *table, const char *field, const char *ending, char *out, size_t size,
                              effnet_error *err) {
    static const char scheme[] = "file://";
    if (strncmp(field, scheme, sizeof scheme - 1) == 0) field += sizeof scheme - 1;
    const char *missing = text_ends_with_any_case(field, ending) ? "" : ending;
    if ((size_t)snprintf(out, size, "%s%s", field, missing) >= size)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' names a path longer than %zu bytes: '%.60s...'", table, size,
                    field);
    if (!strchr(out, '\\') || table_names_file(table, out)) return EFFNET_OK;
    for (char *at = out; (at = strchr(at, '\\'));) *at = '/';
    return EFFNET_OK;
}
