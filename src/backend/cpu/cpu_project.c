/* cpu_project.c - squeeze-excite and projection together, an image or a group of small images at a time, forward and
 * backward.
 *
 *   forward   a = activation(bn(u)), its mean over the image -> gate; p = (a * gate) W, and p's moments. The group's
 *             activated values wait in scratch memory, in tiles, until the gates are known.
 *   backward  dp from (g, p) by batch norm's formula; dv = dp W^T; dW += (a * gate)^T dp; the gate's gradient
 *             sum(dv * a) goes back through the squeeze to q, a channel's share for every pixel of the image;
 *             dz_u = (dv * gate + q) * activation'(bn(u)), and its two sums.
 *
 * The sums of dz_u follow from those of dv * gate * slope and of slope, both gathered in the first trip, and q; so the
 * second trip only adds q * slope (docs/maths.md).
 *
 * A group is one image, or as many as fit into one tile where images have few pixels: the matrix products then have
 * rows enough to use each weight more than once. In training on a single image, which would leave all threads but one
 * without work, it is cut into shares instead, with a phase for each half of the work around the squeeze. */
#include "backend/cpu/cpu_project.h"

#include "backend/cpu/small_math.h"

#include <string.h>

Project project_of(const CpuEngine *engine, const Pass *pass) {
    Project project = {.op = &engine->network->ops[pass->op]};
    project.in = engine->network->tensors[project.op->input];
    project.out = engine->network->tensors[project.op->output];
    project.pixels = project.in.height * project.in.width;
    int share = (engine->options.batch + LEAST_GROUPS - 1) / LEAST_GROUPS, fit = TILE_ROWS / project.pixels;
    project.group = fit < share ? fit : share;
    if (project.group < 1) project.group = 1;
    project.tiles = (project.group * project.pixels + TILE_ROWS - 1) / TILE_ROWS;
    project.shares = 1;
    if (engine->options.training && engine->options.batch == 1) {
        int most = slot_count((size_t)project.in.channels * (size_t)project.out.channels);
        int tiles = (project.tiles + most - 1) / most;
        project.shares = (project.tiles + tiles - 1) / tiles;
        project.share_rows = tiles * TILE_ROWS;
    }
    if (pass->squeeze_excite >= 0) {
        project.gate = &engine->gates[pass->squeeze_excite];
        project.inner = engine->network->ops[pass->squeeze_excite].activation;
    }
    return project;
}

size_t project_scratch(const CpuEngine *engine, const Pass *pass) {
    Project project = project_of(engine, pass);
    size_t in = (size_t)project.in.channels, out = (size_t)project.out.channels, group = (size_t)project.group;
    bool whole = project.shares == 1; /* else what an image has waits in shared_tiles */
    size_t image_tiles = (project.gate && whole ? (size_t)project.tiles : 1) * tile_floats(project.in.channels);
    size_t slopes = whole ? group * (size_t)project.pixels * in : 0;
    size_t vector_tile = group * 2 * round_up(in, TILE_CHANNELS);
    size_t forward = image_tiles + vector_tile + 2 * out;
    size_t backward = tile_floats(project.out.channels) + tile_floats(project.in.channels) + slopes +
                      (4 * group + 2) * in + vector_tile;
    return forward > backward ? forward : backward;
}

size_t project_shared_tiles(const CpuEngine *engine, const Pass *pass, size_t *sums) {
    Project project = project_of(engine, pass);
    return project.shares > 1 ? project_shares_tiles(engine, pass, &project, sums)
                              : project_few_tiles(engine, &project, sums);
}

/* Of a group of several images, which have a tile together: image i's rows of it. */
static Tile *image_rows(const CpuEngine *engine, const Project *project, Tile *tile, int i) {
    return value_at(engine, tile, (size_t)(i * project->pixels) * TILE_CHANNELS);
}

