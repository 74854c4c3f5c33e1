/* derived_table.h - the table of a set that has another's kernels, but for some. A file that includes it once says before:
 *
 *   BASE_NAME(name)   the other set's kernel of this name
 *   #define X Y       for each kernel X of that set in whose place Y stands
 *   DERIVED_TABLE     the new table's name, and DERIVED_SIZES, its fields before the kernels */
#include "backend/cpu/kernels.h"

#define KERNEL(name, arguments) void BASE_NAME(name) arguments;
#include "backend/cpu/kernels.def"
#undef KERNEL

const CpuKernels DERIVED_TABLE = {
    DERIVED_SIZES,
#define KERNEL(name, arguments) .name = BASE_NAME(name),
#include "backend/cpu/kernels.def"
#undef KERNEL
};
