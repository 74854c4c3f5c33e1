/* table_columns.c - see table_columns.h. */
#include "data/sources/table_columns.h"

#include <stddef.h>
#include <strings.h>

const char *const table_path_names[] = {"path",       "file",     "filename",  "image",  "file_name",  "filepath",
                                        "file_path",  "img",      "image_id",  "img_id", "image_name", "img_name",
                                        "image_path", "img_path", "imagepath", "images", "image_file", "picture",
                                        "photo",      "fname",    "uuid",      "name",   "id",         NULL};
const char *const table_label_names[] = {"label",    "class",      "target",     "labels",      "classes",
                                         "targets",  "class_id",   "class_name", "classname",   "category",
                                         "label_id", "y",          "species",    "category_id", "category_name",
                                         "breed",    "label_name", "tags",       NULL};

bool table_label_is_plural(const char *name) {
    static const char *const plural[] = {"labels", "classes", "targets", "tags"};
    for (size_t i = 0; i < sizeof plural / sizeof *plural; i++)
        if (strcasecmp(name, plural[i]) == 0) return true;
    return false;
}
