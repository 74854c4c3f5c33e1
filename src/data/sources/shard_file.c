/* shard_file.c - see shard_file.h. */
#include "data/sources/shard_file.h"
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

effnet_status shard_files_add(ShardFiles *files, const char *path, effnet_error *err) {
    struct stat status;
    if (stat(path, &status) != 0) return fail(err, EFFNET_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (files->count == files->capacity) {
        int capacity = files->capacity ? 2 * files->capacity : 8;
        ShardFile *larger =
            files->capacity < INT_MAX / 2 ? realloc(files->files, (size_t)capacity * sizeof *larger) : NULL;
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d files", capacity);
        files->files = larger;
        files->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the name '%s'", path);
    files->files[files->count++] = (ShardFile){.path = copy,
                                               .size = status.st_size,
                                               .changed = status.st_mtim,
                                               .device = status.st_dev,
                                               .number = status.st_ino};
    return EFFNET_OK;
}

void shard_files_free(ShardFiles *files) {
    for (int i = 0; i < files->count; i++) free(files->files[i].path);
    free(files->files);
    *files = (ShardFiles){0};
}

effnet_status shard_file_open(const ShardFile *file, int *descriptor, effnet_error *err) {
    struct stat status;
    effnet_status opened = file_open(file->path, descriptor, NULL, err);
    if (opened != EFFNET_OK) return fail_within(err, opened, "a file of the data which was there before");
    bool known = fstat(*descriptor, &status) == 0 && status.st_dev == file->device && status.st_ino == file->number &&
                 status.st_size == file->size && status.st_mtim.tv_sec == file->changed.tv_sec &&
                 status.st_mtim.tv_nsec == file->changed.tv_nsec;
    if (known) return EFFNET_OK;
    close(*descriptor);
    *descriptor = -1;
    return fail(err, EFFNET_ERROR_IO,
                "'%s' was changed since it was opened: what was known of its pictures no longer holds; begin anew",
                file->path);
}

effnet_status descriptor_read(int descriptor, const char *path, int64_t offset, void *bytes, size_t size,
                              effnet_error *err) {
    for (size_t used = 0; used < size;) {
        ssize_t got = pread(descriptor, (char *)bytes + used, size - used, offset + (int64_t)used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0)
            return fail(err, EFFNET_ERROR_IO, "'%s' ends %zu bytes early: it is truncated", path, size - used);
        used += (size_t)got;
    }
    return EFFNET_OK;
}

effnet_status shard_file_read(const ShardFile *file, int64_t offset, void *bytes, size_t size, effnet_error *err) {
    int descriptor;
    TRY(shard_file_open(file, &descriptor, err));
    effnet_status status = descriptor_read(descriptor, file->path, offset, bytes, size, err);
    close(descriptor);
    return status;
}
