/* limits.c - see limits.h. Every thread runs the same kernel on registers or on its own part of one block of memory;
 * the best run counts, since other programs can only make it slower. */
#include "backend/cpu/limits.h"

#include "backend/cpu/amx/gemm_amx.h"
#include "backend/cpu/isa.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 8, ROUNDS = 2000000, BLOCK_MB = 256, MOST_LANES = 64 };
/* A run is over in milliseconds; for some tens of them the system may keep two threads on one processor. */
static const double least_seconds = 0.2;

typedef struct LimitRun {
    const CpuKernels *kernels;
    void (*peak)(long rounds, float *sink);
    float *block;
    size_t floats; /* a thread's part */
} LimitRun;

static void multiply_adds_task(void *context, int task, int thread) {
    const LimitRun *run = context;
    float sink[MOST_LANES];
    (void)task, (void)thread;
    run->peak(ROUNDS, sink);
}

static void read_task(void *context, int task, int thread) {
    const LimitRun *run = context;
    float sink[MOST_LANES];
    (void)thread;
    run->kernels->peak_read(run->block + (size_t)task * run->floats, run->floats, sink);
}

static void copy_task(void *context, int task, int thread) {
    const LimitRun *run = context;
    float *part = run->block + (size_t)task * run->floats;
    (void)thread;
    memcpy(part, part + run->floats / 2, run->floats / 2 * sizeof *part);
}

static double best_seconds(ThreadTeam *team, TaskFunction *function, LimitRun *run) {
    const double first = clock_seconds();
    double best = 0;
    for (int i = 0; i < RUNS || clock_seconds() - first < least_seconds; i++) {
        double began = clock_seconds();
        thread_team_run(team, function, run, thread_team_size(team));
        double seconds = clock_seconds() - began;
        if (i == 0 || seconds < best) best = seconds;
    }
    return best;
}

/* `operations` a round. */
static double peak_gflops(ThreadTeam *team, LimitRun *run, void (*peak)(long rounds, float *sink), double operations) {
    run->peak = peak;
    return operations * ROUNDS * thread_team_size(team) / best_seconds(team, multiply_adds_task, run) / 1e9;
}

effnet_status cpu_limits_measure(ThreadTeam *team, CpuLimits *out, effnet_error *err) {
    LimitRun run = {0};
    void *block;
    const CpuIsa *isa;
    TRY(cpu_isa_choose(&isa, err));
    run.kernels = isa->fp32;
    int threads = thread_team_size(team);
    size_t floats = (size_t)BLOCK_MB * 1024 * 1024 / sizeof(float);
    run.floats = floats / (size_t)threads / 1024 * 1024;
    TRY(memory_allocate(floats, sizeof(float), "a block to measure memory with", &block, err));
    run.block = block;
    memset(run.block, 0, floats * sizeof(float));
    double bytes = (double)run.floats * sizeof(float) * threads;
    memset(out, 0, sizeof *out);
    snprintf(out->isa, sizeof out->isa, "%s", run.kernels->isa);
    out->threads = threads;
    out->gflops = peak_gflops(team, &run, run.kernels->peak_multiply_adds, 2.0 * PEAK_CHAINS * run.kernels->lanes);
#ifdef EFFNET_X86
    const unsigned features = cpu_features();
    const CpuKernels *dots = &cpu_kernels_avx512bf16_bf16;
    if ((features & CPU_AVX512) && (features & CPU_AVX512_BF16))
        out->bf16_gflops = peak_gflops(team, &run, dots->peak_multiply_adds, 4.0 * PEAK_CHAINS * dots->lanes);
    if ((features & CPU_AVX512_BF16) && (features & CPU_AVX512_VNNI)) /* a table has both */
        out->int8_gops = peak_gflops(team, &run, dots->peak_byte_dots, 8.0 * PEAK_CHAINS * dots->lanes);
    else if (features & CPU_AVX_VNNI) {
        dots = &cpu_kernels_avxvnni_bf16;
        out->int8_gops = peak_gflops(team, &run, dots->peak_byte_dots, 8.0 * PEAK_CHAINS * dots->lanes);
    }
    if (features & CPU_AMX) out->amx_gflops = peak_gflops(team, &run, peak_multiply_adds_amx, AMX_ROUND);
#endif
#ifdef EFFNET_ARM
    if (cpu_features() & CPU_NEON_BF16) {
        const CpuKernels *dots = &cpu_kernels_neonbf16_bf16;
        out->bf16_gflops = peak_gflops(team, &run, dots->peak_multiply_adds, 4.0 * PEAK_CHAINS * dots->lanes);
        out->int8_gops = peak_gflops(team, &run, dots->peak_byte_dots, 8.0 * PEAK_CHAINS * dots->lanes);
    }
#endif
    out->read_gbps = bytes / best_seconds(team, read_task, &run) / 1e9;
    out->copy_gbps = bytes / best_seconds(team, copy_task, &run) / 1e9;
    memory_free(block);
    return EFFNET_OK;
}
