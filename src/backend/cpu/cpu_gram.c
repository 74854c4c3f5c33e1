/* cpu_gram.c - batch norm after an expand convolution y = x W that is never stored (docs/maths.md).
 *
 *   forward   mean(y) = mean(x) W and var(y_j) = W_j' C W_j from the mean and the centred second moments C of x
 *             (channels x channels): one trip over x, which has a sixth of y's channels
 *   backward  from H = sum xc' dz (xc = x - mean(x)) and sum dz, which the depthwise pass gathers as it makes dz:
 *             d scale_j = inverse_j W_j'H_j, d bias = sum dz, dW_j = scale_j H_j - n k_j C W_j with
 *             k_j = scale_j inverse_j d scale_j / n; and dx = dz (W scale)' - v - xc M with v = W scale sum dz / n and
 *             M = W k W'. The depthwise pass leaves the first term in dx; EXPAND_BACKWARD takes off the others.
 *
 * Numerics: x is shifted by the mean of the batch's first pixels before it is squared, sums are fp32 within a tile of
 * 96 pixels and fp64 across: a large mean with a small variance loses nothing. What is small (channels x channels) is
 * computed in fp64. What may be lost is a variance far smaller than the squares it is made of, where a filter takes the
 * difference of channels that are nearly alike: C carries fp32's rounding of those squares. Where they are MAGNIFIED
 * times the variance (and eps), all variances are computed from y itself, in one more trip that keeps nothing. */
#include "backend/cpu/cpu_engine.h"

#include <math.h>
#include <string.h>

static const double MAGNIFIED = 1000; /* times 6e-8, the rounding of a product: 6e-5 of a variance at most */

static GramState *gram_of(const PassRun *run) {
    return &run->engine->grams[run->pass->expand >= 0 ? run->pass->expand : run->pass->op];
}

/* Loads that give x - centre: what is pending on x, or nothing, with the centre taken off its bias. */
static void set_centred(const PassRun *run, GramState *gram, const double *centre) {
    BnVectors storage;
    const BnVectors *bn = pending(run->engine, run->pass->input, 0, &storage);
    for (int i = 0; i < gram->in; i++) {
        gram->centred_mean[i] = bn ? bn->mean[i] : (float)centre[i];
        gram->centred_scale[i] = bn ? bn->scale[i] : 1.0f;
        gram->centred_bias[i] = bn ? (float)(bn->bias[i] - centre[i]) : 0.0f;
    }
}

BnVectors gram_centred(const GramState *gram) {
    return (BnVectors){gram->centred_mean, gram->centred_scale, gram->centred_bias};
}

/* Mean of the first pixels of the batch, as the value that the convolution reads. */
static void first_means(const PassRun *run, const GramState *gram, int pixels, float *scratch, double *mean) {
    const CpuEngine *engine = run->engine;
    BnVectors storage;
    const BnVectors *bn = pending(engine, run->pass->input, 0, &storage);
    int rows = pixels < TILE_ROWS ? pixels : TILE_ROWS;
    engine->kernels->column_moments(buffer_at(engine, run->pass->input.buffer, 0), (size_t)gram->in, rows, gram->in,
                                    scratch, scratch + gram->in);
    for (int i = 0; i < gram->in; i++)
        mean[i] = bn ? (double)(scratch[i] - bn->mean[i]) * bn->scale[i] + bn->bias[i] : (double)scratch[i];
}

static size_t second_moments(int channels) {
    size_t c = (size_t)channels;
    return 2 * (c + c * c); /* doubles: sums, and sums of products */
}

size_t gram_slot_floats(const CpuEngine *engine, const Pass *pass) {
    return second_moments(engine->network->tensors[engine->network->ops[pass->op].input].channels);
}

size_t gram_scratch(const CpuEngine *engine, const Pass *pass) {
    size_t c = (size_t)engine->network->tensors[engine->network->ops[pass->op].input].channels;
    size_t moments = c * c + 2 * c, direct = (TILE_ROWS + 2) * TILE_CHANNELS;
    return tile_floats((int)c + 1) + (moments > direct ? moments : direct);
}

static double *gram_slot(const CpuEngine *engine, const GramState *gram, int task) {
    return (double *)(void *)(engine->slots + (size_t)task * second_moments(gram->in));
}

