/* cpu_project.c - squeeze-excite and projection together, image by image, forward and backward.
 *
 *   forward   a = activation(bn(u)), its mean over the image -> gate; p = (a * gate) W, and p's moments. The image's
 *             activated values wait in scratch memory, in tiles, until the gate is known.
 *   backward  dp from (g, p) by batch norm's formula; dv = dp W^T; dW += (a * gate)^T dp; the gate's gradient
 *             sum(dv * a) goes back through the squeeze to q, a channel's share for every pixel of the image;
 *             dz_u = (dv * gate + q) * activation'(bn(u)), and its two sums.
 *
 * The sums of dz_u follow from those of dv * gate * slope and of slope, both gathered in the first trip, and q; so the
 * second trip only adds q * slope. */
#include "backend/cpu/cpu_engine.h"

#include "backend/cpu/small_math.h"

#include <string.h>

typedef struct Project {
    const Op *op;
    TensorShape in, out; /* u's shape, p's */
    int pixels, tiles;   /* an image */
    GateState *gate;     /* NULL without squeeze-excite */
    Activation inner;    /* the squeeze's */
} Project;

static Project project_of(const CpuEngine *engine, const Pass *pass) {
    Project project = {.op = &engine->network->ops[pass->op]};
    project.in = engine->network->tensors[project.op->input];
    project.out = engine->network->tensors[project.op->output];
    project.pixels = project.in.height * project.in.width;
    project.tiles = (project.pixels + TILE_ROWS - 1) / TILE_ROWS;
    if (pass->squeeze_excite >= 0) {
        project.gate = &engine->gates[pass->squeeze_excite];
        project.inner = engine->network->ops[pass->squeeze_excite].activation;
    }
    return project;
}

size_t project_scratch(const CpuEngine *engine, const Pass *pass) {
    Project project = project_of(engine, pass);
    size_t in = (size_t)project.in.channels, out = (size_t)project.out.channels;
    size_t image_tiles = (project.gate ? (size_t)project.tiles : 1) * tile_floats(project.in.channels);
    size_t slopes = (size_t)project.pixels * in;
    size_t vector_tile = 2 * round_up(in, TILE_CHANNELS);
    size_t forward = image_tiles + vector_tile + 2 * out;
    size_t backward =
        tile_floats(project.out.channels) + tile_floats(project.in.channels) + slopes + 7 * in + vector_tile;
    return forward > backward ? forward : backward;
}

static int tile_rows_at(const Project *project, int first) {
    return project->pixels - first < TILE_ROWS ? project->pixels - first : TILE_ROWS;
}

/* out (columns) = x (depth) * packed + bias (NULL: none); `tile` holds round_up(depth, 64) floats. */
static void vector_times_matrix(const CpuKernels *kernels, const float *x, int depth, const float *packed, int columns,
                                const float *bias, float *tile, float *out) {
    kernels->tile_load(x, (size_t)depth, 1, depth, NULL, ACTIVATION_NONE, tile, 1);
    kernels->gemm_tile(tile, 1, 1, depth, packed, columns, out, (size_t)columns, bias);
}

/* pooled -> reduce -> activation -> expand -> sigmoid = gate, of one image. */
static void squeeze_forward(const PassRun *run, const Project *project, int image, float *tile) {
    const CpuKernels *kernels = run->engine->kernels;
    const Op *op = &run->engine->network->ops[run->pass->squeeze_excite];
    GateState *state = project->gate;
    size_t c = (size_t)state->channels, s = (size_t)state->squeezed, at = (size_t)image;
    float *hidden_sum = state->hidden_sum + at * s, *hidden = state->hidden + at * s, *gate = state->gate + at * c;
    vector_times_matrix(kernels, state->pooled + at * c, (int)c, state->packed_reduce, (int)s,
                        parameter_data(run, op->bias), tile, hidden_sum);
    for (size_t i = 0; i < s; i++) hidden[i] = activate(hidden_sum[i], project->inner);
    vector_times_matrix(kernels, hidden, (int)s, state->packed_expand, (int)c, parameter_data(run, op->expand_bias),
                        tile, gate);
    for (size_t i = 0; i < c; i++) gate[i] = sigmoid(gate[i]);
}

