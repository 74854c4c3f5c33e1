/* cpu_batch_norm.c - from partial moments to batch norm's vectors, and from partial sums to its gradients.
 *
 * Moments are two-level: fp32 mean and squared differences within a tile of at most 96 rows (differences taken from
 * that tile's own mean, so a large mean costs nothing), fp64 across tiles and tasks, merged by Chan, Golub and LeVeque
 * (1983). Channels are shared out among the threads in blocks of 64. */
#include "backend/cpu/cpu_engine.h"

#include <math.h>
#include <string.h>

double *task_partial(const PassRun *run, int task, int channels) {
    return run->engine->partial + (size_t)task * 2 * (size_t)channels;
}

void partial_clear(const PassRun *run, int task, int channels) {
    memset(task_partial(run, task, channels), 0, 2 * (size_t)channels * sizeof(double));
    run->engine->partial_count[task] = 0;
}

void moments_merge(const PassRun *run, int task, const Stored *x, size_t stride, int rows, int channels, int first,
                   int count, double seen, float *scratch) {
    double *mean = task_partial(run, task, channels) + first, *m2 = mean + channels;
    float *tile_mean = scratch, *tile_m2 = scratch + count;
    run->engine->kernels->column_moments(x, stride, rows, count, tile_mean, tile_m2);
    double total = seen + rows, share = rows / total, weight = seen * share;
    for (int c = 0; c < count; c++) {
        double delta = tile_mean[c] - mean[c];
        mean[c] += delta * share;
        m2[c] += tile_m2[c] + delta * delta * weight;
    }
}

typedef struct FinishRun {
    PassRun *run;
    int batch_norm;
} FinishRun;

static void set_vectors(const CpuEngine *engine, const EngineForward *call, const Op *op, BnState *state, int c,
                        double mean, double variance) {
    const float *weight = call->parameters + engine->network->parameters[op->weight].offset;
    const float *bias = call->parameters + engine->network->parameters[op->bias].offset;
    state->mean[c] = (float)mean;
    state->inverse[c] = (float)(1.0 / sqrt(variance + engine->network->config.bn_eps));
    state->scale[c] = weight[c] * state->inverse[c];
    state->bias[c] = bias[c];
}

void batch_norm_set(const PassRun *run, int batch_norm, int channel, double mean, double variance, double values) {
    CpuEngine *engine = run->engine;
    const Op *op = &engine->network->ops[batch_norm];
    const ModelConfig *config = &engine->network->config;
    float *running_mean = run->call->statistics + engine->network->statistics[op->running_mean].offset + channel;
    float *running_variance =
        run->call->statistics + engine->network->statistics[op->running_variance].offset + channel;
    set_vectors(engine, run->call, op, &engine->batch_norms[batch_norm], channel, mean, variance);
    double momentum = config->bn_momentum, unbiased = config->bn_unbiased && values > 1 ? values / (values - 1) : 1;
    *running_mean = (float)(momentum * *running_mean + (1 - momentum) * mean);
    *running_variance = (float)(momentum * *running_variance + (1 - momentum) * variance * unbiased);
}

void moments_of_tasks(const PassRun *run, int channels, int channel, double *mean, double *m2) {
    double seen = 0;
    *mean = *m2 = 0;
    for (int t = 0; t < run->tasks; t++) {
        const double *partial = task_partial(run, t, channels) + channel;
        double count = run->engine->partial_count[t], total = seen + count, delta = partial[0] - *mean;
        *mean += delta * count / total;
        *m2 += partial[channels] + delta * delta * seen * count / total;
        seen = total;
    }
}

static void block_range(const FinishRun *finish, int task, int *first, int *end) {
    int channels = finish->run->engine->batch_norms[finish->batch_norm].channels;
    *first = task * TILE_CHANNELS;
    *end = *first + TILE_CHANNELS < channels ? *first + TILE_CHANNELS : channels;
}

/* mean and m2 of every channel, in `exchanged`. */
static void merge_block(void *context, int task, int thread) {
    (void)thread;
    const FinishRun *finish = context;
    CpuEngine *engine = finish->run->engine;
    int channels = engine->batch_norms[finish->batch_norm].channels, first, end;
    block_range(finish, task, &first, &end);
    for (int c = first; c < end; c++)
        moments_of_tasks(finish->run, channels, c, &engine->exchanged[c], &engine->exchanged[channels + c]);
}

static void finish_block(void *context, int task, int thread) {
    const FinishRun *finish = context;
    CpuEngine *engine = finish->run->engine;
    const BnState *state = &engine->batch_norms[finish->batch_norm];
    int first, end;
    block_range(finish, task, &first, &end);
    if (!finish->run->call->exchange) merge_block(context, task, thread);
    for (int c = first; c < end; c++) {
        double mean = engine->exchanged[c], m2 = engine->exchanged[state->channels + c];
        batch_norm_set(finish->run, finish->batch_norm, c, mean, m2 > 0 || isnan(m2) ? m2 / state->count : 0,
                       state->count);
    }
}