static void gram_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in;
    float *tile = thread_scratch(engine, thread), *products = tile + tile_floats(gram->in + 1);
    float *sums = products + c * c;
    double *slot = gram_slot(engine, gram, task);
    BnVectors shifted = gram_centred(gram);
    int begin, end;
    task_range(run, task, &begin, &end);
    memset(slot, 0, (c + c * c) * sizeof *slot);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        memset(sums, 0, c * sizeof *sums);
        engine->kernels->tile_pool(buffer_at(engine, run->pass->input.buffer, (size_t)first * c), c, rows, gram->in,
                                   &shifted, ACTIVATION_NONE, tile, TILE_ROWS, sums);
        engine->kernels->gemm_transposed(tile, tile, TILE_ROWS, rows, gram->in, gram->in, false, products, c);
        for (size_t i = 0; i < c; i++) slot[i] += sums[i];
        for (size_t i = 0; i < c * c; i++) slot[c + i] += products[i];
    }
}

/* A row of C. */
static void covariance_row(void *context, int row, int thread) {
    (void)thread;
    const PassRun *run = context;
    GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in, i = (size_t)row;
    for (size_t j = 0; j < c; j++) {
        double sum = 0;
        for (int task = 0; task < run->tasks; task++) sum += gram_slot(run->engine, gram, task)[c + i * c + j];
        gram->covariance[i * c + j] = sum / run->units - gram->offset[i] * gram->offset[j];
    }
}

/* 64 of the expanded channels: C W_j, which the backward pass needs again; mean and variance, kept until they are set
 * where the backward pass will have `share` and `mix`; and in rows[task] how much the worst variance is magnified. */
static void variances_block(void *context, int task, int thread) {
    (void)thread;
    const PassRun *run = context;
    GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in;
    int end = (task + 1) * TILE_CHANNELS < gram->out ? (task + 1) * TILE_CHANNELS : gram->out;
    for (int j = task * TILE_CHANNELS; j < end; j++) {
        const float *w = gram->filters + (size_t)j * c;
        double *correlated = gram->correlated + (size_t)j * c, mean = 0, variance = 0, squares = 0;
        memset(correlated, 0, c * sizeof *correlated);
        for (size_t k = 0; k < c; k++) {
            double factor = w[k];
            const double *row = gram->covariance + k * c;
            for (size_t i = 0; i < c; i++) correlated[i] += factor * row[i];
        }
        for (size_t i = 0; i < c; i++) {
            mean += gram->mean[i] * w[i];
            variance += correlated[i] * w[i];
            squares += (double)w[i] * w[i] * gram->covariance[i * c + i];
        }
        gram->share[j] = mean;
        gram->mix[j] = variance > 0 || isnan(variance) ? variance : 0;
        squares /= gram->mix[j] + run->engine->network->config.bn_eps;
        if (squares > gram->rows[task]) gram->rows[task] = squares;
    }
}

/* ---- variances from y itself ---- */

static void direct_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in;
    float *tile = thread_scratch(engine, thread), *y = tile + tile_floats(gram->in + 1);
    float *moments = y + TILE_ROWS * TILE_CHANNELS;
    BnVectors centred = gram_centred(gram);
    int begin, end;
    task_range(run, task, &begin, &end);
    partial_clear(run, task, gram->out);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        engine->kernels->tile_load(buffer_at(engine, run->pass->input.buffer, (size_t)first * c), c, rows, gram->in,
                                   &centred, ACTIVATION_NONE, tile, TILE_ROWS);
        for (int j = 0; j < gram->out; j += TILE_CHANNELS) {
            int count = gram->out - j < TILE_CHANNELS ? gram->out - j : TILE_CHANNELS;
            engine->kernels->gemm_tile(tile, TILE_ROWS, rows, gram->in,
                                       packed_column(engine->kernels, engine->packed[run->pass->op], gram->in, j),
                                       count, y, (size_t)count, NULL, NULL);
            moments_merge(run, task, y, (size_t)count, rows, gram->out, j, count, first - begin, moments);
        }
    }
    engine->partial_count[task] = end - begin;
}

