/* fuzz_file.h - any bytes as a file without a name, for readers that want a path. */
#ifndef EFFNET_TESTS_FUZZ_FILE_H
#define EFFNET_TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Closed by the caller; path gets "/proc/self/fd/N". */
static inline int fuzz_file(const uint8_t *data, size_t size, char path[64]) {
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size) abort();
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

/* A folder for files that need their names, removed at the end; in memory where the machine has such a folder. */
static char fuzz_folder[64];

static inline void fuzz_remove_folder(void) {
    rmdir(fuzz_folder);
}

static inline void fuzz_make_folder(void) {
    if (fuzz_folder[0]) return;
    snprintf(fuzz_folder, sizeof fuzz_folder, "%s/effnet-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(fuzz_folder)) abort();
    atexit(fuzz_remove_folder);
}

static inline void fuzz_write(const char *path, const uint8_t *data, size_t size) {
    FILE *stream = fopen(path, "wb");
    if (!stream || (size && fwrite(data, 1, size, stream) != size) || fclose(stream) != 0) abort();
}

#endif
