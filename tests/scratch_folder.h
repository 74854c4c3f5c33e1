/* scratch_folder.h - a fresh folder for a test's files, removed with all that is in it when the test ends. */
#ifndef EFFNET_TESTS_SCRATCH_FOLDER_H
#define EFFNET_TESTS_SCRATCH_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct ScratchFolder {
    char path[256];
} ScratchFolder;

static inline ScratchFolder scratch_folder_create(void) {
    ScratchFolder folder;
    const char *where = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/effnet-test-XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp(folder.path)) {
        perror(folder.path);
        exit(1);
    }
    return folder;
}

/* folder/name in one of four rotating buffers: good for one call's arguments. */
static inline const char *scratch_path(const ScratchFolder *folder, const char *name) {
    static char buffers[4][512];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", folder->path, name);
    return buffer;
}

static inline int scratch_remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

static inline void scratch_folder_remove(const ScratchFolder *folder) {
    nftw(folder->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_write(const char *path, const void *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream) != 0) {
        perror(path);
        exit(1);
    }
}

#endif
