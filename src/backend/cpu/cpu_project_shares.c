/* cpu_project_shares.c - squeeze-excite and projection in training on a single image, which would leave all threads but
 * one without work: it is cut into shares, with a phase for each half of the work around the squeeze. What the whole
 * image has between the phases waits in shared_tiles (activated values; slopes), what a share has in shared_sums. */
#include "backend/cpu/cpu_project.h"

#include <string.h>

enum { SHARE_SUMS = 5 }; /* vectors that a share of an image keeps */

typedef struct Share {
    Group image; /* the whole of it */
    int first, end;
    float *sums; /* SHARE_SUMS vectors of `in`: of the gate, d, d_centred, e, e_centred; forward: of the pool */
} Share;

static Share share_of(const CpuEngine *engine, const Project *project, int task) {
    int image = task / project->shares, first = task % project->shares * project->share_rows;
    Share share = {.image = {image, 1, project->pixels}, .first = first, .end = first + project->share_rows};
    if (share.end > project->pixels) share.end = project->pixels;
    share.sums = engine->shared_sums + (size_t)task * SHARE_SUMS * (size_t)project->in.channels;
    return share;
}

/* sum = the first vector of each of an image's shares, added up in order. */
static void shares_sum(const CpuEngine *engine, const Project *project, int image, float *sum) {
    size_t in = (size_t)project->in.channels;
    memset(sum, 0, in * sizeof *sum);
    for (int s = 0; s < project->shares; s++) {
        const float *from = share_of(engine, project, image * project->shares + s).sums;
        for (size_t c = 0; c < in; c++) sum[c] += from[c];
    }
}

static float *shared_tile(const CpuEngine *engine, const Project *project, int image, int first) {
    size_t at = (size_t)image * (size_t)project->tiles + (size_t)(first / TILE_ROWS);
    return engine->shared_tiles + at * tile_floats(project->in.channels);
}

static void share_pool_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    size_t in = (size_t)project.in.channels, at = (size_t)share.image.first * shape_floats(project.in);
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    memset(share.sums, 0, in * sizeof *share.sums);
    for (int first = share.first; first < share.end; first += TILE_ROWS)
        engine->kernels->tile_pool(buffer_at(engine, run->pass->input.buffer, at + (size_t)first * in), in,
                                   tile_rows_at(&share.image, first), project.in.channels, bn,
                                   run->pass->input.activation, shared_tile(engine, &project, share.image.first, first),
                                   TILE_ROWS, share.sums);
}

static void share_project_task(void *context, int task, int thread) {
    const PassRun *run = context;
    CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    Share share = share_of(engine, &project, task);
    int in = project.in.channels, out = project.out.channels, image = share.image.first;
    float *own = thread_scratch(engine, thread), *moments = own + tile_floats(in);
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    partial_clear(run, task, out);
    for (int first = share.first; first < share.end; first += TILE_ROWS) {
        int rows = tile_rows_at(&share.image, first);
        float *tile = project.gate ? shared_tile(engine, &project, image, first) : own;
        size_t pixel = (size_t)image * (size_t)project.pixels + (size_t)first;
        if (project.gate)
            engine->kernels->tile_scale(tile, TILE_ROWS, rows, in, project.gate->gate + (size_t)image * (size_t)in);
        else
            engine->kernels->tile_load(buffer_at(engine, run->pass->input.buffer, pixel * (size_t)in), (size_t)in, rows,
                                       in, bn, run->pass->input.activation, tile, TILE_ROWS);
        Stored *to = buffer_at(engine, run->pass->raw, pixel * (size_t)out);
        engine->kernels->gemm_tile(tile, TILE_ROWS, rows, in, engine->packed[run->pass->op], out, to, (size_t)out, NULL,
                                   NULL);
        if (run->call->training)
            moments_merge(run, task, to, (size_t)out, rows, out, 0, out, first - share.first, moments);
    }
    engine->partial_count[task] = share.end - share.first;
}

void project_forward_shares(PassRun *run, const Project *project) {
    const CpuEngine *engine = run->engine;
    size_t in = (size_t)project->in.channels;
    run->tasks = run->call->batch * project->shares;
    if (project->gate) thread_team_run(engine->team, share_pool_task, run, run->tasks);
    for (int image = 0; project->gate && image < run->call->batch; image++) {
        Group group = {image, 1, project->pixels};
        float *pooled = project->gate->pooled + (size_t)image * in;
        shares_sum(engine, project, image, pooled);
        for (size_t c = 0; c < in; c++) pooled[c] /= (float)project->pixels;
        squeeze_forward(run, project, &group, thread_scratch(engine, 0));
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
    size_t in_size = (size_t)in, kept = weights_kept(engine, run->pass), image = (size_t)share.image.first;
    float *slot = kept ? NULL : engine->slots + (size_t)task * in_size * (size_t)out;
    BackwardScratch scratch = project_backward_scratch(&project, thread_scratch(engine, thread));
    scratch.slopes = value_at(engine, engine->shared_tiles + kept, image * (size_t)project.pixels * in_size);
    scratch.gate = share.sums;
    scratch.d = scratch.gate + in;
    scratch.d_centred = scratch.d + in;
    scratch.e = scratch.d_centred + in;
    scratch.e_centred = scratch.e + in;
    memset(share.sums, 0, SHARE_SUMS * in_size * sizeof *share.sums);
    for (int first = share.first; first < share.end; first += TILE_ROWS)
        project_backward_tile(run, &project, &share.image, first, first > share.first, slot, &scratch);
}

/* The second: q, which stands behind the shares' sums. */
static float *shared_q(const CpuEngine *engine, const Project *project, int image) {
    size_t in = (size_t)project->in.channels, tasks = (size_t)(engine->options.batch * project->shares);
    return engine->shared_sums + (tasks * SHARE_SUMS + (size_t)image) * in;
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
        const float *q = shared_q(engine, &project, share.image.first);
        size_t at = ((size_t)share.image.first * (size_t)project.pixels + (size_t)share.first) * in;
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
    run->tasks = run->call->batch * project->shares;
    thread_team_run(engine->team, share_backward_task, run, run->tasks);
    for (int image = 0; project->gate && image < run->call->batch; image++) {
        Group group = {image, 1, project->pixels};
        float *gate_sums = thread_scratch(engine, 0);
        float *tile = gate_sums + round_up((size_t)project->in.channels, TILE_CHANNELS);
        shares_sum(engine, project, image, gate_sums);
        squeeze_backward(run, project, &group, gate_sums, tile, shared_q(engine, project, image));
    }
    thread_team_run(engine->team, share_finish_task, run, run->tasks);
}

size_t project_shares_tiles(const CpuEngine *engine, const Pass *pass, const Project *project, size_t *sums) {
    size_t batch = (size_t)engine->options.batch, in = (size_t)project->in.channels;
    *sums = batch * (size_t)project->shares * SHARE_SUMS * in + batch * in;
    if (pass->kind == PASS_PROJECT_BACKWARD) return weights_kept(engine, pass) + batch * (size_t)project->pixels * in;
    return project->gate ? batch * (size_t)project->tiles * tile_floats(project->in.channels) : 0;
}
