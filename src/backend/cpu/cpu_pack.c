/* cpu_pack.c - weights into the kernels' layouts, once a step. They stay in timm's layout (OIHW) everywhere else. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

/* Of a panel of weights of this depth. */
static size_t panel_bytes(const CpuKernels *kernels, int depth) {
    size_t values = round_up((size_t)depth, (size_t)kernels->depth_step) * (size_t)kernels->gemm_columns;
    return (size_t)kernels->panel_head + values * (size_t)kernels->packed_bytes;
}

size_t packed_floats(const CpuKernels *kernels, int depth, int columns) {
    size_t panels = round_up((size_t)columns, (size_t)kernels->gemm_columns) / (size_t)kernels->gemm_columns;
    return panels * panel_bytes(kernels, depth) / sizeof(float);
}

const Packed *packed_column(const CpuKernels *kernels, const Packed *packed, int depth, int column) {
    size_t panel = (size_t)(column / kernels->gemm_columns);
    return (const char *)packed + panel * panel_bytes(kernels, depth);
}

void pack_weights(const CpuKernels *kernels, const float *weights, size_t depth_stride, size_t column_stride, int depth,
                  int columns, const float *scale, Packed *packed) {
    int most = kernels->gemm_columns;
    size_t bytes = panel_bytes(kernels, depth);
    size_t filled =
        round_up((size_t)depth, (size_t)kernels->depth_unit) * (size_t)most * (size_t)kernels->packed_bytes +
        (size_t)kernels->panel_head;
    for (int column = 0; column < columns; column += most) {
        char *panel = (char *)packed + (size_t)(column / most) * bytes;
        kernels->pack_panel(weights + (size_t)column * column_stride, depth_stride, column_stride, depth,
                            columns - column < most ? columns - column : most, scale ? scale + column : NULL, panel);
        memset(panel + filled, 0, bytes - filled);
    }
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
    if (run->backward && index < engine->network->first_trainable) return;
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
        const CpuKernels *kernels = products(engine, op);
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
