/* source_table.c - a CSV or TSV file of path and label, one picture a row, paths from the file's own folder. The first
 * row is a heading where one of its fields is called path, file, filename or image and another label, class or target;
 * else the first column is the path and the second the label. Labels that are all whole numbers number the classes;
 * others name them, numbered in bytewise order. A picture that is not there is noticed when it is read. */
#include "data/shard_source.h"
#include "data/table_file.h"
#include "base/file.h"
#include "base/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int find_column(const TableRow *row, const char *const *names) {
    for (int i = 0; i < row->count; i++)
        for (int n = 0; names[n]; n++)
            if (strcasecmp(row->fields[i], names[n]) == 0) return i;
    return -1;
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

static effnet_status read_rows(ShardSource *source, int file, char *text, NameSet *labels, effnet_error *err) {
    static const char *const path_names[] = {"path", "file", "filename", "image", NULL};
    static const char *const label_names[] = {"label", "class", "target", NULL};
    const char *name = source->files.files[file].path, *dot = strrchr(name, '.');
    TableReader reader = {
        .name = name, .next = text, .line = 1, .separator = dot && strcasecmp(dot, ".tsv") == 0 ? '\t' : ','};
    int path_column = 0, label_column = 1;
    for (bool first = true;; first = false) {
        TableRow row;
        TRY(table_next(&reader, &row, err));
        if (!row.count) return EFFNET_OK;
        int path = find_column(&row, path_names), label = find_column(&row, label_names);
        if (first && path >= 0 && label >= 0) {
            path_column = path;
            label_column = label;
            continue;
        }
        if (row.count <= path_column || row.count <= label_column || !row.fields[path_column][0] ||
            !row.fields[label_column][0]) {
            dataset_lose(&source->dataset, "'%s': line %d has %d fields; wanted a path and a label with '%s' between",
                         name, row.line, row.count, reader.separator == '\t' ? "TAB" : ",");
            continue;
        }
        Member member = {.file = file, .number = (uint32_t)row.line};
        TRY(name_set_add(labels, row.fields[label_column], &member.label, err));
        TRY(shard_source_add(source, &member, row.fields[path_column], err));
    }
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
