/* tiles_emulated.h - AMX's tile registers in plain C, for the tests of machines that have none: gemm_amx.c is compiled
 * over it, and a use that the processor would refuse (shapes that do not fit, no configuration) ends the program.
 *
 * Arithmetic as the manual gives TDPBF16PS (TDPBUSD is exact): products and sums in fp32, the first values of the pairs and the second
 * ones summed apart and then added; denormal numbers count as zero. */
#ifndef EFFNET_TILES_H
#define EFFNET_TILES_H

#include "backend/cpu/amx/tile_config.h"
#include "base/bfloat16.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AMX_NAME(name) name##_amx_emulated

static _Thread_local struct {
    TileConfig config;
    unsigned char data[TILE_REGISTERS][TILE_SIDE][TILE_ROW_BYTES];
} tiles;

static inline void tile_require(int met) {
    if (!met) abort();
}
static inline void tile_configure(const TileConfig *config) {
    tile_require(config->palette == 1 && config->start_row == 0);
    for (int t = 0; t < TILE_REGISTERS; t++)
        tile_require(config->rows[t] <= TILE_SIDE && config->row_bytes[t] <= TILE_ROW_BYTES);
    tiles.config = *config;
    memset(tiles.data, 0, sizeof tiles.data);
}
static inline void tile_release(void) {
    memset(&tiles, 0, sizeof tiles);
}
static inline void tile_zero(int tile) {
    tile_require(tiles.config.rows[tile] > 0);
    memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
}
static inline void tile_fetch(int tile, const void *from, size_t row_bytes) {
    tile_zero(tile);
    for (size_t r = 0; r < tiles.config.rows[tile]; r++)
        memcpy(tiles.data[tile][r], (const char *)from + r * row_bytes, tiles.config.row_bytes[tile]);
}
static inline void tile_write(int tile, void *to, size_t row_bytes) {
    tile_require(tiles.config.rows[tile] > 0);
    for (size_t r = 0; r < tiles.config.rows[tile]; r++)
        memcpy((char *)to + r * row_bytes, tiles.data[tile][r], tiles.config.row_bytes[tile]);
}
static inline float tile_flush(float x) {
    return fabsf(x) < FLT_MIN ? 0.0f : x;
}
static inline float tile_product(uint16_t a, uint16_t b) {
    return tile_flush(float_from_bfloat16(a)) * tile_flush(float_from_bfloat16(b));
}
static inline void tile_require_fit(int c, int a, int b) {
    const TileConfig *shape = &tiles.config;
    tile_require(shape->rows[c] > 0 && shape->rows[a] == shape->rows[c] && shape->rows[b] == shape->row_bytes[a] / 4 &&
                 shape->row_bytes[b] == shape->row_bytes[c]);
}
static inline void tile_dot_bytes(int c, int a, int b) {
    const TileConfig *shape = &tiles.config;
    tile_require_fit(c, a, b);
    for (int i = 0; i < shape->rows[c]; i++)
        for (int j = 0; j < shape->row_bytes[c] / 4; j++) {
            int32_t sum;
            memcpy(&sum, &tiles.data[c][i][4 * j], sizeof sum);
            for (int depth = 0; depth < shape->row_bytes[a]; depth++)
                sum += tiles.data[a][i][depth] * (int8_t)tiles.data[b][depth / 4][4 * j + depth % 4];
            memcpy(&tiles.data[c][i][4 * j], &sum, sizeof sum);
        }
}
static inline void tile_dot(int c, int a, int b) {
    const TileConfig *shape = &tiles.config;
    const int m = shape->rows[c], n = shape->row_bytes[c] / 4, k = shape->row_bytes[a] / 4;
    tile_require_fit(c, a, b);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sums[2] = {0, 0}, sum;
            for (int depth = 0; depth < 2 * k; depth++) {
                uint16_t left, right;
                memcpy(&left, &tiles.data[a][i][2 * depth], sizeof left);
                memcpy(&right, &tiles.data[b][depth / 2][4 * j + 2 * (depth % 2)], sizeof right);
                sums[depth % 2] = tile_flush(sums[depth % 2] + tile_product(left, right));
            }
            memcpy(&sum, &tiles.data[c][i][4 * j], sizeof sum);
            sum = tile_flush(sum + (sums[0] + sums[1]));
            memcpy(&tiles.data[c][i][4 * j], &sum, sizeof sum);
        }
}

#endif