void batch_norm_finish(PassRun *run, int batch_norm, double values) {
    CpuEngine *engine = run->engine;
    BnState *state = &engine->batch_norms[batch_norm];
    const size_t channels = (size_t)state->channels;
    FinishRun finish = {run, batch_norm};
    state->count = state->own_count = values;
    if (run->call->exchange) {
        double *moments = engine->exchanged;
        thread_team_run(engine->team, merge_block, &finish, channel_blocks(state->channels));
        run->status = exchange_moments(run->call->exchange, channels, &state->count, moments, moments + channels,
                                       moments + 2 * channels, run->err);
        if (run->status != EFFNET_OK) return;
    }
    thread_team_run(engine->team, finish_block, &finish, channel_blocks(state->channels));
}

void batch_norm_from_running(CpuEngine *engine, const EngineForward *call, int batch_norm) {
    const Op *op = &engine->network->ops[batch_norm];
    BnState *state = &engine->batch_norms[batch_norm];
    const float *mean = call->statistics + engine->network->statistics[op->running_mean].offset;
    const float *variance = call->statistics + engine->network->statistics[op->running_variance].offset;
    state->count = state->own_count = 1; /* nothing is divided by it */
    for (int c = 0; c < state->channels; c++) {
        set_vectors(engine, call, op, state, c, mean[c], variance[c]);
        if (engine->folded) state->folded[c] = state->bias[c] - state->mean[c] * state->scale[c];
    }
}

void sums_merge(const PassRun *run, int task, float *sum, float *sum_centred, int channels, int first, int count) {
    double *partial = task_partial(run, task, channels) + first;
    for (int c = 0; c < count; c++) {
        partial[c] += sum[c];
        partial[channels + c] += sum_centred[c];
        sum[c] = sum_centred[c] = 0;
    }
}

/* dy = scale (dz - mean(dz) - yhat mean(dz yhat)), yhat = (y - mean) inverse (Ioffe and Szegedy, arXiv 1502.03167):
 * alpha = scale, beta = -scale inverse^2 sum(dz (y - mean)) / n, delta = -scale sum(dz) / n. Where frozen, mean and
 * variance do not depend on y: dy = scale dz. */
static void set_gradient_vectors(BnState *state, int c, double sum, double sum_centred) {
    double inverse = state->inverse[c], scale = state->scale[c];
    state->alpha[c] = state->scale[c];
    state->beta[c] = (float)(-scale * inverse * inverse * sum_centred / state->count);
    state->delta[c] = (float)(-scale * sum / state->count);
}

/* The sums, and the gradients of scale and bias, which stay the replica's own; where alone, the vectors too. */
static void finish_gradient_block(void *context, int task, int thread) {
    (void)thread;
    const FinishRun *finish = context;
    PassRun *run = finish->run;
    CpuEngine *engine = run->engine;
    const Op *op = &engine->network->ops[finish->batch_norm];
    BnState *state = &engine->batch_norms[finish->batch_norm];
    float *weight_gradient = run->gradients + engine->network->parameters[op->weight].offset;
    float *bias_gradient = run->gradients + engine->network->parameters[op->bias].offset;
    int channels = state->channels, first, end;
    block_range(finish, task, &first, &end);
    for (int c = first; c < end; c++) {
        double sum = 0, sum_centred = 0;
        for (int t = 0; t < run->tasks; t++) {
            const double *partial = task_partial(run, t, channels);
            sum += partial[c];
            sum_centred += partial[channels + c];
        }
        float by_weight = (float)(state->inverse[c] * sum_centred), by_bias = (float)sum;
        weight_gradient[c] = run->accumulate ? weight_gradient[c] + by_weight : by_weight;
        bias_gradient[c] = run->accumulate ? bias_gradient[c] + by_bias : by_bias;
        engine->exchanged[c] = sum;
        engine->exchanged[channels + c] = sum_centred;
        if (op->frozen)
            set_gradient_vectors(state, c, 0, 0);
        else if (!run->call->exchange)
            set_gradient_vectors(state, c, sum, sum_centred);
    }
}

void batch_norm_finish_gradient(PassRun *run, int batch_norm) {
    FinishRun finish = {run, batch_norm};
    BnState *state = &run->engine->batch_norms[batch_norm];
    const BatchNormExchange *exchange = run->call->exchange;
    double *sums = run->engine->exchanged;
    thread_team_run(run->engine->team, finish_gradient_block, &finish, channel_blocks(state->channels));
    if (!exchange || run->engine->network->ops[batch_norm].frozen) return;
    run->status = exchange->sum(exchange->context, sums, 2 * (size_t)state->channels, run->err);
    if (run->status != EFFNET_OK) return;
    for (int c = 0; c < state->channels; c++) set_gradient_vectors(state, c, sums[c], sums[state->channels + c]);
}
