/* shard_names.c - see shard_names.h. */
#include "data/sources/shard_names.h"
#include "base/file.h"
#include "base/file_kind.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MOST_SHARDS = 100000, MISSING_TOLD = 20 };

/* The number that the digits before `end` are, *begin where they begin; -1 where there are none or too many. */
static int digits_before(const char *path, size_t end, size_t *begin) {
    size_t first = end;
    while (first > 0 && isdigit((unsigned char)path[first - 1])) first--;
    *begin = first;
    return end > first && end - first <= 8 ? (int)strtol(path + first, NULL, 10) : -1;
}

bool shard_number(const char *path, size_t *begin, size_t *end, int *number, int *count) {
    const char *slash = strrchr(path, '/'), *of = NULL;
    for (const char *at = slash ? slash : path; (at = strstr(at, "-of-")); at++) of = at;
    if (!of || !isdigit((unsigned char)of[4])) return false;
    size_t digits = strspn(of + 4, "0123456789");
    *count = digits <= 8 ? (int)strtol(of + 4, NULL, 10) : -1;
    *end = (size_t)(of - path);
    *number = digits_before(path, *end, begin);
    return *number >= 0 && *count > 0 && *count <= MOST_SHARDS && *number < *count;
}

/* Same text before and after the number. */
static bool one_series(const char *a, size_t begin, size_t end, const char *b) {
    size_t other_begin, other_end;
    int number, count;
    return shard_number(b, &other_begin, &other_end, &number, &count) && begin == other_begin && end == other_end &&
           strncmp(a, b, begin) == 0 && strcmp(a + end, b + end) == 0;
}

static effnet_status find_in_series(Dataset *dataset, const NameList *files, int first, effnet_error *err) {
    const char *path = files->names[first];
    size_t begin, end, ignored_begin, ignored_end;
    int number, count, told = 0;
    if (!shard_number(path, &begin, &end, &number, &count)) return EFFNET_OK;
    for (int i = 0; i < first; i++)
        if (one_series(path, begin, end, files->names[i])) return EFFNET_OK; /* told already */
    bool *there = calloc((size_t)count, sizeof *there);
    if (!there) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d shards", count);
    for (int i = first, of; i < files->count; i++)
        if (one_series(path, begin, end, files->names[i]) &&
            shard_number(files->names[i], &ignored_begin, &ignored_end, &number, &of))
            there[number] = true;
    for (int i = 0; i < count; i++) {
        if (there[i]) continue;
        if (told++ < MISSING_TOLD)
            dataset_lose(dataset, "the shard '%.*s%0*d%s' is missing", (int)begin, path, (int)(end - begin), i,
                         path + end);
        else
            dataset->lost++;
    }
    free(there);
    return EFFNET_OK;
}

/* ---- numbers without a count: train-0000.tar, train-0002.tar ---- */

/* A run of digits in a file's name: what the name is without it, and the number. */
typedef struct Numbered {
    int series, number, file;
    size_t begin, end;
} Numbered;

