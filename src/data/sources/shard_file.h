/* shard_file.h - a file of many pictures, opened anew for each read (a data set may have more shards than a process may
 * have open files) and known again by device, number, length and time of change: what was indexed is what is read, or
 * there is an error that says so. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_SHARD_FILE_H
#define EFFNET_DATA_SOURCES_SHARD_FILE_H

#include "base/error.h"

#include <sys/types.h>
#include <time.h>

typedef struct ShardFile {
    char *path;
    int64_t size;
    struct timespec changed;
    dev_t device;
    ino_t number;
} ShardFile;

typedef struct ShardFiles {
    ShardFile *files;
    int count, capacity;
} ShardFiles;

effnet_status shard_files_add(ShardFiles *files, const char *path, effnet_error *err);
void shard_files_free(ShardFiles *files);

/* A descriptor for reading, the caller's to close; an error where the file is no longer the one that was added. */
effnet_status shard_file_open(const ShardFile *file, int *descriptor, effnet_error *err);
/* Exactly `size` bytes from `offset`. */
effnet_status shard_file_read(const ShardFile *file, int64_t offset, void *bytes, size_t size, effnet_error *err);
effnet_status descriptor_read(int descriptor, const char *path, int64_t offset, void *bytes, size_t size,
                              effnet_error *err);

#endif
