/* cpu_project_few.c - squeeze-excite and projection at inference on a few images, in a phase before the squeeze and one
 * after it. Shared out among the threads are tiles of an image; or, where all pixels fit into one tile, blocks of channels
 * and then of columns (cpu_few_rows.c). */
#include "backend/cpu/cpu_project.h"

#include <string.h>

enum { FEW_GROUPS = LEAST_GROUPS, FEW_LEAST_ROWS = 16 };

/* Rows of a task's tile: an eighth of an image, within reason. */
static int tile_height(const Project *project) {
    int share = (int)round_up((size_t)(project->pixels + 7) / 8, 8);
    return share > TILE_ROWS ? TILE_ROWS : share < FEW_LEAST_ROWS ? FEW_LEAST_ROWS : share;
}

static int few_tiles(const Project *project) {
    return (project->pixels + tile_height(project) - 1) / tile_height(project);
}

bool project_is_few(const PassRun *run, const Project *project) {
    return !run->engine->options.training && run->engine->options.batch < FEW_GROUPS && project->gate;
}

/* Task: a tile of an image. */
typedef struct FewTile {
    int image, first, rows; /* of the image's pixels */
    float *tile, *sums;
} FewTile;

static FewTile few_tile(const CpuEngine *engine, const Project *project, int task) {
    int tiles = few_tiles(project), most = tile_height(project);
    FewTile tile = {.image = task / tiles, .first = task % tiles * most};
    tile.rows = project->pixels - tile.first < most ? project->pixels - tile.first : most;
    size_t floats = round_up((size_t)project->in.channels, TILE_CHANNELS) * (size_t)most;
    tile.tile = engine->shared_tiles + (size_t)task * floats;
    tile.sums = engine->shared_sums + (size_t)task * (size_t)project->in.channels;
    return tile;
}

static void few_pool_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    FewTile tile = few_tile(engine, &project, task);
    size_t in = (size_t)project.in.channels;
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    size_t at = (size_t)tile.image * shape_floats(project.in) + (size_t)tile.first * in;
    memset(tile.sums, 0, in * sizeof *tile.sums);
    engine->kernels->tile_pool(buffer_at(engine, run->pass->input.buffer, at), in, tile.rows, project.in.channels, bn,
                               run->pass->input.activation, tile.tile, tile_height(&project), tile.sums);
}

static void few_project_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    Project project = project_of(engine, run->pass);
    FewTile tile = few_tile(engine, &project, task);
    int in = project.in.channels, out = project.out.channels, most = tile_height(&project);
    size_t at = (size_t)tile.image * shape_floats(project.out) + (size_t)tile.first * (size_t)out;
    engine->kernels->tile_scale(tile.tile, tile.tile, most, tile.rows, in,
                                project.gate->gate + (size_t)tile.image * (size_t)in);
    products(engine, project.op)
        ->gemm_tile(tile.tile, most, tile.rows, in, engine->packed[run->pass->op], out,
                    buffer_at(engine, run->pass->raw, at), (size_t)out, NULL,
                    folded_bias(engine, run->pass->batch_norm, 0));
}

/* ---- all in one tile ---- */

static bool in_one_tile(const CpuEngine *engine, const Project *project, int batch) {
    return few_rows(engine, project->op, batch * project->pixels);
}

static Tile *rows_of_image(const CpuEngine *engine, const Project *project, int image) {
    return value_at(engine, engine->shared_tiles, (size_t)(image * project->pixels) * TILE_CHANNELS);
}

/* Task: TILE_CHANNELS channels of an image. Sums are added up as those of few_pool_task are, so that a picture has the
 * same bits alone and among others. */