static int by_series(const void *a, const void *b) {
    const Numbered *left = a, *right = b;
    if (left->series != right->series) return left->series < right->series ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* n01440764.tar: a WordNet id, whose numbers have gaps by nature. */
static bool is_wordnet_id(const char *path, size_t begin, size_t end) {
    return end - begin == 8 && begin > 0 && path[begin - 1] == 'n';
}

/* Each run of digits of a name as a Numbered; the series is the name with a mark in its place. */
static effnet_status number_file(const char *path, int file, NameSet *series, Numbered **found, size_t *count,
                                 effnet_error *err) {
    const char *slash = strrchr(path, '/');
    size_t at = slash ? (size_t)(slash - path) + 1 : 0;
    while (at += strcspn(path + at, "0123456789"), path[at]) {
        char without[SOURCE_PATH_BYTES + 8];
        size_t end = at + strspn(path + at, "0123456789"), begin;
        int number = digits_before(path, end, &begin);
        if (number >= 0 && !is_wordnet_id(path, at, end)) {
            Numbered *larger = realloc(*found, (*count + 1) * sizeof *larger);
            if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of shards");
            *found = larger;
            larger[*count] = (Numbered){.number = number, .file = file, .begin = at, .end = end};
            snprintf(without, sizeof without, "%.*s\1%s", (int)at, path, path + end);
            TRY(name_set_add(series, without, &larger[(*count)++].series, err));
        }
        at = end;
    }
    return EFFNET_OK;
}

/* A series counts as one where it begins with 0 or 1 or has leading zeros (years have neither), and where a few are
 * missing among many. What is missing behind the last cannot be known. */
static void find_gaps(Dataset *dataset, const NameList *files, const Numbered *first, size_t count) {
    bool padded = false;
    int told = 0;
    for (size_t i = 0; i < count; i++) {
        const char *digits = files->names[first[i].file] + first[i].begin;
        padded = padded || (digits[0] == '0' && first[i].end - first[i].begin > 1);
    }
    int64_t missing = (int64_t)first[count - 1].number - first[0].number + 1 - (int64_t)count;
    if (count < 2 || missing <= 0 || missing > 4 * (int64_t)count || (!padded && first[0].number > 1)) return;
    for (size_t i = 1; i < count; i++)
        for (int number = first[i - 1].number + 1; number < first[i].number; number++) {
            const char *path = files->names[first[i - 1].file];
            int width = padded ? (int)(first[i - 1].end - first[i - 1].begin) : 1;
            if (told++ < MISSING_TOLD)
                dataset_lose(dataset, "the shard '%.*s%0*d%s' is missing between '%s' and '%s'",
                             (int)first[i - 1].begin, path, width, number, path + first[i - 1].end, path,
                             files->names[first[i].file]);
            else
                dataset->lost++;
        }
}

static effnet_status find_gaps_of_all(Dataset *dataset, const NameList *files, effnet_error *err) {
    NameSet series = {0};
    Numbered *found = NULL;
    size_t count = 0;
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < files->count; i++) {
        size_t begin, end;
        int number, of;
        if (!shard_number(files->names[i], &begin, &end, &number, &of))
            status = number_file(files->names[i], i, &series, &found, &count, err);
    }
    if (status == EFFNET_OK && count) qsort(found, count, sizeof *found, by_series);
    for (size_t first = 0, next; status == EFFNET_OK && first < count; first = next) {
        for (next = first; next < count && found[next].series == found[first].series;) next++;
        find_gaps(dataset, files, found + first, next - first);
    }
    free(found);
    name_set_free(&series);
    return status;
}

effnet_status shards_find_missing(Dataset *dataset, const NameList *files, effnet_error *err) {
    if (files->count > MOST_SHARDS) return EFFNET_OK;
    TRY(find_gaps_of_all(dataset, files, err));
    for (int i = 0; i < files->count; i++) {
        size_t begin, end;
        int number, count;
        /* A series is looked at once, at its first file: files of one stand together in the sorted list. */
        bool again = i > 0 && shard_number(files->names[i], &begin, &end, &number, &count) &&
                     one_series(files->names[i], begin, end, files->names[i - 1]);
        if (!again) TRY(find_in_series(dataset, files, i, err));
    }
    return EFFNET_OK;
}

bool shard_is_named_like(const char *path, const char *shard) {
    static const char *const endings[] = {".tar", ".tgz", ".gz", ".zst", ".xz", ".tfrecord", ".tfrecords", ".record"};
    size_t begin, end;
    int number, count;
    if (shard_number(shard, &begin, &end, &number, &count))
        return one_series(shard, begin, end, path) || shard_number(path, &begin, &end, &number, &count);
    const char *dot = strrchr(shard, '.'), *other = strrchr(path, '.');
    for (size_t i = 0; dot && other && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return strcasecmp(other, endings[i]) == 0;
    return false;
}

void shard_lose(Dataset *dataset, const char *path) {
    int descriptor;
    effnet_error reason = {0};
    if (file_open(path, &descriptor, NULL, &reason) != EFFNET_OK) {
        dataset_lose(dataset, "%s", reason.message);
        return;
    }
    close(descriptor);
    const char *kind = file_kind_at(path);
    dataset_lose(dataset, "'%.350s' is called like a shard and is %s", path, kind ? kind : "damaged at its beginning");
}
