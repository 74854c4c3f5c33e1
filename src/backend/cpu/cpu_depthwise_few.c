/* cpu_depthwise_few.c - depthwise convolutions in inference on a few images: a task is some rows of an image in one block
 * of channels. Few rows a task would load the kernel's overlap again and again; blocks of channels overlap nowhere. */
#include "backend/cpu/cpu_depthwise.h"

#include <string.h>

enum { FEW_IMAGES = 8, FEW_ROWS = 14 };

static Geometry few_geometry(const CpuEngine *engine, int op) {
    Geometry g = depthwise_geometry(engine, op);
    if (g.block > TILE_CHANNELS) g.block = TILE_CHANNELS;
    return g;
}

static int few_parts(const Geometry *g) {
    return (g->out.height + FEW_ROWS - 1) / FEW_ROWS;
}

static void few_task(void *context, int task, int thread) {
    const PassRun *run = context;
    Geometry g = few_geometry(run->engine, run->pass->op);
    int blocks = (g.in.channels + g.block - 1) / g.block, parts = few_parts(&g), loaded = -1;
    int c = task % blocks * g.block, part = task / blocks % parts, image = task / blocks / parts;
    int count = g.in.channels - c < g.block ? g.in.channels - c : g.block;
    int y = part * FEW_ROWS, end = y + FEW_ROWS < g.out.height ? y + FEW_ROWS : g.out.height;
    float *ring = thread_scratch(run->engine, thread);
    size_t ring_floats = (size_t)g.kernel * (size_t)g.row_width * (size_t)g.block;
    ExpandScratch expand = depthwise_expand_scratch(run->engine, run->pass, &g, ring + ring_floats);
    memset(ring, 0, ring_floats * sizeof *ring);
    depthwise_forward_rows(run, &g, image, y, end, c, count, &loaded, ring, &expand);
}

bool depthwise_forward_few(PassRun *run) {
    if (run->engine->options.training || run->engine->options.batch >= FEW_IMAGES) return false;
    Geometry g = few_geometry(run->engine, run->pass->op);
    thread_team_run(run->engine->team, few_task, run,
                    run->call->batch * few_parts(&g) * ((g.in.channels + g.block - 1) / g.block));
    return true;
}
