/* fuzz_part.c - any bytes as the OUT.part of a pack that was stopped, behind a piece of the true file, so that records are
 * read: the pack is gone on with and comes out the same, byte for byte, whatever stood there, or refuses it. */
#include "data/inspect/pack_write.h"
#include "fuzz_file.h"

#include "base/file.h"

#include <string.h>

static char source[128], whole[128], target[128], part[160];
static char *wanted;
static size_t wanted_size;

static void pack(const char *path, effnet_status *status) {
    PackResult result;
    effnet_error err = {0};
    const PackOptions options = {.source = source, .path = path, .quality = 0, .workers = 1};
    *status = pack_write(&options, &result, &err);
    if (*status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
}

static void remove_files(void) {
    static const char *const names[] = {"train/a/0.bmp", "train/b/1.bmp", "train/a", "train/b", "train"};
    char path[200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", source, names[i]);
        remove(path);
    }
    remove(source);
    remove(whole);
    remove(part);
    free(wanted);
}

/* A bitmap of two pixels by two. */
static void place(const char *name, uint8_t level) {
    uint8_t bytes[70] = {'B', 'M', 70, [10] = 54, [14] = 40, [18] = 2, [22] = 2, [26] = 1, [28] = 24};
    char path[200];
    memset(bytes + 54, level, 16);
    snprintf(path, sizeof path, "%s/%s", source, name);
    fuzz_write(path, bytes, sizeof bytes);
}

static void prepare(void) {
    effnet_status status;
    effnet_error err;
    char folder[200];
    fuzz_make_folder();
    snprintf(source, sizeof source, "%s/source", fuzz_folder);
    snprintf(whole, sizeof whole, "%s/whole.effpack", fuzz_folder);
    snprintf(target, sizeof target, "%s/target.effpack", fuzz_folder);
    snprintf(part, sizeof part, "%s.part", target);
    atexit(remove_files); /* before the folder, which is registered before */
    for (int i = 0; i < 2; i++) {
        snprintf(folder, sizeof folder, "%s/train/%c", source, 'a' + i);
        if (folder_create(folder, &err) != EFFNET_OK) abort();
    }
    place("train/a/0.bmp", 10);
    place("train/b/1.bmp", 200);
    pack(whole, &status);
    if (status != EFFNET_OK || file_read(whole, 1 << 20, &wanted, &wanted_size, &err) != EFFNET_OK) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!wanted) prepare();
    if (!size) return 0;
    /* The first byte: so many bytes of the true file, then the others. */
    size_t kept = (size_t)data[0] * wanted_size / 255;
    uint8_t *bytes = malloc(kept + size);
    if (!bytes) abort();
    memcpy(bytes, wanted, kept);
    memcpy(bytes + kept, data + 1, size - 1);
    fuzz_write(part, bytes, kept + size - 1);
    free(bytes);
    effnet_status status;
    pack(target, &status);
    if (status == EFFNET_OK) {
        char *made;
        size_t made_size;
        effnet_error err;
        if (file_read(target, 1 << 20, &made, &made_size, &err) != EFFNET_OK) abort();
        if (made_size != wanted_size || memcmp(made, wanted, made_size) != 0) abort();
        free(made);
        unlink(target);
    }
    unlink(part);
    return 0;
}
