/* cpu_layout.c - what each kind of pass is and needs, in one table; and the engine's memory but for the arena: one block,
 * sized by one walk and handed out by the same walk. */
#include "backend/cpu/cpu_engine.h"

typedef struct Layout {
    float *base; /* NULL while measuring */
    size_t floats;
} Layout;

static float *take(Layout *layout, size_t floats) {
    float *block = layout->base ? layout->base + layout->floats : NULL;
    layout->floats += round_up(floats, MEMORY_ALIGNMENT / sizeof(float));
    return block;
}

static void lay_out_batch_norm(Layout *layout, BnState *state, int channels) {
    state->channels = channels;
    float **vectors[] = {&state->mean,  &state->inverse, &state->scale, &state->bias,
                         &state->alpha, &state->beta,    &state->delta, &state->folded};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) *vectors[i] = take(layout, (size_t)channels);
}

static void lay_out_gate(Layout *layout, const CpuEngine *engine, GateState *state, int channels, int squeezed) {
    size_t batch = (size_t)engine->options.batch, c = (size_t)channels, s = (size_t)squeezed;
    const CpuKernels *kernels = engine->exact;
    state->channels = channels;
    state->squeezed = squeezed;
    state->pooled = take(layout, batch * c);
    state->hidden_sum = take(layout, batch * s);
    state->hidden = take(layout, batch * s);
    state->gate = take(layout, batch * c);
    state->packed_reduce = take(layout, packed_floats(kernels, channels, squeezed));
    state->packed_expand = take(layout, packed_floats(kernels, squeezed, channels));
    if (!engine->options.training) return;
    state->gate_gradient = take(layout, batch * c);
    state->hidden_gradient = take(layout, batch * s);
    state->packed_reduce_back = take(layout, packed_floats(kernels, squeezed, channels));
    state->packed_expand_back = take(layout, packed_floats(kernels, channels, squeezed));
}

static double *take_doubles(Layout *layout, size_t count) {
    return (double *)(void *)take(layout, 2 * count);
}

static void lay_out_gram(Layout *layout, const CpuEngine *engine, GramState *state, int in_channels, int out_channels) {
    size_t in = (size_t)in_channels, out = (size_t)out_channels;
    state->in = in_channels;
    state->out = out_channels;
    float **centred[] = {&state->centred_mean, &state->centred_scale, &state->centred_bias};
    for (int i = 0; i < 3; i++) *centred[i] = take(layout, in);
    state->mean = take_doubles(layout, in);
    state->offset = take_doubles(layout, in);
    state->covariance = take_doubles(layout, in * in);
    state->correlated = take_doubles(layout, out * in);
    state->mix = take_doubles(layout, out);
    state->share = take_doubles(layout, out);
    state->rows = take_doubles(layout, (in + 1) * in);
    state->mixed = take(layout, (in + 1) * in);
    state->packed_mixed = take(layout, packed_floats(engine->kernels, in_channels + 1, in_channels));
    state->filters = take(layout, out * in);
    state->scaled = take(layout, out * in);
    /* Every block of channels is as deep as the first: at most one block more than there are channels. */
    state->packed_scaled = take(layout, 2 * packed_floats(engine->kernels, (int)round_up(out, 64), in_channels));
}

/* Floats of partial weight gradients that a task of a convolution keeps. */
static size_t conv_slot_floats(const CpuEngine *engine, const Pass *pass) {
    const Op *op = &engine->network->ops[pass->op];
    return (size_t)engine->network->tensors[op->input].channels *
           (size_t)engine->network->tensors[op->output].channels * (size_t)op->kernel * (size_t)op->kernel;
}

const PassRow pass_rows[] = {
    [PASS_CONV_FORWARD] = {conv_forward, conv_scratch, NULL, NULL, NULL},
    [PASS_GRAM_FORWARD] = {gram_forward, gram_scratch, gram_slot_floats, NULL, NULL},
    [PASS_DEPTHWISE_FORWARD] = {depthwise_forward, depthwise_scratch, NULL, NULL, NULL},
    [PASS_PROJECT_FORWARD] = {project_forward, project_scratch, NULL, project_shared_tiles, NULL},
    [PASS_RESIDUAL_FORWARD] = {residual_forward, head_scratch, NULL, NULL, NULL},
    [PASS_POOL_FORWARD] = {pool_forward, head_scratch, NULL, NULL, NULL},
    [PASS_DENSE_FORWARD] = {dense_forward, head_scratch, NULL, NULL, NULL},
    [PASS_DENSE_BACKWARD] = {dense_backward, head_scratch, NULL, NULL, NULL},
    [PASS_POOL_BACKWARD] = {pool_backward, head_scratch, NULL, NULL, NULL},
    [PASS_CONV_BACKWARD] = {conv_backward, conv_scratch, conv_slot_floats, NULL, weights_kept},
    [PASS_REDUCE_BACKWARD] = {reduce_backward, head_scratch, NULL, NULL, NULL},
    [PASS_PROJECT_BACKWARD] = {project_backward, project_scratch, conv_slot_floats, project_shared_tiles, weights_kept},
    [PASS_DEPTHWISE_BACKWARD] = {depthwise_backward, depthwise_scratch, depthwise_slot_floats, NULL, NULL},
    [PASS_EXPAND_BACKWARD] = {expand_backward, gram_scratch, NULL, NULL, NULL},
};

