/* kernels.h - the fine seam of the CPU backend: one table of kernels for each instruction set.
 *
 * The kernels are written once, in kernels/, over a small vector type (vectors/vector_<isa>.h) and a value type (fp32
 * or bf16), and compiled once for each table (CMakeLists.txt); kernels.def names them. Tensors are channels last: a row
 * of a tensor is a pixel's channels, `stride` values from the next. Whatever the values are, sums, statistics, batch
 * norm and activations are computed in fp32.
 *
 * Three layouts besides that:
 *   tile    up to TILE_ROWS pixels by any number of channels, in blocks of TILE_CHANNELS channels:
 *           (channels / 64, tile_rows, 64); all strides inside a block are constants, so the matrix kernel addresses
 *           twelve rows from one pointer, along pixels or along channels; of bf16 with zeros after the channels, up to
 *           a multiple of TILE_STEP: what an instruction of AMX takes along the depth
 *   row     one image row for a depthwise convolution, in vectors of `lanes` channels, always fp32:
 *           (channels / lanes, row_width, lanes), zero borders included
 *   packed  weights for gemm_tile, zero-padded: (columns / gemm_columns, depth / d, gemm_columns, d) with d the table's
 *           depth_unit: 1, or 2 where a bf16 dot product takes two values at a time; the depth rounded up to a multiple
 *           of its depth_step; for products in int8 see kernels/byte_rows.h
 *
 * What is pending on a raw convolution output is applied as it is loaded: activation((x - mean) * scale + bias), and
 * for gradients dy = alpha * dz + beta * (y - mean) + delta (batch norm's backward formula, docs/maths.md).
 * Subtracting the mean first keeps large means with small variances exact. */
#ifndef EFFNET_BACKEND_CPU_KERNELS_H
#define EFFNET_BACKEND_CPU_KERNELS_H

#include "model/activation_kind.h"

#include <stdbool.h>
#include <stddef.h>

enum { TILE_CHANNELS = 64, TILE_ROWS = 96, TILE_STEP = 32 };
enum { INT8_DEPTH = 4096 }; /* gemm_tile_int8 takes no more */
/* Bytes before a panel's weights in int8: two floats a column (kernels/byte_rows.h). */
#define INT8_PANEL_HEAD(columns) ((size_t)(columns)*2 * sizeof(float))

/* Arrays of a table's values, which passes hand on without looking inside: tensors, tiles, packed weights. */
typedef void Stored, Tile, Packed;

/* Batch norm to apply on loading, each of `channels` floats; mean NULL: none. */
typedef struct BnVectors {
    const float *mean, *scale, *bias;
} BnVectors;

/* Batch norm's backward formula, each of `channels` floats. */
typedef struct BnGradient {
    const float *mean, *alpha, *beta, *delta;
} BnGradient;

/* What project_gradient_tile adds up over its rows, each of `channels` floats; see cpu_project.c. */
typedef struct ProjectSums {
    float *gate;          /* sum dv * a: the gradient of the gate */
    float *e, *e_centred; /* sum e, sum e * (u - mean), e = dv * gate * slope */
    float *d, *d_centred; /* sum slope, sum slope * (u - mean) */
} ProjectSums;

typedef struct CpuKernels {
    const char *isa;
    int value_bytes;     /* of Stored and Tile: 4 (fp32) or 2 (bf16) */
    int packed_bytes;    /* of a packed weight: the same, or 1 (int8) */
    int panel_head;      /* bytes before a panel's weights */
    int depth_unit;      /* values along the depth that lie together in packed weights */
    int depth_step;      /* a panel's depth is a multiple of it, zeros behind the weights' */
    int int8_depth_step; /* the same of a panel of bytes */
    int lanes;           /* floats in a vector */
    int gemm_columns;    /* columns of a packed panel */
#define KERNEL(name, arguments) void(*name) arguments;
#include "backend/cpu/kernels.def"
#undef KERNEL
} CpuKernels;

/* A table like `kernels` whose gemm_tile and pack_panel are those of int8. */
CpuKernels cpu_kernels_with_int8(const CpuKernels *kernels);

