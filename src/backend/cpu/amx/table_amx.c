/* table_amx.c - the table "amx" over bf16: the kernels of AVX512-BF16, and matrix products of AMX in their place. */
#include "backend/cpu/amx/gemm_amx.h"

#define BASE_NAME(name)                    name##_avx512bf16_bf16
#define gemm_tile_avx512bf16_bf16          gemm_tile_amx
#define gemm_tile_int8_avx512bf16_bf16     gemm_tile_int8_amx
#define gemm_transposed_avx512bf16_bf16    gemm_transposed_amx
#define peak_multiply_adds_avx512bf16_bf16 peak_multiply_adds_amx

#define DERIVED_TABLE cpu_kernels_amx_bf16
#define DERIVED_SIZES                                                                                                  \
    .isa = "amx", .value_bytes = 2, .packed_bytes = 2, .depth_unit = 2, .depth_step = 32, .int8_depth_step = 64,       \
    .lanes = 16, .gemm_columns = 32
#include "backend/cpu/kernels/derived_table.h"
