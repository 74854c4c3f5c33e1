/* cpu_depthwise_backward.c - depthwise convolutions backward, row by row (cpu_depthwise.h):
 *
 *   dz_u = e + q * activation'(bn(u)), q the squeeze-excite's share (cpu_project.c), du by batch norm's formula
 *   -> dW += du * a; da = du * turned W; dz_y = da * activation' and its two sums
 *
 * An input without an activation of its own (a block's entry) gets da, added to the gradient of the skip where there is
 * one. */
#include "backend/cpu/cpu_depthwise.h"

#include <string.h>

enum { SUM_PIXELS = 256 };

typedef struct BackwardRings {
    float *value, *slope; /* K input rows each */
    float *gradient;      /* K output gradient rows */
    float *da;            /* (in.width, block): one row of the input's gradient; values, in room for floats */
    float *sum, *sum_centred;
    size_t row, gradient_row; /* floats of a row */
    ExpandScratch expand;
    float *products; /* the task's H, (narrow, in.channels); NULL where y is stored */
} BackwardRings;

/* dz of input rows [y, end) waits in the tile, channels [c, c + count): H, and dx's first term. */
static void use_rows(const PassRun *run, const Geometry *g, const BackwardRings *rings, int image, int y, int end,
                     int c, int count) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    const GramState *gram = &engine->grams[pass->expand];
    int rows = (end - y) * g->in.width, tile_rows = depthwise_tile_rows(g) * g->in.width;
    size_t narrow = (size_t)gram->in;
    size_t at = ((size_t)image * (size_t)g->in.height + (size_t)y) * (size_t)g->in.width * narrow;
    BnVectors centred = gram_centred(gram);
    kernels->tile_load(buffer_at(engine, pass->input.buffer, at), narrow, rows, gram->in, &centred, ACTIVATION_NONE,
                       rings->expand.x_tile, tile_rows);
    kernels->gemm_transposed(rings->expand.x_tile, rings->expand.dz_tile, tile_rows, rows, gram->in, count, true,
                             rings->products + c, (size_t)gram->out);
    Stored *dx = buffer_at(engine, pass->gradient_out, at);
    const Packed *packed =
        (const float *)gram->packed_scaled + gram_packed_block(engine, gram, g->block) * (size_t)(c / g->block);
    kernels->gemm_tile(rings->expand.dz_tile, tile_rows, rows, count, packed, gram->in, dx, narrow,
                       c > 0 || pass->add_residual ? dx : NULL, NULL);
}

/* The gradient of input row y is complete: writes dz of that row, channels [c, c + count). */
static void finish_row(const PassRun *run, const Geometry *g, const BackwardRings *rings, int image, int y, int c,
                       int count) {
    const CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    const float *rows[MAX_KERNEL];
    for (int j = 0; j < g->kernel;
         j++) { /* turned weights: row j pairs with output row (y + pad - (K - 1) + j) / stride */
        int at = y + g->op->pad_top - (g->kernel - 1) + j;
        bool there = at >= 0 && at % g->stride == 0 && at / g->stride < g->out.height;
        rows[j] = there ? rings->gradient + (size_t)(at / g->stride % g->kernel) * rings->gradient_row : NULL;
    }
    const float *turned = (const float *)engine->packed_back[pass->op] + (size_t)c * (size_t)(g->kernel * g->kernel);
    if (g->stride == 1)
        engine->kernels->depthwise_row(rows, turned, g->kernel, 1, g->in.width, count, g->gradient_width, NULL,
                                       rings->da, (size_t)count);
    else
        engine->kernels->depthwise_row_turned(rows, turned, g->kernel, g->inserted_pad, g->in.width, count,
                                              g->gradient_width, rings->da, (size_t)count);
    if (pass->expand >= 0) {
        int most = depthwise_tile_rows(g), first = y / most * most;
        engine->kernels->depthwise_finish_tile(
            rings->da, rings->slope + (size_t)(y % g->kernel) * rings->row, g->in.width, count, g->row_width,
            g->op->pad_left,
            value_at(engine, rings->expand.dz_tile, (size_t)((y - first) * g->in.width) * TILE_CHANNELS),
            most * g->in.width, rings->sum);
        if (y + 1 == first + most || y + 1 == g->in.height) use_rows(run, g, rings, image, first, y + 1, c, count);
        return;
    }
    size_t stride = (size_t)g->in.channels;
    size_t at = ((size_t)image * (size_t)g->in.height + (size_t)y) * (size_t)g->in.width * stride + (size_t)c;
    Stored *dz = buffer_at(engine, pass->gradient_out, at);
    if (pass->input.activation != ACTIVATION_NONE) {
        engine->kernels->depthwise_finish_row(
            rings->da, rings->slope + (size_t)(y % g->kernel) * rings->row, buffer_at(engine, pass->input.buffer, at),
            engine->batch_norms[pass->input.batch_norm].mean + c, g->in.width, count, g->row_width, g->op->pad_left, dz,
            stride, rings->sum, rings->sum_centred);
        return;
    }
    engine->kernels->add_row(rings->da, g->in.width, count, pass->add_residual, dz, stride);
}

