/* gemm_amx.c - the matrix kernels of bf16 over AMX: 32 rows by 32 columns of C in four tile registers, two of A and two
 * of B beside them; each step takes 32 values of the depth.
 *
 *   gemm_tile         A straight from the tile, 128 bytes from row to row; B straight from the packed panel, whose pairs
 *                     along the depth are what the instruction wants
 *   gemm_transposed   A is the transposed of a block of 64 channels, B panels of 32 with two pixels interleaved; both are
 *                     made in the cache, padded with zeros to a multiple of 32 pixels
 *
 * Only the depth needs padding: packed weights and tiles have zeros up to a multiple of 32. Rows of A and columns of B
 * beyond the matrix make rows and columns of C that nobody stores; rows that no memory stands behind are left out by the
 * configuration. Sums leave through a block of fp32 in the cache, where the vectors add, round and cut off the tails.
 *
 * Compiled for the table "amx", and by the test over tiles_emulated.h. */
#ifdef EFFNET_TILES_EMULATED
#include "backend/cpu/amx/tiles_emulated.h"
#else
#include "backend/cpu/amx/tiles_amx.h"
#endif

#include "backend/cpu/amx/gemm_amx.h"
#include "backend/cpu/amx/tile_blocks.h"
#include "backend/cpu/kernels/common.h"
#include "base/sizes.h"

enum {
    STEP = TILE_STEP,                /* values along the depth of one instruction */
    CHUNK = 3 * STEP,                /* pixels of gemm_transposed at a time */
    TILE_STRIDE = TILE_CHANNELS * 2, /* bytes */
};

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

/* ---- C = tile * packed [+ add] -------------------------------------------------------------------------------- */

/* Whole rows of 32 sums, two vectors of them at a time or one by one (LANES). */
static void store_whole_block(const float *sums, int rows, Value *c, size_t c_stride, const Value *add,
                              const float *bias) {
    for (int r = 0; r < rows; r++, sums += BLOCK, c += c_stride)
        for (int column = 0; column < BLOCK; column += 2 * LANES) {
            Vector two[2];
            UNROLL for (int v = 0; v < 2; v++) {
                two[v] = vector_load(sums + column + v * LANES);
                if (bias) two[v] = two[v] + vector_load(bias + column + v * LANES);
                if (add) two[v] = two[v] + vector_load_bf16(add + (size_t)r * c_stride + (size_t)(column + v * LANES));
            }
            vector_store_bf16_two(c + column, two);
        }
}