static void forward_image(const PassRun *run, const Project *project, int task, int image, double seen,
                          float *scratch) {
    CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    int in = project->in.channels, out = project->out.channels;
    size_t one_tile = tile_floats(in);
    float *vector = scratch + (project->gate ? (size_t)project->tiles : 1) * one_tile;
    float *moments = vector + 2 * round_up((size_t)in, TILE_CHANNELS);
    const float *u = buffer_data(engine, pass->input.buffer) + (size_t)image * shape_floats(project->in);
    float *p = buffer_data(engine, pass->raw) + (size_t)image * shape_floats(project->out);
    BnVectors storage;
    const BnVectors *bn = pending(engine, pass->input, 0, &storage);
    const float *gate = NULL;
    if (project->gate) {
        float *pooled = project->gate->pooled + (size_t)image * (size_t)in;
        memset(pooled, 0, (size_t)in * sizeof *pooled);
        for (int tile = 0; tile < project->tiles; tile++)
            kernels->tile_pool(u + (size_t)tile * TILE_ROWS * (size_t)in, (size_t)in,
                               tile_rows_at(project, tile * TILE_ROWS), in, bn, pass->input.activation,
                               scratch + (size_t)tile * one_tile, TILE_ROWS, pooled);
        for (int c = 0; c < in; c++) pooled[c] /= (float)project->pixels;
        squeeze_forward(run, project, image, vector);
        gate = project->gate->gate + (size_t)image * (size_t)in;
    }
    for (int first = 0; first < project->pixels; first += TILE_ROWS) {
        int rows = tile_rows_at(project, first);
        float *tile = gate ? scratch + (size_t)(first / TILE_ROWS) * one_tile : scratch;
        if (gate)
            kernels->tile_scale(tile, TILE_ROWS, rows, in, gate);
        else
            kernels->tile_load(u + (size_t)first * (size_t)in, (size_t)in, rows, in, bn, pass->input.activation, tile,
                               TILE_ROWS);
        float *to = p + (size_t)first * (size_t)out;
        kernels->gemm_tile(tile, TILE_ROWS, rows, in, engine->packed[pass->op], out, to, (size_t)out, NULL);
        if (run->call->training) moments_merge(run, task, to, (size_t)out, rows, out, 0, out, seen + first, moments);
    }
}

static void project_forward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Project project = project_of(run->engine, run->pass);
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, project.out.channels);
    for (int image = begin; image < end; image++)
        forward_image(run, &project, task, image, (double)(image - begin) * project.pixels,
                      thread_scratch(run->engine, thread));
    run->engine->partial_count[task] = (double)(end - begin) * project.pixels;
}

