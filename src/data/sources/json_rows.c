/* json_rows.c - see json_rows.h. */
#include "data/sources/json_rows.h"

#include "base/file.h"
#include "base/text_file.h"
#include "data/sources/label_sets.h"
#include "data/sources/table_columns.h"
#include "data/sources/table_file.h"
#include "data/sources/table_split.h"

#include <jansson.h>
#include <math.h>
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

/* How many of the bytes at the beginning of a longer file end with a line, in UTF-8 or UTF-16. */
static size_t whole_lines(const unsigned char *bytes, size_t count) {
    const size_t unit = bytes[0] >= 0xFE ? 2 : 1;
    for (size_t end = count - count % unit; end >= unit; end -= unit) {
        const unsigned char *last = bytes + end - unit;
        if (unit == 1 ? *last == '\n' : last[0] + last[1] == '\n' && (!last[0] || !last[1])) return end;
    }
    return count;
}

bool json_rows_begin(const char *path) {
    int descriptor; /* file_open, so that a pipe is not waited for */
    char *head = malloc(FIRST_LINE), *text = NULL;
    size_t size;
    bool good = false;
    if (head && file_open(path, &descriptor, NULL, NULL) == EFFNET_OK) {
        const ssize_t got = read(descriptor, head, FIRST_LINE);
        close(descriptor);
        const size_t length = got == FIRST_LINE ? whole_lines((const unsigned char *)head, FIRST_LINE) : (size_t)got;
        good = got > 0 && text_of_bytes(path, head, length, &text, &size, NULL) == EFFNET_OK;
    }
    if (good) {
        char *line = text + strspn(text, " \t\r\n");
        line[strcspn(line, "\n")] = 0;
        good = line_is_row(line);
        free(text);
    }
    free(head);
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
    const double real = json_real_value(value); /* 10.0, as tables with missing labels have it, is 10 */
    if (!json_is_integer(value) && !(json_is_real(value) && real == rint(real) && fabs(real) < 1e15)) return false;
    const long long whole = json_is_integer(value) ? (long long)json_integer_value(value) : (long long)real;
    snprintf(number, NUMBER_BYTES, "%lld", whole);
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
