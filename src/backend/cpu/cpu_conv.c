/* cpu_conv.c - the stem and every 1x1 convolution but the projections, as matrix products over tiles of 96 pixels.
 *
 *   forward   tile = activation(bn(x)) -> y = tile W, and y's moments
 *   backward  dy from (dz_y, y) by batch norm's formula -> dW += x^T dy, dx = dy W^T (+ the skip's gradient)
 *
 * The stem's tile is its 3x3x3 patches; its dx is not needed. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

enum {
    COPIED = 16, /* floats at a time, where a patch's row is shorter and the image's is not at its end */
    AHEAD = 512  /* floats behind a patch's that are asked into the cache */
};

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
    size_t patches = pass->input.buffer < 0 ? TILE_ROWS * (size_t)conv_depth(engine, op) + COPIED : 0;
    return tile_floats(conv_depth(engine, op)) + tile_floats(out) + 2 * (size_t)out + patches;
}

/* The patch (ky, kx, channel) of output pixel (y, x) of an image. */
static void load_patch(const Op *op, TensorShape in, const float *image, int y, int x, float *to) {
    const int line = op->kernel * in.channels; /* floats of a patch in one row of the image */
    const int left = x * op->stride - op->pad_left, top = y * op->stride - op->pad_top;
    const int begin = left < 0 ? -left : 0, end = left + op->kernel > in.width ? in.width - left : op->kernel;
    for (int ky = 0; ky < op->kernel; ky++, to += line) {
        const bool inside = top + ky >= 0 && top + ky < in.height;
        const float *from = image + (size_t)(inside ? top + ky : 0) * (size_t)in.width * (size_t)in.channels;
        if (inside && line <= COPIED && left >= 0 && left * in.channels + COPIED <= in.width * in.channels) {
            __builtin_prefetch(from + left * in.channels + AHEAD, 0, 3);
            memcpy(to, from + left * in.channels, COPIED * sizeof *to); /* of known size; the next one covers it */
            continue;
        }
        if (!inside || begin > 0 || end < op->kernel) memset(to, 0, (size_t)line * sizeof *to);
        if (inside)
            memcpy(to + begin * in.channels, from + (left + begin) * in.channels,
                   (size_t)((end - begin) * in.channels) * sizeof *to);
    }
}

/* Those of output pixels [first, first + rows) of the whole batch: rows of `depth` floats. */
static void load_patches(const PassRun *run, int first, int rows, float *to) {
    const Op *op = pass_op(run);
    const TensorShape in = run->engine->network->tensors[op->input], out = run->engine->network->tensors[op->output];
    const int depth = conv_depth(run->engine, op);
    int x = first % out.width, y = first / out.width % out.height;
    const float *image = run->call->images + (size_t)(first / (out.width * out.height)) * shape_floats(in);
    for (int row = 0; row < rows; row++, to += depth) {
        load_patch(op, in, image, y, x, to);
        if (++x < out.width) continue;
        x = 0;
        if (++y < out.height) continue;
        y = 0;
        image += shape_floats(in);
    }
}

/* patches: room for TILE_ROWS of them, used by the stem. */
static void load_input(const PassRun *run, int first, int rows, Tile *tile, int tile_rows, float *patches) {
    const Pass *pass = run->pass;
    const CpuEngine *engine = run->engine;
    if (pass->input.buffer < 0) {
        int depth = conv_depth(engine, pass_op(run));
        load_patches(run, first, rows, patches);
        engine->kernels->tile_fill(patches, (size_t)depth, rows, depth, tile, tile_rows);
        return;
    }
    int channels = buffer_shape(engine, pass->input.buffer).channels;
    BnVectors storage;
    const BnVectors *bn = pending(engine, pass->input, 0, &storage);
    engine->kernels->tile_load(buffer_at(engine, pass->input.buffer, (size_t)first * (size_t)channels),
                               (size_t)channels, rows, channels, bn, pass->input.activation, tile, tile_rows);
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
    float *patches = moments + 2 * (size_t)out;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, out);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        Stored *y = buffer_at(engine, run->pass->raw, (size_t)first * (size_t)out);
        load_input(run, first, rows, tile, TILE_ROWS, patches);
        products(engine, op)
            ->gemm_tile(tile, TILE_ROWS, rows, depth, engine->packed[run->pass->op], out, y, (size_t)out, NULL,
                        folded_bias(engine, run->pass->batch_norm, 0));
        if (takes_moments(run)) moments_merge(run, task, y, (size_t)out, rows, out, 0, out, first - begin, moments);
    }
    engine->partial_count[task] = end - begin;
}

static void load_few(const PassRun *run, int rows, Tile *tile) {
    load_input(run, 0, rows, tile, TILE_ROWS, NULL);
}

void conv_forward(PassRun *run) {
    TensorShape out = buffer_shape(run->engine, run->pass->raw);
    int pixels = run->call->batch * out.height * out.width;
    if (few_rows(run->engine, pass_op(run), pixels) && run->pass->input.buffer >= 0) {
        few_rows_product(run, load_few, pixels, conv_depth(run->engine, pass_op(run)), out.channels,
                         buffer_at(run->engine, run->pass->raw, 0));
        return;
    }
    int rows = rows_multiple(pixels);
    if (!run->call->training && rows < TILE_ROWS) { /* as evenly as can be: no moments depend on the tasks */
        const int tasks = (pixels + rows - 1) / rows;
        rows = (pixels + tasks - 1) / tasks;
    }
    run_split(run, pixels, MAX_TASKS, rows);
    thread_team_run(run->engine->team, conv_forward_task, run, run->tasks);
    if (takes_moments(run)) batch_norm_finish(run, run->pass->batch_norm, pixels);
}

static void conv_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const Pass *pass = run->pass;
    CpuEngine *engine = run->engine;
    const Op *op = pass_op(run);
    int depth = conv_depth(engine, op), out = engine->network->tensors[op->output].channels, begin, end;
    float *x_tile = thread_scratch(engine, thread), *dy_tile = x_tile + tile_floats(depth);
    float *patches = dy_tile + tile_floats(out);
    float *slot = engine->slots + (size_t)task * (size_t)depth * (size_t)out; /* (depth, out) */
    BnGradient bn = pending_gradient(engine, pass->batch_norm, 0);
    const KeptTiles own = {x_tile, dy_tile, TILE_ROWS};
    bool kept = weights_kept(engine, pass) > 0;
    task_range(run, task, &begin, &end);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        size_t at = (size_t)first * (size_t)out;
        KeptTiles tiles = kept ? kept_tiles(engine, pass, run->units, first) : own;
        engine->kernels->tile_load_gradient(buffer_at(engine, pass->gradient, at), buffer_at(engine, pass->raw, at),
                                            (size_t)out, rows, out, &bn, 1.0f, tiles.out, tiles.rows);
        load_input(run, first, rows, tiles.in, tiles.rows, patches);
        if (!kept)
            engine->kernels->gemm_transposed(tiles.in, tiles.out, tiles.rows, rows, depth, out, first > begin, slot,
                                             (size_t)out);
        if (pass->gradient_out >= 0) {
            Stored *dx = buffer_at(engine, pass->gradient_out, (size_t)first * (size_t)depth);
            engine->kernels->gemm_tile(tiles.out, tiles.rows, rows, out, engine->packed_back[pass->op], depth, dx,
                                       (size_t)depth, pass->add_residual ? dx : NULL, NULL);
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
    if (weights_kept(run->engine, run->pass)) {
        kept_weights_gradient(run, pixels);
        return;
    }
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
