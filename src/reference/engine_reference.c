/* engine_reference.c - the reference engine: interprets network->ops literally with the functions of reference.h.
 *
 * Buffers, all of them made at creation: every tensor's values and, for training, gradients, as double, for
 * `capacity` images each; what backward needs besides (batch mean and variance, squeeze-excite's `saved`); and one
 * set of parameter gradients per group.
 *
 * Forward goes op by op, images shared out over the threads; batch norm shares out channels. An evaluation is cut
 * into pieces of `capacity` images, which do not know of each other. Backward goes through the ops from the last to
 * the first. Its images are dealt to at most GROUPS groups; a group adds up the parameter gradients of its images in
 * order, and the groups are added in order: the sums do not depend on the number of threads.
 *
 * bf16 (options.bf16) is defined here: numbers are rounded where the network's tensors are stored or multiplied in
 * bf16, and computed in double in between. Rounded are the pictures; the output of every convolution, squeeze-excite
 * and residual; batch norm's where a convolution or squeeze-excite reads it; the weights of every convolution but the
 * depthwise ones; and the gradients of all these, but not the one that a depthwise convolution goes back from.
 * Statistics, depthwise products, pooled features and the classifier are not.
 *
 * int8 (options.int8, inference) is defined here and in reference_conv.c: the weights of the wider 1x1 convolutions
 * (engine.h) are rounded to bytes, and what they read is as it is read. Together with bf16 the latter is rounded to
 * bf16 before. */
#include "engine/engine.h"

#include "base/bfloat16.h"
#include "base/memory.h"
#include "reference/reference.h"

#include <math.h>
#include <string.h>

enum { GROUPS = 8, CHANNELS_PER_TASK = 16, EVALUATION_IMAGES = 8 };

typedef struct ReferenceEngine {
    Engine base;
    const Network *network;
    EngineOptions options;
    int capacity;           /* images that the buffers hold */
    size_t *tensor_offsets; /* of each tensor in values, in reals; an image after the other */
    size_t *saved_offsets;  /* of each op in saved: mean (C), variance (C), rows of the batch, of all replicas, and room
                               to exchange 2 C + 1 with them; or squeeze-excite's, an image each */
    size_t values_count, largest_op; /* reals in values; most parameters of one op */
    real *values, *value_gradients, *saved;
    real *parameter_gradients; /* (GROUPS, largest_op): of the op that backward is at */
    float *rounded;            /* bf16, int8: the call's parameters, those of convolutions rounded; else NULL */
    int trained_images;        /* of the last training forward, which backward goes back through; or 0 */
    int first_nonfinite;       /* op of the last forward, or -1 */
} ReferenceEngine;

/* What the tasks of one op need. */
typedef struct Pass {
    ReferenceEngine *engine;
    const EngineForward *call;
    const Op *op;
    int first, images; /* of the call, that are in the buffers now */
    int groups;        /* backward */
} Pass;

/* ---- where things are ---------------------------------------------------------------------------------- */

static size_t image_size(const Network *network, int tensor) {
    TensorShape shape = network->tensors[tensor];
    return (size_t)shape.height * shape.width * shape.channels;
}

static real *value(const ReferenceEngine *engine, int tensor, int slot) {
    return engine->values + engine->tensor_offsets[tensor] + slot * image_size(engine->network, tensor);
}

static real *value_gradient(const ReferenceEngine *engine, int tensor, int slot) {
    return engine->value_gradients + (value(engine, tensor, slot) - engine->values);
}

static real *saved(const ReferenceEngine *engine, const Op *op) {
    return engine->saved + engine->saved_offsets[op - engine->network->ops];
}

static const float *parameter(const Pass *pass, int index) {
    const float *parameters = pass->engine->rounded ? pass->engine->rounded : pass->call->parameters;
    return parameters + pass->engine->network->parameters[index].offset;
}

/* ---- bf16, int8: see above ----------------------------------------------------------------------------------- */

static bool in_bytes(const ReferenceEngine *engine, const Op *op) {
    return engine->options.int8 && engine_multiplies_bytes(engine->network, op);
}

