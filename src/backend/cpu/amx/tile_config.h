/* tile_config.h - the 64 bytes that LDTILECFG reads (Intel's Architecture Instruction Set Extensions reference, chapter
 * 3): how many rows each tile register has, and how many bytes each of its rows. */
#ifndef EFFNET_TILE_CONFIG_H
#define EFFNET_TILE_CONFIG_H

#include <stdint.h>

enum { TILE_REGISTERS = 8, TILE_SIDE = 16, TILE_ROW_BYTES = 64 };

typedef struct TileConfig {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileConfig;
_Static_assert(sizeof(TileConfig) == 64, "LDTILECFG reads 64 bytes");

#endif
