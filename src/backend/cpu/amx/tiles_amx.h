/* tiles_amx.h - AMX's instructions under the names that gemm_amx.c uses; tiles_emulated.h has the same names in plain
 * C.
 *
 * Eight tile registers of up to 16 rows of 64 bytes. tile_dot(c, a, b), TDPBF16PS: c (M, N) fp32 += a (M, 2 K) bf16
 * times b (K, N, 2) bf16, pairs along the depth lying together. Numbers of registers are constants. */
#ifndef EFFNET_TILES_H
#define EFFNET_TILES_H

#include <immintrin.h>

#define tile_configure(config)            _tile_loadconfig(config)
#define tile_release()                    _tile_release()
#define tile_zero(tile)                   _tile_zero(tile)
#define tile_fetch(tile, from, row_bytes) _tile_loadd(tile, from, row_bytes)
#define tile_write(tile, to, row_bytes)   _tile_stored(tile, to, row_bytes)
#define tile_dot(c, a, b)                 _tile_dpbf16ps(c, a, b)

#endif