static void round_parameters(ReferenceEngine *engine, const float *parameters) {
    const Network *network = engine->network;
    if (!engine->rounded) return;
    memcpy(engine->rounded, parameters, sizeof(float) * network->parameter_floats);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->kind != OP_CONV) continue;
        const Parameter *weights = &network->parameters[op->weight];
        if (in_bytes(engine, op)) {
            int in = network->tensors[op->input].channels, out = network->tensors[op->output].channels;
            for (int o = 0; o < out; o++) reference_round_bytes(engine->rounded + weights->offset + (size_t)o * in, in);
            continue;
        }
        if (!engine->options.bf16) continue;
        for (size_t j = weights->offset; j < weights->offset + weights->count; j++)
            engine->rounded[j] = bfloat16_round(engine->rounded[j]);
    }
}

static bool reads(const Network *network, int tensor, OpKind kind) {
    for (int i = 0; i < network->num_ops; i++)
        if (network->ops[i].input == tensor && network->ops[i].kind == kind) return true;
    return false;
}

static bool is_rounded(const ReferenceEngine *engine, const Op *made_by) {
    if (!engine->options.bf16) return false;
    switch (made_by->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
    case OP_SQUEEZE_EXCITE:
    case OP_RESIDUAL:
        return true;
    case OP_BATCH_NORM:
        return reads(engine->network, made_by->output, OP_CONV) ||
               reads(engine->network, made_by->output, OP_SQUEEZE_EXCITE);
    default:
        return false;
    }
}

static void round_reals(real *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = bfloat16_round((float)values[i]);
}

/* The gradient of a tensor that an op has just gone back to; what a depthwise convolution made is left alone. */
static void round_gradient(const Pass *pass, int tensor) {
    const ReferenceEngine *engine = pass->engine;
    if (!engine->options.bf16 || tensor == 0) return;
    const Op *made_by = &engine->network->ops[tensor - 1];
    if (made_by->kind == OP_DEPTHWISE || made_by->kind == OP_GLOBAL_POOL || made_by->kind == OP_DROPOUT) return;
    round_reals(value_gradient(engine, tensor, 0), pass->images * image_size(engine->network, tensor));
}

/* An op has up to four parameters; their gradients stand one after the other in a group's set. */
static int op_parameters(const Op *op, int indices[4]) {
    const int all[4] = {op->weight, op->bias, op->expand_weight, op->expand_bias};
    int count = 0;
    for (int i = 0; i < 4; i++)
        if (all[i] >= 0) indices[count++] = all[i];
    return count;
}

static void parameter_gradients(const Pass *pass, int group, real *gradients[4]) {
    int indices[4], count = op_parameters(pass->op, indices);
    real *next = pass->engine->parameter_gradients + group * pass->engine->largest_op;
    for (int i = 0; i < count; i++) {
        gradients[i] = next;
        next += pass->engine->network->parameters[indices[i]].count;
    }
}

static Window op_window(const Network *network, const Op *op) {
    TensorShape in = network->tensors[op->input], out = network->tensors[op->output];
    return (Window){in.height, in.width, out.height, out.width, op->kernel, op->stride, op->pad_top, op->pad_left};
}

static BatchNorm op_batch_norm(const Pass *pass, int task) {
    const Network *network = pass->engine->network;
    TensorShape shape = network->tensors[pass->op->input];
    int first = task * CHANNELS_PER_TASK, last = first + CHANNELS_PER_TASK;
    return (BatchNorm){.rows = (size_t)pass->images * shape.height * shape.width,
                       .channels = shape.channels,
                       .first = first,
                       .last = last < shape.channels ? last : shape.channels,
                       .eps = network->config.bn_eps,
                       .activation = pass->op->activation};
}

static SqueezeExcite op_squeeze_excite(const Pass *pass) {
    const Op *op = pass->op;
    TensorShape shape = pass->engine->network->tensors[op->input];
    return (SqueezeExcite){.pixels = (size_t)shape.height * shape.width,
                           .channels = shape.channels,
                           .squeezed = op->squeezed,
                           .activation = op->activation,
                           .reduce_weight = parameter(pass, op->weight),
                           .reduce_bias = parameter(pass, op->bias),
                           .expand_weight = parameter(pass, op->expand_weight),
                           .expand_bias = parameter(pass, op->expand_bias)};
}

