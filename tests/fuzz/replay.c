/* replay.c - runs a fuzz target (LLVMFuzzerTestOneInput, as libFuzzer has it) without libFuzzer: on every file given or
 * found in a folder given, and on copies of each that are damaged in a way that a fixed seed decides. So the corpus is
 * a test with any compiler; `-DEFFNET_FUZZ=ON` with clang links the same targets to libFuzzer for a real search.
 *
 *   fuzz_recipe [-mutations=N] FILE|FOLDER... */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { INPUT_LIMIT = 1 << 22, SPARE = 64 };

typedef struct Replay {
    int mutations;
    uint64_t random;
    long runs;
} Replay;

/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016). */
static uint32_t draw(Replay *replay, size_t below) {
    replay->random ^= replay->random >> 12;
    replay->random ^= replay->random << 25;
    replay->random ^= replay->random >> 27;
    return (uint32_t)((replay->random * 0x2545F4914F6CDD1Du >> 32) % (below ? below : 1));
}

/* The target gets a block of exactly `size` bytes, so that a sanitizer sees the first byte read beyond it. */
static void run(Replay *replay, const uint8_t *bytes, size_t size) {
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) abort();
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    replay->runs++;
}

static size_t mutate(Replay *replay, uint8_t *bytes, size_t size) {
    for (uint32_t changes = 1 + draw(replay, 4); changes > 0; changes--) {
        size_t at = draw(replay, size), length = 1 + draw(replay, 16);
        switch (draw(replay, 5)) {
        case 0: /* another byte */
            if (size) bytes[at] = (uint8_t)draw(replay, 256);
            break;
        case 1: /* another bit */
            if (size) bytes[at] ^= (uint8_t)(1u << draw(replay, 8));
            break;
        case 2: /* cut off */
            size = at;
            break;
        case 3: /* a piece taken out */
            if (at + length > size) length = size - at;
            memmove(bytes + at, bytes + at + length, size - at - length);
            size -= length;
            break;
        case 4: /* a piece doubled; SPARE bytes leave room for four of them */
            if (at + length > size) length = size - at;
            memmove(bytes + at + length, bytes + at, size - at);
            size += length;
            break;
        }
    }
    return size;
}

static bool replay_file(Replay *replay, const char *path) {
    FILE *stream = fopen(path, "rb");
    uint8_t *original = malloc(INPUT_LIMIT), *copy = malloc(INPUT_LIMIT + SPARE);
    if (!stream || !original || !copy) {
        fprintf(stderr, "cannot read %s\n", path);
        return false;
    }
    size_t size = fread(original, 1, INPUT_LIMIT, stream);
    fclose(stream);
    run(replay, original, size);
    for (int i = 0; i < replay->mutations; i++) {
        memcpy(copy, original, size);
        run(replay, copy, mutate(replay, copy, size));
    }
    free(original);
    free(copy);
    return true;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool replay_path(Replay *replay, const char *path) {
    struct stat status;
    struct dirent **entries;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return replay_file(replay, path);
    int count = scandir(path, &entries, NULL, compare_names);
    bool good = count > 2; /* an empty corpus tests nothing */
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') good = replay_file(replay, file) && good;
        free(entries[i]);
    }
    free(entries);
    if (!good) fprintf(stderr, "nothing to replay in %s\n", path);
    return good;
}

int main(int argc, char **argv) {
    Replay replay = {.mutations = 200, .random = 42};
    bool good = argc > 1;
    for (int i = 1; i < argc; i++)
        if (sscanf(argv[i], "-mutations=%d", &replay.mutations) != 1) good = replay_path(&replay, argv[i]) && good;
    printf("%ld inputs replayed\n", replay.runs);
    return good ? 0 : 1;
}
