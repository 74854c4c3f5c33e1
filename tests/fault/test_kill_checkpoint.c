/* A writer of checkpoints is killed (SIGKILL) at random moments, a few hundred times. After every kill the newest
 * checkpoint is whole: it reads, its every bit is that of its step, it is not older than what the writer had reported
 * as done, `last` points to a whole one too, and rubbish never makes the next writer fail. */
#include "base/clock.h"
#include "base/file.h"
#include "scratch_folder.h"
#include "small_run.h"
#include "train/checkpoint.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

enum { ROUNDS = 150, KEEP = 2 };

/* The child: checkpoints of steps first, first + 1, ...; every fourth is written twice (the second replaces the first),
 * every third becomes the best. *done is the last one that checkpoint_write said was written. */
static void write_for_ever(SmallRun *run, const char *out, int64_t first, volatile int64_t *done) {
    effnet_error err = {0};
    for (int64_t step = first;; step++) {
        small_run_fill(run, step);
        for (int again = 0; again <= (step % 4 == 0); again++) {
            small_run_must(checkpoint_write(out, &run->network, &run->recipe, &run->state, &run->card, (double)step,
                                            step, NULL, 0, &err),
                           &err);
            *done = step;
        }
        if (step % 3 == 0) small_run_must(checkpoint_mark_best(out, step, &err), &err);
        small_run_must(checkpoint_prune(out, KEEP, &err), &err);
    }
}

static void check_checkpoint(SmallRun *read, SmallRun *want, const char *path) {
    effnet_error err = {0};
    double best;
    int64_t best_step;
    if (checkpoint_read(path, &read->network, &read->recipe, &read->state, &best, &best_step, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    small_run_fill(want, read->state.step);
    if (!small_run_same(want, &read->state, &want->state)) fail_msg("%s has other bits than its step's", path);
    assert_int_equal(best_step, read->state.step);
}

static void test_kills(void **unused) {
    (void)unused;
    ScratchFolder folder = scratch_folder_create();
    SmallRun run, read;
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&read, OPTIMIZER_RMSPROP, true);
    volatile int64_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(done != MAP_FAILED);
    *done = 0;

    /* How long one checkpoint takes here, so that kills fall anywhere within the first few. */
    effnet_error err = {0};
    double began = clock_seconds();
    small_run_fill(&run, 1);
    small_run_must(checkpoint_write(folder.path, &run.network, &run.recipe, &run.state, &run.card, 1, 1, NULL, 0, &err),
                   &err);
    double one = clock_seconds() - began;
    RandomKey key = random_key(2026);
    int64_t newest = 1;
    int progressed = 0, rubbish = 0;
    began = clock_seconds();
    for (int round = 0; round < ROUNDS && clock_seconds() - began < 60; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            write_for_ever(&run, folder.path, newest + 1, done);
            _exit(1);
        }
        usleep((useconds_t)(random_uniform(key, (uint64_t)round) * 3 * one * 1e6));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("the writer failed by itself: status %d", status);

        char path[512], link[300];
        bool found = false;
        if (checkpoint_find_last(folder.path, path, sizeof path, &found, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
        assert_true(found);
        check_checkpoint(&read, &run, path);
        assert_true(read.state.step >= *done && read.state.step >= newest);
        progressed += read.state.step > newest;
        newest = read.state.step;
        snprintf(link, sizeof link, "%s/checkpoints/last", folder.path);
        check_checkpoint(&read, &run, link);
        assert_true(read.state.step >= 1); /* each kill between the rename and the link leaves the link one behind */
        snprintf(link, sizeof link, "%s/checkpoints/best", folder.path);
        if (path_exists(link)) check_checkpoint(&read, &run, link);
        snprintf(link, sizeof link, "%s/checkpoints/%08lld.tmp", folder.path, (long long)newest + 1);
        rubbish += path_exists(link);
    }
    print_message("%d kills left a newer checkpoint, %d a part of one; %.1f ms a checkpoint\n", progressed, rubbish,
                  one * 1e3);
    assert_true(progressed > 0);
    small_run_must(checkpoint_prune(folder.path, KEEP, &err), &err);
    small_run_free(&run);
    small_run_free(&read);
    munmap((void *)done, 4096);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