/* Masks belong to training; image counts within the call. */
static real drop_path_scale(const Pass *pass, int image) {
    const EngineForward *call = pass->call;
    if (!call->training || !call->drop_path_scale) return 1;
    return call->drop_path_scale[(size_t)pass->op->drop_path_index * call->batch + image];
}

static const float *dropout_scale(const Pass *pass, int image) {
    const EngineForward *call = pass->call;
    if (!call->training || !call->dropout_scale) return NULL;
    return call->dropout_scale + (size_t)image * pass->engine->network->features;
}

/* ---- forward ------------------------------------------------------------------------------------------- */

static void forward_image(void *context, int slot, int thread) {
    (void)thread;
    const Pass *pass = context;
    const ReferenceEngine *engine = pass->engine;
    const Op *op = pass->op;
    const TensorShape in = engine->network->tensors[op->input], out = engine->network->tensors[op->output];
    const Window window = op_window(engine->network, op);
    const size_t pixels = (size_t)in.height * in.width;
    const int image = pass->first + slot;
    const real *x = value(engine, op->input, slot);
    real *y = value(engine, op->output, slot);
    switch (op->kind) {
    case OP_CONV:
        if (in_bytes(engine, op))
            reference_conv_bytes_forward(pixels, in.channels, out.channels, x, parameter(pass, op->weight), y);
        else
            reference_conv_forward(&window, in.channels, out.channels, x, parameter(pass, op->weight), y);
        break;
    case OP_DEPTHWISE:
        reference_depthwise_forward(&window, in.channels, x, parameter(pass, op->weight), y);
        break;
    case OP_SQUEEZE_EXCITE: {
        const SqueezeExcite se = op_squeeze_excite(pass);
        size_t stride = reference_squeeze_excite_saved(se.channels, se.squeezed);
        reference_squeeze_excite_forward(&se, x, saved(engine, op) + slot * stride, y);
        break;
    }
    case OP_RESIDUAL:
        reference_residual_forward(pixels * in.channels, x, value(engine, op->residual, slot),
                                   drop_path_scale(pass, image), y);
        break;
    case OP_GLOBAL_POOL:
        reference_global_pool_forward(pixels, in.channels, x, y);
        break;
    case OP_DROPOUT:
        reference_dropout_forward(in.channels, x, dropout_scale(pass, image), y);
        break;
    case OP_DENSE:
        reference_dense_forward(in.channels, out.channels, x, parameter(pass, op->weight), parameter(pass, op->bias),
                                y);
        break;
    case OP_BATCH_NORM:
        break; /* by channels: batch_norm_forward */
    }
}

/* Whether a batch norm takes its statistics from this batch: a frozen one never does. */
static bool by_batch(const Pass *pass) {
    return pass->call->training && !pass->op->frozen;
}

static void batch_norm_statistics(void *context, int task, int thread) {
    (void)thread;
    const Pass *pass = context;
    const BatchNorm norm = op_batch_norm(pass, task);
    real *mean = saved(pass->engine, pass->op);
    reference_batch_norm_statistics(&norm, value(pass->engine, pass->op->input, 0), mean, mean + norm.channels);
}

static void batch_norm_output(void *context, int task, int thread) {
    (void)thread;
    const Pass *pass = context;
    const ReferenceEngine *engine = pass->engine;
    const Op *op = pass->op;
    const ModelConfig *config = &engine->network->config;
    const BatchNorm norm = op_batch_norm(pass, task);
    BatchNorm whole = norm;
    real *mean = saved(engine, op), *variance = mean + norm.channels;
    float *running_mean = pass->call->statistics + engine->network->statistics[op->running_mean].offset;
    float *running_variance = pass->call->statistics + engine->network->statistics[op->running_variance].offset;
    if (by_batch(pass)) {
        whole.rows = (size_t)mean[2 * norm.channels];
        reference_batch_norm_update(&whole, mean, variance, config->bn_momentum, config->bn_unbiased, running_mean,
                                    running_variance);
    } else {
        for (int c = norm.first; c < norm.last; c++) {
            mean[c] = running_mean[c];
            variance[c] = running_variance[c];
        }
    }
    reference_batch_norm_forward(&norm, value(engine, op->input, 0), mean, variance, parameter(pass, op->weight),
                                 parameter(pass, op->bias), value(engine, op->output, 0));
}

