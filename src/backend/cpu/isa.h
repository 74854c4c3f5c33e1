/* isa.h - which instruction sets this processor and its operating system allow, and which one is used. */
#ifndef EFFNET_BACKEND_CPU_ISA_H
#define EFFNET_BACKEND_CPU_ISA_H

#include "backend/cpu/kernels.h"
#include "base/error.h"

/* What processor and operating system allow, as bits; a table of kernels needs several (isa.c). */
enum {
    CPU_AVX2 = 1 << 0,   /* and FMA */
    CPU_AVX512 = 1 << 1, /* F, BW, VL, DQ */
    CPU_AVX512_BF16 = 1 << 2,
    CPU_AVX512_VNNI = 1 << 3,
    CPU_AMX = 1 << 4,
    CPU_NEON = 1 << 5,
    CPU_NEON_BF16 = 1 << 6, /* dot products of bf16 and of bytes */
    CPU_AVX_VNNI = 1 << 7,  /* dot products of bytes in AVX2's registers */
};
unsigned cpu_features(void);

/* An instruction set: its tables of kernels over fp32 and over bf16 values. */
typedef struct CpuIsa {
    const char *name;
    const CpuKernels *fp32, *bf16;
} CpuIsa;

/* The sets that this program was built with, best first; NULL behind the last. */
const CpuIsa *cpu_isa_at(int i);
/* The best set that this machine has, or the one that EFFNET_ISA names; an unknown name, or a set that this machine lacks,
 * is an error. */
effnet_status cpu_isa_choose(const CpuIsa **out, effnet_error *err);
/* found: "scalar avx2 avx512 avx512_bf16"; used: the set's name, or what is wrong with EFFNET_ISA. */
void cpu_isa_describe(char *found, size_t found_size, char *used, size_t used_size);

#endif
