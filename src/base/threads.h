/* threads.h - a team of threads that shares out numbered tasks.
 *
 * The work of a pass is cut into tasks whose number and content do not depend on the size of the team; which
 * thread takes which task is free, so results must depend on the task number alone. That is how 1, 2 or 64
 * threads give the same bits. (Why not OpenMP: one team per engine without global state, tasks claimed one by
 * one, and clean under ThreadSanitizer, which cannot see into libgomp.) */
#ifndef EFFNET_BASE_THREADS_H
#define EFFNET_BASE_THREADS_H

#include "base/error.h"

#include <pthread.h>

typedef struct ThreadTeam ThreadTeam;
/* task: 0 .. tasks-1; thread: 0 .. size-1, for scratch memory only. */
typedef void TaskFunction(void *context, int task, int thread);

/* Whether the team's own threads are bound to processors, one each. */
typedef enum TeamPin {
    TEAM_PIN_AUTO, /* as EFFNET_PIN says, or where the team has this machine to itself (threads.c) */
    TEAM_PIN_ALWAYS,
    TEAM_PIN_NEVER,
} TeamPin;

typedef struct TeamOptions {
    int threads; /* 0: one for each processor this process may use. The caller is thread 0. */
    TeamPin pin;
    const int *processors; /* (threads): thread i, but for the caller's, runs on processors[i]; NULL: chosen by `pin` */
} TeamOptions;

effnet_status thread_team_create_with(const TeamOptions *options, ThreadTeam **out, effnet_error *err);
effnet_status thread_team_create(int threads, ThreadTeam **out, effnet_error *err);
void thread_team_free(ThreadTeam *team);
int thread_team_size(const ThreadTeam *team);
/* Runs every task and returns when all are done. Callers of several threads take turns, a run each. Not reentrant: a
 * task must not call it. NULL: the caller does all. */
void thread_team_run(ThreadTeam *team, TaskFunction *function, void *context, int tasks);
int processors_available(void);

/* A thread of the library's: pthread_create, with a stack of a mebibyte at least, where `ulimit -s` or the C library would
 * give less (decoders of pictures want more than musl's 128 KiB). 0, or why not, an errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
