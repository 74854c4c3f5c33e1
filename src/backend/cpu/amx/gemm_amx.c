/* gemm_amx.c - the matrix kernels of bf16 over AMX: 32 rows by 32 columns of C in four tile registers, two of A and two
 * of B beside them; each step takes 32 values of the depth.
 *
 *   gemm_tile         A straight from the tile, 128 bytes from row to row; B straight from the packed panel, whose
 * pairs along the depth are what the instruction wants gemm_transposed   A is the transposed of a block of 64 channels,
 * B a panel of 32 with two pixels interleaved; both are made in the first-level cache, padded with zeros to a multiple
 * of 32 pixels
 *
 * Only the depth needs padding: a depth that is no multiple of 32 has its last part copied, since what lies behind it
 * may be anything and NaN times zero is NaN. Rows of A and columns of B beyond the matrix make rows and columns of C
 * that nobody stores; rows that no memory stands behind are left out by the configuration. Sums leave through a block
 * of fp32 in the cache, where the vectors add, round and cut off the tails.
 *
 * Compiled for the table "amx", and by the test over tiles_emulated.h. */
#ifdef EFFNET_TILES_EMULATED
#include "backend/cpu/amx/tiles_emulated.h"
#else
#include "backend/cpu/amx/tiles_amx.h"
#endif

#include "backend/cpu/amx/gemm_amx.h"
#include "backend/cpu/amx/tile_config.h"
#include "backend/cpu/kernels/common.h"
#include "base/memory.h"

enum {
    SIDE = TILE_SIDE,                /* rows of a tile register; its columns in fp32 */
    BLOCK = 2 * SIDE,                /* rows and columns of C at a time; columns of a packed panel */
    STEP = 2 * SIDE,                 /* values along the depth of one instruction */
    CHUNK = 3 * STEP,                /* pixels of gemm_transposed at a time */
    TILE_STRIDE = TILE_CHANNELS * 2, /* bytes */
};

/* C's upper half has `upper` rows, its lower `lower` (0: there is none). */
static void configure(int upper, int lower) {
    TileConfig config = {.palette = 1};
    for (int t = 0; t < TILE_REGISTERS; t++) {
        config.row_bytes[t] = TILE_ROW_BYTES;
        config.rows[t] = SIDE;
    }
    config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)upper;
    if (lower) config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)lower;
    tile_configure(&config);
}

static void zero_block(void) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
}

/* One step: A's 32 rows from `a`, a_bytes apart, times 32 columns of B, pairs of rows b_bytes apart. */
INLINE void step(const void *a, size_t a_bytes, bool lower, const void *b, size_t b_bytes, bool right) {
    tile_fetch(4, a, a_bytes);
    tile_fetch(6, b, b_bytes);
    tile_dot(0, 4, 6);
    if (right) {
        tile_fetch(7, (const char *)b + TILE_ROW_BYTES, b_bytes);
        tile_dot(1, 4, 7);
    }
    if (!lower) return;
    tile_fetch(5, (const char *)a + SIDE * a_bytes, a_bytes);
    tile_dot(2, 5, 6);
    if (right) tile_dot(3, 5, 7);
}

static void write_block(float sums[BLOCK * BLOCK], bool lower, bool right) {
    const size_t bytes = BLOCK * sizeof *sums;
    tile_write(0, sums, bytes);
    if (right) tile_write(1, sums + SIDE, bytes);
    if (!lower) return;
    tile_write(2, sums + (size_t)SIDE * BLOCK, bytes);
    if (right) tile_write(3, sums + (size_t)SIDE * BLOCK + SIDE, bytes);
}

/* ---- C = tile * packed [+ add] -------------------------------------------------------------------------------- */

/* The last `count` < STEP values along the depth of `rows` rows, zeros after them. */
static void copy_last(const Value *from, int rows, int count, Value *to) {
    memset(to, 0, (size_t)rows * STEP * sizeof *to);
    for (int r = 0; r < rows; r++) memcpy(to + r * STEP, from + (size_t)r * TILE_CHANNELS, (size_t)count * sizeof *to);
}

