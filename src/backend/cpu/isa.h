/* isa.h - which instruction sets this processor and its operating system allow, and which one is used. */
#ifndef EFFNET_BACKEND_CPU_ISA_H
#define EFFNET_BACKEND_CPU_ISA_H

#include "backend/cpu/kernels.h"
#include "base/error.h"

/* The best table, or the one that EFFNET_ISA=scalar|avx2|avx512 names; an unknown name, or a set that this machine
 * lacks, is an error. */
effnet_status cpu_kernels_choose(const CpuKernels **out, effnet_error *err);
/* found: "avx2 avx512 avx512_bf16"; used: the table's name, or what is wrong with EFFNET_ISA. */
void cpu_isa_describe(char *found, size_t found_size, char *used, size_t used_size);

#endif