/* mean, variance and rows in `saved`, from the replica's own to the group's. */
static effnet_status exchange_statistics(const BatchNormExchange *exchange, size_t channels, real *mean,
                                         effnet_error *err) {
    real *variance = mean + channels, *rows = variance + channels;
    for (size_t c = 0; c < channels; c++) variance[c] *= *rows;
    TRY(exchange_moments(exchange, channels, rows, mean, variance, rows + 1, err));
    for (size_t c = 0; c < channels; c++) variance[c] /= *rows;
    return EFFNET_OK;
}

static effnet_status batch_norm_forward(Pass *pass, effnet_error *err) {
    const ReferenceEngine *engine = pass->engine;
    const BatchNorm norm = op_batch_norm(pass, 0);
    ThreadTeam *team = engine->options.team;
    int tasks = (norm.channels + CHANNELS_PER_TASK - 1) / CHANNELS_PER_TASK;
    real *mean = saved(engine, pass->op);
    mean[2 * norm.channels] = (real)norm.rows;
    if (by_batch(pass)) {
        thread_team_run(team, batch_norm_statistics, pass, tasks);
        if (pass->call->exchange) TRY(exchange_statistics(pass->call->exchange, (size_t)norm.channels, mean, err));
    }
    thread_team_run(team, batch_norm_output, pass, tasks);
    return EFFNET_OK;
}

static bool all_finite(const real *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Images first..first+images-1 of the call, through the whole network. */
static effnet_status forward_images(ReferenceEngine *engine, const EngineForward *call, int first, int images,
                                    effnet_error *err) {
    const Network *network = engine->network;
    const size_t picture = image_size(network, 0);
    for (size_t i = 0; i < images * picture; i++) value(engine, 0, 0)[i] = call->images[first * picture + i];
    if (engine->options.bf16) round_reals(value(engine, 0, 0), images * picture);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        Pass pass = {.engine = engine, .call = call, .op = op, .first = first, .images = images};
        if (op->kind == OP_BATCH_NORM) {
            TRY(batch_norm_forward(&pass, err));
        } else {
            thread_team_run(engine->options.team, forward_image, &pass, images);
        }
        if (is_rounded(engine, op)) round_reals(value(engine, op->output, 0), images * image_size(network, op->output));
        bool first_found = engine->first_nonfinite < 0 || i < engine->first_nonfinite;
        if (first_found && !all_finite(value(engine, op->output, 0), images * image_size(network, op->output)))
            engine->first_nonfinite = i;
    }
    const int classes = network->config.num_classes;
    const real *logits = value(engine, network->ops[network->num_ops - 1].output, 0);
    for (size_t i = 0; call->logits && i < (size_t)images * classes; i++)
        call->logits[(size_t)first * classes + i] = (float)logits[i];
    const size_t kept = image_size(network, engine->options.keep);
    for (size_t i = 0; call->kept && i < (size_t)images * kept; i++)
        call->kept[(size_t)first * kept + i] = (float)value(engine, engine->options.keep, 0)[i];
    return EFFNET_OK;
}

static effnet_status reference_forward(Engine *base, const EngineForward *call, effnet_error *err) {
    ReferenceEngine *engine = (ReferenceEngine *)base;
    if (call->batch < 1 || call->batch > engine->options.batch)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a call with %d images; this engine was made for 1 to %d", call->batch,
                    engine->options.batch);
    if (call->training && !engine->options.training)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a training call to an engine that was made for evaluation only");
    if (call->exchange && !call->training)
        return fail(err, EFFNET_ERROR_ARGUMENT, "batch norm's exchange is for training");
    TRY(engine_check_outputs(&engine->options, call, err));
    if (call->stored)
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "the engine 'reference' shows nobody its tensors; use 'cpu'");
    round_parameters(engine, call->parameters);
    engine->first_nonfinite = -1;
    engine->trained_images = 0;
    for (int first = 0; first < call->batch; first += engine->capacity) {
        int left = call->batch - first;
        TRY(forward_images(engine, call, first, left < engine->capacity ? left : engine->capacity, err));
    }
    if (call->training) engine->trained_images = call->batch;
    return EFFNET_OK;
}