static void backward_image(const PassRun *run, const Geometry *g, const BackwardRings *rings, int image, int c,
                           int count, float *weights_gradient) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    bool active = depthwise_operand(pass).activation != ACTIVATION_NONE;
    size_t out_line = (size_t)g->out.width * (size_t)g->out.channels;
    size_t out_at = (size_t)image * shape_floats(g->out) + (size_t)c;
    BnGradient bn_gradient = pending_gradient(engine, pass->batch_norm, c);
    int loaded = 0, finished = 0; /* input rows */
    for (int y = 0; y < g->out.height; y++) {
        float *gradient_row = rings->gradient + (size_t)(y % g->kernel) * rings->gradient_row;
        size_t line = out_at + (size_t)y * out_line;
        kernels->row_load_gradient(buffer_at(engine, pass->gradient, line), buffer_at(engine, pass->raw, line),
                                   (size_t)g->out.channels, g->out.width, count, &bn_gradient, gradient_row,
                                   g->gradient_width, g->gradient_pad);
        int top = y * g->stride - g->op->pad_top;
        /* Input rows that output rows up to y alone touch are finished before their ring places are needed again. */
        int complete = y + 1 == g->out.height ? g->in.height : top + g->stride;
        for (; loaded < g->in.height && loaded < top + g->kernel; loaded++) {
            size_t slot = (size_t)(loaded % g->kernel) * rings->row;
            depthwise_load_row(run, g, &rings->expand, image, loaded, c, count, rings->value + slot,
                               active ? rings->slope + slot : NULL);
        }
        const float *rows[MAX_KERNEL];
        for (int ky = 0; ky < g->kernel; ky++)
            rows[ky] = top + ky < 0 || top + ky >= g->in.height
                           ? NULL
                           : rings->value + (size_t)((top + ky) % g->kernel) * rings->row;
        kernels->depthwise_weights_row(gradient_row, g->gradient_pad, g->gradient_width, rows, g->kernel, g->stride,
                                       g->out.width, count, g->row_width, weights_gradient);
        for (; finished < complete && finished < g->in.height; finished++)
            finish_row(run, g, rings, image, finished, c, count);
    }
}

static size_t weight_slot_floats(const CpuEngine *engine, const Geometry *g) {
    return round_up((size_t)g->in.channels, (size_t)engine->kernels->lanes) * (size_t)(g->kernel * g->kernel);
}

size_t depthwise_slot_floats(const CpuEngine *engine, const Pass *pass) {
    Geometry g = depthwise_geometry(engine, pass->op);
    return weight_slot_floats(engine, &g) + (size_t)depthwise_narrow_channels(engine, pass) * (size_t)g.in.channels;
}

/* Of a single image a task is a block of channels, where nothing is added up across blocks. */
static bool is_single(const PassRun *run) {
    return run->engine->options.batch == 1 && run->pass->expand < 0;
}