/* What the passes need at most, in floats. */
typedef struct PassNeeds {
    size_t scratch, tiles, sums, slots;
} PassNeeds;

static void at_least(size_t *most, size_t floats) {
    if (floats > *most) *most = floats;
}

static PassNeeds needs_of_passes(const CpuEngine *engine) {
    PassNeeds needs = {0};
    for (int i = 0; i < engine->plan.num_passes; i++) {
        const Pass *pass = &engine->plan.passes[i];
        const PassRow *row = &pass_rows[pass->kind];
        size_t sums = 0;
        at_least(&needs.scratch, row->scratch(engine, pass));
        if (row->tiles) at_least(&needs.tiles, row->tiles(engine, pass, &sums));
        at_least(&needs.sums, sums);
        if (row->kept) at_least(&needs.tiles, row->kept(engine, pass));
        if (!row->slots) continue;
        const size_t floats = row->slots(engine, pass);
        at_least(&needs.slots, floats * (size_t)slot_count(floats));
    }
    return needs;
}

static void lay_out(CpuEngine *engine, Layout *layout) {
    const Network *network = engine->network;
    bool training = engine->options.training;
    size_t channels = 0;
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        int in = network->tensors[op->input].channels, out = network->tensors[op->output].channels;
        size_t taps = (size_t)op->kernel * (size_t)op->kernel;
        if ((size_t)out > channels) channels = (size_t)out;
        if (op->kind == OP_BATCH_NORM) lay_out_batch_norm(layout, &engine->batch_norms[i], out);
        if (op->kind == OP_SQUEEZE_EXCITE) lay_out_gate(layout, engine, &engine->gates[i], out, op->squeezed);
        if (op->kind == OP_DEPTHWISE) {
            size_t floats = round_up((size_t)out, (size_t)engine->kernels->lanes) * taps;
            engine->packed[i] = take(layout, floats);
            if (training) engine->packed_back[i] = take(layout, floats);
        }
        if (op->kind == OP_CONV || op->kind == OP_DENSE) {
            int depth = op->kind == OP_CONV ? in * (int)taps : in;
            const CpuKernels *kernels = products(engine, op);
            engine->packed[i] = take(layout, packed_floats(kernels, depth, out));
            if (training && op->kernel <= 1) engine->packed_back[i] = take(layout, packed_floats(kernels, out, in));
        }
    }
    for (int i = 0; training && i < engine->plan.num_passes; i++) {
        const Pass *pass = &engine->plan.passes[i];
        const Op *op = &network->ops[pass->op];
        if (pass->kind == PASS_GRAM_FORWARD)
            lay_out_gram(layout, engine, &engine->grams[pass->op], network->tensors[op->input].channels,
                         network->tensors[op->output].channels);
    }
    PassNeeds needs = needs_of_passes(engine);
    at_least(&needs.scratch,
             tile_floats(TILE_CHANNELS) + tile_floats((int)channels)); /* small_weights_gradient's two */
    engine->scratch_floats = round_up(needs.scratch, 1024);
    engine->scratch = take(layout, engine->scratch_floats * (size_t)thread_team_size(engine->team));
    engine->shared_tiles = take(layout, needs.tiles);
    engine->shared_sums = take(layout, needs.sums);
    engine->few_rows_marks = take(layout, few_rows_marks(thread_team_size(engine->team)));
    engine->slots = training ? take(layout, needs.slots) : NULL;
    engine->partial = (double *)(void *)take(layout, 2 * MAX_TASKS * 2 * channels);
    engine->partial_count = (double *)(void *)take(layout, 2 * MAX_TASKS);
    engine->exchanged = take_doubles(layout, 3 * channels + 1); /* two vectors; and what exchange_moments works in */
}

size_t cpu_lay_out(CpuEngine *engine, float *base) {
    Layout layout = {.base = base};
    lay_out(engine, &layout);
    return layout.floats;
}
