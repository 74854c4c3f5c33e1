/* source_table.c - a CSV or TSV file of path and label, one picture a row, paths from the file's own folder. The first
 * row is a heading where its fields have the usual names (path, file, image_id, ...; label, class, ...), or where one
 * of them names no file and the field below it does; else the first column is the path and the second the label. Blanks
 * around a field do not count, nor do empty rows, rows of '#' before the first, and the heading once more (tables put one
 * behind the other). Labels that are all whole numbers (3, or 3.0 as a program writes a column with gaps) number the
 * classes, and NaN, null or the like among them is a missing one; other labels name the classes, numbered in bytewise order.
 * A column, or a key of JSON, that says which split a row belongs to is obeyed (table_split.h). A picture that is not
 * there is noticed when it is read.
 *
 * A picture may have any number of labels: in a column called labels, classes, targets or tags, with '|' or ';' between
 * them, or as a list in a row of JSON (json_rows.h). Without any such row the table is one of single labels. */
#include "data/sources/shard_source.h"
#include "data/picture/decode_formats.h"
#include "data/picture/decode.h"
#include "data/sources/json_rows.h"
#include "data/sources/label_sets.h"
#include "data/sources/table_columns.h"
#include "data/sources/table_file.h"
#include "data/sources/table_paths.h"
#include "data/sources/table_split.h"
#include "base/file.h"
#include "base/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct TableSource {
    ShardSource source;
    SplitWanted wanted; /* names NULL: all rows */
    TableSplit split;   /* of the file that is read */
    int tables;         /* files that have rows */
    int files_split;    /* of those the ones that tell their rows' splits */
    LabelSets sets;     /* all labels of each picture, where one has several; else empty in the end */
} TableSource;

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

static int table_labels(const Dataset *dataset, int64_t index, const int32_t **labels) {
    return label_sets_of(&((const TableSource *)dataset)->sets, index, labels);
}

static void table_release(Dataset *dataset) {
    label_sets_free(&((TableSource *)dataset)->sets);
    shard_source_release(dataset);
}

static const SourceMethods table_methods = {.fetch = table_fetch,
                                            .label = shard_source_label,
                                            .labels = table_labels,
                                            .describe = table_describe,
                                            .release = table_release};

/* ---- which columns ---- */

typedef struct Columns {
    int path, label;
    bool heading; /* the first row names the columns */
    bool plural;  /* the label's column may have several a row */
    int split;    /* the column of splits; -1: none */
    const char *split_name;
    const char *ending; /* that names of pictures lack, "" or ".jpg" */
} Columns;

/* The earliest name of the list that a field has. */
static int find_column(const TableRow *row, const char *const *names) {
    for (int n = 0; names[n]; n++)
        for (int i = 0; i < row->count; i++)
            if (strcasecmp(row->fields[i], names[n]) == 0) return i;
    return -1;
}

/* Path and label of a heading, and its column of splits, if there is one. */
static void name_columns(int path, int label, const TableRow *heading, Columns *out) {
    *out = (Columns){.path = path,
                     .label = label,
                     .heading = true,
                     .plural = table_label_is_plural(heading->fields[label]),
                     .split = -1};
    for (int i = 0; i < heading->count && out->split < 0; i++)
        if (i != path && i != label && table_split_named(heading->fields[i])) out->split = i;
    if (out->split >= 0) out->split_name = heading->fields[out->split];
}

static const char *split_of_row(const TableRow *row, const Columns *columns) {
    return columns->split < row->count ? row->fields[columns->split] : "";
}

/* Of the first two rows: which columns, and whether the first is a heading. By the usual names of columns, or because
 * its cell names no file where the next row's does. */
static effnet_status choose_columns(const char *table, const TableRow *first, const TableRow *second, Columns *out,
                                    effnet_error *err) {
    int path = find_column(first, table_path_names), label = find_column(first, table_label_names);
    *out = (Columns){.path = 0, .label = 1, .split = -1};
    if (path >= 0 && label >= 0 && !table_names_file(table, first->fields[path])) {
        name_columns(path, label, first, out);
        return EFFNET_OK;
    }
    int file = 0;
    while (file < second->count && !table_names_file(table, second->fields[file])) file++;
    if (file >= second->count || file >= first->count || name_is_picture(first->fields[file]) ||
        table_names_file(table, first->fields[file])) /* no heading */
        return EFFNET_OK;
    if (label < 0 || label == file) label = second->count == 2 && first->count == 2 ? 1 - file : -1;
    if (label < 0)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': line %d seems to be a heading ('%.60s' is no file, '%.60s' below it is), and none of its "
                    "columns is called label, class, target or category: call the one so that is",
                    table, first->line, first->fields[file], second->fields[file]);
    name_columns(file, label, first, out);
    return EFFNET_OK;
}

