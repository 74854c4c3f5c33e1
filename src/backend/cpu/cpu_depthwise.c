/* cpu_depthwise.c - depthwise convolutions forward, row by row (cpu_depthwise.h): a = activation(bn(y)) -> u, and u's
 * moments. */
#include "backend/cpu/cpu_depthwise.h"

#include <string.h>

enum { MOMENT_PIXELS = 96 };

void depthwise_forward_rows(const PassRun *run, const Geometry *g, int image, int y, int end, int c, int count,
                            int *loaded, float *ring, const ExpandScratch *expand) {
    const CpuEngine *engine = run->engine;
    size_t out_stride = (size_t)g->out.channels, ring_row = (size_t)g->row_width * (size_t)g->block;
    size_t at = (size_t)image * shape_floats(g->out) + (size_t)c;
    const float *weights = (const float *)engine->packed[run->pass->op] + (size_t)c * (size_t)(g->kernel * g->kernel);
    if (*loaded < 0) *loaded = y * g->stride > g->op->pad_top ? y * g->stride - g->op->pad_top : 0;
    for (; y < end; y++) {
        int top = y * g->stride - g->op->pad_top;
        for (; *loaded < top + g->kernel && *loaded < g->in.height; ++*loaded)
            depthwise_load_row(run, g, expand, image, *loaded, c, count,
                               ring + (size_t)(*loaded % g->kernel) * ring_row, NULL);
        const float *rows[MAX_KERNEL];
        for (int ky = 0; ky < g->kernel; ky++)
            rows[ky] =
                top + ky < 0 || top + ky >= g->in.height ? NULL : ring + (size_t)((top + ky) % g->kernel) * ring_row;
        engine->kernels->depthwise_row(rows, weights, g->kernel, g->stride, g->out.width, count, g->row_width,
                                       folded_bias(engine, run->pass->batch_norm, c),
                                       buffer_at(engine, run->pass->raw, at + (size_t)(y * g->out.width) * out_stride),
                                       out_stride);
    }
}

/* Rows of the whole batch whose moments are merged at once: about MOMENT_PIXELS pixels, still in the cache. */
static int moment_rows(const Geometry *g) {
    return (MOMENT_PIXELS + g->out.width - 1) / g->out.width;
}

static void depthwise_forward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Geometry g = depthwise_geometry(run->engine, run->pass->op);
    float *ring = thread_scratch(run->engine, thread);
    size_t ring_floats = (size_t)g.kernel * (size_t)g.row_width * (size_t)g.block;
    ExpandScratch expand =
        depthwise_expand_scratch(run->engine, run->pass, &g, ring + ring_floats + 2 * (size_t)g.block);
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, g.out.channels);
    size_t line = (size_t)g.out.width * (size_t)g.out.channels;
    memset(ring, 0, ring_floats * sizeof *ring); /* the borders stay zero: loads write between them */
    for (int c = 0; c < g.in.channels; c += g.block) {
        int count = g.in.channels - c < g.block ? g.in.channels - c : g.block;
        int loaded = -1;
        for (int row = begin; row < end;) {
            int stop = row + moment_rows(&g) < end ? row + moment_rows(&g) : end, first = row;
            while (row < stop) {
                int image = row / g.out.height, y = row % g.out.height;
                int last = stop - row < g.out.height - y ? y + stop - row : g.out.height;
                depthwise_forward_rows(run, &g, image, y, last, c, count, &loaded, ring, &expand);
                row += last - y;
                if (last == g.out.height) loaded = -1;
            }
            if (takes_moments(run))
                moments_merge(run, task, buffer_at(run->engine, run->pass->raw, (size_t)first * line + (size_t)c),
                              (size_t)g.out.channels, (stop - first) * g.out.width, g.out.channels, c, count,
                              (double)(first - begin) * g.out.width, ring + ring_floats);
        }
    }
    run->engine->partial_count[task] = (double)(end - begin) * g.out.width;
}

void depthwise_forward(PassRun *run) {
    if (depthwise_forward_few(run)) return;
    TensorShape out = buffer_shape(run->engine, run->pass->raw);
    Geometry g = depthwise_geometry(run->engine, run->pass->op);
    run_split(run, run->call->batch * out.height, MAX_TASKS, run->call->training ? moment_rows(&g) : 1);
    thread_team_run(run->engine->team, depthwise_forward_task, run, run->tasks);
    if (takes_moments(run))
        batch_norm_finish(run, run->pass->batch_norm, (double)run->call->batch * out.height * out.width);
}