static void store_block(const float *sums, int rows, int columns, Value *c, size_t c_stride, const Value *add,
                        const float *bias) {
    for (int r = 0; r < rows; r++)
        for (int column = 0; column < columns; column += LANES) {
            int left = columns - column, tail = left < LANES ? left : 0;
            size_t at = (size_t)r * c_stride + (size_t)column;
            Vector value = vector_load(sums + (size_t)r * BLOCK + (size_t)column);
            if (bias) value = value + load_lanes(bias + column, tail);
            if (add) value = value + load_values(add + at, tail);
            store_values(c + at, value, tail);
        }
}

static void tile_rows_block(const Value *tile, int tile_rows, int rows, int depth, const Value *packed, int columns,
                            Value *c, size_t c_stride, const Value *add, const float *bias) {
    _Alignas(64) Value a_last[BLOCK * STEP], b_last[STEP * BLOCK];
    _Alignas(64) float sums[BLOCK * BLOCK];
    const int whole = depth / STEP * STEP, rest = depth - whole;
    const size_t pair_rows = round_up((size_t)depth, 2) / 2;
    const bool lower = rows > SIDE;
    if (rest) copy_last(tile + tile_offset(whole, tile_rows), rows, rest, a_last);
    for (int n = 0; n < columns; n += BLOCK, packed += pair_rows * 2 * BLOCK) {
        int left = columns - n < BLOCK ? columns - n : BLOCK;
        const bool right = left > SIDE;
        zero_block();
        for (int k = 0; k < whole; k += STEP)
            step(tile + tile_offset(k, tile_rows), TILE_STRIDE, lower, packed + (size_t)k * BLOCK, 4 * BLOCK, right);
        if (rest) {
            size_t there = (pair_rows - (size_t)whole / 2) * 2 * BLOCK;
            memcpy(b_last, packed + (size_t)whole * BLOCK, there * sizeof *b_last);
            memset(b_last + there, 0, (STEP * BLOCK - there) * sizeof *b_last);
            step(a_last, STEP * sizeof *a_last, lower, b_last, 4 * BLOCK, right);
        }
        write_block(sums, lower, right);
        store_block(sums, rows, left, c + n, c_stride, add ? add + n : NULL, bias ? bias + n : NULL);
    }
}

void AMX_NAME(gemm_tile)(const Tile *tile, int tile_rows, int rows, int depth, const Packed *packed, int columns,
                         Stored *c, size_t c_stride, const Stored *add, const float *bias) {
    int configured = 0;
    for (int r = 0; r < rows; r += BLOCK) {
        int count = rows - r < BLOCK ? rows - r : BLOCK;
        size_t at = (size_t)r * c_stride;
        if (count != configured) configure(count < SIDE ? count : SIDE, count > SIDE ? count - SIDE : 0);
        configured = count;
        tile_rows_block((const Value *)tile + (size_t)r * TILE_CHANNELS, tile_rows, count, depth, packed, columns,
                        (Value *)c + at, c_stride, add ? (const Value *)add + at : NULL, bias);
    }
    tile_release();
}

/* ---- C = a_tile^T * b_tile [+ C] ------------------------------------------------------------------------------------
 */

/* (pixels, 64) -> (64, CHUNK), zeros after the pixels. */
static void transpose_block(const Value *from, int pixels, Value *to) {
    for (int channel = 0; channel < TILE_CHANNELS; channel += SIDE)
        for (int pixel = 0; pixel < CHUNK; pixel++)
            for (int i = channel; i < channel + SIDE; i++)
                to[(size_t)i * CHUNK + (size_t)pixel] = pixel < pixels ? from[pixel * TILE_CHANNELS + i] : 0;
}

