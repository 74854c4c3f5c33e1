/* cpu_weight_gradients.c - gradients of weights, dW (out, in) = dy^T x summed over every pixel of the batch, in timm's
 * layout.
 *
 *   slots   each task of pixels adds up its own dW in a slot of its own; the slots are added up afterwards. Right where
 *           pixels are many: a slot is written once for thousands of them.
 *   kept    the tiles of x and dy of the whole batch are kept, and once they are complete a block of dW is a task, over
 *           all pixels. Right where pixels are few (the last blocks of small pictures): eight slots of 220,000 weights
 *           each are more memory than 256 pixels of 1,344 values, and a product over 32 pixels at a time is mostly
 *           loads and stores of its sums.
 *   small   squeeze-excite's and the classifier's, whose operands are rows of images in fp32: as kept.
 *
 * Either way the order of the sums depends on the shape of the work alone. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

int slot_count(size_t floats) {
    size_t count = SLOT_FLOATS / (floats ? floats : 1);
    return count < MIN_SLOTS ? MIN_SLOTS : count > MAX_SLOTS ? MAX_SLOTS : (int)count;
}

typedef struct ReduceRun {
    PassRun *run;
    float *gradient;
    int used, rows, columns;
    size_t row_stride, column_stride;
} ReduceRun;

enum { REDUCE_ROWS = 16, REDUCE_COLUMNS = 64 };

/* A block of 16 rows, 64 columns at a time: sums that stay in the first-level cache, written in whole lines either way.
 */
static void reduce_rows(void *context, int task, int thread) {
    (void)thread;
    const ReduceRun *reduce = context;
    int first = task * REDUCE_ROWS;
    int rows = reduce->rows - first < REDUCE_ROWS ? reduce->rows - first : REDUCE_ROWS;
    size_t slot_floats = (size_t)reduce->rows * (size_t)reduce->columns;
    for (int column = 0; column < reduce->columns; column += REDUCE_COLUMNS) {
        int columns = reduce->columns - column < REDUCE_COLUMNS ? reduce->columns - column : REDUCE_COLUMNS;
        float sums[REDUCE_ROWS][REDUCE_COLUMNS] = {{0}};
        for (int slot = 0; slot < reduce->used; slot++) {
            const float *from = reduce->run->engine->slots + (size_t)slot * slot_floats +
                                (size_t)first * (size_t)reduce->columns + (size_t)column;
            for (int r = 0; r < rows; r++, from += reduce->columns)
                for (int c = 0; c < columns; c++) sums[r][c] += from[c];
        }
        for (int c = 0; c < columns; c++)
            for (int r = 0; r < rows; r++) {
                float *to = reduce->gradient + (size_t)(column + c) * reduce->column_stride +
                            (size_t)(first + r) * reduce->row_stride;
                *to = reduce->run->accumulate ? *to + sums[r][c] : sums[r][c];
            }
    }
}

void slots_reduce(PassRun *run, int parameter, int used, int rows, int columns, size_t row_stride,
                  size_t column_stride) {
    ReduceRun reduce = {run,          run->gradients + run->engine->network->parameters[parameter].offset,
                        used,         rows,
                        columns,      row_stride,
                        column_stride};
    thread_team_run(run->engine->team, reduce_rows, &reduce, (rows + REDUCE_ROWS - 1) / REDUCE_ROWS);
}

/* ---- kept ---------------------------------------------------------------------------------------------------- */

/* The whole batch's pixels of a pass, which the choice between the two ways depends on: not the last, smaller batch's.
 */
static size_t most_pixels(const CpuEngine *engine, const Op *op) {
    TensorShape out = engine->network->tensors[op->output];
    return (size_t)engine->options.batch * (size_t)out.height * (size_t)out.width;
}

static size_t kept_floats(const CpuEngine *engine, const Op *op, size_t pixels) {
    int in = engine->network->tensors[op->input].channels, out = engine->network->tensors[op->output].channels;
    return pixels * (round_up((size_t)in, TILE_CHANNELS) + round_up((size_t)out, TILE_CHANNELS));
}

size_t weights_kept(const CpuEngine *engine, const Pass *pass) {
    const Op *op = &engine->network->ops[pass->op];
    if (op->kernel != 1) return 0; /* the stem: few weights */
    size_t weights = engine->network->parameters[op->weight].count;
    size_t floats = kept_floats(engine, op, most_pixels(engine, op));
    return floats <= KEPT_SHARE * weights ? floats : 0;
}

