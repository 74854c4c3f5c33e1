/* The newest of three checkpoints is damaged in every file of it: a bit flipped anywhere (every byte of the headers'
 * ends and of the recipe, the rest at random), a piece of zeros, an end cut off, a file gone, a file of another step.
 * Each time the one before is found, whole to the bit; a damage that leaves every value as it was may also pass. */
#include "base/file.h"
#include "fault/fault_count.h"
#include "scratch_folder.h"
#include "small_run.h"
#include "train/checkpoint.h"
#include "train/checkpoint_verify.h"
#include "train/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static const char *const names[] = {"raw.safetensors", "ema.safetensors", "slots.safetensors", "recipe.yaml"};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FLIPS = 30 }; /* ten times slower */
#else
enum { FLIPS = 150 };
#endif
static ScratchFolder folder;
static effnet_error err;
static SmallRun run, read_back;
static char newest[512];

static void write_file(const char *path, const char *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

/* What a resume would take now. */
static void look(FaultCount *count) {
    char path[512];
    int64_t step, best_step;
    double best;
    count->tried++;
    if (checkpoint_find_whole(folder.path, INT64_MAX, path, sizeof path, &step, NULL, &err) != EFFNET_OK || step < 2 ||
        checkpoint_read(path, &read_back.network, &read_back.recipe, &read_back.state, &best, &best_step, &err) !=
            EFFNET_OK) {
        count->lost++;
        return;
    }
    if (run.state.step != step) small_run_fill(&run, step);
    if (!small_run_same(&run, &run.state, &read_back.state) || best != (double)step || best_step != step)
        count->silent++;
    else if (step == 3) /* found whole though it was touched: then a run must not differ by it */
        count->silent++;
}

static void damage(FaultCount *count, const char *name) {
    char path[600], *bytes, *copy;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", newest, name);
    assert_int_equal(file_read(path, 1 << 26, &bytes, &size, &err), EFFNET_OK);
    copy = malloc(size);
    assert_non_null(copy);
    RandomKey key = random_key(size);
    const int flips = FLIPS * fault_times();
    for (int i = 0; i < flips; i++) {
        size_t at = i < flips / 2 ? random_bits(key, (uint64_t)i) % (size < 3000 ? size : 3000)
                                  : random_bits(key, (uint64_t)i) % size;
        memcpy(copy, bytes, size);
        copy[at] = (char)(copy[at] ^ 1 << i % 8);
        write_file(path, copy, size);
        look(count);
    }
    for (int i = 0; i < 12; i++) { /* ends cut off, from nothing left to one byte */
        write_file(path, bytes, i == 11 ? size - 1 : size * (size_t)i / 11);
        look(count);
    }
    for (int i = 0; i < 12; i++) { /* a page that never reached the disk */
        size_t at = size / 12 * (size_t)i, length = size - at < 4096 ? size - at : 4096;
        memcpy(copy, bytes, size);
        memset(copy + at, 0, length);
        if (memcmp(copy, bytes, size) == 0) continue;
        write_file(path, copy, size);
        look(count);
    }
    assert_int_equal(unlink(path), 0);
    look(count);
    char older[600], *other;
    size_t other_size;
    snprintf(older, sizeof older, "%s/checkpoints/00000002/%s", folder.path, name);
    assert_int_equal(file_read(older, 1 << 26, &other, &other_size, &err), EFFNET_OK);
    if (other_size != size || memcmp(other, bytes, size) != 0) { /* the recipe is the same in both */
        write_file(path, other, other_size);
        look(count);
    }
    write_file(path, bytes, size);
    free(other);
    free(copy);
    free(bytes);
}

static void test_every_file(void **unused) {
    (void)unused;
    bool good = true;
    for (int i = 0; i < 4; i++) {
        FaultCount count = {.what = names[i]};
        damage(&count, names[i]);
        good = fault_report(&count) && good;
    }
    int64_t step;
    char path[512];
    assert_int_equal(checkpoint_find_whole(folder.path, INT64_MAX, path, sizeof path, &step, NULL, &err), EFFNET_OK);
    assert_int_equal(step, 3); /* undamaged again */
    assert_true(good);
}

/* Files without checksums, as older versions wrote them, are read; half of them with and half without is damage. */
static void test_without_checksums(void **unused) {
    (void)unused;
    char path[600];
    char *bytes[3];
    size_t sizes[3];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", newest, names[i]);
        assert_int_equal(file_read(path, 1 << 26, &bytes[i], &sizes[i], &err), EFFNET_OK);
    }
    for (int i = 0; i < 3; i++) {
        char *key = memmem(bytes[i], sizes[i], "effnet.crc32c", 13);
        assert_non_null(key);
        key[7] = 'x';
        snprintf(path, sizeof path, "%s/%s", newest, names[i]);
        write_file(path, bytes[i], sizes[i]);
        effnet_status status = checkpoint_verify(newest, &err);
        if (i < 2 && (status != EFFNET_ERROR_FORMAT || !strstr(err.message, "not written together")))
            fail_msg("status %d: %s", status, err.message);
        if (i == 2 && status != EFFNET_OK) fail_msg("status %d: %s", status, err.message);
    }
    for (int i = 0; i < 3; i++) {
        memcpy(memmem(bytes[i], sizes[i], "effnet.xrc32c", 13), "effnet.crc32c", 13);
        snprintf(path, sizeof path, "%s/%s", newest, names[i]);
        write_file(path, bytes[i], sizes[i]);
        free(bytes[i]);
    }
}