/* (pixels, 32 of 64) -> (CHUNK / 2, 32, 2), zeros after the pixels. */
static void interleave_panel(const Value *from, int pixels, Value *to) {
    for (int pixel = 0; pixel < CHUNK; pixel += 2) {
        Value *pair = to + (size_t)pixel * BLOCK;
        if (pixel >= pixels) {
            memset(pair, 0, 2 * BLOCK * sizeof *pair);
            continue;
        }
        const Value *first = from + (size_t)pixel * TILE_CHANNELS;
        const Value *second = pixel + 1 < pixels ? first + TILE_CHANNELS : NULL;
        for (int i = 0; i < BLOCK; i += LANES)
            pairs_interleave(first + i, second ? second + i : NULL, (uint32_t *)(void *)(pair + 2 * i));
    }
}

static void add_block(const float *sums, int rows, int columns, bool add, float *c, size_t c_stride) {
    for (int r = 0; r < rows; r++)
        for (int column = 0; column < columns; column += LANES) {
            int left = columns - column, tail = left < LANES ? left : 0;
            Vector value = vector_load(sums + (size_t)r * BLOCK + (size_t)column);
            float *to = c + (size_t)r * c_stride + (size_t)column;
            if (add) value = value + load_lanes(to, tail);
            store_lanes(to, value, tail);
        }
}

static void transposed_chunk(const Value *a_tile, const Value *b_tile, int tile_rows, int pixels, int m, int n,
                             bool add, float *c, size_t c_stride) {
    _Alignas(64) Value a[TILE_CHANNELS * CHUNK], b[CHUNK * BLOCK];
    _Alignas(64) float sums[BLOCK * BLOCK];
    for (int block = 0; block < m; block += TILE_CHANNELS) {
        int block_rows = m - block < TILE_CHANNELS ? m - block : TILE_CHANNELS;
        transpose_block(a_tile + tile_offset(block, tile_rows), pixels, a);
        for (int column = 0; column < n; column += BLOCK) {
            int columns = n - column < BLOCK ? n - column : BLOCK;
            const bool right = columns > SIDE;
            interleave_panel(b_tile + tile_offset(column, tile_rows), pixels, b);
            for (int row = 0; row < block_rows; row += BLOCK) {
                int rows = block_rows - row < BLOCK ? block_rows - row : BLOCK;
                const bool lower = rows > SIDE;
                zero_block();
                for (int k = 0; k < pixels; k += STEP)
                    step(a + (size_t)row * CHUNK + (size_t)k, CHUNK * sizeof *a, lower, b + (size_t)k * BLOCK,
                         4 * BLOCK, right);
                write_block(sums, lower, right);
                add_block(sums, rows, columns, add, c + (size_t)(block + row) * c_stride + (size_t)column, c_stride);
            }
        }
    }
}

void AMX_NAME(gemm_transposed)(const Tile *a_tile, const Tile *b_tile, int tile_rows, int pixels, int m, int n,
                               bool add, float *c, size_t c_stride) {
    const Value *a = a_tile, *b = b_tile;
    configure(SIDE, SIDE);
    for (int first = 0; first < pixels; first += CHUNK)
        transposed_chunk(a + (size_t)first * TILE_CHANNELS, b + (size_t)first * TILE_CHANNELS, tile_rows,
                         pixels - first < CHUNK ? pixels - first : CHUNK, m, n, add || first > 0, c, c_stride);
    tile_release();
}

/* ---- what AMX can do at most -------------------------------------------------------------------------------- */

void AMX_NAME(peak_multiply_adds)(long rounds, float *sink) {
    _Alignas(64) Value ones[SIDE * STEP];
    for (int i = 0; i < SIDE * STEP; i++) ones[i] = 0x3f80;
    configure(SIDE, SIDE);
    zero_block();
    tile_fetch(4, ones, TILE_ROW_BYTES);
    tile_fetch(5, ones, TILE_ROW_BYTES);
    tile_fetch(6, ones, TILE_ROW_BYTES);
    tile_fetch(7, ones, TILE_ROW_BYTES);
    for (long round = 0; round < rounds; round++) {
        tile_dot(0, 4, 6);
        tile_dot(1, 4, 7);
        tile_dot(2, 5, 6);
        tile_dot(3, 5, 7);
    }
    _Alignas(64) float sums[SIDE * SIDE];
    tile_write(3, sums, TILE_ROW_BYTES);
    tile_release();
    *sink = sums[0];
}
