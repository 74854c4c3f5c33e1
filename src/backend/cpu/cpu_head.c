/* cpu_head.c - global pooling of activation(bn(y)), dropout and the classifier, forward and backward. */
#include "backend/cpu/cpu_engine.h"

#include <string.h>

enum { DENSE_COLUMNS = 256 }; /* classes or features a task */

size_t head_scratch(const CpuEngine *engine, const Pass *pass) {
    (void)pass;
    int widest = engine->network->features > engine->network->config.num_classes ? engine->network->features
                                                                                 : engine->network->config.num_classes;
    return tile_floats(widest) + 2 * (size_t)widest;
}

static float dropout_factor(const PassRun *run, int image, int feature) {
    if (!run->call->dropout_scale || !run->call->training) return 1.0f;
    return run->call->dropout_scale[(size_t)image * (size_t)run->engine->network->features + (size_t)feature];
}

static void pool_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    TensorShape in = buffer_shape(engine, pass->input.buffer);
    BnVectors storage;
    const BnVectors *bn = pending(engine, pass->input, 0, &storage);
    int begin, end, pixels = in.height * in.width;
    task_range(run, task, &begin, &end);
    for (int image = begin; image < end; image++) {
        float *features = exact_buffer(engine, pass->raw) + (size_t)image * (size_t)in.channels;
        memset(features, 0, (size_t)in.channels * sizeof *features);
        engine->kernels->tile_pool(buffer_at(engine, pass->input.buffer, (size_t)image * shape_floats(in)),
                                   (size_t)in.channels, pixels, in.channels, bn, pass->input.activation, NULL, 0,
                                   features);
        for (int c = 0; c < in.channels; c++) features[c] *= dropout_factor(run, image, c) / (float)pixels;
    }
}

void pool_forward(PassRun *run) {
    run_split(run, run->call->batch, MAX_TASKS, 1);
    thread_team_run(run->engine->team, pool_task, run, run->tasks);
}

static void pool_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    TensorShape in = buffer_shape(engine, pass->input.buffer);
    int begin, end, pixels = in.height * in.width, channels = in.channels;
    float *gradient = thread_scratch(engine, thread), *sum = gradient + channels, *sum_centred = sum + channels;
    BnVectors bn;
    pending(engine, pass->input, 0, &bn);
    task_range(run, task, &begin, &end);
    partial_clear(run, task, channels);
    memset(sum, 0, 2 * (size_t)channels * sizeof *sum);
    for (int image = begin; image < end; image++) {
        const float *features = exact_buffer(engine, pass->gradient) + (size_t)image * (size_t)channels;
        size_t at = (size_t)image * shape_floats(in);
        for (int c = 0; c < channels; c++) gradient[c] = features[c] * dropout_factor(run, image, c) / (float)pixels;
        engine->kernels->pool_gradient(buffer_at(engine, pass->input.buffer, at), pixels, channels, &bn,
                                       pass->input.activation, gradient, buffer_at(engine, pass->gradient_out, at), sum,
                                       sum_centred);
        sums_merge(run, task, sum, sum_centred, channels, 0, channels);
    }
}

void pool_backward(PassRun *run) {
    run_split(run, run->call->batch, MAX_TASKS, 1);
    thread_team_run(run->engine->team, pool_backward_task, run, run->tasks);
    batch_norm_finish_gradient(run, run->pass->input.batch_norm);
}

/* ---- classifier ------------------------------------------------------------------------------------------------ */

/* out (batch, columns) = x (batch, depth) * packed, columns of one task. */
typedef struct DenseRun {
    PassRun *run;
    const float *x, *bias;
    const Packed *packed;
    int depth, columns;
    float *out;
} DenseRun;

static void dense_task(void *context, int task, int thread) {
    const DenseRun *dense = context;
    const CpuEngine *engine = dense->run->engine;
    float *tile = thread_scratch(engine, thread);
    int first = task * DENSE_COLUMNS, batch = dense->run->call->batch;
    int columns = dense->columns - first < DENSE_COLUMNS ? dense->columns - first : DENSE_COLUMNS;
    for (int row = 0; row < batch; row += TILE_ROWS) {
        int rows = batch - row < TILE_ROWS ? batch - row : TILE_ROWS;
        float *out = dense->out + (size_t)row * (size_t)dense->columns + first;
        engine->exact->tile_fill(dense->x + (size_t)row * (size_t)dense->depth, (size_t)dense->depth, rows,
                                 dense->depth, tile, TILE_ROWS);
        engine->exact->gemm_tile(tile, TILE_ROWS, rows, dense->depth,
                                 packed_column(engine->exact, dense->packed, dense->depth, first), columns, out,
                                 (size_t)dense->columns, NULL, dense->bias ? dense->bias + first : NULL);
    }
}

static void dense_run(PassRun *run, const float *x, int depth, const Packed *packed, int columns, const float *bias,
                      float *out) {
    DenseRun dense = {run, x, bias, packed, depth, columns, out};
    thread_team_run(run->engine->team, dense_task, &dense, (columns + DENSE_COLUMNS - 1) / DENSE_COLUMNS);
}

void dense_forward(PassRun *run) {
    const Network *network = run->engine->network;
    dense_run(run, exact_buffer(run->engine, run->pass->input.buffer), network->features,
              run->engine->packed[run->pass->op], network->config.num_classes,
              parameter_data(run, network->ops[run->pass->op].bias), run->call->logits);
}

void dense_backward(PassRun *run) {
    const Network *network = run->engine->network;
    const Op *op = &network->ops[run->pass->op];
    small_weights_gradient(run, run->logits_gradient, network->config.num_classes,
                           exact_buffer(run->engine, run->pass->input.buffer), network->features, run->call->batch,
                           op->weight, op->bias);
    dense_run(run, run->logits_gradient, network->config.num_classes, run->engine->packed_back[run->pass->op],
              network->features, NULL, exact_buffer(run->engine, run->pass->gradient_out));
}
