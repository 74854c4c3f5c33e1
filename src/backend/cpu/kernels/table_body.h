/* table_body.h - one instruction set's table, from kernels.def. */
#include "backend/cpu/kernels/common_body.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
const CpuKernels ISA_NAME(cpu_kernels) = {
    .isa = TEXT(VECTOR_ISA),
    .lanes = LANES,
    .gemm_columns = GEMM_VECTORS * LANES,
#define KERNEL(name, arguments) .name = ISA_NAME(name),
#include "backend/cpu/kernels.def"
#undef KERNEL
};
