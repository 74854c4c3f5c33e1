/* gemm_amx.h - the matrix kernels over AMX, which the table "amx" has in place of the vectors' (table_amx.c); what each
 * does: kernels.h. Compiled over emulated tiles they have other names (tiles_emulated.h). */
#ifndef EFFNET_GEMM_AMX_H
#define EFFNET_GEMM_AMX_H

#include "backend/cpu/kernels.h"

#include <stddef.h>

#ifndef AMX_NAME
#define AMX_NAME(name) name##_amx
#endif

void AMX_NAME(gemm_tile)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                         Stored *c, size_t c_stride, const Stored *add, const float *bias);
void AMX_NAME(gemm_tile_int8)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                              Stored *c, size_t c_stride, const Stored *add, const float *bias);
void AMX_NAME(gemm_transposed)(const Tile *a_tile, const Tile *b_tile, int tile_rows, int pixels, int m, int n,
                               bool add, float *c, size_t c_stride);
/* A round is AMX_ROUND operations. */
enum { AMX_ROUND = 4 * 2 * 16 * 16 * 32 };
void AMX_NAME(peak_multiply_adds)(long rounds, float *sink);

#endif
