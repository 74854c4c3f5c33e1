/* tiles_amx.h - AMX's instructions under the names that gemm_amx.c uses; tiles_emulated.h has the same names in plain
 * C.
 *
 * Eight tile registers of up to 16 rows of 64 bytes. tile_dot(c, a, b), TDPBF16PS: c (M, N) fp32 += a (M, 2 K) bf16
 * times b (K, N, 2) bf16, pairs along the depth lying together. tile_dot_bytes(c, a, b), TDPBUSD: c (M, N) int32 += a
 * (M, 4 K) bytes without a sign times b (K, N, 4) bytes with one. Numbers of registers are constants. */
#ifndef EFFNET_TILES_H
#define EFFNET_TILES_H

#include "backend/cpu/amx/tile_config.h"

#include <immintrin.h>

/* Not _tile_loadconfig: gcc 12's tells the compiler of the first bytes alone, so at -O1 the others were not yet
 * written. */
static inline void tile_configure(const TileConfig *config) {
    __asm__ volatile("ldtilecfg %0" ::"m"(*config));
}

#define tile_release()                    _tile_release()
#define tile_zero(tile)                   _tile_zero(tile)
#define tile_fetch(tile, from, row_bytes) _tile_loadd(tile, from, row_bytes)
#define tile_write(tile, to, row_bytes)   _tile_stored(tile, to, row_bytes)
#define tile_dot(c, a, b)                 _tile_dpbf16ps(c, a, b)
#define tile_dot_bytes(c, a, b)           _tile_dpbusd(c, a, b)

#endif