void project_forward(PassRun *run) {
    Project project = project_of(run->engine, run->pass);
    run_split(run, run->call->batch, MAX_TASKS, 1);
    thread_team_run(run->engine->team, project_forward_task, run, run->tasks);
    if (run->call->training) batch_norm_finish(run, run->pass->batch_norm, (double)run->call->batch * project.pixels);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* From the gate's gradient (sums over the image of dv * a) to q = d(pooled) / pixels; keeps what the weights need. */
static void squeeze_backward(const PassRun *run, const Project *project, int image, const float *gate_sums, float *tile,
                             float *q) {
    const CpuKernels *kernels = run->engine->kernels;
    GateState *state = project->gate;
    size_t c = (size_t)state->channels, s = (size_t)state->squeezed, at = (size_t)image;
    const float *gate = state->gate + at * c, *hidden_sum = state->hidden_sum + at * s;
    float *gate_gradient = state->gate_gradient + at * c, *hidden_gradient = state->hidden_gradient + at * s;
    for (size_t i = 0; i < c; i++) gate_gradient[i] = gate_sums[i] * gate[i] * (1 - gate[i]);
    vector_times_matrix(kernels, gate_gradient, (int)c, state->packed_expand_back, (int)s, NULL, tile, hidden_gradient);
    for (size_t i = 0; i < s; i++) hidden_gradient[i] *= activation_slope(hidden_sum[i], project->inner);
    vector_times_matrix(kernels, hidden_gradient, (int)s, state->packed_reduce_back, (int)c, NULL, tile, q);
    for (size_t i = 0; i < c; i++) q[i] /= (float)project->pixels;
}

static void backward_image(const PassRun *run, const Project *project, int task, int image, float *slot,
                           float *scratch) {
    CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    int in = project->in.channels, out = project->out.channels;
    size_t in_size = (size_t)in;
    float *dp_tile = scratch, *a_tile = dp_tile + tile_floats(out), *slopes = a_tile + tile_floats(in);
    float *vectors = slopes + (size_t)project->pixels * in_size, *q = vectors + 5 * in_size, *tile = q + 2 * in_size;
    ProjectSums sums = {.gate = vectors,
                        .e = vectors + in_size,
                        .e_centred = vectors + 2 * in_size,
                        .d = vectors + 3 * in_size,
                        .d_centred = vectors + 4 * in_size};
    memset(vectors, 0, 5 * in_size * sizeof *vectors);
    const float *u = buffer_data(engine, pass->input.buffer) + (size_t)image * shape_floats(project->in);
    const float *p = buffer_data(engine, pass->raw) + (size_t)image * shape_floats(project->out);
    const float *g = buffer_data(engine, pass->gradient) + (size_t)image * shape_floats(project->out);
    float *dz = buffer_data(engine, pass->gradient_out) + (size_t)image * shape_floats(project->in);
    const float *gate = project->gate ? project->gate->gate + (size_t)image * in_size : NULL;
    float factor = drop_path_factor(run, pass->residual_op, image);
    BnGradient p_bn = pending_gradient(engine, pass->batch_norm, 0);
    BnVectors u_bn;
    pending(engine, pass->input, 0, &u_bn);
    for (int first = 0; first < project->pixels; first += TILE_ROWS) {
        int rows = tile_rows_at(project, first);
        size_t in_at = (size_t)first * in_size, out_at = (size_t)first * (size_t)out;
        kernels->tile_load_gradient(g + out_at, p + out_at, (size_t)out, rows, out, &p_bn, factor, dp_tile, TILE_ROWS);
        kernels->gemm_tile(dp_tile, TILE_ROWS, rows, out, engine->packed_back[pass->op], in, dz + in_at, in_size, NULL);
        kernels->project_gradient_tile(u + in_at, dz + in_at, in_size, rows, in, &u_bn, pass->input.activation, gate,
                                       a_tile, TILE_ROWS, slopes + in_at, sums);
        kernels->gemm_transposed(dp_tile, a_tile, TILE_ROWS, rows, out, in, slot, in_size);
    }
    if (gate) {
        squeeze_backward(run, project, image, sums.gate, tile, q);
        kernels->add_scaled(dz, slopes, q, project->pixels, in, in_size);
        for (int c = 0; c < in; c++) {
            sums.e[c] += q[c] * sums.d[c];
            sums.e_centred[c] += q[c] * sums.d_centred[c];
        }
    }
    sums_merge(run, task, sums.e, sums.e_centred, in, 0, in);
}

static void project_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Project project = project_of(run->engine, run->pass);
    size_t floats = (size_t)project.in.channels * (size_t)project.out.channels;
    float *slot = run->engine->slots + (size_t)task * floats; /* (out, in), as the weights */
    int begin, end;
    task_range(run, task, &begin, &end);
    memset(slot, 0, floats * sizeof *slot);
    partial_clear(run, task, project.in.channels);
    for (int image = begin; image < end; image++)
        backward_image(run, &project, task, image, slot, thread_scratch(run->engine, thread));
}

void project_backward(PassRun *run) {
    CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    int in = project.in.channels, out = project.out.channels;
    run_split(run, run->call->batch, slot_count((size_t)in * (size_t)out), 1);
    thread_team_run(engine->team, project_backward_task, run, run->tasks);
    batch_norm_finish_gradient(run, run->pass->input.batch_norm);
    slots_reduce(run, project.op->weight, run->tasks, out, in, (size_t)in, 1);
    if (project.gate) {
        const Op *op = &engine->network->ops[run->pass->squeeze_excite];
        const GateState *state = project.gate;
        small_weights_gradient(run, state->hidden_gradient, state->squeezed, state->pooled, in, run->call->batch,
                               op->weight, op->bias);
        small_weights_gradient(run, state->gate_gradient, in, state->hidden, state->squeezed, run->call->batch,
                               op->expand_weight, op->expand_bias);
    }
}