/* ---- backward ------------------------------------------------------------------------------------------ */

static void backward_image(const Pass *pass, int image, real *gradients[4]) {
    const ReferenceEngine *engine = pass->engine;
    const Op *op = pass->op;
    const TensorShape in = engine->network->tensors[op->input], out = engine->network->tensors[op->output];
    const Window window = op_window(engine->network, op);
    const size_t pixels = (size_t)in.height * in.width;
    const real *x = value(engine, op->input, image), *dy = value_gradient(engine, op->output, image);
    real *dx = value_gradient(engine, op->input, image);
    switch (op->kind) {
    case OP_CONV:
        reference_conv_backward(&window, in.channels, out.channels, x, parameter(pass, op->weight), dy, dx,
                                gradients[0]);
        break;
    case OP_DEPTHWISE:
        reference_depthwise_backward(&window, in.channels, x, parameter(pass, op->weight), dy, dx, gradients[0]);
        break;
    case OP_SQUEEZE_EXCITE: {
        const SqueezeExcite se = op_squeeze_excite(pass);
        const SqueezeExciteGradient to = {gradients[0], gradients[1], gradients[2], gradients[3]};
        size_t stride = reference_squeeze_excite_saved(se.channels, se.squeezed);
        reference_squeeze_excite_backward(&se, x, saved(engine, op) + image * stride, dy, dx, &to);
        break;
    }
    case OP_RESIDUAL:
        reference_residual_backward(pixels * in.channels, dy, drop_path_scale(pass, image), dx,
                                    value_gradient(engine, op->residual, image));
        break;
    case OP_GLOBAL_POOL:
        reference_global_pool_backward(pixels, in.channels, dy, dx);
        break;
    case OP_DROPOUT:
        reference_dropout_backward(in.channels, dy, dropout_scale(pass, image), dx);
        break;
    case OP_DENSE:
        reference_dense_backward(in.channels, out.channels, x, parameter(pass, op->weight), dy, dx, gradients[0],
                                 gradients[1]);
        break;
    case OP_BATCH_NORM:
        break; /* by channels: batch_norm_backward */
    }
}

static void backward_group(void *context, int group, int thread) {
    (void)thread;
    const Pass *pass = context;
    real *gradients[4];
    parameter_gradients(pass, group, gradients);
    memset(pass->engine->parameter_gradients + group * pass->engine->largest_op, 0,
           sizeof(real) * pass->engine->largest_op);
    for (int image = group; image < pass->images; image += pass->groups) backward_image(pass, image, gradients);
}

static void batch_norm_sums(void *context, int task, int thread) {
    (void)thread;
    const Pass *pass = context;
    const ReferenceEngine *engine = pass->engine;
    const Op *op = pass->op;
    const BatchNorm norm = op_batch_norm(pass, task);
    const real *mean = saved(engine, op), *variance = mean + norm.channels;
    real *gradients[4];
    parameter_gradients(pass, 0, gradients);
    reference_batch_norm_sums(&norm, value(engine, op->input, 0), mean, variance, parameter(pass, op->weight),
                              parameter(pass, op->bias), value_gradient(engine, op->output, 0), gradients[0],
                              gradients[1]);
}

static void batch_norm_input_gradient(void *context, int task, int thread) {
    (void)thread;
    const Pass *pass = context;
    const ReferenceEngine *engine = pass->engine;
    const Op *op = pass->op;
    const BatchNorm norm = op_batch_norm(pass, task);
    const real *mean = saved(engine, op), *variance = mean + norm.channels, *rows = variance + norm.channels;
    const real *sums = rows + 1;
    reference_batch_norm_input_gradient(&norm, value(engine, op->input, 0), mean, variance, parameter(pass, op->weight),
                                        parameter(pass, op->bias), value_gradient(engine, op->output, 0), *rows, sums,
                                        sums + norm.channels, value_gradient(engine, op->input, 0));
}