KeptTiles kept_tiles(const CpuEngine *engine, const Pass *pass, int pixels, int first) {
    size_t in = (size_t)engine->network->tensors[engine->network->ops[pass->op].input].channels;
    size_t at = (size_t)first * TILE_CHANNELS;
    return (KeptTiles){value_at(engine, engine->shared_tiles, at),
                       value_at(engine, engine->shared_tiles, round_up(in, TILE_CHANNELS) * (size_t)pixels + at),
                       pixels};
}

typedef struct KeptRun {
    PassRun *run;
    int pixels, in, out;
} KeptRun;

enum { KEPT_COLUMNS = 4 * TILE_CHANNELS }; /* of a task, which has 64 rows of dW */

static void kept_block(void *context, int task, int thread) {
    (void)thread;
    const KeptRun *kept = context;
    const PassRun *run = kept->run;
    const CpuEngine *engine = run->engine;
    KeptTiles tiles = kept_tiles(engine, run->pass, kept->pixels, 0);
    int parts = (kept->in + KEPT_COLUMNS - 1) / KEPT_COLUMNS;
    int row = task / parts * TILE_CHANNELS, column = task % parts * KEPT_COLUMNS;
    int rows = kept->out - row < TILE_CHANNELS ? kept->out - row : TILE_CHANNELS;
    int columns = kept->in - column < KEPT_COLUMNS ? kept->in - column : KEPT_COLUMNS;
    size_t pixels = (size_t)kept->pixels;
    const Op *op = &engine->network->ops[run->pass->op];
    float *to = run->gradients + engine->network->parameters[op->weight].offset + (size_t)row * (size_t)kept->in;
    engine->kernels->gemm_transposed(value_at(engine, tiles.out, (size_t)row * pixels),
                                     value_at(engine, tiles.in, (size_t)column * pixels), kept->pixels, kept->pixels,
                                     rows, columns, run->accumulate, to + column, (size_t)kept->in);
}

void kept_weights_gradient(PassRun *run, int pixels) {
    const Op *op = &run->engine->network->ops[run->pass->op];
    KeptRun kept = {run, pixels, run->engine->network->tensors[op->input].channels,
                    run->engine->network->tensors[op->output].channels};
    int parts = (kept.in + KEPT_COLUMNS - 1) / KEPT_COLUMNS;
    thread_team_run(run->engine->team, kept_block, &kept, channel_blocks(kept.out) * parts);
}

/* ---- small --------------------------------------------------------------------------------------------------- */

typedef struct SmallRun {
    PassRun *run;
    const float *a, *b;
    int a_width, b_width, rows;
    float *weight, *bias;
} SmallRun;

/* 64 rows of dW: every picture in order, so the task is the whole sum. */
static void small_rows(void *context, int task, int thread) {
    const SmallRun *small = context;
    const CpuEngine *engine = small->run->engine;
    int first = task * TILE_CHANNELS;
    int count = small->a_width - first < TILE_CHANNELS ? small->a_width - first : TILE_CHANNELS;
    float *a_tile = thread_scratch(engine, thread), *b_tile = a_tile + tile_floats(TILE_CHANNELS);
    float *weight = small->weight + (size_t)first * (size_t)small->b_width;
    if (!small->run->accumulate) memset(small->bias + first, 0, (size_t)count * sizeof *weight);
    for (int row = 0; row < small->rows; row += TILE_ROWS) {
        int rows = small->rows - row < TILE_ROWS ? small->rows - row : TILE_ROWS;
        const float *a = small->a + (size_t)row * (size_t)small->a_width + first;
        const float *b = small->b + (size_t)row * (size_t)small->b_width;
        engine->exact->tile_fill(a, (size_t)small->a_width, rows, count, a_tile, TILE_ROWS);
        engine->exact->tile_fill(b, (size_t)small->b_width, rows, small->b_width, b_tile, TILE_ROWS);
        engine->exact->gemm_transposed(a_tile, b_tile, TILE_ROWS, rows, count, small->b_width,
                                       row > 0 || small->run->accumulate, weight, (size_t)small->b_width);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < count; c++) small->bias[first + c] += a[(size_t)r * (size_t)small->a_width + (size_t)c];
    }
}

void small_weights_gradient(PassRun *run, const float *a, int a_width, const float *b, int b_width, int rows,
                            int weight, int bias) {
    const Parameter *parameters = run->engine->network->parameters;
    SmallRun small = {run,
                      a,
                      b,
                      a_width,
                      b_width,
                      rows,
                      run->gradients + parameters[weight].offset,
                      run->gradients + parameters[bias].offset};
    thread_team_run(run->engine->team, small_rows, &small, (a_width + TILE_CHANNELS - 1) / TILE_CHANNELS);
}
