/* threads.c - see threads.h.
 *
 * A run is announced by raising `generation`; workers spin on it for some microseconds (passes follow each
 * other closely in a training step) and then sleep on a condition variable, as the caller does at the end of a run. A
 * team larger than the processors that it may use does not spin: it would keep one from the thread that it waits for.
 * Tasks are claimed one by one from atomic counters: each thread has a share of consecutive tasks, the same one in
 * every run of as many tasks, and helps the others when its own is done. So a thread mostly meets again the images and
 * rows that it wrote a pass before, in its own cache and, where pages belong to who writes first (memory.c), in its own
 * memory. The run is over when every worker has said so in `finished`, so that the next run may reuse the fields.
 *
 * Workers are pinned, one to a processor, where a team has exactly as many threads as this process has processors and
 * fewer threads of other programs run at that moment: on several memory nodes a thread must stay by the pages that it
 * touched first. EFFNET_PIN=1 pins on a machine that is full too, EFFNET_PIN=0 or OMP_PROC_BIND=false never. The
 * caller's own thread is left alone. */
#include "base/threads.h"

#include "base/machine.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPINS = 4000 }; /* about 0.1 ms */

typedef struct Worker {
    ThreadTeam *team;
    int index;
    pthread_t thread;
} Worker;

/* Tasks [next, end) of a thread are still to be claimed; a cache line of its own. */
typedef struct Share {
    _Alignas(64) atomic_int next;
    int end;
} Share;

struct ThreadTeam {
    int size;
    int spins;            /* looks before a thread sleeps */
    Worker *workers;      /* size - 1 */
    Share *shares;        /* size */
    pthread_mutex_t turn; /* held by the caller whose run it is */
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    atomic_uint generation;
    atomic_bool stopping;
    atomic_int finished;
    TaskFunction *function;
    void *context;
};

/* Now and then it lets another thread have the processor, where one wants it: often the one that is waited for. */
static inline void spin_pause(int spins) {
    if (spins % 128 == 127) sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_tasks(ThreadTeam *team, int thread) {
    for (int i = 0; i < team->size; i++) {
        Share *share = &team->shares[(thread + i) % team->size];
        for (;;) {
            int task = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
            if (task >= share->end) break;
            team->function(team->context, task, thread);
        }
    }
}

static void share_out(ThreadTeam *team, int tasks) {
    for (int i = 0; i < team->size; i++) {
        atomic_store_explicit(&team->shares[i].next, (int)((int64_t)tasks * i / team->size), memory_order_relaxed);
        team->shares[i].end = (int)((int64_t)tasks * (i + 1) / team->size);
    }
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    ThreadTeam *team = worker->team;
    unsigned seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&team->generation, memory_order_acquire) == seen && spins++ < team->spins)
            spin_pause(spins);
        if (atomic_load_explicit(&team->generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&team->mutex);
            while (atomic_load_explicit(&team->generation, memory_order_acquire) == seen)
                pthread_cond_wait(&team->wake, &team->mutex);
            pthread_mutex_unlock(&team->mutex);
        }
        seen++;
        if (atomic_load_explicit(&team->stopping, memory_order_acquire)) return NULL;
        take_tasks(team, worker->index);
        if (atomic_fetch_add_explicit(&team->finished, 1, memory_order_acq_rel) + 2 == team->size) {
            pthread_mutex_lock(&team->mutex); /* the caller may be asleep */
            pthread_cond_signal(&team->done);
            pthread_mutex_unlock(&team->mutex);
        }
    }
}

static void announce(ThreadTeam *team) {
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add_explicit(&team->generation, 1, memory_order_release);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
}

int processors_available(void) {
    Machine machine;
    machine_here(&machine);
    return machine.processors;
}

static bool is_word(const char *value, const char *word) {
    return value && strcmp(value, word) == 0;
}

/* Threads of other programs that run or want to, at this moment. */
static int others_running(void) {
    int running = INT_MAX;
    FILE *file = fopen("/proc/loadavg", "r");
    if (!file) return running;
    if (fscanf(file, "%*s %*s %*s %d/", &running) == 1 && running > 0) running--; /* this thread */
    fclose(file);
    return running;
}

static effnet_status check_environment(effnet_error *err) {
    const char *pin = getenv("EFFNET_PIN");
    if (!pin || !*pin || is_word(pin, "0") || is_word(pin, "1")) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "the environment variable EFFNET_PIN is '%.40s'; allowed: 0, 1", pin);
}

static bool should_pin(int threads, TeamPin asked) {
    if (asked != TEAM_PIN_AUTO) return asked == TEAM_PIN_ALWAYS;
    const char *pin = getenv("EFFNET_PIN");
    Machine machine;
    machine_here(&machine); /* under a quota nobody knows which processors are the others' */
    if (threads != machine.allowed || is_word(pin, "0") || is_word(getenv("OMP_PROC_BIND"), "false")) return false;
    return is_word(pin, "1") || others_running() < threads;
}

