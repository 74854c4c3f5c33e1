/* file.c - see file.h. */
#include "base/file.h"
#include "base/file_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *kind_name(mode_t mode) {
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a named pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "no regular file";
}

bool descriptor_sync(int descriptor) {
    return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
}

bool file_rename(const char *from, const char *to) {
    for (int wait_ms = 20;; wait_ms *= 2) {
        if (rename(from, to) == 0) return true;
        if (wait_ms > 1500 || (errno != EBUSY && errno != EACCES && errno != EAGAIN && errno != EINTR && errno != EIO))
            return false;
        int reason = errno;
        nanosleep(&(struct timespec){.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L}, NULL);
        errno = reason;
    }
}

effnet_status file_check_writable(const char *path, effnet_error *err) {
    struct stat status;
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "cannot write '%s': it is %s; give the name of a file", path,
                kind_name(status.st_mode));
}

effnet_status atomic_file_open(AtomicFile *file, const char *path, effnet_error *err) {
    memset(file, 0, sizeof *file);
    if ((size_t)snprintf(file->path, sizeof file->path, "%s", path) >= sizeof file->path)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
    TRY(file_check_writable(path, err)); /* renaming over a device or a pipe would take it away from everybody */
    snprintf(file->temporary, sizeof file->temporary, "%s.tmp", path);
    struct stat beside;
    if (stat(file->temporary, &beside) == 0 && S_ISFIFO(beside.st_mode)) {
        const effnet_status status = file_check_writable(file->temporary, err);
        file->temporary[0] = 0; /* not ours to remove */
        return status;
    }
    file->stream = fopen(file->temporary, "wb");
    if (!file->stream) return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", file->temporary, strerror(errno));
    return EFFNET_OK;
}

static effnet_status sync_parent(const char *path, effnet_error *err) {
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) return folder_sync(".", err);
    slash[slash == folder ? 1 : 0] = 0;
    return folder_sync(folder, err);
}

const char *file_kind_at(const char *path) {
    char bytes[1024];
    int descriptor;
    if (file_open(path, &descriptor, NULL, NULL) != EFFNET_OK) return NULL;
    ssize_t got = read(descriptor, bytes, sizeof bytes);
    close(descriptor);
    return got == 0 ? "empty" : got > 0 ? file_kind_of(bytes, (size_t)got) : NULL;
}

/* The kind of what was written, where a file that holds anything else stands at its place; NULL where it may go there. A
 * wrong word on a command line must not cost a table, a recipe or a photograph. Texts, which tell no kind, go anywhere. */
static const char *kind_in_the_way(const AtomicFile *file) {
    struct stat status;
    if (stat(file->path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return NULL;
    if (stat(file->temporary, &status) != 0 || status.st_size == 0) return NULL;
    const char *written = file_kind_at(file->temporary), *there = written ? file_kind_at(file->path) : NULL;
    return written && (!there || strcmp(written, there) != 0) ? written : NULL;
}

effnet_status atomic_file_commit(AtomicFile *file, effnet_error *err) {
    const char *failed = NULL;
    if (ferror(file->stream) || fflush(file->stream) != 0) failed = "write";
    if (!failed && !descriptor_sync(fileno(file->stream))) failed = "sync";
    int reason = errno;
    if (fclose(file->stream) != 0 && !failed) {
        failed = "close";
        reason = errno;
    }
    file->stream = NULL;
    const char *kind = failed ? NULL : kind_in_the_way(file);
    if (kind) {
        unlink(file->temporary);
        return fail(err, EFFNET_ERROR_IO,
                    "'%s' is there and is not %s: it is left as it was; remove it, or name another", file->path, kind);
    }
    if (!failed &&
        (file->hurried ? rename(file->temporary, file->path) != 0 : !file_rename(file->temporary, file->path))) {
        failed = "rename";
        reason = errno;
    }
    if (failed) {
        unlink(file->temporary);
        return fail(err, EFFNET_ERROR_IO, "cannot %s '%s': %s; the file there before, if any, is untouched", failed,
                    file->path, strerror(reason));
    }
    file->temporary[0] = 0;
    return sync_parent(file->path, err);
}

void atomic_file_abort(AtomicFile *file) {
    if (file->stream) fclose(file->stream);
    if (file->temporary[0]) unlink(file->temporary);
    file->stream = NULL;
    file->temporary[0] = 0;
}

/* ---- reading ---- */

static effnet_status check_regular(const char *path, mode_t mode, effnet_error *err) {
    if (S_ISREG(mode)) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "cannot read '%s': it is %s; wanted a file", path, kind_name(mode));
}

effnet_status file_cannot_open(const char *path, int reason, effnet_error *err) {
    if (reason == EMFILE)
        return fail(err, EFFNET_ERROR_MEMORY,
                    "cannot open '%s': this process has as many files open as it may; allow more (ulimit -n)", path);
    return fail(err, reason == ENFILE || reason == ENOMEM ? EFFNET_ERROR_MEMORY : EFFNET_ERROR_IO,
                "cannot open '%s': %s", path, strerror(reason));
}

effnet_status file_open(const char *path, int *descriptor, int64_t *size, effnet_error *err) {
    struct stat status;
    *descriptor = -1;
    if (stat(path, &status) != 0) return file_cannot_open(path, errno, err);
    TRY(check_regular(path, status.st_mode,
                      err)); /* before opening, which a pipe's and a device's driver would notice */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0) return file_cannot_open(path, errno, err);
    effnet_status result = EFFNET_OK;
    if (fstat(opened, &status) != 0)
        result = fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
    else
        result = check_regular(path, status.st_mode, err); /* it may have been replaced */
    if (result != EFFNET_OK) {
        close(opened);
        return result;
    }
    *descriptor = opened;
    if (size) *size = status.st_size;
    return EFFNET_OK;
}

