/* interrupt.c - see interrupt.h. A signal handler may touch nothing but such flags, hence the variables of the program
 * that are not in a struct. */
#include "interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { TWICE_SECONDS = 3 }; /* a hang-up is sent by the kernel and by the shell */

static volatile sig_atomic_t requested; /* the signal's number */
static volatile time_t first;
static double deadline; /* of the monotonic clock; 0: none */
static const char *deadline_text;

static const struct {
    int number;
    const char *name;
} asking[] = {
    {SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGQUIT, "SIGQUIT"},
    {SIGHUP, "SIGHUP"}, {SIGUSR1, "SIGUSR1"}, {SIGXCPU, "SIGXCPU"},
};
enum { ASKING = sizeof asking / sizeof *asking };

static void on_signal(int number) {
    if (!requested) {
        requested = number;
        first = time(NULL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        return;
    }
    if (number == SIGXCPU || time(NULL) - first < TWICE_SECONDS) return;
    signal(number, SIG_DFL);
    raise(number);
}

void interrupt_install(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < ASKING; i++) {
        int number = asking[i].number;
        if (number == SIGHUP && sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) continue;
        sigaction(number, &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* ---- files that are half written ---- */

static char doomed[4096 + 8];

static void on_end(int number) {
    unlink(doomed);
    signal(number, SIG_DFL);
    raise(number);
}

void interrupt_removes(const char *path, const char *ending) {
    static const int ending_signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR1, SIGXCPU, SIGXFSZ, SIGALRM};
    struct sigaction before, action = {.sa_handler = on_end};
    sigfillset(&action.sa_mask);
    if ((size_t)snprintf(doomed, sizeof doomed, "%s%s", path, ending) >= sizeof doomed || access(doomed, F_OK) == 0)
        return;
    for (size_t i = 0; i < sizeof ending_signals / sizeof *ending_signals; i++)
        if (sigaction(ending_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(ending_signals[i], &action, NULL);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void interrupt_after(double seconds, const char *text) {
    deadline = now() + seconds;
    deadline_text = text;
}

bool interrupt_requested(void) {
    return requested != 0 || (deadline > 0 && now() >= deadline);
}

void interrupt_reason(char *buffer, size_t size) {
    for (int i = 0; i < ASKING; i++)
        if (asking[i].number == requested) {
            snprintf(buffer, size, "%s", asking[i].name);
            return;
        }
    snprintf(buffer, size, "the time limit of %s", deadline_text ? deadline_text : "0s");
}
