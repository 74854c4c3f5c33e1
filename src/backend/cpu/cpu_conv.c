/* cpu_conv.c - the stem and every 1x1 convolution but the projections, as matrix products over tiles of 96 pixels.
 *
 *   forward   tile = activation(bn(x)) -> y = tile W, and y's moments
 *   backward  dy from (dz_y, y) by batch norm's formula -> dW += x^T dy, dx = dy W^T (+ the skip's gradient)
 *
 * The stem's tile is its 3x3x3 patches; its dx is not needed. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

static const Op *pass_op(const PassRun *run) {
    return &run->engine->network->ops[run->pass->op];
}

/* Columns of the tile: input channels, times the taps of the stem. */
static int conv_depth(const CpuEngine *engine, const Op *op) {
    return engine->network->tensors[op->input].channels * op->kernel * op->kernel;
}

size_t conv_scratch(const CpuEngine *engine, const Pass *pass) {
    const Op *op = &engine->network->ops[pass->op];
    int out = engine->network->tensors[op->output].channels;
    return tile_floats(conv_depth(engine, op)) + tile_floats(out) + 2 * (size_t)out;
}

/* Patches (ky, kx, channel) of output pixels [first, first + rows) of the whole batch, into a tile. */
static void load_patches(const PassRun *run, int first, int rows, float *tile) {
    const Op *op = pass_op(run);
    TensorShape in = run->engine->network->tensors[op->input], out = run->engine->network->tensors[op->output];
    int run_floats = op->kernel * in.channels; /* of one kernel row */
    for (int row = 0; row < rows; row++) {
        int pixel = first + row, x = pixel % out.width, y = pixel / out.width % out.height;
        const float *image = run->call->images + (size_t)(pixel / (out.width * out.height)) * shape_floats(in);
        int left = x * op->stride - op->pad_left, top = y * op->stride - op->pad_top;
        float *to = tile + (size_t)row * TILE_CHANNELS;
        for (int ky = 0; ky < op->kernel; ky++, to += run_floats) {
            int from_y = top + ky;
            if (from_y < 0 || from_y >= in.height) {
                memset(to, 0, (size_t)run_floats * sizeof *to);
                continue;
            }
            const float *line = image + (size_t)from_y * (size_t)in.width * (size_t)in.channels;
            for (int kx = 0; kx < op->kernel; kx++) {
                int from_x = left + kx;
                for (int c = 0; c < in.channels; c++)
                    to[kx * in.channels + c] = from_x < 0 || from_x >= in.width ? 0.0f : line[from_x * in.channels + c];
            }
        }
    }
}

static void load_input(const PassRun *run, int first, int rows, float *tile) {
    const Pass *pass = run->pass;
    if (pass->input.buffer < 0) {
        load_patches(run, first, rows, tile);
        return;
    }
    int channels = buffer_shape(run->engine, pass->input.buffer).channels;
    BnVectors storage;
    const BnVectors *bn = pending(run->engine, pass->input, 0, &storage);
    run->engine->kernels->tile_load(buffer_data(run->engine, pass->input.buffer) + (size_t)first * (size_t)channels,
                                    (size_t)channels, rows, channels, bn, pass->input.activation, tile, TILE_ROWS);
}

/* Pixels are shared out by whole tiles; where there are only a few tiles of them, by smaller ones, so that several
 * threads have work. */
enum { LEAST_TASKS = 8, LEAST_ROWS = 32 };
static int rows_multiple(int pixels) {
    int share = (int)round_up((size_t)(pixels + LEAST_TASKS - 1) / LEAST_TASKS, 8);
    return share > TILE_ROWS ? TILE_ROWS : share < LEAST_ROWS ? LEAST_ROWS : share;
}