static void store_block(const float *sums, int rows, int columns, Value *c, size_t c_stride, const Value *add,
                        const float *bias) {
    if (columns == BLOCK) {
        store_whole_block(sums, rows, c, c_stride, add, bias);
        return;
    }
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
    _Alignas(64) float sums[BLOCK * BLOCK];
    const bool lower = rows > SIDE;
    for (int n = 0; n < columns; n += BLOCK) {
        int left = columns - n < BLOCK ? columns - n : BLOCK;
        const bool right = left > SIDE;
        zero_block();
        for (int k = 0; k < depth; k += STEP, packed += STEP * BLOCK)
            step(tile + tile_offset(k, tile_rows), TILE_STRIDE, lower, packed, 4 * BLOCK, right);
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

/* ---- C = a_tile^T * b_tile [+ C] ---------------------------------------------------------------------------------
 *
 * Both operands come pixel by pixel; the instruction wants B with the pixels of a pair side by side, and A with all
 * pixels of a channel in a row. So both are interleaved to pairs (32 bits: two pixels of a channel), B once for a group
 * of panels, A a block of 64 channels at a time, whose pairs are then turned 16 x 16 at a time. Whole tiles of C are
 * read and written by the tile registers themselves; what a tail cuts through goes by way of the sums. */

enum { GROUP = 8 }; /* panels of B interleaved at a time: 48 KB */

/* (pixels, 64) of which `channels` -> pairs (steps * 16, channels), zeros after the pixels. */
static void interleave(const Value *from, int pixels, int channels, int pairs, uint32_t *to) {
    for (int pair = 0; pair < pairs; pair++, to += channels) {
        if (2 * pair >= pixels) {
            memset(to, 0, (size_t)channels * sizeof *to);
            continue;
        }
        const Value *first = from + (size_t)pair * 2 * TILE_CHANNELS;
        const Value *second = 2 * pair + 1 < pixels ? first + TILE_CHANNELS : NULL;
        for (int i = 0; i < channels; i += LANES) pairs_interleave(first + i, second ? second + i : NULL, to + i);
    }
}

/* The pairs (pairs, 64) of `channels` (a multiple of 16) turned round: (channels, CHUNK / 2). */
static void transpose_pairs(const uint32_t *from, int pairs, int channels, uint32_t *to) {
    for (int pair = 0; pair < pairs; pair += SIDE)
        for (int channel = 0; channel < channels; channel += SIDE)
            pairs_transpose(from + (size_t)pair * TILE_CHANNELS + channel, TILE_CHANNELS,
                            to + (size_t)channel * (CHUNK / 2) + pair, CHUNK / 2);
}

/* A block of C: which of its four tiles are there, and which are whole. */
typedef struct CBlock {
    float *at; /* c_bytes from row to row */
    size_t c_bytes;
    int rows, columns;
    bool lower, right, whole[4]; /* upper left, upper right, lower left, lower right */
    bool add;
} CBlock;

static CBlock c_block(float *at, size_t c_stride, int rows, int columns, bool add) {
    bool upper_whole = rows >= SIDE, lower_whole = rows == BLOCK, left_whole = columns >= SIDE,
         right_whole = columns == BLOCK;
    return (CBlock){.at = at,
                    .c_bytes = c_stride * sizeof *at,
                    .rows = rows,
                    .columns = columns,
                    .lower = rows > SIDE,
                    .right = columns > SIDE,
                    .whole = {upper_whole && left_whole, upper_whole && right_whole, lower_whole && left_whole,
                              lower_whole && right_whole},
                    .add = add};
}

#define C_TILE(block, t)                                                                                               \
    ((block)->at + ((t)&2 ? SIDE * (block)->c_bytes / sizeof *(block)->at : 0) + ((t)&1 ? SIDE : 0))
#define C_THERE(block, t) ((!((t)&2) || (block)->lower) && (!((t)&1) || (block)->right))
/* t is a constant: the number of a register. */
#define C_BEGIN(block, t)                                                                                              \
    do {                                                                                                               \
        if ((block)->add && (block)->whole[t])                                                                         \
            tile_fetch(t, C_TILE(block, t), (block)->c_bytes);                                                         \
        else                                                                                                           \
            tile_zero(t);                                                                                              \
    } while (0)
#define C_END(block, t, sums)                                                                                          \
    do {                                                                                                               \
        if ((block)->whole[t])                                                                                         \
            tile_write(t, C_TILE(block, t), (block)->c_bytes);                                                         \
        else if (C_THERE(block, t)) {                                                                                  \
            tile_write(t, sums, TILE_ROW_BYTES);                                                                       \
            add_cut(block, t, sums);                                                                                   \
        }                                                                                                              \
    } while (0)

/* A tile of C that a tail cuts through, from the sums (16, 16). */
static void add_cut(const CBlock *block, int t, const float *sums) {
    int rows = block->rows - (t & 2 ? SIDE : 0), columns = block->columns - (t & 1 ? SIDE : 0);
    if (rows > SIDE) rows = SIDE;
    if (columns > SIDE) columns = SIDE;
    float *to = C_TILE(block, t);
    for (int r = 0; r < rows; r++, to += block->c_bytes / sizeof *to)
        for (int column = 0; column < columns; column += LANES) {
            int left = columns - column, tail = left < LANES ? left : 0;
            Vector value = vector_load(sums + (size_t)r * SIDE + (size_t)column);
            if (block->add) value = value + load_lanes(to + column, tail);
            store_lanes(to + column, value, tail);
        }
}

static void transposed_block(const CBlock *block, const uint32_t *a, const uint32_t *b, int steps) {
    _Alignas(64) float sums[SIDE * SIDE];
    C_BEGIN(block, 0);
    C_BEGIN(block, 1);
    C_BEGIN(block, 2);
    C_BEGIN(block, 3);
    for (int k = 0; k < steps; k++)
        step(a + (size_t)k * SIDE, CHUNK / 2 * sizeof *a, block->lower, b + (size_t)k * SIDE * BLOCK, BLOCK * sizeof *b,
             block->right);
    C_END(block, 0, sums);
    C_END(block, 1, sums);
    C_END(block, 2, sums);
    C_END(block, 3, sums);
}

static void transposed_chunk(const Value *a_tile, const Value *b_tile, int tile_rows, int pixels, int m, int n,
                             bool add, float *c, size_t c_stride) {
    _Alignas(64) uint32_t b[GROUP][CHUNK / 2 * BLOCK], pairs[CHUNK / 2 * TILE_CHANNELS], a[TILE_CHANNELS * CHUNK / 2];
    const int steps = (pixels + STEP - 1) / STEP;
    for (int group = 0; group < n; group += GROUP * BLOCK) {
        int group_end = n - group < GROUP * BLOCK ? n : group + GROUP * BLOCK;
        for (int column = group; column < group_end; column += BLOCK)
            interleave(b_tile + tile_offset(column, tile_rows), pixels, BLOCK, steps * SIDE,
                       b[(column - group) / BLOCK]);
        for (int first = 0; first < m; first += TILE_CHANNELS) {
            int channels = m - first < TILE_CHANNELS ? m - first : TILE_CHANNELS;
            interleave(a_tile + tile_offset(first, tile_rows), pixels, TILE_CHANNELS, steps * SIDE, pairs);
            transpose_pairs(pairs, steps * SIDE, (int)round_up((size_t)channels, SIDE), a);
            for (int column = group; column < group_end; column += BLOCK)
                for (int row = 0; row < channels; row += BLOCK) {
                    int rows = channels - row < BLOCK ? channels - row : BLOCK;
                    int columns = n - column < BLOCK ? n - column : BLOCK;
                    float *at = c + (size_t)(first + row) * c_stride + (size_t)column;
                    const CBlock block = c_block(at, c_stride, rows, columns, add);
                    transposed_block(&block, a + (size_t)row * (CHUNK / 2), b[(column - group) / BLOCK], steps);
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
