/* cpu_pack.c - weights into the kernels' layouts, once a step, and partial weight gradients back out of them.
 * Weights stay in timm's layout (OIHW) everywhere else. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

/* Values of a panel of weights of this depth. */
static size_t panel_values(const CpuKernels *kernels, int depth) {
    return round_up((size_t)depth, (size_t)kernels->depth_unit) * (size_t)kernels->gemm_columns;
}

size_t packed_floats(const CpuKernels *kernels, int depth, int columns) {
    size_t panels = round_up((size_t)columns, (size_t)kernels->gemm_columns) / (size_t)kernels->gemm_columns;
    return panels * panel_values(kernels, depth) * (size_t)kernels->value_bytes / sizeof(float);
}

const Packed *packed_column(const CpuKernels *kernels, const Packed *packed, int depth, int column) {
    size_t panel = (size_t)(column / kernels->gemm_columns);
    return (const char *)packed + panel * panel_values(kernels, depth) * (size_t)kernels->value_bytes;
}

void pack_weights(const CpuKernels *kernels, const float *weights, size_t depth_stride, size_t column_stride, int depth,
                  int columns, const float *scale, Packed *packed) {
    int most = kernels->gemm_columns;
    size_t panel_bytes = panel_values(kernels, depth) * (size_t)kernels->value_bytes;
    for (int column = 0; column < columns; column += most)
        kernels->pack_panel(weights + (size_t)column * column_stride, depth_stride, column_stride, depth,
                            columns - column < most ? columns - column : most, scale ? scale + column : NULL,
                            (char *)packed + (size_t)(column / most) * panel_bytes);
}

/* The stem's patches are (ky, kx, channel), its weights (O, I, K, K): turned to (O, patch) on the way. */
static void pack_stem(const CpuKernels *kernels, const float *weights, int in_channels, int taps, int columns,
                      const float *scale, float *turned, Packed *packed) {
    int depth = in_channels * taps;
    for (int o = 0; o < columns; o++)
        for (int tap = 0; tap < taps; tap++)
            for (int i = 0; i < in_channels; i++)
                turned[o * depth + tap * in_channels + i] = weights[(o * in_channels + i) * taps + tap];
    pack_weights(kernels, turned, 1, (size_t)depth, depth, columns, scale, packed);
}

/* (C, 1, K, K) -> (C / lanes, K * K, lanes), times a channel's scale (NULL: 1); `turned` by 180 degrees for the data
 * gradient. */
static void pack_depthwise(const CpuKernels *kernels, const float *weights, int channels, int taps, bool turned,
                           const float *scale, float *packed) {
    int lanes = kernels->lanes;
    for (int c = 0; c < channels; c++)
        for (int tap = 0; tap < taps; tap++)
            packed[(size_t)(c / lanes) * (size_t)(lanes * taps) + (size_t)(tap * lanes + c % lanes)] =
                weights[(size_t)c * (size_t)taps + (size_t)(turned ? taps - 1 - tap : tap)] * (scale ? scale[c] : 1);
}

typedef struct PackRun {
    CpuEngine *engine;
    const float *parameters;
    bool backward;
} PackRun;

enum { PACK_PARTS = 8 }; /* tasks of an op: the classifier has a quarter of B0's weights */

/* Part of a matrix: some of its panels. */
static void pack_part(const CpuKernels *kernels, const float *weights, size_t depth_stride, size_t column_stride,
                      int depth, int columns, const float *scale, int part, Packed *packed) {
    int panels = (columns + kernels->gemm_columns - 1) / kernels->gemm_columns;
    int first = panels * part / PACK_PARTS * kernels->gemm_columns;
    int end = panels * (part + 1) / PACK_PARTS * kernels->gemm_columns;
    if (end > columns) end = columns;
    if (first >= end) return;
    size_t bytes = packed_floats(kernels, depth, first) * sizeof(float);
    pack_weights(kernels, weights + (size_t)first * column_stride, depth_stride, column_stride, depth, end - first,
                 scale ? scale + first : NULL, (char *)packed + bytes);
}

static void pack_gate(const PackRun *run, const Op *op, GateState *gate, int part) {
    const CpuKernels *kernels = run->engine->exact;
    const Parameter *parameters = run->engine->network->parameters;
    const float *reduce = run->parameters + parameters[op->weight].offset;
    const float *expand = run->parameters + parameters[op->expand_weight].offset;
    int c = gate->channels, s = gate->squeezed;
    if (run->backward) {
        pack_part(kernels, reduce, (size_t)c, 1, s, c, NULL, part, gate->packed_reduce_back);
        pack_part(kernels, expand, (size_t)s, 1, c, s, NULL, part, gate->packed_expand_back);
    } else {
        pack_part(kernels, reduce, 1, (size_t)c, c, s, NULL, part, gate->packed_reduce);
        pack_part(kernels, expand, 1, (size_t)s, s, c, NULL, part, gate->packed_expand);
    }
}

static void pack_task(void *context, int task, int thread) {
    PackRun *run = context;
    CpuEngine *engine = run->engine;
    int index = task / PACK_PARTS, part = task % PACK_PARTS;
    const Op *op = &engine->network->ops[index];
    int in = engine->network->tensors[op->input].channels, out = engine->network->tensors[op->output].channels;
    const float *weights = op->weight >= 0 ? run->parameters + engine->network->parameters[op->weight].offset : NULL;
    Packed *packed = run->backward ? engine->packed_back[index] : engine->packed[index];
    /* The batch norm that follows a convolution, where it is folded into it. */
    const float *scale = engine->folded && op->kind != OP_DENSE ? engine->batch_norms[index + 1].scale : NULL;
    if (op->kind == OP_DEPTHWISE && part == 0) {
        pack_depthwise(engine->kernels, weights, out, op->kernel * op->kernel, run->backward, scale, packed);
    } else if (op->kind == OP_CONV && op->kernel > 1) {
        if (!run->backward && part == 0)
            pack_stem(engine->kernels, weights, in, op->kernel * op->kernel, out, scale, thread_scratch(engine, thread),
                      packed);
    } else if (op->kind == OP_CONV || op->kind == OP_DENSE) {
        const CpuKernels *kernels = op->kind == OP_DENSE ? engine->exact : engine->kernels;
        if (run->backward)
            pack_part(kernels, weights, (size_t)in, 1, out, in, NULL, part, packed);
        else
            pack_part(kernels, weights, 1, (size_t)in, in, out, scale, part, packed);
    } else if (op->kind == OP_SQUEEZE_EXCITE) {
        pack_gate(run, op, &engine->gates[index], part);
    }
}

void pack_all(CpuEngine *engine, const EngineForward *call, bool backward) {
    PackRun run = {engine, call->parameters, backward};
    thread_team_run(engine->team, pack_task, &run, engine->network->num_ops * PACK_PARTS);
}

/* ---- gradients -------------------------------------------------------------------------------------------- */

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