/* What programs write where a number is missing. */
static bool label_is_missing(const char *text) {
    static const char *const missing[] = {"nan", "na", "n/a", "null", "none", "<na>", "?", "-"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (strcasecmp(text, missing[i]) == 0) return true;
    return false;
}

/* Every label of `set` a whole number below CLASSES_LIMIT: label i of the members becomes it. `gaps`: a missing one, -1,
 * may be among them. */
static bool labels_are_numbers(const NameSet *set, bool gaps, int *numbers) {
    bool any = !set->list.count;
    for (int i = 0; i < set->list.count; i++) {
        char *end;
        const char *text = set->list.names[i];
        errno = 0;
        long value = strtol(text, &end, 10);
        const bool whole = end != text;
        if (whole && *end == '.') end += 1 + strspn(end + 1, "0");
        numbers[i] = -1;
        if (gaps && label_is_missing(text)) continue;
        if (!whole || *end || errno || value < 0 || value >= CLASSES_LIMIT) return false;
        numbers[i] = (int)value;
        any = true;
    }
    return any;
}

static void trim_fields(TableRow *row) {
    for (int i = 0; i < row->count; i++) row->fields[i] = text_trim(row->fields[i]);
}

static bool row_is_empty(const TableRow *row) {
    for (int i = 0; i < row->count; i++)
        if (row->fields[i][0]) return false;
    return true;
}

/* Path and label are once more what the heading calls them. */
static bool row_is_heading(const TableRow *row, const TableRow *heading, const Columns *columns) {
    return columns->heading && row->count > columns->path && row->count > columns->label &&
           strcmp(row->fields[columns->path], heading->fields[columns->path]) == 0 &&
           strcmp(row->fields[columns->label], heading->fields[columns->label]) == 0;
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

/* Labels of a row of another split: the classes are those of all of them. */
static effnet_status add_labels(char *const *texts, int count, NameSet *labels, effnet_error *err) {
    for (int i = 0; i < count; i++) TRY(name_set_add(labels, texts[i], &(int){0}, err));
    return EFFNET_OK;
}

/* A picture with the texts of its labels, of which there may be none. */
static effnet_status add_picture(TableSource *table, int file, int line, const char *path, char *const *texts,
                                 int count, NameSet *labels, effnet_error *err) {
    ShardSource *source = &table->source;
    int32_t numbers[LABELS_LIMIT];
    if (row_is_no_picture(source, file, path)) {
        dataset_lose(&source->dataset, "'%s': line %d names '%.200s', which is no picture",
                     source->files.files[file].path, line, path);
        return dataset_pass_over(&source->dataset, path, false, err);
    }
    int different = 0;
    for (int i = 0; i < count; i++) {
        int number, seen = 0;
        TRY(name_set_add(labels, texts[i], &number, err));
        while (seen < different && numbers[seen] != number) seen++;
        if (seen == different) numbers[different++] = number;
    }
    count = different;
    const Member member = {.file = file, .number = (uint32_t)line, .label = count ? numbers[0] : 0};
    TRY(label_sets_add(&table->sets, numbers, count, err));
    return shard_source_add(source, &member, path, err);
}

/* The labels of a field, cut in place at '|' or ';'; more than LABELS_LIMIT are an error. */
static effnet_status cut_labels(TableSource *table, const char *name, int line, char *field, char **texts, int *count,
                                effnet_error *err) {
    for (char *end; *field; field = end) {
        const size_t length = strcspn(field, "|;");
        end = field + length + (field[length] != 0);
        table->sets.several |= field[length] != 0;
        field[length] = 0;
        char *text = text_trim(field);
        if (!*text) continue;
        if (*count == LABELS_LIMIT)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': line %d has more than %d labels", name, line, LABELS_LIMIT);
        texts[(*count)++] = text;
    }
    return EFFNET_OK;
}

static effnet_status add_row(TableSource *table, int file, const TableRow *row, const Columns *columns, char separator,
                             NameSet *labels, effnet_error *err) {
    ShardSource *source = &table->source;
    const int path = columns->path, label = columns->label;
    char *texts[LABELS_LIMIT];
    int count = 0;
    if (row->count <= path || row->count <= label || !row->fields[path][0] ||
        (!row->fields[label][0] && !columns->plural)) {
        dataset_lose(&source->dataset, "'%s': line %d has %d fields; wanted a path and a label with '%s' between",
                     source->files.files[file].path, row->line, row->count,
                     separator == '\t' ? "TAB" : (char[]){separator, 0});
        return EFFNET_OK;
    }
    if (columns->plural)
        TRY(cut_labels(table, source->files.files[file].path, row->line, row->fields[label], texts, &count, err));
    else
        texts[count++] = row->fields[label];
    if (columns->split >= 0 && !table_split_takes(&table->split, columns->split_name, split_of_row(row, columns)))
        return add_labels(texts, count, labels, err);
    char tidy[SOURCE_PATH_BYTES];
    TRY(table_tidy_path(source->files.files[file].path, row->fields[path], columns->ending, tidy, sizeof tidy, err));
    return add_picture(table, file, row->line, tidy, texts, count, labels, err);
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
    if (*columns->ending)
        dataset_tell(&source->dataset, "'%s': names of pictures lack their ending, '%s' is put behind them", name,
                     columns->ending);
}

static void begin_splits(TableSource *table) {
    const SplitWanted *wanted = &table->wanted;
    table->tables++;
    table->split = (TableSplit){.names = wanted->names, .known = {wanted->known[0], wanted->known[1]}, .best = -1};
}

/* Behind all rows: what was found of splits. `column`: where, as words. */
static void tell_splits(TableSource *table, const char *name, const char *column) {
    const TableSplit *split = &table->split;
    Dataset *dataset = &table->source.dataset;
    table->files_split += split->there;
    if (split->column && !split->there)
        dataset_tell(dataset, "'%s': its column of splits says '%s', which is none that is known: it is passed over",
                     name, split->other);
    if (table_split_chosen(split))
        dataset_tell(dataset, "'%s': %s tells the splits: rows of '%s' are taken", name, column,
                     table_split_chosen(split));
    if (split->there && split->others)
        dataset_tell(dataset, "'%s': rows of no split that is known are passed over: %lld (the first says '%s')", name,
                     split->others, split->other);
}

/* Rows of '#' before the first; a heading may begin with one. */
static effnet_status pass_comments(TableReader *reader, TableRow *first, effnet_error *err) {
    while (first->count && first->fields[0][0] == '#' && !table_names_file(reader->name, first->fields[0])) {
        first->fields[0] = text_trim(first->fields[0] + 1);
        if (find_column(first, table_path_names) >= 0 && find_column(first, table_label_names) >= 0) break;
        TRY(table_next(reader, first, err));
        trim_fields(first);
    }
    return EFFNET_OK;
}

/* By a copy of the text: reading changes it. */
static effnet_status find_splits(TableSource *table, const TableReader *reader, const TableRow *heading,
                                 const TableRow *first, const Columns *columns, effnet_error *err) {
    char column[120];
    begin_splits(table);
    if (columns->split < 0 || !table->wanted.names) return EFFNET_OK;
    char *copy = strdup(reader->next);
    if (!copy) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", reader->name);
    TableReader rows = *reader;
    TableRow row = *first;
    effnet_status status = EFFNET_OK;
    rows.next = copy;
    while (status == EFFNET_OK && row.count) {
        if (!row_is_empty(&row) && !row_is_heading(&row, heading, columns))
            table_split_see(&table->split, columns->split_name, split_of_row(&row, columns));
        status = table_next(&rows, &row, err);
        trim_fields(&row);
    }
    free(copy);
    snprintf(column, sizeof column, "column %d ('%.60s')", columns->split + 1, columns->split_name);
    if (status == EFFNET_OK) tell_splits(table, reader->name, column);
    return status;
}

static effnet_status read_rows(TableSource *table, int file, char *text, NameSet *labels, effnet_error *err) {
    ShardSource *source = &table->source;
    const char *name = source->files.files[file].path, *dot = strrchr(name, '.');
    const char usual = dot && strcasecmp(dot, ".tsv") == 0 ? '\t' : ',';
    TableReader reader = table_begin(name, text, usual);
    TableRow first, row;
    Columns columns;
    TRY(table_next(&reader, &first, err));
    trim_fields(&first);
    TRY(pass_comments(&reader, &first, err));
    TRY(table_next(&reader, &row, err));
    trim_fields(&row);
    if (!first.count) {
        dataset_lose(&source->dataset, "'%s' is empty", name);
        return EFFNET_OK;
    }
    TRY(choose_columns(name, &first, &row, &columns, err));
    const TableRow *picture = columns.heading ? &row : &first;
    columns.ending = picture->count > columns.path ? table_lacking_ending(name, picture->fields[columns.path]) : "";
    tell_columns(source, name, &first, &columns);
    TRY(find_splits(table, &reader, &first, &row, &columns, err));
    if (!columns.heading) TRY(add_row(table, file, &first, &columns, reader.separator, labels, err));
    while (row.count) {
        if (!row_is_empty(&row) && !row_is_heading(&row, &first, &columns))
            TRY(add_row(table, file, &row, &columns, reader.separator, labels, err));
        TRY(table_next(&reader, &row, err));
        trim_fields(&row);
    }
    return EFFNET_OK;
}

/* ---- rows of JSON ---- */

typedef struct JsonRows {
    TableSource *table;
    int file;
    NameSet *labels;
} JsonRows;

static effnet_status see_json_row(void *context, const JsonRow *row, effnet_error *err) {
    TableSplit *split = &((const JsonRows *)context)->table->split;
    (void)err;
    if (row->split_name)
        table_split_see(split, row->split_name, row->split);
    else
        split->others++;
    return EFFNET_OK;
}

static void pass_json_row(void *context, const char *message) {
    (void)context;
    (void)message;
}

static effnet_status take_json_row(void *context, const JsonRow *row, effnet_error *err) {
    const JsonRows *rows = context;
    rows->table->sets.several |= row->list;
    if (!table_split_takes(&rows->table->split, row->split_name ? row->split_name : "", row->split))
        return add_labels(row->labels, row->count, rows->labels, err);
    return add_picture(rows->table, rows->file, row->line, row->path, row->labels, row->count, rows->labels, err);
}

static void lose_json_row(void *context, const char *message) {
    const JsonRows *rows = context;
    dataset_lose(&rows->table->source.dataset, "%s", message);
}

static effnet_status read_json(JsonRows *rows, const char *name, char *text, effnet_error *err) {
    begin_splits(rows->table);
    if (rows->table->wanted.names) {
        char *copy = strdup(text);
        if (!copy) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
        effnet_status status = json_rows_read(name, copy, see_json_row, pass_json_row, rows, err);
        free(copy);
        TRY(status);
        tell_splits(rows->table, name, "a key of its rows");
    }
    return json_rows_read(name, text, take_json_row, lose_json_row, rows, err);
}

/* ---- all together ---- */

/* Rank of each label in bytewise order, as shard_source_name_classes numbers them; labels_are_numbers otherwise. */
static effnet_status renumber_sets(TableSource *table, const NameSet *labels, const int *numbers, bool numbered,
                                   effnet_error *err) {
    NameSet copy = {0};
    int *map, same;
    if (numbered) {
        label_sets_renumber(&table->sets, numbers);
        return EFFNET_OK;
    }
    effnet_status status = EFFNET_OK;
    for (int i = 0; i < labels->list.count && status == EFFNET_OK; i++)
        status = name_set_add(&copy, labels->list.names[i], &same, err);
    if (status == EFFNET_OK) status = name_set_sort(&copy, &map, err);
    if (status == EFFNET_OK) {
        label_sets_renumber(&table->sets, map);
        free(map);
    }
    name_set_free(&copy);
    return status;
}

/* Pictures without a label are left out where no picture has several: then a label is missing. */
static void drop_unlabelled(TableSource *table) {
    ShardSource *source = &table->source;
    const int32_t *ignored;
    int64_t kept = 0;
    for (int64_t i = 0; i < source->dataset.size; i++) {
        if (label_sets_of(&table->sets, i, &ignored))
            source->members[kept++] = source->members[i];
        else
            dataset_lose(&source->dataset, "'%s': line %u has no label",
                         source->files.files[source->members[i].file].path, source->members[i].number);
    }
    source->dataset.size = kept;
    label_sets_free(&table->sets);
}

/* Pictures whose label is none among numbers: -1. */
static void drop_missing(ShardSource *source) {
    int64_t kept = 0;
    for (int64_t i = 0; i < source->dataset.size; i++) {
        if (source->members[i].label >= 0)
            source->members[kept++] = source->members[i];
        else
            dataset_lose(&source->dataset, "'%s': line %u has no label, where others have a number",
                         source->files.files[source->members[i].file].path, source->members[i].number);
    }
    source->dataset.size = kept;
}

static void tell_sets(TableSource *table) {
    const int32_t *ignored;
    int64_t none = 0;
    for (int64_t i = 0; i < table->sets.pictures; i++) none += label_sets_of(&table->sets, i, &ignored) == 0;
    dataset_tell(&table->source.dataset,
                 "pictures may have several labels: %lld labels on %lld pictures, %lld of them without any",
                 (long long)table->sets.used, (long long)table->sets.pictures, (long long)none);
}

/* shard_source_number_classes saw each picture's first label alone. */
static effnet_status cover_sets(TableSource *table, effnet_error *err) {
    Dataset *dataset = &table->source.dataset;
    int32_t most = -1;
    for (int64_t i = 0; i < table->sets.used; i++)
        if (table->sets.labels[i] > most) most = table->sets.labels[i];
    if (most < dataset->own_classes.count) return EFFNET_OK;
    if (dataset->classes_named)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has label %d, and the file of names beside it names %d classes",
                    table->source.files.files[0].path, most, dataset->own_classes.count);
    name_list_free(&dataset->own_classes);
    return name_list_count(&dataset->own_classes, most + 1, err);
}

static effnet_status name_labels(TableSource *table, NameSet *labels, effnet_error *err) {
    ShardSource *source = &table->source;
    int *numbers = malloc(((size_t)labels->list.count + 1) * sizeof *numbers);
    if (!numbers) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d classes", labels->list.count);
    bool numbered = labels_are_numbers(labels, !source->dataset.sets, numbers);
    for (int64_t i = 0; numbered && labels->list.count && i < source->dataset.size; i++)
        source->members[i].label = numbers[source->members[i].label];
    if (numbered && !source->dataset.sets) drop_missing(source);
    effnet_status status = source->dataset.sets ? renumber_sets(table, labels, numbers, numbered, err) : EFFNET_OK;
    free(numbers);
    TRY(status);
    if (numbered) {
        TRY(shard_source_number_classes(source, err));
        return cover_sets(table, err);
    }
    if (labels->list.count > CLASSES_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' names %d classes; allowed are %d", source->files.files[0].path,
                    labels->list.count, (int)CLASSES_LIMIT);
    return shard_source_name_classes(source, labels, err);
}

static effnet_status fill(TableSource *table, NameSet *labels, effnet_error *err) {
    ShardSource *source = &table->source;
    for (int i = 0; i < source->files.count; i++) {
        JsonRows rows = {table, i, labels};
        char *text;
        size_t size;
        TRY(text_file_read(source->files.files[i].path, TABLE_TEXT_LIMIT, &text, &size, err));
        const char *name = source->files.files[i].path;
        effnet_status status =
            json_rows_named(name) ? read_json(&rows, name, text, err) : read_rows(table, i, text, labels, err);
        free(text);
        TRY(status);
    }
    if (table->files_split && table->files_split < table->tables)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "of the %d tables ('%s', ...) %d tell which split a row belongs to and the others do not: give all "
                    "of them such a column, or none",
                    table->tables, source->files.files[0].path, table->files_split);
    if (table->wanted.whole) *table->wanted.whole = !table->files_split;
    source->dataset.sets = table->sets.several;
    if (!table->sets.several)
        drop_unlabelled(table);
    else if (!labels->list.count)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no label on any of its %lld pictures",
                    source->files.files[0].path, (long long)source->dataset.size);
    else
        tell_sets(table);
    if (table->files_split && !source->dataset.size) {
        *table->wanted.absent = true;
        return fail(
            err, EFFNET_ERROR_IO,
            "'%s' has no row of the split '%s'; keep a share of the training pictures apart (val_split: 20%%), or "
            "name another split",
            source->files.files[0].path, table->wanted.names[0]);
    }
    TRY(name_labels(table, labels, err));
    return shard_source_finish(source, err);
}

effnet_status source_table_open(const NameList *paths, const SplitWanted *wanted, Dataset **out, effnet_error *err) {
    ShardSource *source;
    NameSet labels = {0};
    *out = NULL;
    TRY(shard_source_create(&table_methods, paths, sizeof(TableSource), &source, err));
    TableSource *table = (TableSource *)source;
    if (wanted) table->wanted = *wanted;
    effnet_status status = fill(table, &labels, err);
    name_set_free(&labels);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
