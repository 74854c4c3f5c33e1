/* roomy_stack.c - see roomy_stack.h. The main thread's stack is what the limit says and, where the limit is hard, stays so;
 * another thread's is what its maker asks for. */
#include "roomy_stack.h"

#include <pthread.h>
#include <sys/resource.h>

enum { ENOUGH_BYTES = 1 << 20, MAIN_BYTES = 8 << 20, THREAD_BYTES = 2 << 20 };

typedef struct Call {
    int (*run)(int argc, char **argv);
    int argc;
    char **argv;
    int result;
} Call;

static void *make_call(void *argument) {
    Call *call = argument;
    call->result = call->run(call->argc, call->argv);
    return NULL;
}

int roomy_stack_run(int (*run)(int argc, char **argv), int argc, char **argv) {
    Call call = {run, argc, argv, 0};
    struct rlimit limit;
    pthread_attr_t attributes;
    pthread_t thread;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= ENOUGH_BYTES || pthread_attr_init(&attributes) != 0)
        return run(argc, argv);
    pthread_attr_setstacksize(&attributes, THREAD_BYTES);
    pthread_setattr_default_np(&attributes);
    pthread_attr_setstacksize(&attributes, MAIN_BYTES);
    const int failed = pthread_create(&thread, &attributes, make_call, &call);
    pthread_attr_destroy(&attributes);
    if (failed) return run(argc, argv);
    pthread_join(thread, NULL);
    return call.result;
}
