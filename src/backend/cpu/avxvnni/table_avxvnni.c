/* table_avxvnni.c - the table "avxvnni" over bf16 values, for processors with AVX-VNNI and no AVX-512 (Intel's since Alder
 * Lake): the kernels of AVX2, and products of bytes by that extension in their place (kernels/gemm_int8.c and
 * kernels/peaks.c compiled again). */
#define BASE_NAME(name)          name##_avx2_bf16
#define gemm_tile_int8_avx2_bf16 gemm_tile_int8_avxvnni_bf16
#define peak_byte_dots_avx2_bf16 peak_byte_dots_avxvnni_bf16

#define DERIVED_TABLE cpu_kernels_avxvnni_bf16
#define DERIVED_SIZES                                                                                                  \
    .isa = "avxvnni", .value_bytes = 2, .packed_bytes = 2, .depth_unit = 2, .depth_step = 2, .int8_depth_step = 4,     \
    .lanes = 8, .gemm_columns = 16
#include "backend/cpu/kernels/derived_table.h"
