/* machine.h - what of the machine this process may use: in a container the processors and the memory of its control
 * group, not the machine's. Linux's control groups, both versions (kernel: Documentation/admin-guide/cgroup-v1,
 * cgroup-v2.rst); the process's own group and every group above it count. So do the process's own limits (ulimit -v,
 * ulimit -d). */
#ifndef EFFNET_BASE_MACHINE_H
#define EFFNET_BASE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

typedef struct Machine {
    int processors; /* threads that get to run at once: of the affinity mask and the quota the smaller, at least 1 */
    int allowed;    /* processors of the affinity mask */
    double quota;   /* processors' worth of time; 0: no quota */
    int64_t memory; /* bytes: of the machine's and the limit the smaller */
    int64_t memory_limit; /* of the control groups and the process; 0: none */
    int64_t memory_free;  /* what can still be taken within both */
} Machine;

/* `root`: "" for this machine; a test's folder that holds proc/ and sys/ as it wants them. */
void machine_look(const char *root, Machine *out);
/* machine_look(""). Cheap: a few small files are read. */
void machine_here(Machine *out);
/* "processors: 2 of 64 (cgroup quota 1.5), memory: 7.5 GiB (limit 7.5 GiB, 6.1 GiB free)" */
void machine_describe(const Machine *machine, char *buffer, size_t size);

#endif
