/* checkpoint_list.c - see checkpoint_list.h. */
#include "train/checkpoint_list.h"

#include "base/file.h"
#include "base/text_ends.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void checkpoint_step_name(char out[CHECKPOINT_NAME_BYTES], int64_t step, const char *suffix) {
    snprintf(out, CHECKPOINT_NAME_BYTES, "%08lld%s", (long long)step, suffix);
}

int64_t checkpoint_step_of_name(const char *name) {
    size_t length = strlen(name);
    if (length < 8 || length > 18 || strspn(name, "0123456789") != length) return -1;
    return strtoll(name, NULL, 10);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

effnet_status checkpoint_remove_tree(const char *path, effnet_error *err) {
    if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return fail(err, EFFNET_ERROR_IO, "cannot remove '%s': %s", path, strerror(errno));
    return EFFNET_OK;
}

static int compare_descending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a > b ? -1 : a < b;
}

effnet_status checkpoint_list_steps(const char *folder, bool remove_temporary, CheckpointSteps *out,
                                    effnet_error *err) {
    *out = (CheckpointSteps){0};
    DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT) return EFFNET_OK;
    if (!directory) return fail(err, EFFNET_ERROR_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
    effnet_status result = EFFNET_OK;
    size_t capacity = 0;
    struct dirent *entry;
    while (result == EFFNET_OK && (errno = 0, entry = readdir(directory))) {
        char path[CHECKPOINT_PATH_BYTES];
        result = path_join(path, sizeof path, folder, entry->d_name, err);
        if (result != EFFNET_OK) break;
        if (remove_temporary && text_ends_with(entry->d_name, ".tmp")) result = checkpoint_remove_tree(path, err);
        int64_t step = checkpoint_step_of_name(entry->d_name);
        struct stat status;
        if (step < 0 || lstat(path, &status) != 0 || !S_ISDIR(status.st_mode)) continue;
        if (out->count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            int64_t *larger = realloc(out->values, capacity * sizeof *larger);
            if (!larger) {
                result = fail(err, EFFNET_ERROR_MEMORY, "no memory to list '%s'", folder);
                break;
            }
            out->values = larger;
        }
        out->values[out->count++] = step;
    }
    if (result == EFFNET_OK && errno != 0)
        result = fail(err, EFFNET_ERROR_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
    closedir(directory);
    if (out->count > 0) qsort(out->values, out->count, sizeof *out->values, compare_descending);
    if (result != EFFNET_OK) {
        free(out->values);
        *out = (CheckpointSteps){0};
    }
    return result;
}