static void direct_variances(PassRun *run) {
    const CpuEngine *engine = run->engine;
    GramState *gram = gram_of(run);
    run_split(run, run->units, MAX_TASKS, TILE_ROWS);
    thread_team_run(engine->team, direct_task, run, run->tasks);
    double *means = engine->exchanged, count = run->units;
    for (int j = 0; j < gram->out; j++) moments_of_tasks(run, gram->out, j, &means[j], &gram->mix[j]);
    if (run->call->exchange)
        run->status = exchange_moments(run->call->exchange, (size_t)gram->out, &count, means, gram->mix,
                                       means + gram->out, run->err);
    for (int j = 0; j < gram->out; j++) gram->mix[j] /= count;
}

/* The group's mean and covariance of x from the replica's own. */
static effnet_status exchange_covariance(const PassRun *run, GramState *gram, double *count) {
    const BatchNormExchange *exchange = run->call->exchange;
    double *offset = run->engine->exchanged, own = *count;
    size_t c = (size_t)gram->in;
    TRY(exchange_means(exchange, c, count, gram->mean, offset, run->err));
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++)
            gram->covariance[i * c + j] = own * (gram->covariance[i * c + j] + offset[i] * offset[j]);
    TRY(exchange->sum(exchange->context, gram->covariance, c * c, run->err));
    for (size_t i = 0; i < c * c; i++) gram->covariance[i] /= *count;
    return EFFNET_OK;
}

/* Whether C is too coarse for some filter. */
static bool is_magnified(const GramState *gram) {
    for (int block = 0; block < channel_blocks(gram->out); block++)
        if (gram->rows[block] > MAGNIFIED) return true;
    return false;
}

/* The filters as gemm_tile multiplies by them. */
static void copy_filters(const PassRun *run, GramState *gram) {
    const float *weights = parameter_data(run, run->engine->network->ops[run->pass->op].weight);
    const bool rounded = run->engine->kernels != run->engine->exact;
    for (size_t i = 0; i < (size_t)gram->in * (size_t)gram->out; i++)
        gram->filters[i] = rounded ? bfloat16_round(weights[i]) : weights[i];
}