static void depthwise_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    CpuEngine *engine = run->engine;
    Geometry g = depthwise_geometry(engine, run->pass->op);
    BackwardRings rings = {.row = (size_t)g.row_width * (size_t)g.block,
                           .gradient_row = (size_t)g.gradient_width * (size_t)g.block};
    rings.value = thread_scratch(engine, thread);
    rings.slope = rings.value + (size_t)g.kernel * rings.row;
    rings.gradient = rings.slope + (size_t)g.kernel * rings.row;
    rings.sum = rings.gradient + (size_t)g.kernel * rings.gradient_row;
    rings.sum_centred = rings.sum + g.block;
    rings.da = rings.sum_centred + g.block;
    rings.expand = depthwise_expand_scratch(engine, run->pass, &g, rings.da + (size_t)g.in.width * (size_t)g.block);
    /* Borders and inserted zeros stay zero; so do the sums after each merge. */
    memset(rings.value, 0, (size_t)(rings.da - rings.value) * sizeof *rings.value);
    size_t slot_floats = depthwise_slot_floats(engine, run->pass);
    bool single = is_single(run);
    int part = single ? 0 : task; /* whose slot and partial sums these are */
    float *slot = engine->slots + (size_t)part * slot_floats;
    if (!single) {
        memset(slot, 0, slot_floats * sizeof *slot);
        partial_clear(run, task, g.in.channels);
    }
    rings.products = run->pass->expand < 0 ? NULL : slot + weight_slot_floats(engine, &g);
    int begin, end, pixels = g.in.height * g.in.width;
    int sum_images = pixels < SUM_PIXELS ? SUM_PIXELS / pixels : 1; /* images whose sums stay in fp32 */
    task_range(run, part, &begin, &end);
    int step = single ? g.in.channels : g.block; /* one block, or all */
    for (int c = single ? task * g.block : 0; c < g.in.channels; c += step) {
        int count = g.in.channels - c < g.block ? g.in.channels - c : g.block;
        for (int image = begin; image < end; image++) {
            backward_image(run, &g, &rings, image, c, count, slot + (size_t)c * (size_t)(g.kernel * g.kernel));
            if ((image - begin) % sum_images == sum_images - 1 || image + 1 == end)
                sums_merge(run, part, rings.sum, rings.sum_centred, g.in.channels, c, count);
        }
    }
}

/* The weights' gradient of 64 channels: the tasks' partial ones, (channels / lanes, taps, lanes), added up in order. */
static void reduce_weights_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Geometry g = depthwise_geometry(engine, run->pass->op);
    int lanes = engine->kernels->lanes, taps = g.kernel * g.kernel, first = task * TILE_CHANNELS;
    int end = first + TILE_CHANNELS < g.in.channels ? first + TILE_CHANNELS : g.in.channels;
    size_t slot_floats = depthwise_slot_floats(engine, run->pass), from = (size_t)first * (size_t)taps;
    size_t count = round_up((size_t)(end - first), (size_t)lanes) * (size_t)taps;
    float sums[TILE_CHANNELS * MAX_KERNEL * MAX_KERNEL] = {0};
    for (int slot = 0; slot < run->tasks; slot++) {
        const float *partial = engine->slots + (size_t)slot * slot_floats + from;
        for (size_t i = 0; i < count; i++) sums[i] += partial[i];
    }
    float *gradient = run->gradients + engine->network->parameters[g.op->weight].offset;
    for (int c = first; c < end; c++)
        for (int tap = 0; tap < taps; tap++) {
            int at = c - first;
            float sum = sums[at / lanes * lanes * taps + tap * lanes + at % lanes];
            float *to = gradient + (size_t)c * (size_t)taps + tap;
            *to = run->accumulate ? *to + sum : sum;
        }
}

void depthwise_backward(PassRun *run) {
    CpuEngine *engine = run->engine;
    Geometry g = depthwise_geometry(engine, run->pass->op);
    size_t floats = depthwise_slot_floats(engine, run->pass);
    bool single = is_single(run);
    run_split(run, run->call->batch, single ? 1 : slot_count(floats), 1);
    if (run->pass->expand >= 0) gram_scale(run, g.block);
    if (single) {
        memset(engine->slots, 0, floats * sizeof *engine->slots);
        partial_clear(run, 0, g.in.channels);
    }
    thread_team_run(engine->team, depthwise_backward_task, run,
                    single ? (g.in.channels + g.block - 1) / g.block : run->tasks);
    if (run->pass->expand >= 0)
        gram_finish_gradient(run, engine->slots + weight_slot_floats(engine, &g), floats);
    else if (run->pass->input.activation != ACTIVATION_NONE)
        batch_norm_finish_gradient(run, run->pass->input.batch_norm);
    thread_team_run(engine->team, reduce_weights_task, run, channel_blocks(g.in.channels));
}