static void pool_channels_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const Project project = project_of(engine, run->pass);
    const int in = project.in.channels, blocks = channel_blocks(in), image = task / blocks,
              step = tile_height(&project);
    const int c = task % blocks * TILE_CHANNELS, count = in - c < TILE_CHANNELS ? in - c : TILE_CHANNELS;
    float *pooled = project.gate->pooled + (size_t)image * (size_t)in + c;
    Tile *tile = value_at(engine, rows_of_image(engine, &project, image), (size_t)c * TILE_ROWS);
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, c, &storage);
    memset(pooled, 0, (size_t)count * sizeof *pooled);
    for (int row = 0; row < project.pixels; row += step) {
        float sums[TILE_CHANNELS] = {0};
        const size_t at = (size_t)image * shape_floats(project.in) + (size_t)row * (size_t)in + (size_t)c;
        engine->kernels->tile_pool(buffer_at(engine, run->pass->input.buffer, at), (size_t)in,
                                   project.pixels - row < step ? project.pixels - row : step, count, bn,
                                   run->pass->input.activation, value_at(engine, tile, (size_t)row * TILE_CHANNELS),
                                   TILE_ROWS, sums);
        for (int i = 0; i < count; i++) pooled[i] += sums[i];
    }
    for (int i = 0; i < count; i++) pooled[i] /= (float)project.pixels;
}

static void load_gated(const PassRun *run, int rows, Tile *tile) {
    const CpuEngine *engine = run->engine;
    const Project project = project_of(engine, run->pass);
    const int in = project.in.channels;
    for (int image = 0; image * project.pixels < rows; image++)
        engine->kernels->tile_scale(rows_of_image(engine, &project, image),
                                    value_at(engine, tile, (size_t)(image * project.pixels) * TILE_CHANNELS), TILE_ROWS,
                                    project.pixels, in, project.gate->gate + (size_t)image * (size_t)in);
}

static void project_one_tile(PassRun *run, const Project *project) {
    const CpuEngine *engine = run->engine;
    const int batch = run->call->batch, in = project->in.channels;
    thread_team_run(engine->team, pool_channels_task, run, batch * channel_blocks(in));
    for (int image = 0; image < batch; image++) {
        const Group group = {image, 1, project->pixels};
        squeeze_forward(run, project, &group, thread_scratch(engine, 0));
    }
    few_rows_product(run, load_gated, batch * project->pixels, in, project->out.channels,
                     buffer_at(engine, run->pass->raw, 0));
}

void project_few(PassRun *run, const Project *project) {
    const CpuEngine *engine = run->engine;
    if (in_one_tile(engine, project, run->call->batch)) {
        project_one_tile(run, project);
        return;
    }
    int tiles = few_tiles(project), batch = run->call->batch;
    size_t in = (size_t)project->in.channels;
    thread_team_run(engine->team, few_pool_task, run, batch * tiles);
    for (int image = 0; image < batch; image++) {
        float *pooled = project->gate->pooled + (size_t)image * in;
        memset(pooled, 0, in * sizeof *pooled);
        for (int t = 0; t < tiles; t++)
            for (size_t c = 0; c < in; c++) pooled[c] += engine->shared_sums[(size_t)(image * tiles + t) * in + c];
        for (size_t c = 0; c < in; c++) pooled[c] /= (float)project->pixels;
    }
    for (int image = 0; image < batch; image++) { /* a group has one image's scratch at least */
        Group group = {image, 1, project->pixels};
        squeeze_forward(run, project, &group, thread_scratch(engine, 0));
    }
    thread_team_run(engine->team, few_project_task, run, batch * tiles);
}

size_t project_few_tiles(const CpuEngine *engine, const Project *project, size_t *sums) {
    *sums = 0;
    if (engine->options.training || engine->options.batch >= FEW_GROUPS || !project->gate) return 0;
    size_t tiles = (size_t)few_tiles(project) * (size_t)engine->options.batch;
    *sums = tiles * (size_t)project->in.channels;
    size_t floats = tiles * round_up((size_t)project->in.channels, TILE_CHANNELS) * (size_t)tile_height(project);
    const size_t whole = in_one_tile(engine, project, 1) ? tile_floats(project->in.channels) : 0;
    return floats > whole ? floats : whole;
}
