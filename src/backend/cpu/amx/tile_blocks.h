/* tile_blocks.h - a block of C in four tile registers, 0 to 3: 32 rows by 32 columns of 32 bits; 4 and 5 hold A's upper
 * and lower rows, 6 and 7 B's left and right columns. Over the instructions or their emulation, whichever was included
 * before. */
#ifndef EFFNET_TILE_BLOCKS_H
#define EFFNET_TILE_BLOCKS_H

#include "backend/cpu/amx/tile_config.h"

#include <stdbool.h>

enum {
    SIDE = TILE_SIDE, /* rows of a tile register; its columns of 32 bits */
    BLOCK = 2 * SIDE, /* rows and columns of C at a time; columns of a packed panel */
};

/* C's upper half has `upper` rows, its lower `lower` (0: there is none). */
static inline void configure(int upper, int lower) {
    TileConfig config = {.palette = 1};
    for (int t = 0; t < TILE_REGISTERS; t++) {
        config.row_bytes[t] = TILE_ROW_BYTES;
        config.rows[t] = SIDE;
    }
    config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)upper;
    if (lower) config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)lower;
    tile_configure(&config);
}

static inline void zero_block(void) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
}

/* The four tiles into a block of 32 x 32 values of 32 bits. */
static inline void write_block(void *sums, bool lower, bool right) {
    const size_t bytes = BLOCK * 4, lower_at = SIDE * bytes, right_at = SIDE * 4;
    tile_write(0, sums, bytes);
    if (right) tile_write(1, (char *)sums + right_at, bytes);
    if (!lower) return;
    tile_write(2, (char *)sums + lower_at, bytes);
    if (right) tile_write(3, (char *)sums + lower_at + right_at, bytes);
}

#endif
