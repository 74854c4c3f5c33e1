/* A disk that fills up (a limit on the size of files, RLIMIT_FSIZE, and /dev/full) while files and checkpoints are
 * written: an error that says so, no part left behind, and what was there before untouched. */
#include "base/file.h"
#include "format/safetensors.h"
#include "scratch_folder.h"
#include "small_run.h"
#include "train/checkpoint.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static ScratchFolder folder;
static effnet_error err;

static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int entries(const char *path) {
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* At every limit from nothing to one byte too few. */
static void test_safetensors(void **unused) {
    (void)unused;
    static float values[20000];
    SafetensorsEntry entry = {"x", 1, (int[]){20000}, values, 20000};
    char path[300];
    snprintf(path, sizeof path, "%s/file", folder.path);
    assert_int_equal(safetensors_write(path, &entry, 1, NULL, &err), EFFNET_OK);
    char *before, *after;
    size_t size, size_after;
    assert_int_equal(file_read(path, 1 << 20, &before, &size, &err), EFFNET_OK);
    values[0] = 1;
    static const size_t limits[] = {0, 1, 8, 70, 4096, 65536, 80000};
    for (size_t i = 0; i <= sizeof limits / sizeof limits[0]; i++) {
        limit_files(i < sizeof limits / sizeof limits[0] ? limits[i] : size - 1);
        effnet_status got = safetensors_write(path, &entry, 1, NULL, &err);
        limit_files(RLIM_INFINITY);
        if (got != EFFNET_ERROR_IO || !strstr(err.message, "File too large") || !strstr(err.message, path))
            fail_msg("limit %zu: status %d, message \"%s\"", i, got, err.message);
        assert_int_equal(entries(folder.path), 1);
        assert_int_equal(file_read(path, 1 << 20, &after, &size_after, &err), EFFNET_OK);
        assert_int_equal(size, size_after);
        assert_memory_equal(before, after, size);
        free(after);
    }
    free(before);
    assert_int_equal(unlink(path), 0);
}

/* Every write to /dev/full fails with "No space left on device"; here it stands where the new file is written. */
static void test_dev_full(void **unused) {
    (void)unused;
    if (access("/dev/full", W_OK) != 0) skip();
    char path[300], temporary[320];
    snprintf(path, sizeof path, "%s/full", folder.path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    scratch_write(path, "old", 3);
    assert_int_equal(symlink("/dev/full", temporary), 0);
    AtomicFile file;
    assert_int_equal(atomic_file_open(&file, path, &err), EFFNET_OK);
    fputs("new", file.stream);
    assert_int_equal(atomic_file_commit(&file, &err), EFFNET_ERROR_IO);
    if (!strstr(err.message, "No space left on device")) fail_msg("%s", err.message);
    char *text;
    size_t size;
    assert_int_equal(file_read(path, 100, &text, &size, &err), EFFNET_OK);
    assert_string_equal(text, "old");
    free(text);
    assert_true(access("/dev/full", W_OK) == 0);
    assert_int_equal(entries(folder.path), 1);
    assert_int_equal(unlink(path), 0);
}

static void test_checkpoint(void **unused) {
    (void)unused;
    SmallRun run, read;
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&read, OPTIMIZER_RMSPROP, true);
    char checkpoints[300], path[512];
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder.path);
    small_run_fill(&run, 1);
    small_run_must(
        checkpoint_write(folder.path, &run.network, &run.recipe, &run.state, &run.card, 1, 1, path, sizeof path, &err),
        &err);
    const size_t slots = run.network.parameter_floats * 2 * sizeof(float); /* the largest file of a checkpoint */
    for (int64_t mark = 1; mark <= 2; mark++)                              /* the same step again, and the next one */
        for (size_t part = 0; part <= 8; part++) {
            small_run_fill(&run, mark + 40);
            run.state.step = mark;
            limit_files(slots * part / 8);
            effnet_status got =
                checkpoint_write(folder.path, &run.network, &run.recipe, &run.state, &run.card, 2, 2, NULL, 0, &err);
            limit_files(RLIM_INFINITY);
            if (got != EFFNET_ERROR_IO || !strstr(err.message, "File too large"))
                fail_msg("status %d, message \"%s\"", got, err.message);
            assert_int_equal(entries(checkpoints), 2); /* 00000001 and last */
            bool found;
            double best;
            int64_t best_step;
            small_run_must(checkpoint_find_last(folder.path, path, sizeof path, &found, &err), &err);
            assert_true(found);
            small_run_must(checkpoint_read(path, &read.network, &read.recipe, &read.state, &best, &best_step, &err),
                           &err);
            small_run_fill(&run, 1);
            assert_true(small_run_same(&run, &run.state, &read.state));
            assert_int_equal(best_step, 1);
        }
    small_run_free(&run);
    small_run_free(&read);
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    signal(SIGXFSZ, SIG_IGN); /* write then fails with EFBIG, as a full disk does with ENOSPC */
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_dev_full),
        cmocka_unit_test(test_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
