/* source_table.c - a CSV or TSV file of path and label, one picture a row, paths from the file's own folder. The first
 * row is a heading where its fields have the usual names (path, file, image_id, ...; label, class, ...), or where one
 * of them names no file and the field below it does; else the first column is the path and the second the label. Blanks
 * around a field do not count. Labels that are all whole numbers number the classes;
 * others name them, numbered in bytewise order. A picture that is not there is noticed when it is read. */
#include "data/sources/shard_source.h"
#include "data/picture/decode_formats.h"
#include "data/picture/decode.h"
#include "data/sources/table_file.h"
#include "base/file.h"
#include "base/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TABLE_LIMIT = 1 << 30 };

static effnet_status table_path(const Dataset *dataset, int64_t index, char *path, size_t size, effnet_error *err) {
    const ShardSource *source = (const ShardSource *)dataset;
    const Member *member = &source->members[index];
    const char *name = source->names + member->name;
    if (name[0] == '/') return path_join(path, size, "", name + 1, err);
    return path_beside(path, size, source->files.files[member->file].path, name, err);
}

static void table_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    const ShardSource *source = (const ShardSource *)dataset;
    if (table_path(dataset, index, buffer, size, NULL) != EFFNET_OK)
        snprintf(buffer, size, "%s", source->names + source->members[index].name);
}

static effnet_status table_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                 effnet_error *err) {
    char path[2 * SOURCE_PATH_BYTES];
    TRY(table_path(dataset, index, path, sizeof path, err));
    TRY(decoder_load(decoder, path, &out->size, err));
    out->bytes = decoder->file;
    return EFFNET_OK;
}

static const SourceMethods table_methods = {
    .fetch = table_fetch, .label = shard_source_label, .describe = table_describe, .release = shard_source_release};

/* ---- which columns ---- */

static const char *const path_names[] = {"path",       "file",     "filename",  "image",  "file_name",  "filepath",
                                         "file_path",  "img",      "image_id",  "img_id", "image_name", "img_name",
                                         "image_path", "img_path", "imagepath", "images", "image_file", "picture",
                                         "photo",      "fname",    "uuid",      "name",   "id",         NULL};
static const char *const label_names[] = {
    "label",    "class",    "target", "labels",  "classes",     "targets",       "class_id", "class_name", "classname",
    "category", "label_id", "y",      "species", "category_id", "category_name", "breed",    "label_name", NULL};

typedef struct Columns {
    int path, label;
    bool heading; /* the first row names the columns */
} Columns;

/* The earliest name of the list that a field has. */
static int find_column(const TableRow *row, const char *const *names) {
    for (int n = 0; names[n]; n++)
        for (int i = 0; i < row->count; i++)
            if (strcasecmp(row->fields[i], names[n]) == 0) return i;
    return -1;
}

static bool names_file(const char *table, const char *field) {
    char path[2 * SOURCE_PATH_BYTES];
    if (!*field) return false;
    if (field[0] == '/') return path_exists(field);
    return path_beside(path, sizeof path, table, field, NULL) == EFFNET_OK && path_exists(path);
}

/* Of the first two rows: which columns, and whether the first is a heading. By the usual names of columns, or because
 * its cell names no file where the next row's does. */
static effnet_status choose_columns(const char *table, const TableRow *first, const TableRow *second, Columns *out,
                                    effnet_error *err) {
    int path = find_column(first, path_names), label = find_column(first, label_names);
    *out = (Columns){.path = 0, .label = 1};
    if (path >= 0 && label >= 0 && !names_file(table, first->fields[path])) {
        *out = (Columns){.path = path, .label = label, .heading = true};
        return EFFNET_OK;
    }
    int file = 0;
    while (file < second->count && !names_file(table, second->fields[file])) file++;
    if (file >= second->count || file >= first->count || name_is_picture(first->fields[file]) ||
        names_file(table, first->fields[file])) /* no heading */
        return EFFNET_OK;
    if (label < 0 || label == file) label = second->count == 2 ? 1 - file : -1;
    if (label < 0)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': line %d seems to be a heading ('%.60s' is no file, '%.60s' below it is), and none of its "
                    "columns is called label, class, target or category: call the one so that is",
                    table, first->line, first->fields[file], second->fields[file]);
    *out = (Columns){.path = file, .label = label, .heading = true};
    return EFFNET_OK;
}

/* Every label of `set` a whole number below CLASSES_LIMIT: label i of the members becomes it. */
static bool labels_are_numbers(const NameSet *set, int *numbers) {
    for (int i = 0; i < set->list.count; i++) {
        char *end;
        const char *text = set->list.names[i];
        errno = 0;
        long value = strtol(text, &end, 10);
        if (end == text || *end || errno || value < 0 || value >= CLASSES_LIMIT) return false;
        numbers[i] = (int)value;
    }
    return true;
}