/* Reads to the end of the file into *block, of `capacity` + 1 bytes, which grows up to `limit` bytes. */
static effnet_status read_to_end(int descriptor, const char *path, size_t capacity, size_t limit, char **block,
                                 size_t *used, effnet_error *err) {
    for (*used = 0;;) {
        if (*used == capacity) {
            char beyond;
            ssize_t more = capacity < limit ? 0 : read(descriptor, &beyond, 1);
            if (more > 0)
                return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %zu bytes allowed here", path, limit);
            if (capacity >= limit) return EFFNET_OK;
            capacity = capacity > limit / 2 ? limit : capacity * 2;
            char *larger = realloc(*block, capacity + 1);
            if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", path);
            *block = larger;
        }
        ssize_t got = read(descriptor, *block + *used, capacity - *used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0) return EFFNET_OK;
        *used += (size_t)got;
    }
}

effnet_status file_read(const char *path, size_t limit, char **out, size_t *size, effnet_error *err) {
    int descriptor;
    int64_t length;
    *out = NULL;
    *size = 0;
    TRY(file_open(path, &descriptor, &length, err));
    size_t capacity = length > 0 ? (size_t)length + 1 : 1 << 16, used = 0; /* /proc's files say 0 */
    if (capacity > limit) capacity = limit;
    char *block = malloc(capacity + 1);
    effnet_status status = block ? read_to_end(descriptor, path, capacity, limit, &block, &used, err)
                                 : fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", path);
    close(descriptor);
    if (status != EFFNET_OK) {
        free(block);
        return status;
    }
    block[used] = 0;
    *out = block;
    *size = used;
    return EFFNET_OK;
}

effnet_status folder_create(const char *path, effnet_error *err) {
    char partial[1024];
    if (path[0] == 0) return fail(err, EFFNET_ERROR_ARGUMENT, "the path of a folder to make is empty");
    if ((size_t)snprintf(partial, sizeof partial, "%s", path) >= sizeof partial)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
    for (char *slash = partial + 1;; slash++) {
        if (*slash && *slash != '/') continue;
        char kept = *slash;
        *slash = 0;
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            return fail(err, EFFNET_ERROR_IO, "cannot make the folder '%s': %s", partial, strerror(errno));
        *slash = kept;
        if (!kept) break;
    }
    if (!path_is_folder(path)) return fail(err, EFFNET_ERROR_IO, "'%s' exists and is not a folder", path);
    return EFFNET_OK;
}

effnet_status folder_sync(const char *path, effnet_error *err) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return fail(err, EFFNET_ERROR_IO, "cannot open the folder '%s': %s", path, strerror(errno));
    const bool done = descriptor_sync(descriptor);
    int reason = errno;
    close(descriptor);
    if (!done) return fail(err, EFFNET_ERROR_IO, "cannot sync the folder '%s': %s", path, strerror(reason));
    return EFFNET_OK;
}

bool path_is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool path_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0;
}

effnet_status path_join(char *out, size_t size, const char *folder, const char *name, effnet_error *err) {
    size_t length = strlen(folder);
    const char *separator = length && folder[length - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(out, size, "%s%s%s", folder, separator, name) >= size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s.../%.80s'", folder, name);
    return EFFNET_OK;
}