static void conv_forward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    CpuEngine *engine = run->engine;
    const Op *op = pass_op(run);
    int depth = conv_depth(engine, op), out = engine->network->tensors[op->output].channels, begin, end;
    float *tile = thread_scratch(engine, thread), *moments = tile + tile_floats(depth);
    task_range(run, task, &begin, &end);
    partial_clear(run, task, out);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        float *y = buffer_data(engine, run->pass->raw) + (size_t)first * (size_t)out;
        load_input(run, first, rows, tile);
        engine->kernels->gemm_tile(tile, TILE_ROWS, rows, depth, engine->packed[run->pass->op], out, y, (size_t)out,
                                   NULL);
        if (run->call->training) moments_merge(run, task, y, (size_t)out, rows, out, 0, out, first - begin, moments);
    }
    engine->partial_count[task] = end - begin;
}

void conv_forward(PassRun *run) {
    TensorShape out = buffer_shape(run->engine, run->pass->raw);
    int pixels = run->call->batch * out.height * out.width;
    run_split(run, pixels, MAX_TASKS, rows_multiple(pixels));
    thread_team_run(run->engine->team, conv_forward_task, run, run->tasks);
    if (run->call->training) batch_norm_finish(run, run->pass->batch_norm, pixels);
}

static void conv_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const Pass *pass = run->pass;
    CpuEngine *engine = run->engine;
    const Op *op = pass_op(run);
    int depth = conv_depth(engine, op), out = engine->network->tensors[op->output].channels, begin, end;
    float *x_tile = thread_scratch(engine, thread), *dy_tile = x_tile + tile_floats(depth);
    float *slot = engine->slots + (size_t)task * (size_t)depth * (size_t)out; /* (depth, out) */
    BnGradient bn = pending_gradient(engine, pass->batch_norm, 0);
    task_range(run, task, &begin, &end);
    memset(slot, 0, (size_t)depth * (size_t)out * sizeof *slot);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        size_t at = (size_t)first * (size_t)out;
        engine->kernels->tile_load_gradient(buffer_data(engine, pass->gradient) + at,
                                            buffer_data(engine, pass->raw) + at, (size_t)out, rows, out, &bn, 1.0f,
                                            dy_tile, TILE_ROWS);
        load_input(run, first, rows, x_tile);
        engine->kernels->gemm_transposed(x_tile, dy_tile, TILE_ROWS, rows, depth, out, slot, (size_t)out);
        if (pass->gradient_out >= 0) {
            float *dx = buffer_data(engine, pass->gradient_out) + (size_t)first * (size_t)depth;
            engine->kernels->gemm_tile(dy_tile, TILE_ROWS, rows, out, engine->packed_back[pass->op], depth, dx,
                                       (size_t)depth, pass->add_residual ? dx : NULL);
        }
    }
}

void conv_backward(PassRun *run) {
    const Op *op = pass_op(run);
    TensorShape out = buffer_shape(run->engine, run->pass->raw);
    int depth = conv_depth(run->engine, op);
    size_t floats = (size_t)depth * (size_t)out.channels;
    int pixels = run->call->batch * out.height * out.width;
    run_split(run, pixels, slot_count(floats), rows_multiple(pixels));
    thread_team_run(run->engine->team, conv_backward_task, run, run->tasks);
    if (op->kernel == 1) {
        slots_reduce(run, op->weight, run->tasks, depth, out.channels, 1, (size_t)depth);
        return;
    }
    /* The stem: slot row (tap, channel) is weight [o][channel][tap]; few values, one row of taps at a time. */
    int in = run->engine->network->tensors[op->input].channels, taps = op->kernel * op->kernel;
    float *gradient = run->gradients + run->engine->network->parameters[op->weight].offset;
    for (int row = 0; row < depth; row++)
        for (int o = 0; o < out.channels; o++) {
            float sum = 0;
            for (int slot = 0; slot < run->tasks; slot++)
                sum += run->engine->slots[(size_t)slot * floats + (size_t)row * (size_t)out.channels + (size_t)o];
            float *to = gradient + (size_t)(o * in + row % in) * (size_t)taps + (size_t)(row / in);
            *to = run->accumulate ? *to + sum : sum;
        }
}
