/* traced_child.h - a child process whose system calls that change files are counted (seccomp and ptrace), and which is
 * killed before the Nth of them, or in which the Nth fails. Nothing between two such calls can be told from outside, so
 * that every N together are every moment at which a kill, or a disk, can strike. */
#ifndef EFFNET_TESTS_TRACED_CHILD_H
#define EFFNET_TESTS_TRACED_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct TracedChild {
    bool traced;         /* false: this system does not let processes be traced */
    bool struck;         /* it came to the call that was asked for, */
    int64_t call, calls; /* which has this number; of so many */
    int status;          /* as waitpid gives it */
} TracedChild;

/* Can a call be made to fail here? */
static inline bool traced_can_fail(void) {
#ifdef __x86_64__
    return true;
#else
    return false;
#endif
}

/* Of the calls below only these stop the child; openat is looked at by its flags. */
static inline bool traced_stop_at_calls(void) {
    static const unsigned calls[] = {
        SYS_write,           SYS_pwrite64, SYS_writev,    SYS_fsync,  SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
        SYS_copy_file_range, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_unlinkat,  SYS_mkdirat,
        SYS_openat,
#ifdef SYS_rename /* newer architectures have those with ...at alone */
        SYS_rename,          SYS_link,     SYS_symlink,   SYS_unlink, SYS_mkdir,     SYS_rmdir,
#endif
    };
    enum { COUNT = sizeof calls / sizeof *calls };
    struct sock_filter filter[2 * COUNT + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    int used = 1;
    for (int i = 0; i < COUNT; i++) {
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = (unsigned short)used, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The thread stands before its call: which, as `nr`, and does it change a file? */
static inline bool traced_call(pid_t thread, int64_t *number) {
    struct __ptrace_syscall_info info = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return false;
    *number = (int64_t)info.seccomp.nr;
    return info.seccomp.nr != SYS_openat || (info.seccomp.args[2] & (O_CREAT | O_TRUNC));
}

/* The call is left out and returns -1 with this errno. */
static inline void traced_fail(pid_t thread, int failure) {
#ifdef __x86_64__
    ptrace(PTRACE_POKEUSER, thread, offsetof(struct user, regs.orig_rax), (long)-1);
    ptrace(PTRACE_POKEUSER, thread, offsetof(struct user, regs.rax), (long)-failure);
#else
    (void)thread, (void)failure;
#endif
}

/* operation(context) in a child that then ends with status 0. At the `at`th call (0: never) it is killed where `failure`
 * is 0, and else that call does nothing and fails with this errno. Threads of the child are traced with it. */
static inline TracedChild traced_run(void (*operation)(void *context), void *context, int64_t at, int failure) {
    TracedChild out = {0};
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(99);
        raise(SIGSTOP);
        if (!traced_stop_at_calls()) _exit(99);
        operation(context);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status)) return out;
    out.traced = true;
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, child, NULL, 0);
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (thread <= 0) continue;
        if (!WIFSTOPPED(status)) {
            if (thread == child) out.status = status;
            continue; /* until there is none left */
        }
        int signal = WSTOPSIG(status);
        int64_t number;
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) && traced_call(thread, &number) && ++out.calls == at) {
            out.struck = true;
            out.call = number;
            if (failure)
                traced_fail(thread, failure);
            else
                kill(child, SIGKILL);
        }
        if (signal == SIGTRAP || signal == SIGSTOP) signal = 0; /* events, and a thread's beginning */
        ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal);
    }
    return out;
}

/* The same undisturbed: in a child, so that nothing of it stays in this process. */
static inline int plain_run(void (*operation)(void *context), void *context) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        operation(context);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

#endif