/* Activated values of the group into its tiles, and each image's mean. */
static void pool_group(const PassRun *run, const Project *project, const Group *group, const BnVectors *bn,
                       float *tiles) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    int in = project->in.channels;
    float *pooled = project->gate->pooled + (size_t)group->first * (size_t)in;
    int u = run->pass->input.buffer;
    size_t one_tile = tile_floats(in), values = (size_t)group->count * (size_t)in;
    size_t at = (size_t)group->first * shape_floats(project->in);
    memset(pooled, 0, values * sizeof *pooled);
    if (group->count > 1) {
        for (int i = 0; i < group->count; i++)
            kernels->tile_pool(buffer_at(engine, u, at + (size_t)(i * project->pixels) * (size_t)in), (size_t)in,
                               project->pixels, in, bn, run->pass->input.activation,
                               image_rows(engine, project, tiles, i), TILE_ROWS, pooled + (size_t)i * (size_t)in);
    } else {
        for (int first = 0; first < group->rows; first += TILE_ROWS)
            kernels->tile_pool(buffer_at(engine, u, at + (size_t)first * (size_t)in), (size_t)in,
                               tile_rows_at(group, first), in, bn, run->pass->input.activation,
                               tiles + (size_t)(first / TILE_ROWS) * one_tile, TILE_ROWS, pooled);
    }
    for (size_t i = 0; i < values; i++) pooled[i] /= (float)project->pixels;
}

static void forward_group(const PassRun *run, const Project *project, int task, const Group *group, double seen,
                          float *scratch) {
    CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    const Pass *pass = run->pass;
    int in = project->in.channels, out = project->out.channels;
    size_t one_tile = tile_floats(in);
    float *vectors = scratch + (project->gate ? (size_t)project->tiles : 1) * one_tile;
    float *moments = vectors + (size_t)project->group * 2 * round_up((size_t)in, TILE_CHANNELS);
    size_t u_at = (size_t)group->first * shape_floats(project->in);
    size_t p_at = (size_t)group->first * shape_floats(project->out);
    BnVectors storage;
    const BnVectors *bn = pending(engine, pass->input, 0, &storage);
    const float *gates = NULL;
    if (project->gate) {
        pool_group(run, project, group, bn, scratch);
        squeeze_forward(run, project, group, vectors);
        gates = project->gate->gate + (size_t)group->first * (size_t)in;
    }
    for (int first = 0; first < group->rows; first += TILE_ROWS) {
        int rows = tile_rows_at(group, first);
        float *tile = gates ? scratch + (size_t)(first / TILE_ROWS) * one_tile : scratch;
        if (!gates)
            kernels->tile_load(buffer_at(engine, pass->input.buffer, u_at + (size_t)first * (size_t)in), (size_t)in,
                               rows, in, bn, pass->input.activation, tile, TILE_ROWS);
        else if (group->count == 1)
            kernels->tile_scale(tile, tile, TILE_ROWS, rows, in, gates);
        else
            for (int i = 0; i < group->count; i++) {
                Tile *own = image_rows(engine, project, tile, i);
                kernels->tile_scale(own, own, TILE_ROWS, project->pixels, in, gates + (size_t)i * (size_t)in);
            }
        Stored *to = buffer_at(engine, pass->raw, p_at + (size_t)first * (size_t)out);
        products(engine, project->op)
            ->gemm_tile(tile, TILE_ROWS, rows, in, engine->packed[pass->op], out, to, (size_t)out, NULL,
                        folded_bias(engine, pass->batch_norm, 0));
        if (by_batch(run, pass->batch_norm))
            moments_merge(run, task, to, (size_t)out, rows, out, 0, out, seen + first, moments);
    }
}

/* The groups of a task, one after the other. */
static Group next_group(const Project *project, int image, int end) {
    int count = end - image < project->group ? end - image : project->group;
    return (Group){image, count, count * project->pixels};
}

static void project_forward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Project project = project_of(run->engine, run->pass);
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, project.out.channels);
    for (int image = begin; image < end; image += project.group) {
        Group group = next_group(&project, image, end);
        forward_group(run, &project, task, &group, (double)(image - begin) * project.pixels,
                      thread_scratch(run->engine, thread));
    }
    run->engine->partial_count[task] = (double)(end - begin) * project.pixels;
}