/* The index-th processor that this process may use, counted round from `first`; none: a thread may run on any. */
static bool find_processor(int first, int index, cpu_set_t *one) {
    cpu_set_t allowed;
    CPU_ZERO(one);
    if (first < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    for (int i = 0, seen = 0; i < CPU_SETSIZE; i++) {
        const int processor = (first + i) % CPU_SETSIZE;
        if (!CPU_ISSET(processor, &allowed) || seen++ != index) continue;
        CPU_SET(processor, one);
        return true;
    }
    return false;
}

int thread_start(pthread_t *thread, void *(*run)(void *), void *argument) {
    enum { STACK_BYTES = 1 << 20 };
    pthread_attr_t attributes;
    size_t usual = 0;
    int failed = pthread_attr_init(&attributes);
    if (failed) return failed;
    if (pthread_attr_getstacksize(&attributes, &usual) == 0 && usual < STACK_BYTES)
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
    failed = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return failed;
}

/* Pinned once it runs, for musl has no attribute for it; processors were checked before. `first`: where the caller runs if
 * workers are pinned, so that none is put beside it: two that share a processor stay there until the system moves the
 * caller, which a measurement of 20 ms does not live to see. Else -1. */
static int start_worker(Worker *worker, int first, const int *processors) {
    cpu_set_t one;
    int failed = thread_start(&worker->thread, worker_main, worker);
    if (failed) return failed;
    if (processors) {
        CPU_ZERO(&one);
        CPU_SET(processors[worker->index], &one);
        pthread_setaffinity_np(worker->thread, sizeof one, &one);
    } else if (find_processor(first, worker->index, &one)) {
        pthread_setaffinity_np(worker->thread, sizeof one, &one);
    }
    return 0;
}

static effnet_status check_processors(const int *processors, int threads, effnet_error *err) {
    cpu_set_t allowed;
    if (!processors) return EFFNET_OK;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_ZERO(&allowed);
    for (int i = 0; i < threads; i++)
        if (processors[i] < 0 || processors[i] >= CPU_SETSIZE || !CPU_ISSET(processors[i], &allowed))
            return fail(err, EFFNET_ERROR_ARGUMENT, "processors[%d] is %d, which this process may not use", i,
                        processors[i]);
    return EFFNET_OK;
}

effnet_status thread_team_create(int threads, ThreadTeam **out, effnet_error *err) {
    return thread_team_create_with(&(TeamOptions){.threads = threads}, out, err);
}

effnet_status thread_team_create_with(const TeamOptions *options, ThreadTeam **out, effnet_error *err) {
    int threads = options->threads;
    *out = NULL;
    if (threads < 0 || threads > 1024)
        return fail(err, EFFNET_ERROR_ARGUMENT, "threads is %d; allowed are 0 (every processor) to 1024", threads);
    if (threads == 0) threads = processors_available();
    TRY(check_environment(err));
    TRY(check_processors(options->processors, threads, err));
    ThreadTeam *team = calloc(1, sizeof *team);
    Worker *workers = calloc((size_t)threads, sizeof *workers);
    Share *shares = aligned_alloc(_Alignof(Share), (size_t)threads * sizeof *shares);
    if (!team || !workers || !shares) {
        free(team);
        free(workers);
        free(shares);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a team of %d threads", threads);
    }
    team->size = 1;
    team->spins = threads <= processors_available() ? SPINS : 0;
    team->workers = workers;
    team->shares = shares;
    pthread_mutex_init(&team->turn, NULL);
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->done, NULL);
    const int first = should_pin(threads, options->pin) ? sched_getcpu() : -1;
    for (int i = 1; i < threads; i++) {
        workers[i - 1] = (Worker){.team = team, .index = i};
        int failed = start_worker(&workers[i - 1], first, options->processors);
        if (failed) {
            thread_team_free(team);
            return fail(err, EFFNET_ERROR_MEMORY, "cannot start thread %d of %d: %s", i + 1, threads, strerror(failed));
        }
        team->size = i + 1;
    }
    *out = team;
    return EFFNET_OK;
}

void thread_team_free(ThreadTeam *team) {
    if (!team) return;
    atomic_store_explicit(&team->stopping, true, memory_order_release);
    announce(team);
    for (int i = 1; i < team->size; i++) pthread_join(team->workers[i - 1].thread, NULL);
    pthread_cond_destroy(&team->wake);
    pthread_cond_destroy(&team->done);
    pthread_mutex_destroy(&team->turn);
    pthread_mutex_destroy(&team->mutex);
    free(team->workers);
    free(team->shares);
    free(team);
}

int thread_team_size(const ThreadTeam *team) {
    return team->size;
}

static void wait_for_workers(ThreadTeam *team) {
    for (int spins = 0; spins < team->spins; spins++) {
        if (atomic_load_explicit(&team->finished, memory_order_acquire) == team->size - 1) return;
        spin_pause(spins);
    }
    pthread_mutex_lock(&team->mutex);
    while (atomic_load_explicit(&team->finished, memory_order_acquire) < team->size - 1)
        pthread_cond_wait(&team->done, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
}

void thread_team_run(ThreadTeam *team, TaskFunction *function, void *context, int tasks) {
    if (!team || team->size == 1 || tasks <= 1) {
        for (int task = 0; task < tasks; task++) function(context, task, 0);
        return;
    }
    pthread_mutex_lock(&team->turn);
    team->function = function;
    team->context = context;
    share_out(team, tasks);
    atomic_store_explicit(&team->finished, 0, memory_order_relaxed);
    announce(team);
    take_tasks(team, 0);
    wait_for_workers(team);
    pthread_mutex_unlock(&team->turn);
}