static void trim_fields(TableRow *row) {
    for (int i = 0; i < row->count; i++) row->fields[i] = text_trim(row->fields[i]);
}

/* A row whose file is there and is no picture: not by its name's ending and not by its first bytes. */
static bool row_is_no_picture(const ShardSource *source, int file, const char *field) {
    char path[2 * SOURCE_PATH_BYTES];
    if (name_is_picture(field)) return false;
    bool fits = field[0] == '/'
                    ? (size_t)snprintf(path, sizeof path, "%s", field) < sizeof path
                    : path_beside(path, sizeof path, source->files.files[file].path, field, NULL) == EFFNET_OK;
    struct stat status;
    return fits && stat(path, &status) == 0 && S_ISREG(status.st_mode) && !file_begins_like_picture(path);
}

static effnet_status add_row(ShardSource *source, int file, const TableRow *row, const Columns *columns, char separator,
                             NameSet *labels, effnet_error *err) {
    const int path = columns->path, label = columns->label;
    if (row->count <= path || row->count <= label || !row->fields[path][0] || !row->fields[label][0]) {
        dataset_lose(&source->dataset, "'%s': line %d has %d fields; wanted a path and a label with '%s' between",
                     source->files.files[file].path, row->line, row->count, separator == '\t' ? "TAB" : ",");
        return EFFNET_OK;
    }
    if (row_is_no_picture(source, file, row->fields[path])) {
        dataset_lose(&source->dataset, "'%s': line %d names '%.200s', which is no picture",
                     source->files.files[file].path, row->line, row->fields[path]);
        return dataset_pass_over(&source->dataset, row->fields[path], false, err);
    }
    Member member = {.file = file, .number = (uint32_t)row->line};
    TRY(name_set_add(labels, row->fields[label], &member.label, err));
    return shard_source_add(source, &member, row->fields[path], err);
}

static void tell_columns(ShardSource *source, const char *name, const TableRow *first, const Columns *columns) {
    if (columns->heading)
        dataset_tell(&source->dataset,
                     "'%s': line %d is the heading; path is column %d ('%.60s'), label column %d ('%.60s')", name,
                     first->line, columns->path + 1, first->fields[columns->path], columns->label + 1,
                     first->fields[columns->label]);
    else
        dataset_tell(&source->dataset, "'%s': no heading; path is column %d, label column %d", name, columns->path + 1,
                     columns->label + 1);
}

static effnet_status read_rows(ShardSource *source, int file, char *text, NameSet *labels, effnet_error *err) {
    const char *name = source->files.files[file].path, *dot = strrchr(name, '.');
    TableReader reader = {
        .name = name, .next = text, .line = 1, .separator = dot && strcasecmp(dot, ".tsv") == 0 ? '\t' : ','};
    TableRow first, row;
    Columns columns;
    TRY(table_next(&reader, &first, err));
    TRY(table_next(&reader, &row, err));
    trim_fields(&first);
    trim_fields(&row);
    if (!first.count) {
        dataset_lose(&source->dataset, "'%s' is empty", name);
        return EFFNET_OK;
    }
    TRY(choose_columns(name, &first, &row, &columns, err));
    tell_columns(source, name, &first, &columns);
    if (!columns.heading) TRY(add_row(source, file, &first, &columns, reader.separator, labels, err));
    while (row.count) {
        TRY(add_row(source, file, &row, &columns, reader.separator, labels, err));
        TRY(table_next(&reader, &row, err));
        trim_fields(&row);
    }
    return EFFNET_OK;
}

static effnet_status fill(ShardSource *source, NameSet *labels, effnet_error *err) {
    for (int i = 0; i < source->files.count; i++) {
        char *text;
        size_t size;
        TRY(text_file_read(source->files.files[i].path, TABLE_LIMIT, &text, &size, err));
        effnet_status status = read_rows(source, i, text, labels, err);
        free(text);
        TRY(status);
    }
    int *numbers = malloc(((size_t)labels->list.count + 1) * sizeof *numbers);
    if (!numbers) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d classes", labels->list.count);
    bool numbered = labels_are_numbers(labels, numbers);
    for (int64_t i = 0; numbered && i < source->dataset.size; i++)
        source->members[i].label = numbers[source->members[i].label];
    free(numbers);
    if (numbered)
        TRY(shard_source_number_classes(source, err));
    else if (labels->list.count > CLASSES_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' names %d classes; allowed are %d", source->files.files[0].path,
                    labels->list.count, (int)CLASSES_LIMIT);
    else
        TRY(shard_source_name_classes(source, labels, err));
    return shard_source_finish(source, err);
}

effnet_status source_table_open(const NameList *paths, Dataset **out, effnet_error *err) {
    ShardSource *source;
    NameSet labels = {0};
    *out = NULL;
    TRY(shard_source_create(&table_methods, paths, sizeof *source, &source, err));
    effnet_status status = fill(source, &labels, err);
    name_set_free(&labels);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
