/* cpu_residual.c - the residual, forward: x' = bn(p) * drop path + x; and the sums that p's batch norm needs from the
 * gradient of its output, g * drop path. Both image by image. */
#include "backend/cpu/cpu_engine.h"

#include "backend/cpu/small_math.h"

static void residual_task(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    TensorShape shape = buffer_shape(engine, pass->raw);
    BnVectors p_storage, x_storage;
    const BnVectors *p_bn = pending(engine, pass->input, 0, &p_storage);
    const BnVectors *x_bn = pending(engine, pass->residual, 0, &x_storage);
    int begin, end;
    task_range(run, task, &begin, &end);
    for (int image = begin; image < end; image++) {
        size_t at = (size_t)image * shape_floats(shape);
        engine->kernels->residual_rows(buffer_at(engine, pass->input.buffer, at), p_bn,
                                       drop_path_factor(run, pass->op, image),
                                       buffer_at(engine, pass->residual.buffer, at), x_bn, shape.height * shape.width,
                                       shape.channels, buffer_at(engine, pass->raw, at));
    }
}

void residual_forward(PassRun *run) {
    run_split(run, run->call->batch, MAX_TASKS, 1);
    thread_team_run(run->engine->team, residual_task, run, run->tasks);
}

static void reduce_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const Pass *pass = run->pass;
    TensorShape shape = buffer_shape(engine, pass->raw);
    const float *mean = engine->batch_norms[pass->batch_norm].mean;
    float *sum = thread_scratch(engine, thread), *sum_centred = sum + shape.channels;
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, shape.channels);
    for (int c = 0; c < 2 * shape.channels; c++) sum[c] = 0;
    for (int image = begin; image < end; image++) {
        size_t at = (size_t)image * shape_floats(shape);
        engine->kernels->gradient_sums(buffer_at(engine, pass->gradient, at), buffer_at(engine, pass->raw, at),
                                       shape.height * shape.width, shape.channels,
                                       drop_path_factor(run, pass->residual_op, image), mean, sum, sum_centred);
        sums_merge(run, task, sum, sum_centred, shape.channels, 0, shape.channels);
    }
}

void reduce_backward(PassRun *run) {
    run_split(run, run->call->batch, MAX_TASKS, 1);
    thread_team_run(run->engine->team, reduce_task, run, run->tasks);
    batch_norm_finish_gradient(run, run->pass->batch_norm);
}
