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

effnet_status shards_find_missing(Dataset *dataset, const NameList *files, effnet_error *err) {
    if (files->count > MOST_SHARDS) return EFFNET_OK;
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
    uint8_t bytes[512];
    int descriptor;
    effnet_error reason = {0};
    if (file_open(path, &descriptor, NULL, &reason) != EFFNET_OK) {
        dataset_lose(dataset, "%s", reason.message);
        return;
    }
    ssize_t got = read(descriptor, bytes, sizeof bytes);
    close(descriptor);
    const char *kind = got > 0 ? file_kind_of(bytes, (size_t)got) : NULL;
    dataset_lose(dataset, "'%.350s' is called like a shard and is %s", path,
                 got == 0  ? "empty"
                 : got < 0 ? "unreadable"
                 : kind    ? kind
                           : "damaged at its beginning");
}