/* raw.safetensors copied alone: whoever reads it notices too. */
static void test_alone(void **unused) {
    (void)unused;
    char path[600], copy[300], *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s/raw.safetensors", newest);
    snprintf(copy, sizeof copy, "%s/alone.safetensors", folder.path);
    assert_int_equal(file_read(path, 1 << 26, &bytes, &size, &err), EFFNET_OK);
    write_file(copy, bytes, size);
    assert_int_equal(weights_read(copy, &read_back.network, read_back.state.parameters, read_back.state.statistics,
                                  false, NULL, &err),
                     EFFNET_OK);
    bytes[size - 4] ^= 1;
    write_file(copy, bytes, size);
    assert_int_equal(weights_read(copy, &read_back.network, read_back.state.parameters, read_back.state.statistics,
                                  false, NULL, &err),
                     EFFNET_ERROR_FORMAT);
    if (!strstr(err.message, "is damaged")) fail_msg("%s", err.message);
    free(bytes);
}

/* Set aside, the damaged one is no checkpoint any more, and its bytes are kept. */
static void test_set_aside(void **unused) {
    (void)unused;
    char path[600], aside[600];
    int64_t step;
    CheckpointDamage found = {0};
    snprintf(path, sizeof path, "%s/raw.safetensors", newest);
    write_file(path, "ruined", 6);
    assert_int_equal(checkpoint_find_whole(folder.path, INT64_MAX, path, sizeof path, &step, &found, &err), EFFNET_OK);
    assert_int_equal(step, 2);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.newest, 3);
    assert_non_null(strstr(found.reason, "raw.safetensors"));
    assert_int_equal(checkpoint_set_aside(folder.path, 2, &err), EFFNET_OK);
    assert_false(path_exists(newest));
    snprintf(aside, sizeof aside, "%s.damaged/raw.safetensors", newest);
    assert_true(path_exists(aside));
    assert_int_equal(checkpoint_prune(folder.path, 1, &err), EFFNET_OK);
    assert_true(path_exists(aside));
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&read_back, OPTIMIZER_RMSPROP, true);
    for (int64_t step = 1; step <= 3; step++) {
        small_run_fill(&run, step);
        small_run_must(checkpoint_write(folder.path, &run.network, &run.recipe, &run.state, &run.card, (double)step,
                                        step, newest, sizeof newest, &err),
                       &err);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    small_run_free(&run);
    small_run_free(&read_back);
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file),
        cmocka_unit_test(test_without_checksums),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_set_aside),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
