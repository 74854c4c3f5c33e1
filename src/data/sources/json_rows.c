/* json_rows.c - see json_rows.h. */
#include "data/sources/json_rows.h"

#include "base/file.h"
#include "base/text_file.h"
#include "data/sources/label_sets.h"
#include "data/sources/table_columns.h"
#include "data/sources/table_file.h"
#include "data/sources/table_split.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FIRST_LINE = 1 << 16, NUMBER_BYTES = 24 };

bool json_rows_named(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".jsonl") == 0 || strcasecmp(dot, ".ndjson") == 0);
}

static json_t *find(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        json_t *value = json_object_get(object, *names);
        if (value) return value;
    }
    return NULL;
}

static bool line_is_row(const char *line) {
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const bool good = json_is_string(find(object, table_path_names)) && find(object, table_label_names);
    json_decref(object);
    return good;
}

/* The same of a text with a mark, or in UTF-16. */
static bool marked_text_begins(const char *path) {
    char *text;
    size_t size;
    if (text_file_read(path, TABLE_TEXT_LIMIT, &text, &size, NULL) != EFFNET_OK) return false;
    char *line = text + strspn(text, " \t\r\n");
    line[strcspn(line, "\n")] = 0;
    const bool good = line_is_row(line);
    free(text);
    return good;
}

bool json_rows_begin(const char *path) {
    int descriptor = -1; /* file_open, so that a pipe is not waited for */
    FILE *stream = file_open(path, &descriptor, NULL, NULL) == EFFNET_OK ? fdopen(descriptor, "rb") : NULL;
    if (!stream && descriptor >= 0) close(descriptor);
    char *line = malloc(FIRST_LINE);
    bool good = stream && line && fgets(line, FIRST_LINE, stream);
    while (good && !line[strspn(line, " \t\r\n")]) good = fgets(line, FIRST_LINE, stream);
    const unsigned char first = good ? (unsigned char)line[0] : 0;
    good = good && (first == 0xEF || first >= 0xFE ? marked_text_begins(path) : line_is_row(line));
    free(line);
    if (stream) fclose(stream);
    return good;
}

typedef struct Labels {
    char *texts[LABELS_LIMIT];
    char numbers[LABELS_LIMIT][NUMBER_BYTES]; /* where a label is one */
    int count;
    char split[NUMBER_BYTES]; /* where the split is a number */
} Labels;

static bool add_label(Labels *labels, const json_t *value) {
    char *number = labels->numbers[labels->count];
    if (labels->count == LABELS_LIMIT) return false;
    if (json_is_string(value) && *json_string_value(value)) {
        labels->texts[labels->count++] = (char *)json_string_value(value); /* never written to */
        return true;
    }
    if (!json_is_integer(value)) return false;
    snprintf(number, NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
    labels->texts[labels->count++] = number;
    return true;
}

/* The split that a row belongs to, under a key as columns of splits have. */
static void read_split(json_t *object, Labels *labels, JsonRow *row) {
    const char *key;
    json_t *value;
    row->split_name = NULL;
    row->split = "";
    json_object_foreach(object, key, value) if (!row->split_name && table_split_named(key)) {
        row->split_name = key;
        if (json_is_string(value)) row->split = json_string_value(value);
        if (json_is_boolean(value)) row->split = json_is_true(value) ? "true" : "false";
        snprintf(labels->split, NUMBER_BYTES, "%lld", (long long)json_integer_value(value));
        if (json_is_integer(value)) row->split = labels->split;
    }
}

static bool read_row(const json_t *object, Labels *labels, JsonRow *row) {
    const json_t *label = find(object, table_label_names), *one;
    size_t i;
    labels->count = 0;
    row->path = json_string_value(find(object, table_path_names));
    row->list = json_is_array(label);
    if (!row->path || !*row->path || !label) return false;
    if (!row->list && !add_label(labels, label)) return false;
    json_array_foreach(label, i, one) if (!add_label(labels, one)) return false;
    row->labels = labels->texts;
    row->count = labels->count;
    return true;
}

effnet_status json_rows_read(const char *path, char *text,
                             effnet_status (*take)(void *context, const JsonRow *row, effnet_error *err),
                             void (*lose)(void *context, const char *message), void *context, effnet_error *err) {
    Labels *labels = malloc(sizeof *labels);
    effnet_status status = EFFNET_OK;
    if (!labels) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", path);
    JsonRow row = {.line = 1};
    for (char *line = text, *next; *line && status == EFFNET_OK; line = next, row.line++) {
        json_error_t trouble = {0};
        const size_t length = strcspn(line, "\n");
        next = line + length + (line[length] != 0);
        line[length] = 0;
        if (!line[strspn(line, " \t\r")]) continue;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &trouble);
        read_split(object, labels, &row);
        if (read_row(object, labels, &row)) {
            status = take(context, &row, err);
        } else {
            char message[500];
            snprintf(message, sizeof message,
                     "'%.200s': line %d is no row: %s; wanted {\"file_name\": \"a.jpg\", \"labels\": [\"cat\", "
                     "\"dog\"]}, at most %d labels",
                     path, row.line, object ? "path or label is missing, or is no text" : trouble.text, LABELS_LIMIT);
            lose(context, message);
        }
        json_decref(object);
    }
    free(labels);
    return status;
}