void project_forward(PassRun *run) {
    Project project = project_of(run->engine, run->pass);
    if (!run->call->training &&
        !project.gate) { /* nothing has to be known of an image before its pixels are multiplied */
        conv_forward(run);
        return;
    }
    if (project.shares > 1) {
        project_forward_shares(run, &project);
        if (by_batch(run, run->pass->batch_norm))
            batch_norm_finish(run, run->pass->batch_norm, (double)run->call->batch * project.pixels);
        return;
    }
    if (project_is_few(run, &project)) {
        project_few(run, &project);
        return;
    }
    run_split(run, run->call->batch, MAX_TASKS, project.group);
    thread_team_run(run->engine->team, project_forward_task, run, run->tasks);
    if (by_batch(run, run->pass->batch_norm))
        batch_norm_finish(run, run->pass->batch_norm, (double)run->call->batch * project.pixels);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

static BackwardScratch backward_scratch(const Project *project, float *from) {
    size_t in = (size_t)project->in.channels, group = (size_t)project->group;
    BackwardScratch scratch = {.dp_tile = from};
    scratch.a_tile = scratch.dp_tile + tile_floats(project->out.channels);
    scratch.slopes = scratch.a_tile + tile_floats(project->in.channels);
    scratch.gate = scratch.slopes + group * (size_t)project->pixels * in;
    scratch.d = scratch.gate + group * in;
    scratch.d_centred = scratch.d + group * in;
    scratch.e = scratch.d_centred + group * in;
    scratch.e_centred = scratch.e + in;
    scratch.q = scratch.e_centred + in;
    scratch.tile = scratch.q + group * in;
    return scratch;
}

/* Rows [first, first + rows) of the group, all of one image, the group's `image`-th: dp into dp_tile. */
static void load_dp(const PassRun *run, const Project *project, const Group *group, int image, int first, int rows,
                    Tile *dp_tile, int tile_rows) {
    const CpuEngine *engine = run->engine;
    size_t out = (size_t)project->out.channels;
    size_t at = (size_t)group->first * shape_floats(project->out) + (size_t)first * out;
    BnGradient bn = pending_gradient(engine, run->pass->batch_norm, 0);
    engine->kernels->tile_load_gradient(buffer_at(engine, run->pass->gradient, at),
                                        buffer_at(engine, run->pass->raw, at), out, rows, project->out.channels, &bn,
                                        drop_path_factor(run, run->pass->residual_op, group->first + image), dp_tile,
                                        tile_rows);
}

/* The same rows: a * gate into a_tile, dv -> e in dz, slopes and sums. */
static void use_dv(const PassRun *run, const Project *project, const Group *group, int image, int first, int rows,
                   Tile *a_tile, int tile_rows, const BackwardScratch *scratch) {
    CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    size_t in = (size_t)project->in.channels, own = (size_t)image * in;
    size_t at = (size_t)group->first * shape_floats(project->in) + (size_t)first * in;
    const float *gate = project->gate ? project->gate->gate + (size_t)(group->first + image) * in : NULL;
    ProjectSums sums = {scratch->gate + own, scratch->e, scratch->e_centred, scratch->d + own,
                        scratch->d_centred + own};
    BnVectors bn;
    pending(engine, pass->input, 0, &bn);
    engine->kernels->project_gradient_tile(buffer_at(engine, pass->input.buffer, at),
                                           buffer_at(engine, pass->gradient_out, at), in, rows, project->in.channels,
                                           &bn, pass->input.activation, gate, a_tile, tile_rows,
                                           value_at(engine, scratch->slopes, (size_t)first * in), sums);
}

/* Rows [first, first + TILE_ROWS) of the group: dv -> e in dz, slopes, sums, and their part of dW (out, in) in `slot`,
 * its first values or added to; NULL: tiles are kept. */
void project_backward_tile(const PassRun *run, const Project *project, const Group *group, int first, bool add,
                           float *slot, const BackwardScratch *scratch) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    int in = project->in.channels, out = project->out.channels, rows = tile_rows_at(group, first);
    int step = group->count > 1 ? project->pixels : TILE_ROWS; /* rows at a time: of one image */
    size_t in_size = (size_t)in, pixel = (size_t)group->first * (size_t)project->pixels + (size_t)first;
    KeptTiles tiles = {scratch->a_tile, scratch->dp_tile, TILE_ROWS};
    if (!slot) tiles = kept_tiles(engine, run->pass, run->call->batch * project->pixels, (int)pixel);
    for (int row = 0; row < rows; row += step)
        load_dp(run, project, group, (first + row) / project->pixels, first + row, step < rows ? step : rows,
                value_at(engine, tiles.out, (size_t)row * TILE_CHANNELS), tiles.rows);
    kernels->gemm_tile(tiles.out, tiles.rows, rows, out, engine->packed_back[run->pass->op], in,
                       buffer_at(engine, run->pass->gradient_out, pixel * in_size), in_size, NULL, NULL);
    for (int row = 0; row < rows; row += step)
        use_dv(run, project, group, (first + row) / project->pixels, first + row, step < rows ? step : rows,
               value_at(engine, tiles.in, (size_t)row * TILE_CHANNELS), tiles.rows, scratch);
    if (slot) kernels->gemm_transposed(tiles.out, tiles.in, tiles.rows, rows, out, in, add, slot, in_size);
}