/* The gradients of scale and bias stay the replica's own; the input's takes the group's sums. */
static effnet_status batch_norm_backward(Pass *pass, effnet_error *err) {
    const BatchNormExchange *exchange = pass->call->exchange;
    size_t channels = (size_t)op_batch_norm(pass, 0).channels;
    int tasks = ((int)channels + CHANNELS_PER_TASK - 1) / CHANNELS_PER_TASK;
    real *sums = saved(pass->engine, pass->op) + 2 * channels + 1, *gradients[4];
    parameter_gradients(pass, 0, gradients);
    thread_team_run(pass->engine->options.team, batch_norm_sums, pass, tasks);
    for (size_t c = 0; c < channels; c++) sums[c] = gradients[0][c], sums[channels + c] = gradients[1][c];
    if (pass->op->frozen) /* mean and variance are constants: no way back through them */
        for (size_t c = 0; c < channels; c++) sums[c] = sums[channels + c] = 0;
    else if (exchange)
        TRY(exchange->sum(exchange->context, sums, 2 * channels, err));
    thread_team_run(pass->engine->options.team, batch_norm_input_gradient, pass, tasks);
    return EFFNET_OK;
}

/* The groups' parameter gradients of one op, added in order and rounded to fp32. */
static void store_gradients(const Pass *pass, float *out, bool accumulate) {
    const ReferenceEngine *engine = pass->engine;
    int indices[4], count = op_parameters(pass->op, indices);
    real *first[4];
    parameter_gradients(pass, 0, first);
    for (int p = 0; p < count; p++) {
        const Parameter *to = &engine->network->parameters[indices[p]];
        for (size_t i = 0; i < to->count; i++) {
            real sum = accumulate ? out[to->offset + i] : 0;
            for (int group = 0; group < pass->groups; group++) sum += first[p][group * engine->largest_op + i];
            out[to->offset + i] = (float)sum;
        }
    }
}

static effnet_status reference_backward(Engine *base, const EngineForward *call, const float *logits_gradient,
                                        float *gradients, bool accumulate, effnet_error *err) {
    ReferenceEngine *engine = (ReferenceEngine *)base;
    const Network *network = engine->network;
    if (!call->training || call->batch != engine->trained_images)
        return fail(err, EFFNET_ERROR_ARGUMENT, "backward of %d images, but the last training forward had %d",
                    call->batch, engine->trained_images);
    memset(engine->value_gradients, 0, sizeof(real) * engine->values_count);
    real *dlogits = value_gradient(engine, network->ops[network->num_ops - 1].output, 0);
    for (size_t i = 0; i < (size_t)call->batch * network->config.num_classes; i++) dlogits[i] = logits_gradient[i];
    for (int i = network->num_ops - 1; i >= network->first_trainable; i--) {
        const Op *op = &network->ops[i];
        Pass pass = {.engine = engine, .call = call, .op = op, .images = call->batch};
        if (op->kind == OP_BATCH_NORM) {
            pass.groups = 1;
            TRY(batch_norm_backward(&pass, err));
        } else {
            pass.groups = call->batch < GROUPS ? call->batch : GROUPS;
            thread_team_run(engine->options.team, backward_group, &pass, pass.groups);
        }
        round_gradient(&pass, op->input);
        if (op->kind == OP_RESIDUAL) round_gradient(&pass, op->residual);
        store_gradients(&pass, gradients, accumulate);
    }
    engine_clear_frozen(network, gradients);
    return EFFNET_OK;
}

/* ---- creation ------------------------------------------------------------------------------------------ */

static const char *reference_find_nonfinite(Engine *base) {
    const ReferenceEngine *engine = (const ReferenceEngine *)base;
    return engine->first_nonfinite < 0 ? NULL : engine->network->ops[engine->first_nonfinite].name;
}

static EngineInfo reference_info(const Engine *base) {
    const ReferenceEngine *engine = (const ReferenceEngine *)base;
    size_t copies = engine->options.training ? 2 : 1;
    return (EngineInfo){"reference", "scalar", copies * engine->values_count * sizeof(real)};
}