/* clang-format off */
/* gemm_tile              C (rows, columns) = tile (rows, depth) * packed (depth, columns) [+ add, laid out as C] [+ bias, a column's]
 * gemm_transposed        C (m, n) = a_tile (pixels, m)^T * b_tile (pixels, n) [+ C where add]
 * pack_panel             panel (depth, gemm_columns) of weights[d * depth_stride + n * column_stride] [* scale[n]], n < width,
 *                        zeros behind; one of the strides is 1
 * gemm_tile_int8         gemm_tile with the tile and the weights rounded to bytes; depth at most INT8_DEPTH
 * pack_panel_int8        pack_panel for it
 * tile_fill              tile = x
 * tile_load              tile = activation(bn(x))
 * tile_scale             tile = from * factor, a channel's; both may be one
 * tile_load_gradient     tile = bn backward of (factor * dz, y)
 * tile_pool              tile = activation(bn(x)) (tile NULL: not stored), sums += over rows
 * column_moments         mean and sum of squared differences from it, of each channel over the rows
 * row_load               value = activation(bn(x)), slope = activation'(bn(x)) (NULL: not wanted); borders untouched
 * row_load_gradient      row = bn backward of (dz, u), pixel x at pad + x
 * depthwise_row          out pixel x = sum over ky, kx of rows[ky][x * step + kx] * weights[ky][kx] [+ bias, a channel's]; rows[ky] NULL:
 *                        zeros
 * depthwise_row_turned   the same over rows with a zero between any two pixels that are not stored:
 *                        rows[ky][(x + kx - inserted_pad) / 2 + inserted_pad / 2] where x + kx - inserted_pad is even
 * depthwise_weights_row  weights_gradient[ky][kx] += sum over x of gradient[pad + x] * rows[ky][x * step + kx]
 * depthwise_finish_row   dz = da * slope, sum += dz, sum_centred += dz * (y - mean)
 * depthwise_finish_tile  tile = da * slope, sum += over its rows
 * add_row                to = from [+ to]
 * project_gradient_tile  a = activation(bn(u)); tile = a * gate; dv = dv * gate * slope; sums (gate NULL: 1)
 * sigmoid                x = 1 / (1 + exp(-x))
 * add_scaled             x += slope * factor, a channel's
 * residual_rows          out = bn(p) * factor + bn(x) (p_bn NULL: neither has one)
 * gradient_sums          sum += g * factor, sum_centred += g * factor * (p - mean)
 * pool_gradient          dz = gradient * activation'(bn(y)), and its two sums
 * peak_multiply_adds     rounds * PEAK_CHAINS vectors of multiply-adds in registers, in bf16 of pairs; sink: `lanes` floats
 * peak_byte_dots         the same with dot products of four bytes
 * peak_read              reads `floats` (a multiple of 8 * lanes); sink: `lanes` floats */
/* clang-format on */

enum { PEAK_CHAINS = 12 }; /* independent ones: latency 4 on 2 units wants 8, and 16 registers hold 12 */

extern const CpuKernels cpu_kernels_scalar, cpu_kernels_scalar_bf16;
#ifdef EFFNET_X86
extern const CpuKernels cpu_kernels_avx2, cpu_kernels_avx2_bf16;
extern const CpuKernels cpu_kernels_avxvnni_bf16; /* the same with other products of bytes (avxvnni/) */
extern const CpuKernels cpu_kernels_avx512, cpu_kernels_avx512_bf16;
extern const CpuKernels cpu_kernels_avx512bf16_bf16; /* fp32 beside it is cpu_kernels_avx512's */
extern const CpuKernels cpu_kernels_amx_bf16;        /* the same with other matrix kernels (amx/) */
#endif
#ifdef EFFNET_ARM
extern const CpuKernels cpu_kernels_neon, cpu_kernels_neon_bf16;
extern const CpuKernels cpu_kernels_neonbf16_bf16; /* fp32 beside it is cpu_kernels_neon's */
#endif

#endif
