/* limits.h - what this machine can do at most: the roof that a profile compares each pass with. */
#ifndef EFFNET_BACKEND_CPU_LIMITS_H
#define EFFNET_BACKEND_CPU_LIMITS_H

#include "base/threads.h"

typedef struct CpuLimits {
    char isa[32];
    int threads;
    double gflops;      /* fp32 multiply-adds, two operations each, of all threads together */
    double bf16_gflops; /* bf16 dot products of AVX512-BF16; 0: not on this processor */
    double int8_gops;   /* dot products of bytes of AVX512-VNNI, in 1e9 operations a second; 0: not on this processor */
    double amx_gflops;  /* bf16 dot products of AMX; 0: not on this processor */
    double read_gbps;   /* reads of memory far larger than any cache, all threads together, 1e9 bytes a second */
    double copy_gbps;   /* the same for copies, bytes read plus bytes written */
} CpuLimits;

/* Takes about a second: each figure is the best of several short runs of every thread of the team at once. */
effnet_status cpu_limits_measure(ThreadTeam *team, CpuLimits *out, effnet_error *err);

#endif