/* `slot`: as above. */
static void backward_group(const PassRun *run, const Project *project, int task, const Group *group, bool add,
                           float *slot, float *from) {
    CpuEngine *engine = run->engine;
    const CpuKernels *kernels = engine->kernels;
    int in = project->in.channels;
    size_t in_size = (size_t)in;
    BackwardScratch scratch = backward_scratch(project, from);
    memset(scratch.gate, 0, (size_t)(scratch.q - scratch.gate) * sizeof(float));
    Stored *dz = buffer_at(engine, run->pass->gradient_out, (size_t)group->first * shape_floats(project->in));
    for (int first = 0; first < group->rows; first += TILE_ROWS)
        project_backward_tile(run, project, group, first, add || first > 0, slot, &scratch);
    if (project->gate) {
        squeeze_backward(run, project, group, scratch.gate, scratch.tile, scratch.q);
        for (int i = 0; i < group->count; i++) {
            size_t own = (size_t)i * in_size, at = own * (size_t)project->pixels;
            kernels->add_scaled(value_at(engine, dz, at), value_at(engine, scratch.slopes, at), scratch.q + own,
                                project->pixels, in, in_size);
            for (size_t c = 0; c < in_size; c++) {
                scratch.e[c] += scratch.q[own + c] * scratch.d[own + c];
                scratch.e_centred[c] += scratch.q[own + c] * scratch.d_centred[own + c];
            }
        }
    }
    sums_merge(run, task, scratch.e, scratch.e_centred, in, 0, in);
}

static void project_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Project project = project_of(run->engine, run->pass);
    size_t floats = (size_t)project.in.channels * (size_t)project.out.channels;
    /* (out, in), as the weights */
    float *slot = weights_kept(run->engine, run->pass) ? NULL : run->engine->slots + (size_t)task * floats;
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, project.in.channels);
    for (int image = begin; image < end; image += project.group) {
        Group group = next_group(&project, image, end);
        backward_group(run, &project, task, &group, image > begin, slot, thread_scratch(run->engine, thread));
    }
}

void project_backward(PassRun *run) {
    CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    int in = project.in.channels, out = project.out.channels;
    if (project.shares > 1) {
        project_backward_shares(run, &project);
    } else {
        run_split(run, run->call->batch, slot_count((size_t)in * (size_t)out), project.group);
        thread_team_run(engine->team, project_backward_task, run, run->tasks);
    }
    batch_norm_finish_gradient(run, run->pass->input.batch_norm);
    if (weights_kept(engine, run->pass))
        kept_weights_gradient(run, run->call->batch * project.pixels);
    else
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
