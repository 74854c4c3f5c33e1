/* file.h - whole files read with a limit, and files that matter written beside, synced and renamed into
 * place, so that a kill, a full disk or a power cut leaves the old file or the new one, never a part of one.
 */
#ifndef EFFNET_BASE_FILE_H
#define EFFNET_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

/* fsync; true also where the file system has no such thing, which is all that can be had there. Else errno says why. */
bool descriptor_sync(int descriptor);
/* rename. A name is busy now and then where the file system is a server's or another program looks at the folder: tried
 * again for about two seconds. Else errno says why. */
bool file_rename(const char *from, const char *to);

typedef struct AtomicFile {
    FILE *stream;         /* write here */
    char path[1024];      /* where it will stand */
    char temporary[1040]; /* where it is written: path + ".tmp" */
    bool hurried;         /* set behind opening: a name that is busy is not waited for, as there is another way */
} AtomicFile;

/* OK where a file stands at `path` or nothing does; a folder, a named pipe, a socket or a device is refused by its kind
 * before it is opened, as opening a pipe would wait for a reader. */
effnet_status file_check_writable(const char *path, effnet_error *err);

effnet_status atomic_file_open(AtomicFile *file, const char *path, effnet_error *err);
/* Flush, fsync, rename, fsync of the folder. On failure the temporary file is removed and the old file stands. What is
 * of a known kind (file_kind.h) replaces a file of the same kind, or an empty one: any other is an error. */
effnet_status atomic_file_commit(AtomicFile *file, effnet_error *err);
/* Gives up: removes the temporary file. Harmless after a commit or on a zeroed struct. */
void atomic_file_abort(AtomicFile *file);

/* The error of an open, opendir or stat that failed for `reason` (errno). Files and memory that this process may have are
 * no fault of the file: they are EFFNET_ERROR_MEMORY, so that who leaves out what cannot be read doesn't leave it out. */
effnet_status file_cannot_open(const char *path, int reason, effnet_error *err);

/* Opens a regular file to read; *size (may be NULL) becomes its bytes. A folder, a named pipe, a socket or a device is
 * refused at once, by its kind, and never waited for. */
effnet_status file_open(const char *path, int *descriptor, int64_t *size, effnet_error *err);
/* What its first bytes say (file_kind.h); "empty" where it is so; NULL also where it can't be read. */
const char *file_kind_at(const char *path);
/* The whole file in one block, zero byte appended, freed with free(); error if it is longer than `limit`
 * bytes. */
effnet_status file_read(const char *path, size_t limit, char **out, size_t *size, effnet_error *err);
/* A folder and its parents, like mkdir -p. */
effnet_status folder_create(const char *path, effnet_error *err);
/* fsync of the folder, so that names made or renamed in it last. */
effnet_status folder_sync(const char *path, effnet_error *err);
bool path_is_folder(const char *path);
bool path_exists(const char *path);
/* out = folder/name; an error where it does not fit into `size` bytes. */
effnet_status path_join(char *out, size_t size, const char *folder, const char *name, effnet_error *err);

#endif
