/* gemm_amx_int8.c - gemm_tile_int8 over AMX: 32 rows of bytes by 32 columns of a panel in four tile registers of
 * integers; each step takes 64 bytes of the depth. The bytes of 32 rows are made once, for all panels. Arithmetic:
 * kernels/byte_rows.h; the bits are those of the vectors' kernel. */
#ifdef EFFNET_TILES_EMULATED
#include "backend/cpu/amx/tiles_emulated.h"
#else
#include "backend/cpu/amx/tiles_amx.h"
#endif

#include "backend/cpu/amx/gemm_amx.h"
#include "backend/cpu/amx/tile_blocks.h"
#include "backend/cpu/kernels/byte_rows.h"
#include "base/sizes.h"

enum { BYTE_STEP = TILE_ROW_BYTES }; /* bytes along the depth of one instruction */

/* 32 rows of the tile as bytes, zeros behind each; an odd number of cache lines apart, so that they don't meet in the
 * same sets of the cache. */
typedef struct ByteBlock {
    _Alignas(64) uint8_t bytes[BLOCK * (INT8_DEPTH + BYTE_STEP)];
    size_t stride;
    float step[BLOCK], low[BLOCK];
} ByteBlock;

static void round_rows(const Value *tile, int tile_rows, int rows, int depth, ByteBlock *to) {
    const size_t width = round_up((size_t)depth, BYTE_STEP);
    to->stride = width / BYTE_STEP % 2 ? width : width + BYTE_STEP;
    for (int r = 0; r < rows; r++) {
        uint8_t *row = to->bytes + (size_t)r * to->stride;
        memset(row + width - BYTE_STEP, 0, BYTE_STEP);
        round_row(tile + (size_t)r * TILE_CHANNELS, tile_rows, depth, row, &to->step[r], &to->low[r]);
    }
}

static void dot_block(const ByteBlock *from, int depth, const char *b, bool lower, bool right) {
    const uint8_t *upper_rows = from->bytes, *lower_rows = upper_rows + SIDE * from->stride;
    const size_t b_stride = (size_t)BLOCK * QUAD;
    zero_block();
    for (int d = 0; d < depth; d += BYTE_STEP, b += BYTE_STEP * BLOCK) {
        tile_fetch(4, upper_rows + d, from->stride);
        tile_fetch(6, b, b_stride);
        tile_dot_bytes(0, 4, 6);
        if (right) {
            tile_fetch(7, b + TILE_ROW_BYTES, b_stride);
            tile_dot_bytes(1, 4, 7);
        }
        if (!lower) continue;
        tile_fetch(5, lower_rows + d, from->stride);
        tile_dot_bytes(2, 5, 6);
        if (right) tile_dot_bytes(3, 5, 7);
    }
}

static void store_bytes_block(const int32_t *sums, const ByteBlock *from, int rows, const float *panel, int columns,
                              Value *c, size_t c_stride, const Value *add, const float *bias) {
    for (int n = 0; n < columns; n += LANES) {
        int left = columns - n, tail = left < LANES ? left : 0;
        const ByteColumns column = byte_columns(panel + n, panel + BLOCK + n, bias ? bias + n : NULL, tail);
        for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * c_stride + (size_t)n;
            byte_sums_store(&column, integers_load(sums + (size_t)r * BLOCK + (size_t)n), from->step[r], from->low[r],
                            c + at, add ? add + at : NULL, tail);
        }
    }
}

void AMX_NAME(gemm_tile_int8)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                              Stored *c, size_t c_stride, const Stored *add, const float *bias) {
    const size_t panel_bytes = INT8_PANEL_HEAD(BLOCK) + round_up((size_t)depth, BYTE_STEP) * BLOCK;
    _Alignas(64) int32_t sums[BLOCK * BLOCK];
    ByteBlock rounded;
    int configured = 0;
    for (int first = 0; first < rows; first += BLOCK) {
        const int count = rows - first < BLOCK ? rows - first : BLOCK;
        const bool lower = count > SIDE;
        if (count != configured) configure(lower ? SIDE : count, lower ? count - SIDE : 0);
        configured = count;
        round_rows((const Value *)tile + (size_t)first * TILE_CHANNELS, tile_rows, count, depth, &rounded);
        const char *panel = packed;
        for (int n = 0; n < columns; n += BLOCK, panel += panel_bytes) {
            const int left = columns - n < BLOCK ? columns - n : BLOCK;
            const size_t at = (size_t)first * c_stride + (size_t)n;
            dot_block(&rounded, depth, panel + INT8_PANEL_HEAD(BLOCK), lower, left > SIDE);
            write_block(sums, lower, left > SIDE);
            store_bytes_block(sums, &rounded, count, (const float *)(const void *)panel, left, (Value *)c + at,
                              c_stride, add ? (const Value *)add + at : NULL, bias ? bias + n : NULL);
        }
    }
    tile_release();
}
