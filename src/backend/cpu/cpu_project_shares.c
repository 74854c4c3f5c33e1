/* cpu_project_shares.c - squeeze-excite and projection in training on a single image, which would leave all threads but
 * one without work: it is cut into shares, with a phase for each half of the work around the squeeze. What the whole
 * image has between the phases waits in shared_tiles (activated values; slopes), what a share has in shared_sums. */
#include "backend/cpu/cpu_project.h"

#include <string.h>

enum { SHARE_SUMS = 5 }; /* vectors that a share of an image keeps */

typedef struct Share {
    int first, end; /* of the image's pixels */
    float *sums;    /* SHARE_SUMS vectors of `in`: of the gate, d, d_centred, e, e_centred; forward: of the pool */
} Share;

static Share share_of(const CpuEngine *engine, const Project *project, int task) {
    int first = task * project->share_rows;
    Share share = {.first = first, .end = first + project->share_rows};
    if (share.end > project->pixels) share.end = project->pixels;
    share.sums = engine->shared_sums + (size_t)task * SHARE_SUMS * (size_t)project->in.channels;
    return share;
}

static Group whole_image(const Project *project) {
    return (Group){0, 1, project->pixels};
}

/* sum = the first vector of each share, added up in order. */
static void shares_sum(const CpuEngine *engine, const Project *project, float *sum) {
    size_t in = (size_t)project->in.channels;
    memset(sum, 0, in * sizeof *sum);
    for (int s = 0; s < project->shares; s++) {
        const float *from = share_of(engine, project, s).sums;
        for (size_t c = 0; c < in; c++) sum[c] += from[c];
    }
}

static float *shared_tile(const CpuEngine *engine, const Project *project, int first) {
    return engine->shared_tiles + (size_t)(first / TILE_ROWS) * tile_floats(project->in.channels);
}

static void share_pool_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    const Group image = whole_image(&project);
    size_t in = (size_t)project.in.channels;
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    memset(share.sums, 0, in * sizeof *share.sums);
    for (int first = share.first; first < share.end; first += TILE_ROWS)
        engine->kernels->tile_pool(buffer_at(engine, run->pass->input.buffer, (size_t)first * in), in,
                                   tile_rows_at(&image, first), project.in.channels, bn, run->pass->input.activation,
                                   shared_tile(engine, &project, first), TILE_ROWS, share.sums);
}

static void share_project_task(void *context, int task, int thread) {
    const PassRun *run = context;
    CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    const Group image = whole_image(&project);
    int in = project.in.channels, out = project.out.channels;
    float *own = thread_scratch(engine, thread), *moments = own + tile_floats(in);
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    partial_clear(run, task, out);
    for (int first = share.first; first < share.end; first += TILE_ROWS) {
        int rows = tile_rows_at(&image, first);
        float *tile = project.gate ? shared_tile(engine, &project, first) : own;
        if (project.gate)
            engine->kernels->tile_scale(tile, tile, TILE_ROWS, rows, in, project.gate->gate);
        else
            engine->kernels->tile_load(buffer_at(engine, run->pass->input.buffer, (size_t)first * (size_t)in),
                                       (size_t)in, rows, in, bn, run->pass->input.activation, tile, TILE_ROWS);
        Stored *to = buffer_at(engine, run->pass->raw, (size_t)first * (size_t)out);
        engine->kernels->gemm_tile(tile, TILE_ROWS, rows, in, engine->packed[run->pass->op], out, to, (size_t)out, NULL,
                                   NULL);
        if (by_batch(run, run->pass->batch_norm))
            moments_merge(run, task, to, (size_t)out, rows, out, 0, out, first - share.first, moments);
    }
    engine->partial_count[task] = share.end - share.first;
}

void project_forward_shares(PassRun *run, const Project *project) {
    const CpuEngine *engine = run->engine;
    const Group image = whole_image(project);
    run->tasks = project->shares;
    if (project->gate) {
        float *pooled = project->gate->pooled;
        thread_team_run(engine->team, share_pool_task, run, run->tasks);
        shares_sum(engine, project, pooled);
        for (int c = 0; c < project->in.channels; c++) pooled[c] /= (float)project->pixels;
        squeeze_forward(run, project, &image, thread_scratch(engine, 0));
    }
    thread_team_run(engine->team, share_project_task, run, run->tasks);
}

/* First half of a share's backward pass: all but the squeeze's part of dz. */
static void share_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    int in = project.in.channels, out = project.out.channels;
    size_t in_size = (size_t)in, kept = weights_kept(engine, run->pass);
    const Group image = whole_image(&project);
    float *slot = kept ? NULL : engine->slots + (size_t)task * in_size * (size_t)out;
    BackwardScratch scratch = {.dp_tile = thread_scratch(engine, thread), .slopes = engine->shared_tiles + kept};
    scratch.a_tile = scratch.dp_tile + tile_floats(out);
    scratch.gate = share.sums;
    scratch.d = scratch.gate + in;
    scratch.d_centred = scratch.d + in;
    scratch.e = scratch.d_centred + in;
    scratch.e_centred = scratch.e + in;
    memset(share.sums, 0, SHARE_SUMS * in_size * sizeof *share.sums);
    for (int first = share.first; first < share.end; first += TILE_ROWS)
        project_backward_tile(run, &project, &image, first, first > share.first, slot, &scratch);
}

/* The second: q, which stands behind the shares' sums. */
static float *shared_q(const CpuEngine *engine, const Project *project) {
    return engine->shared_sums + (size_t)project->shares * SHARE_SUMS * (size_t)project->in.channels;
}

static void share_finish_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    size_t in = (size_t)project.in.channels;
    float *d = share.sums + in, *d_centred = d + in, *e = d_centred + in, *e_centred = e + in;
    if (project.gate) {
        const float *q = shared_q(engine, &project);
        size_t at = (size_t)share.first * in;
        engine->kernels->add_scaled(buffer_at(engine, run->pass->gradient_out, at),
                                    value_at(engine, engine->shared_tiles + weights_kept(engine, run->pass), at), q,
                                    share.end - share.first, project.in.channels, in);
        for (size_t c = 0; c < in; c++) {
            e[c] += q[c] * d[c];
            e_centred[c] += q[c] * d_centred[c];
        }
    }
    partial_clear(run, task, project.in.channels);
    sums_merge(run, task, e, e_centred, project.in.channels, 0, project.in.channels);
}

void project_backward_shares(PassRun *run, const Project *project) {
    const CpuEngine *engine = run->engine;
    const Group image = whole_image(project);
    run->tasks = project->shares;
    thread_team_run(engine->team, share_backward_task, run, run->tasks);
    if (project->gate) {
        float *gate_sums = thread_scratch(engine, 0);
        float *tile = gate_sums + round_up((size_t)project->in.channels, TILE_CHANNELS);
        shares_sum(engine, project, gate_sums);
        squeeze_backward(run, project, &image, gate_sums, tile, shared_q(engine, project));
    }
    thread_team_run(engine->team, share_finish_task, run, run->tasks);
}

size_t project_shares_tiles(const CpuEngine *engine, const Pass *pass, const Project *project, size_t *sums) {
    size_t in = (size_t)project->in.channels;
    *sums = ((size_t)project->shares * SHARE_SUMS + 1) * in;
    if (pass->kind == PASS_PROJECT_BACKWARD) return weights_kept(engine, pass) + (size_t)project->pixels * in;
    return project->gate ? (size_t)project->tiles * tile_floats(project->in.channels) : 0;
}