static void reference_free(Engine *base) {
    ReferenceEngine *engine = (ReferenceEngine *)base;
    memory_free(engine->tensor_offsets);
    memory_free(engine->saved_offsets);
    memory_free(engine->values);
    memory_free(engine->value_gradients);
    memory_free(engine->saved);
    memory_free(engine->parameter_gradients);
    memory_free(engine->rounded);
    memory_free(engine);
}

/* Offsets and totals; a network's sizes come from a recipe, so the sums are checked. */
static effnet_status place(ReferenceEngine *engine, size_t *saved_count, effnet_error *err) {
    const Network *network = engine->network;
    size_t bytes, used = 0;
    bool fits = true;
    for (int t = 0; t < network->num_tensors; t++) {
        engine->tensor_offsets[t] = used;
        fits = fits && size_multiply(image_size(network, t), (size_t)engine->capacity, &bytes) &&
               size_add(used, bytes, &used);
    }
    engine->values_count = used;
    *saved_count = 0;
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        size_t channels = (size_t)network->tensors[op->input].channels, parameters = 0;
        engine->saved_offsets[i] = *saved_count;
        if (op->kind == OP_BATCH_NORM) *saved_count += 4 * channels + 2;
        if (op->kind == OP_SQUEEZE_EXCITE)
            *saved_count += engine->capacity * reference_squeeze_excite_saved((int)channels, op->squeezed);
        int indices[4], count = op_parameters(op, indices);
        for (int p = 0; p < count; p++) parameters += network->parameters[indices[p]].count;
        if (parameters > engine->largest_op) engine->largest_op = parameters;
    }
    if (!fits || !size_multiply(used, sizeof(real), &bytes))
        return fail(err, EFFNET_ERROR_MEMORY,
                    "the activations of %d images of %dx%d overflow; use a smaller batch_size", engine->capacity,
                    network->config.input.height, network->config.input.width);
    return EFFNET_OK;
}

static effnet_status allocate(ReferenceEngine *engine, effnet_error *err) {
    const Network *network = engine->network;
    size_t saved_count;
    TRY(memory_allocate(network->num_tensors, sizeof(size_t), "offsets", (void **)&engine->tensor_offsets, err));
    TRY(memory_allocate(network->num_ops, sizeof(size_t), "offsets", (void **)&engine->saved_offsets, err));
    TRY(place(engine, &saved_count, err));
    TRY(memory_allocate(engine->values_count, sizeof(real), "activations", (void **)&engine->values, err));
    TRY(memory_allocate(saved_count, sizeof(real), "batch norm's sums", (void **)&engine->saved, err));
    if (engine->options.bf16 || engine->options.int8)
        TRY(memory_allocate(network->parameter_floats, sizeof(float), "rounded weights", (void **)&engine->rounded,
                            err));
    if (!engine->options.training) return EFFNET_OK;
    TRY(memory_allocate(engine->values_count, sizeof(real), "gradients of activations",
                        (void **)&engine->value_gradients, err));
    return memory_allocate(engine->largest_op, GROUPS * sizeof(real), "gradients of an op's parameters",
                           (void **)&engine->parameter_gradients, err);
}

static effnet_status reference_create(const Network *network, const EngineOptions *options, Engine **out,
                                      effnet_error *err) {
    ReferenceEngine *engine;
    if (options->int8 && options->training)
        return fail(err, EFFNET_ERROR_ARGUMENT, "int8 is for inference, not for training");
    TRY(memory_allocate(1, sizeof *engine, "the reference engine", (void **)&engine, err));
    engine->base.vtable = &reference_engine;
    engine->network = network;
    engine->options = *options;
    engine->capacity = options->training || options->batch < EVALUATION_IMAGES ? options->batch : EVALUATION_IMAGES;
    engine->first_nonfinite = -1;
    effnet_status status = allocate(engine, err);
    if (status != EFFNET_OK) {
        reference_free(&engine->base);
        return status;
    }
    *out = &engine->base;
    return EFFNET_OK;
}

const EngineVtable reference_engine = {
    .create = reference_create,
    .forward = reference_forward,
    .backward = reference_backward,
    .find_nonfinite = reference_find_nonfinite,
    .info = reference_info,
    .free = reference_free,
};
