/* table.c - the table of an instruction set and a value type, from kernels.def. */
#include "backend/cpu/kernels/common.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
const CpuKernels ISA_NAME(cpu_kernels) = {
#ifdef EFFNET_INTRINSICS
    .isa = TEXT(VECTOR_ISA) ", emulated",
#else
    .isa = TEXT(VECTOR_ISA),
#endif
    .value_bytes = (int)sizeof(Value),
    .packed_bytes = (int)sizeof(Value),
    .depth_unit = DEPTH_UNIT,
    .depth_step = DEPTH_UNIT,
    .int8_depth_step = 4,
    .lanes = LANES,
    .gemm_columns = GEMM_VECTORS * LANES,
#define KERNEL(name, arguments) .name = ISA_NAME(name),
#include "backend/cpu/kernels.def"
#undef KERNEL
};
