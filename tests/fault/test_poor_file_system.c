/* A file system without symbolic links or syncing, and with names that are busy or can't be replaced: this program's own symlink(),
 * rename() and fsync() stand before the C library's and refuse as they are told. `last` and `best` are then text files, which
 * readers understand, and no checkpoint is lost or refused. */
#include "base/clock.h"
#include "base/file.h"
#include "scratch_folder.h"
#include "small_run.h"
#include "train/checkpoint.h"
#include "train/checkpoint_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static int refuse_links;      /* errno of every symlink(), 0: none */
static int refuse_renames;    /* how many of the renames to come fail */
static const char *refuse_to; /* only to names that end so; NULL: all */

int symlink(const char *target, const char *path) {
    if (refuse_links) {
        errno = refuse_links;
        return -1;
    }
    return symlinkat(target, AT_FDCWD, path);
}

int rename(const char *from, const char *to) {
    size_t length = strlen(to), tail = refuse_to ? strlen(refuse_to) : 0;
    if (refuse_renames > 0 && length >= tail && (!refuse_to || strcmp(to + length - tail, refuse_to) == 0)) {
        refuse_renames--;
        errno = EBUSY;
        return -1;
    }
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static int refuse_syncs; /* errno of every fsync(), 0: none */

int fsync(int descriptor) {
    if (refuse_syncs) {
        errno = refuse_syncs;
        return -1;
    }
    return (int)syscall(SYS_fsync, descriptor);
}

static ScratchFolder folder;
static effnet_error err;
static SmallRun run, back;

static void write_step(int64_t step) {
    char path[512];
    small_run_fill(&run, step);
    small_run_must(checkpoint_write(folder.path, &run.network, &run.recipe, &run.state, &run.card, 1, step, path,
                                    sizeof path, &err),
                   &err);
}

static void check_marker(const char *name, int64_t step, bool link) {
    char path[600], followed[600], wanted[600];
    struct stat status;
    double best;
    int64_t best_step;
    snprintf(path, sizeof path, "%s/checkpoints", folder.path);
    assert_int_equal(checkpoint_marker_step(path, name), step);
    snprintf(path, sizeof path, "%s/checkpoints/%s", folder.path, name);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(link ? S_ISLNK(status.st_mode) : S_ISREG(status.st_mode));
    assert_int_equal(checkpoint_marker_follow(path, followed, sizeof followed, &err), EFFNET_OK);
    snprintf(wanted, sizeof wanted, "%s/checkpoints/%08lld", folder.path, (long long)step);
    assert_string_equal(followed, link ? path : wanted);
    small_run_must(checkpoint_read(path, &back.network, &back.recipe, &back.state, &best, &best_step, &err), &err);
    assert_int_equal(back.state.step, step);
    effnet_model *model;
    const effnet_model_options options = {.struct_size = sizeof options, .threads = 1, .engine = "reference"};
    small_run_must(effnet_model_open(path, &options, &model, &err), &err);
    effnet_model_free(model);
}

static void test_without_links(void **unused) {
    (void)unused;
    static const int reasons[] = {EPERM, ENOSYS, EOPNOTSUPP, EIO};
    for (int i = 0; i < 4; i++) {
        refuse_links = reasons[i];
        write_step(10 + i);
        small_run_must(checkpoint_mark_best(folder.path, 10 + i, &err), &err);
        check_marker("last", 10 + i, false);
        check_marker("best", 10 + i, false);
    }
    small_run_must(checkpoint_prune(folder.path, 1, &err), &err);
    check_marker("best", 13, false);
    /* the text is replaced by a link once there are such, and the other way round */
    refuse_links = 0;
    write_step(20);
    check_marker("last", 20, true);
    refuse_links = EPERM;
    write_step(21);
    check_marker("last", 21, false);
    small_run_must(checkpoint_prune(folder.path, 1, &err), &err);
    check_marker("best", 13, false); /* pruning knows it as text too */
    refuse_links = 0;
}

static void test_busy_names(void **unused) {
    (void)unused;
    refuse_to = "00000030";
    refuse_renames = 3;
    write_step(30);
    assert_int_equal(refuse_renames, 0);
    check_marker("last", 30, true);
    refuse_to = "/last"; /* can't be replaced by rename at all: written in place, not through the link */
    refuse_renames = 1000;
    const double began = clock_seconds();
    write_step(31);
    check_marker("last", 31, false);
    write_step(32);
    check_marker("last", 32, false);
    assert_true(clock_seconds() - began < 2); /* not waited for, as there is another way */
    char path[600];
    struct stat status;
    snprintf(path, sizeof path, "%s/checkpoints/00000030", folder.path);
    assert_true(stat(path, &status) == 0 && S_ISDIR(status.st_mode));
    refuse_renames = 0;
    refuse_to = NULL;
}

static effnet_status write_note(void) {
    char path[600];
    AtomicFile file;
    snprintf(path, sizeof path, "%s/note", folder.path);
    if (atomic_file_open(&file, path, &err) != EFFNET_OK) return err.status;
    fputs("note", file.stream);
    return atomic_file_commit(&file, &err);
}

/* Where there is no syncing nothing more can be had; where it failed, the file isn't there. */
static void test_no_syncing(void **unused) {
    (void)unused;
    static const int absent[] = {EINVAL, ENOSYS, EOPNOTSUPP};
    for (int i = 0; i < 3; i++) {
        refuse_syncs = absent[i];
        assert_int_equal(write_note(), EFFNET_OK);
        write_step(40 + i);
        check_marker("last", 40 + i, true);
    }
    refuse_syncs = EIO;
    assert_int_equal(write_note(), EFFNET_ERROR_IO);
    refuse_syncs = 0;
    refuse_renames = 2; /* busy, and then free */
    assert_int_equal(write_note(), EFFNET_OK);
    assert_int_equal(refuse_renames, 0);
}

/* What stands there is none of ours: no checkpoint, and nothing is waited for. */
static void test_other_things(void **unused) {
    (void)unused;
    char path[600], followed[600];
    static const char *const texts[] = {"", "\n", "../../etc", "0000003", "00000031/..", "00000031 and more"};
    snprintf(path, sizeof path, "%s/text", folder.path);
    for (int i = 0; i < 6; i++) {
        scratch_write(path, texts[i], strlen(texts[i]));
        assert_int_equal(checkpoint_marker_step(folder.path, "text"), -1);
        assert_int_equal(checkpoint_marker_follow(path, followed, sizeof followed, &err), EFFNET_OK);
        assert_string_equal(followed, path);
    }
    scratch_write(path, "00000031\r\n", 10);
    assert_int_equal(checkpoint_marker_step(folder.path, "text"), 31);
    snprintf(path, sizeof path, "%s/pipe", folder.path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(checkpoint_marker_step(folder.path, "pipe"), -1);
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&back, OPTIMIZER_RMSPROP, true);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    small_run_free(&run);
    small_run_free(&back);
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_links),
        cmocka_unit_test(test_busy_names),
        cmocka_unit_test(test_no_syncing),
        cmocka_unit_test(test_other_things),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
