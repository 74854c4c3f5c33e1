/* checkpoint_marker.c - see checkpoint_marker.h. */
#include "train/checkpoint_marker.h"

#include "base/file.h"
#include "train/checkpoint_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing ---- */

static bool write_link(const char *path, const char *temporary, const char *target) {
    if (unlink(temporary) != 0 && errno != ENOENT) return false;
    if (symlink(target, temporary) != 0) return false;
    if (rename(temporary, path) == 0) return true;
    unlink(temporary);
    return false;
}

/* Beside and renamed; where the file system refuses that too, in place: a torn one names no checkpoint, and is then as
 * if it were not there. */
static effnet_status write_text(const char *path, const char *target, effnet_error *err) {
    AtomicFile file;
    if (atomic_file_open(&file, path, NULL) == EFFNET_OK) {
        fprintf(file.stream, "%s\n", target);
        file.hurried = true; /* each save writes two */
        if (atomic_file_commit(&file, NULL) == EFFNET_OK) return EFFNET_OK;
    }
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) unlink(path); /* never through it, into a checkpoint */
    TRY(file_check_writable(path, err));
    FILE *stream = fopen(path, "wb");
    bool good = stream && fprintf(stream, "%s\n", target) > 0 && fflush(stream) == 0 && descriptor_sync(fileno(stream));
    int reason = errno;
    if (stream && fclose(stream) != 0) good = false;
    if (good) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "cannot write '%s', which is to name the checkpoint %s: %s", path, target,
                strerror(reason));
}

effnet_status checkpoint_marker_write(const char *folder, const char *name, int64_t step, effnet_error *err) {
    char path[CHECKPOINT_PATH_BYTES], temporary[CHECKPOINT_PATH_BYTES], temporary_name[CHECKPOINT_NAME_BYTES],
        target[CHECKPOINT_NAME_BYTES];
    checkpoint_step_name(target, step, "");
    snprintf(temporary_name, sizeof temporary_name, "%s.tmp", name);
    TRY(path_join(path, sizeof path, folder, name, err));
    TRY(path_join(temporary, sizeof temporary, folder, temporary_name, err));
    if (!write_link(path, temporary, target)) TRY(write_text(path, target, err));
    return folder_sync(folder, err);
}

/* ---- reading ---- */

/* The name in a marker, link or text, without its end of line; false where it is neither. */
static bool read_marker(const char *path, bool links, char out[CHECKPOINT_NAME_BYTES]) {
    ssize_t length = links ? readlink(path, out, CHECKPOINT_NAME_BYTES - 1) : -1;
    if (length < 0) {
        /* O_NONBLOCK: a named pipe of this name is not waited for */
        int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat status;
        if (descriptor >= 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
            status.st_size < CHECKPOINT_NAME_BYTES)
            length = read(descriptor, out, CHECKPOINT_NAME_BYTES - 1);
        if (descriptor >= 0) close(descriptor);
    }
    if (length < 0) return false;
    out[length] = 0;
    out[strcspn(out, "\r\n")] = 0;
    return true;
}

int64_t checkpoint_marker_step(const char *folder, const char *name) {
    char path[CHECKPOINT_PATH_BYTES], target[CHECKPOINT_NAME_BYTES];
    if (path_join(path, sizeof path, folder, name, NULL) != EFFNET_OK || !read_marker(path, true, target)) return -1;
    return checkpoint_step_of_name(target);
}

effnet_status checkpoint_marker_follow(const char *path, char *out, size_t size, effnet_error *err) {
    char target[CHECKPOINT_NAME_BYTES];
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    bool text = !path_is_folder(path) && read_marker(path, false, target) && checkpoint_step_of_name(target) >= 0;
    int length = text ? snprintf(out, size, "%.*s%s", folder, path, target) : snprintf(out, size, "%s", path);
    if ((size_t)length >= size) return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
    return EFFNET_OK;
}
