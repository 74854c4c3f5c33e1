/* cpu_few_rows.c - matrix products of few rows in inference: late layers on an image or two, 7 x 7 pixels each. Shared out
 * by rows, every thread would fetch all of the weights, and 49 rows in blocks of 32 are 32 for one thread and 17 for the
 * other; so tasks are panels of columns. Each thread fills a tile of its own at its first task: one that another has
 * written would come from that one's cache, line by line. */
#include "backend/cpu/cpu_engine.h"

bool few_rows(const CpuEngine *engine, const Op *op, int rows) {
    /* In int8 each product rounds its rows to bytes first, which a task for each panel would do again. */
    return !engine->options.training && rows <= TILE_ROWS && products(engine, op) != &engine->int8;
}

typedef struct ColumnsRun {
    const PassRun *run;
    const CpuKernels *kernels;
    FewRowsLoad *load;
    int rows, depth, columns;
    Stored *to;
} ColumnsRun;

enum { MARK_FLOATS = 16 }; /* between two threads' marks: a cache line */

static float *mark_of(const CpuEngine *engine, int thread) {
    return engine->few_rows_marks + (size_t)thread * MARK_FLOATS;
}

size_t few_rows_marks(int threads) {
    return (size_t)threads * MARK_FLOATS;
}

static void columns_task(void *context, int task, int thread) {
    const ColumnsRun *work = context;
    const PassRun *run = work->run;
    const CpuKernels *kernels = work->kernels;
    const CpuEngine *engine = run->engine;
    const int first = task * kernels->gemm_columns, left = work->columns - first;
    Tile *tile = thread_scratch(engine, thread);
    if (*mark_of(engine, thread) == 0) {
        work->load(run, work->rows, tile);
        *mark_of(engine, thread) = 1;
    }
    kernels->gemm_tile(tile, TILE_ROWS, work->rows, work->depth,
                       packed_column(kernels, engine->packed[run->pass->op], work->depth, first),
                       left < kernels->gemm_columns ? left : kernels->gemm_columns,
                       value_at(engine, work->to, (size_t)first), (size_t)work->columns, NULL,
                       folded_bias(engine, run->pass->batch_norm, first));
}

void few_rows_product(const PassRun *run, FewRowsLoad *load, int rows, int depth, int columns, Stored *to) {
    const CpuEngine *engine = run->engine;
    const CpuKernels *kernels = products(engine, &engine->network->ops[run->pass->op]);
    ColumnsRun work = {run, kernels, load, rows, depth, columns, to};
    for (int i = 0; i < thread_team_size(engine->team); i++) *mark_of(engine, i) = 0;
    thread_team_run(engine->team, columns_task, &work, (columns + kernels->gemm_columns - 1) / kernels->gemm_columns);
}
