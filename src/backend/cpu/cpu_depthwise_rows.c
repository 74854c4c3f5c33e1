/* cpu_depthwise_rows.c - what a depthwise convolution reads: shapes of rows and rings, and an input row, stored or made
 * on the fly by the expand convolution before it. */
#include "backend/cpu/cpu_depthwise.h"

enum { RING_BYTES = 256 << 10 };

Geometry depthwise_geometry(const CpuEngine *engine, int op_index) {
    const Op *op = &engine->network->ops[op_index];
    Geometry g = {.op = op, .kernel = op->kernel, .stride = op->stride};
    g.in = engine->network->tensors[op->input];
    g.out = engine->network->tensors[op->output];
    int covered = (g.out.width - 1) * g.stride + g.kernel;
    g.row_width = covered > g.in.width + op->pad_left ? covered : g.in.width + op->pad_left;
    g.inserted_pad = g.kernel - 1 - op->pad_left;
    g.gradient_pad = g.inserted_pad / g.stride;
    int last = g.gradient_pad + (g.in.width - 1 + g.kernel - 1 - g.inserted_pad) / g.stride; /* place that is read */
    g.gradient_width = g.gradient_pad + g.out.width > last + 1 ? g.gradient_pad + g.out.width : last + 1;
    int unit = 32; /* whole panels of packed weights, whole vectors */
    int fit = (int)(RING_BYTES / ((size_t)g.kernel * 3 * (size_t)g.row_width * sizeof(float))) / unit * unit;
    int all = (int)round_up((size_t)g.in.channels, (size_t)unit);
    g.block = fit < 2 * unit ? 2 * unit : fit;
    if (g.block > all) g.block = all;
    return g;
}

int depthwise_tile_rows(const Geometry *g) {
    return g->in.width < TILE_ROWS ? TILE_ROWS / g->in.width : 1;
}

int depthwise_narrow_channels(const CpuEngine *engine, const Pass *pass) {
    return pass->expand < 0 ? 0 : engine->network->tensors[engine->network->ops[pass->expand].input].channels;
}

static size_t x_tile_floats(const CpuEngine *engine, const Pass *pass, const Geometry *g) {
    size_t rows = (size_t)(depthwise_tile_rows(g) * g->in.width);
    return round_up((size_t)depthwise_narrow_channels(engine, pass), TILE_CHANNELS) * rows;
}

ExpandScratch depthwise_expand_scratch(const CpuEngine *engine, const Pass *pass, const Geometry *g, float *from) {
    ExpandScratch scratch = {.x_tile = from};
    scratch.row = from + x_tile_floats(engine, pass, g);
    scratch.dz_tile = scratch.row + (size_t)g->in.width * (size_t)g->block;
    return scratch;
}

size_t depthwise_scratch(const CpuEngine *engine, const Pass *pass) {
    Geometry g = depthwise_geometry(engine, pass->op);
    size_t block = (size_t)g.block, width = (size_t)g.in.width;
    size_t rings = (size_t)g.kernel * block * (2 * (size_t)g.row_width + (size_t)g.gradient_width);
    size_t expand = 0;
    if (pass->expand >= 0)
        expand = x_tile_floats(engine, pass, &g) + width * block +
                 round_up(block, TILE_CHANNELS) * (size_t)depthwise_tile_rows(&g) * width;
    return rings + block * width + 4 * block + expand;
}

void depthwise_load_row(const PassRun *run, const Geometry *g, const ExpandScratch *expand, int image, int y, int c,
                        int count, float *value, float *slope) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    Operand operand = depthwise_operand(pass);
    BnVectors storage, x_storage;
    const BnVectors *bn = pending(engine, operand, c, &storage);
    int width = g->in.width, narrow = depthwise_narrow_channels(engine, pass);
    size_t pixel = ((size_t)image * (size_t)g->in.height + (size_t)y) * (size_t)width, stride = (size_t)g->in.channels;
    const Stored *row = expand->row;
    if (pass->expand >= 0) {
        BnVectors centred = gram_centred(&engine->grams[pass->expand]); /* y's mean is then zero, and digits are kept */
        kernels->tile_load(buffer_at(engine, pass->input.buffer, pixel * (size_t)narrow), (size_t)narrow, width, narrow,
                           by_batch(run, operand.batch_norm) ? &centred : pending(engine, pass->input, 0, &x_storage),
                           ACTIVATION_NONE, expand->x_tile, width);
        const CpuKernels *expanding = products(engine, &engine->network->ops[pass->expand]);
        expanding->gemm_tile(expand->x_tile, width, width, narrow,
                             packed_column(expanding, engine->packed[pass->expand], narrow, c), count, expand->row,
                             (size_t)count, NULL, folded_bias(engine, operand.batch_norm, c));
        stride = (size_t)count;
    } else {
        row = buffer_at(engine, pass->input.buffer, pixel * stride + (size_t)c);
    }
    kernels->row_load(row, stride, width, count, bn, operand.activation, value, slope, g->row_width, g->op->pad_left);
}