void gram_forward(PassRun *run) {
    CpuEngine *engine = run->engine;
    if (!by_batch(run, run->pass->batch_norm)) return; /* the running statistics are set already */
    GramState *gram = gram_of(run);
    TensorShape in = engine->network->tensors[engine->network->ops[run->pass->op].input];
    int pixels = run->call->batch * in.height * in.width;
    BnState *state = &engine->batch_norms[run->pass->batch_norm];
    state->count = state->own_count = pixels;
    copy_filters(run, gram);
    first_means(run, gram, pixels, thread_scratch(engine, 0), gram->mean);
    set_centred(run, gram, gram->mean);
    run_split(run, pixels, slot_count(second_moments(gram->in)), TILE_ROWS);
    thread_team_run(engine->team, gram_task, run, run->tasks);
    for (int i = 0; i < gram->in; i++) {
        double sum = 0;
        for (int task = 0; task < run->tasks; task++) sum += gram_slot(engine, gram, task)[i];
        gram->offset[i] = sum / pixels;
        gram->mean[i] += gram->offset[i];
    }
    thread_team_run(engine->team, covariance_row, run, gram->in);
    if (run->call->exchange) run->status = exchange_covariance(run, gram, &state->count);
    if (run->status != EFFNET_OK) return;
    memset(gram->rows, 0, (size_t)channel_blocks(gram->out) * sizeof *gram->rows);
    thread_team_run(engine->team, variances_block, run, channel_blocks(gram->out));
    set_centred(run, gram, gram->mean);
    if (is_magnified(gram)) direct_variances(run); /* in every replica or in none: the covariance is the group's */
    if (run->status != EFFNET_OK) return;
    for (int j = 0; j < gram->out; j++) {
        batch_norm_set(run, run->pass->batch_norm, j, gram->share[j], gram->mix[j], state->count);
        state->mean[j] = 0; /* its rows are made from x - mean(x) */
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* (W scale)': depth out, columns in, a pack for each block of `block` expanded channels. */
typedef struct ScaleRun {
    PassRun *run;
    int block;
} ScaleRun;

static void scaled_block(void *context, int task, int thread) {
    (void)thread;
    const ScaleRun *scale = context;
    const PassRun *run = scale->run;
    const CpuEngine *engine = run->engine;
    GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in, first = (size_t)task * (size_t)scale->block;
    size_t count = (size_t)gram->out - first < (size_t)scale->block ? (size_t)gram->out - first : (size_t)scale->block;
    const float *factor = engine->batch_norms[run->pass->expanded.batch_norm].scale;
    for (size_t j = first; j < first + count; j++)
        for (size_t i = 0; i < c; i++) gram->scaled[j * c + i] = gram->filters[j * c + i] * factor[j];
    pack_weights(engine->kernels, gram->scaled + first * c, c, 1, (int)count, gram->in, NULL,
                 (float *)gram->packed_scaled + gram_packed_block(engine, gram, scale->block) * (size_t)task);
}

size_t gram_packed_block(const CpuEngine *engine, const GramState *gram, int block) {
    return packed_floats(engine->kernels, block, gram->in);
}

void gram_scale(PassRun *run, int block) {
    ScaleRun scale = {run, block};
    thread_team_run(run->engine->team, scaled_block, &scale, (gram_of(run)->out + block - 1) / block);
}

typedef struct GradientRun {
    PassRun *run;
    const float *slots; /* H of the first task, (in, out) */
    size_t slot_floats; /* to the next task's */
} GradientRun;

/* 64 of the expanded channels: H, and in `exchanged` sum dz and d scale, this replica's, with their gradients. */
static void sums_block(void *context, int task, int thread) {
    (void)thread;
    const GradientRun *gradient = context;
    PassRun *run = gradient->run;
    CpuEngine *engine = run->engine;
    GramState *gram = gram_of(run);
    const Op *norm = &engine->network->ops[run->pass->expanded.batch_norm];
    const Parameter *parameters = engine->network->parameters;
    const BnState *state = &engine->batch_norms[run->pass->expanded.batch_norm];
    size_t c = (size_t)gram->in, out = (size_t)gram->out;
    float *to_scale = run->gradients + parameters[norm->weight].offset;
    float *to_bias = run->gradients + parameters[norm->bias].offset;
    int first = task * TILE_CHANNELS, end = first + TILE_CHANNELS < gram->out ? first + TILE_CHANNELS : gram->out;
    double h[TILE_CHANNELS], dot[TILE_CHANNELS] = {0};
    for (size_t i = 0; i < c; i++) { /* H, kept where `scaled` was: that is not needed any more */
        for (int j = first; j < end; j++) h[j - first] = 0;
        for (int t = 0; t < run->tasks; t++) {
            const float *from = gradient->slots + (size_t)t * gradient->slot_floats + i * out;
            for (int j = first; j < end; j++) h[j - first] += from[j];
        }
        for (int j = first; j < end; j++) {
            gram->scaled[(size_t)j * c + i] = (float)h[j - first];
            dot[j - first] += h[j - first] * gram->filters[(size_t)j * c + i];
        }
    }
    for (int j = first; j < end; j++) {
        double sum = 0, by_scale = state->inverse[j] * dot[j - first];
        for (int t = 0; t < run->tasks; t++) sum += task_partial(run, t, gram->out)[j];
        engine->exchanged[j] = sum;
        engine->exchanged[out + (size_t)j] = by_scale;
        to_scale[j] = run->accumulate ? to_scale[j] + (float)by_scale : (float)by_scale;
        to_bias[j] = run->accumulate ? to_bias[j] + (float)sum : (float)sum;
    }
}

/* And from the group's: k and scale sum dz / n, which dx's other terms are made of, and the weights' gradients. The
 * replicas' shares of the term with C are as their numbers of pixels: they add up to the group's. */
static void gradient_block(void *context, int task, int thread) {
    (void)thread;
    const GradientRun *gradient = context;
    PassRun *run = gradient->run;
    CpuEngine *engine = run->engine;
    GramState *gram = gram_of(run);
    const BnState *state = &engine->batch_norms[run->pass->expanded.batch_norm];
    const Op *conv = &engine->network->ops[run->pass->expand];
    float *to_weights = run->gradients + engine->network->parameters[conv->weight].offset;
    size_t c = (size_t)gram->in;
    int first = task * TILE_CHANNELS, end = first + TILE_CHANNELS < gram->out ? first + TILE_CHANNELS : gram->out;
    for (int j = first; j < end; j++) {
        double inverse = state->inverse[j], scale = state->scale[j], n = state->count;
        gram->mix[j] = scale * inverse * engine->exchanged[gram->out + j] / n;
        gram->share[j] = scale * engine->exchanged[j] / n;
        for (size_t i = 0; i < c; i++) {
            size_t at = (size_t)j * c + i;
            float dw = (float)(gram->scaled[at] * scale - state->own_count * gram->mix[j] * gram->correlated[at]);
            to_weights[at] = run->accumulate ? to_weights[at] + dw : dw;
        }
    }
}

/* Row `row` of -M; row `in` of it is -v. */
static void mix_row(void *context, int row, int thread) {
    (void)thread;
    const PassRun *run = context;
    GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in, i = (size_t)row;
    double *sums = gram->rows + i * c;
    memset(sums, 0, c * sizeof *sums);
    for (size_t j = 0; j < (size_t)gram->out; j++) {
        const float *w = gram->filters + j * c;
        double factor = i < c ? gram->mix[j] * w[i] : gram->share[j];
        for (size_t k = 0; k < c; k++) sums[k] -= factor * w[k];
    }
    for (size_t k = 0; k < c; k++) gram->mixed[i * c + k] = (float)sums[k];
}

void gram_finish_gradient(PassRun *run, const float *slots, size_t slot_floats) {
    CpuEngine *engine = run->engine;
    GramState *gram = gram_of(run);
    GradientRun gradient = {run, slots, slot_floats};
    const BatchNormExchange *exchange = run->call->exchange;
    thread_team_run(engine->team, sums_block, &gradient, channel_blocks(gram->out));
    if (exchange) run->status = exchange->sum(exchange->context, engine->exchanged, 2 * (size_t)gram->out, run->err);
    if (run->status != EFFNET_OK) return;
    thread_team_run(engine->team, gradient_block, &gradient, channel_blocks(gram->out));
    thread_team_run(engine->team, mix_row, run, gram->in + 1);
    pack_weights(engine->kernels, gram->mixed, (size_t)gram->in, 1, gram->in + 1, gram->in, NULL, gram->packed_mixed);
}

/* A channel of ones behind a tile's `channels`, and zeros behind it as kernels.h wants them. */
static void tile_append_one(const CpuEngine *engine, Tile *tile, int rows, size_t channels) {
    const size_t end = round_up(channels + 1, TILE_STEP);
    for (size_t r = 0; r < (size_t)rows; r++)
        for (size_t c = channels; c < end; c++)
            set_value(engine, tile, (c / TILE_CHANNELS * TILE_ROWS + r) * TILE_CHANNELS + c % TILE_CHANNELS,
                      c == channels);
}

/* dx += (xc, 1) (-M; -v) */
static void expand_backward_task(void *context, int task, int thread) {
    const PassRun *run = context;
    const CpuEngine *engine = run->engine;
    const GramState *gram = gram_of(run);
    size_t c = (size_t)gram->in;
    Tile *tile = thread_scratch(engine, thread);
    BnVectors centred = gram_centred(gram);
    int begin, end;
    task_range(run, task, &begin, &end);
    for (int first = begin; first < end; first += TILE_ROWS) {
        int rows = end - first < TILE_ROWS ? end - first : TILE_ROWS;
        Stored *dx = buffer_at(engine, run->pass->gradient_out, (size_t)first * c);
        engine->kernels->tile_load(buffer_at(engine, run->pass->input.buffer, (size_t)first * c), c, rows, gram->in,
                                   &centred, ACTIVATION_NONE, tile, TILE_ROWS);
        tile_append_one(engine, tile, rows, c);
        engine->kernels->gemm_tile(tile, TILE_ROWS, rows, gram->in + 1, gram->packed_mixed, gram->in, dx, c, dx, NULL);
    }
}

void expand_backward(PassRun *run) {
    TensorShape in = run->engine->network->tensors[run->engine->network->ops[run->pass->op].input];
    run_split(run, run->call->batch * in.height * in.width, MAX_TASKS, TILE_ROWS);
    thread_team_run(run->engine->team, expand_backward_task, run, run->tasks);
}
