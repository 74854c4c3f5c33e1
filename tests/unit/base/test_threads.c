/* The thread team: every task once, on a thread number in range, all done when run returns, whatever the sizes; what a
 * task wrote is seen afterwards. Meant to be run under ThreadSanitizer too (preset tsan). */
#include "base/threads.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

enum { MOST_TASKS = 1000 };

typedef struct Work {
    int times[MOST_TASKS]; /* plain: a task's place is its own */
    int threads;
    atomic_int wrong_thread, total;
    long scratch[64]; /* a thread's own */
} Work;

static void count_task(void *context, int task, int thread) {
    Work *work = context;
    if (thread < 0 || thread >= work->threads) {
        atomic_fetch_add(&work->wrong_thread, 1);
        return;
    }
    work->times[task]++;
    work->scratch[thread] += task;
    atomic_fetch_add(&work->total, 1);
    if (task % 97 == 0) sched_yield();
}

static void test_every_task_once(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 8, 17}, counts[] = {0, 1, 2, 3, 7, 64, MOST_TASKS};
    effnet_error err = {0};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        ThreadTeam *team;
        assert_int_equal(thread_team_create(sizes[s], &team, &err), EFFNET_OK);
        assert_int_equal(thread_team_size(team), sizes[s]);
        for (int repeat = 0; repeat < 40; repeat++)
            for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
                Work work = {.threads = sizes[s]};
                thread_team_run(team, count_task, &work, counts[c]);
                assert_int_equal(work.wrong_thread, 0);
                assert_int_equal(work.total, counts[c]);
                long sum = 0;
                for (int i = 0; i < 64; i++) sum += work.scratch[i];
                assert_int_equal(sum, (long)counts[c] * (counts[c] - 1) / 2);
                for (int i = 0; i < MOST_TASKS; i++) assert_int_equal(work.times[i], i < counts[c]);
            }
        thread_team_free(team);
    }
}

static void next_number(void *context, int task, int thread) {
    (void)thread;
    long *numbers = context;
    numbers[task] = numbers[task] * 3 + 1;
}

/* Thousands of short runs one after another, with pauses in which the workers fall asleep: none is lost. */
static void test_many_runs(void **state) {
    (void)state;
    effnet_error err = {0};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(4, &team, &err), EFFNET_OK);
    long numbers[9] = {0}, want = 0;
    for (int run = 0; run < 3000; run++) {
        thread_team_run(team, next_number, numbers, 9);
        want = (want * 3 + 1) % 1000003;
        for (int i = 0; i < 9; i++) {
            numbers[i] %= 1000003;
            assert_int_equal(numbers[i], want);
        }
        if (run % 500 == 0) usleep(3000);
    }
    thread_team_free(team);
}

/* Two teams at once, each with a run in flight: they share nothing. */
static void nested_run(void *context, int task, int thread) {
    (void)thread;
    ThreadTeam **teams = context;
    long numbers[50] = {0};
    thread_team_run(teams[task], next_number, numbers, 50);
    for (int i = 0; i < 50; i++)
        if (numbers[i] != 1) abort();
}

static void test_two_teams(void **state) {
    (void)state;
    effnet_error err = {0};
    ThreadTeam *outer, *inner[2];
    assert_int_equal(thread_team_create(2, &outer, &err), EFFNET_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(thread_team_create(2, &inner[i], &err), EFFNET_OK);
    for (int repeat = 0; repeat < 100; repeat++) thread_team_run(outer, nested_run, inner, 2);
    for (int i = 0; i < 2; i++) thread_team_free(inner[i]);
    thread_team_free(outer);
}

static void test_create(void **state) {
    (void)state;
    effnet_error err = {0};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(0, &team, &err), EFFNET_OK);
    assert_int_equal(thread_team_size(team), processors_available());
    thread_team_free(team);
    thread_team_free(NULL);
    assert_int_equal(thread_team_create(-1, &team, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "threads is -1"));
    assert_null(team);
    assert_int_equal(thread_team_create(1025, &team, NULL), EFFNET_ERROR_ARGUMENT);
    for (int i = 0; i < 50; i++) { /* made and at once destroyed, before the workers have begun */
        assert_int_equal(thread_team_create(5, &team, &err), EFFNET_OK);
        thread_team_free(team);
    }
}

/* The number of processors each task's thread may use. */
static void allowed_processors(void *context, int task, int thread) {
    int *counts = context;
    cpu_set_t set;
    (void)task;
    if (sched_getaffinity(0, sizeof set, &set) == 0) counts[thread] = CPU_COUNT(&set);
    usleep(2000); /* so that every thread takes a task */
}

/* Workers pinned where asked for and the team fits the machine; never otherwise, and never the caller. */
static void test_pinned(void **state) {
    (void)state;
    static const struct {
        const char *pin, *bind;
        int more;
        bool pinned;
    } cases[] = {{"1", NULL, 0, true}, {"0", NULL, 0, false}, {"1", "false", 0, false}, {"1", NULL, 1, false}};
    const int processors = processors_available();
    if (processors < 2 || processors > 500) skip();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        effnet_error err = {0};
        ThreadTeam *team;
        int counts[1024] = {0}, size = processors + cases[c].more;
        setenv("EFFNET_PIN", cases[c].pin, 1);
        if (cases[c].bind)
            setenv("OMP_PROC_BIND", cases[c].bind, 1);
        else
            unsetenv("OMP_PROC_BIND");
        assert_int_equal(thread_team_create(size, &team, &err), EFFNET_OK);
        thread_team_run(team, allowed_processors, counts, 8 * size);
        for (int i = 0; i < size; i++)
            if (counts[i]) assert_int_equal(counts[i], i && cases[c].pinned ? 1 : processors);
        assert_true(counts[0] == processors);
        thread_team_free(team);
    }
    effnet_error err = {0};
    ThreadTeam *team;
    setenv("EFFNET_PIN", "maybe", 1);
    assert_int_equal(thread_team_create(2, &team, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "EFFNET_PIN is 'maybe'; allowed: 0, 1"));
    unsetenv("EFFNET_PIN");
    unsetenv("OMP_PROC_BIND");
}

/* Where the machine gives no more threads, those that began are ended and the error says so. */
static void test_no_more_threads(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* sanitizers need the address space */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {200 << 20, 200 << 20}; /* 8 MB of stack a thread: some two dozen */
        effnet_error err = {0};
        ThreadTeam *team = (ThreadTeam *)1;
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
        effnet_status got = thread_team_create(1000, &team, &err);
        _exit(got == EFFNET_ERROR_MEMORY && !team && strstr(err.message, "cannot start thread") ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("status %x", status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once), cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_two_teams),       cmocka_unit_test(test_create),
        cmocka_unit_test(test_no_more_threads), cmocka_unit_test(test_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
