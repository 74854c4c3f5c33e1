/* network.c - blocks, parameters and the list of operations; see network.h.
 *
 * The builder walks the network once, forward. Arrays grow as it goes; an allocation that fails is remembered
 * and reported at the end, so that the walk itself reads like the architecture. */
#include "model/network.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EfficientNet-B0, arXiv 1905.11946 table 1: repeats, kernel, stride, expand ratio, input and output
 * channels. */
static const struct Stage {
    int repeats, kernel, stride, expand_ratio, in_channels, out_channels;
} stages[] = {
    {1, 3, 1, 1, 32, 16},  {2, 3, 2, 6, 16, 24},   {2, 5, 2, 6, 24, 40},   {3, 3, 2, 6, 40, 80},
    {3, 5, 1, 6, 80, 112}, {4, 5, 2, 6, 112, 192}, {1, 3, 1, 6, 192, 320},
};
enum { STAGES = sizeof stages / sizeof stages[0], STEM_CHANNELS = 32, HEAD_CHANNELS = 1280 };
static const double squeeze_ratio = 0.25; /* of the block's input channels */

/* ---- counts -------------------------------------------------------------------------------------------- */

int round_filters(int filters, double width) {
    const int divisor = 8;
    double scaled = filters * width;
    int rounded = (int)(scaled + divisor / 2.0) / divisor * divisor;
    if (rounded < divisor) rounded = divisor;
    if (rounded < 0.9 * scaled) rounded += divisor;
    return rounded;
}

int round_repeats(int repeats, double depth) {
    int rounded = (int)(repeats * depth);
    return rounded < repeats * depth ? rounded + 1 : rounded;
}

int squeeze_width(int channels, bool even) {
    double scaled = channels * squeeze_ratio;
    if (!even) return scaled < 1 ? 1 : (int)scaled;
    int rounded = (int)(scaled + 1) / 2 * 2;
    if (rounded < 2) rounded = 2;
    return rounded < 0.9 * scaled ? rounded + 2 : rounded;
}

/* ---- the builder --------------------------------------------------------------------------------------- */

typedef struct Builder {
    Network *network;
    int block;   /* of the ops being added: -1 stem, ... */
    int current; /* tensor that the next op reads */
    bool out_of_memory;
} Builder;

/* A slot for one more element of a growing array; NULL (and remembered) without memory. */
static void *append(Builder *builder, void **array, int *count, size_t size) {
    if ((*count & (*count - 1)) == 0) { /* full at every power of two */
        size_t capacity = *count ? 2 * (size_t)*count : 1;
        void *larger = realloc(*array, capacity * size);
        if (!larger) {
            builder->out_of_memory = true;
            return NULL;
        }
        *array = larger;
    }
    void *slot = (char *)*array + (size_t)*count * size;
    memset(slot, 0, size);
    ++*count;
    return slot;
}

static int add_parameter(Builder *builder, ParameterRole role, const char *prefix, const char *suffix, int rank,
                         const int *shape) {
    Network *network = builder->network;
    bool statistic = role == ROLE_RUNNING_MEAN || role == ROLE_RUNNING_VARIANCE;
    Parameter *parameter =
        statistic
            ? append(builder, (void **)&network->statistics, &network->num_statistics, sizeof *network->statistics)
            : append(builder, (void **)&network->parameters, &network->num_parameters, sizeof *network->parameters);
    if (!parameter) return 0;
    size_t *floats = statistic ? &network->statistic_floats : &network->parameter_floats;
    snprintf(parameter->name, sizeof parameter->name, "%s.%s", prefix, suffix);
    parameter->role = role;
    parameter->rank = rank;
    parameter->count = 1;
    for (int i = 0; i < rank; i++) {
        parameter->shape[i] = shape[i];
        parameter->count *= (size_t)shape[i];
    }
    parameter->trainable = !statistic;
    parameter->lr_scale = 1;
    parameter->offset = *floats;
    *floats += parameter->count;
    return (statistic ? network->num_statistics : network->num_parameters) - 1;
}

static int add_vector(Builder *builder, ParameterRole role, const char *prefix, const char *suffix, int length) {
    return add_parameter(builder, role, prefix, suffix, 1, &length);
}

static int add_tensor(Builder *builder, int height, int width, int channels) {
    Network *network = builder->network;
    TensorShape *tensor = append(builder, (void **)&network->tensors, &network->num_tensors, sizeof *tensor);
    if (tensor) *tensor = (TensorShape){height, width, channels};
    return network->num_tensors - 1;
}

/* Adds an op that reads the current tensor and makes the new current one. */
__attribute__((format(printf, 6, 7))) static Op *add_op(Builder *builder, OpKind kind, int height, int width,
                                                        int channels, const char *name, ...) {
    static Op discarded; /* written to where there is no memory, so that the walk can go on */
    Network *network = builder->network;
    int input = builder->current, output = add_tensor(builder, height, width, channels);
    Op *op = append(builder, (void **)&network->ops, &network->num_ops, sizeof *op);
    if (!op) op = &discarded;
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(op->name, sizeof op->name, name, arguments);
    va_end(arguments);
    op->kind = kind;
    op->block = builder->block;
    op->input = input;
    op->output = output;
    op->residual = op->drop_path_index = -1;
    op->weight = op->bias = op->expand_weight = op->expand_bias = -1;
    op->running_mean = op->running_variance = -1;
    builder->current = output;
    return op;
}

static TensorShape current_shape(const Builder *builder) {
    if (builder->out_of_memory) return (TensorShape){1, 1, 1};
    return builder->network->tensors[builder->current];
}

/* Output length and zeros before the first element, along one side. */
static int padded_output(int padding, int input, int kernel, int stride, int *before) {
    if (padding == MODEL_PADDING_SAME) {
        int output = (input + stride - 1) / stride;
        int total = (output - 1) * stride + kernel - input;
        *before = total > 0 ? total / 2 : 0;
        return output;
    }
    *before = (stride - 1 + kernel - 1) / 2; /* timm's get_padding */
    return (input + 2 * *before - kernel) / stride + 1;
}

/* A dense (channels > 0) or depthwise (channels = 0) convolution without bias. */
static void add_convolution(Builder *builder, const char *prefix, const char *suffix, int kernel, int stride,
                            int channels) {
    TensorShape in = current_shape(builder);
    int pad_top, pad_left;
    int height = padded_output(builder->network->config.padding, in.height, kernel, stride, &pad_top);
    int width = padded_output(builder->network->config.padding, in.width, kernel, stride, &pad_left);
    bool depthwise = channels == 0;
    Op *op = add_op(builder, depthwise ? OP_DEPTHWISE : OP_CONV, height, width, depthwise ? in.channels : channels,
                    "%s%s", prefix, suffix);
    op->kernel = kernel;
    op->stride = stride;
    op->pad_top = pad_top;
    op->pad_left = pad_left;
    int shape[4] = {depthwise ? in.channels : channels, depthwise ? 1 : in.channels, kernel, kernel};
    op->weight = add_parameter(builder, depthwise ? ROLE_DEPTHWISE : ROLE_CONV, op->name, "weight", 4, shape);
}

static void add_batch_norm(Builder *builder, const char *prefix, const char *suffix, Activation activation) {
    TensorShape in = current_shape(builder);
    Op *op = add_op(builder, OP_BATCH_NORM, in.height, in.width, in.channels, "%s%s", prefix, suffix);
    op->activation = activation;
    op->weight = add_vector(builder, ROLE_BN_SCALE, op->name, "weight", in.channels);
    op->bias = add_vector(builder, ROLE_BN_BIAS, op->name, "bias", in.channels);
    op->running_mean = add_vector(builder, ROLE_RUNNING_MEAN, op->name, "running_mean", in.channels);
    op->running_variance = add_vector(builder, ROLE_RUNNING_VARIANCE, op->name, "running_var", in.channels);
}

static void add_squeeze_excite(Builder *builder, const char *prefix, int squeezed, Activation activation) {
    TensorShape in = current_shape(builder);
    Op *op = add_op(builder, OP_SQUEEZE_EXCITE, in.height, in.width, in.channels, "%sse", prefix);
    op->activation = activation;
    op->squeezed = squeezed;
    char name[64];
    int reduce[4] = {squeezed, in.channels, 1, 1}, expand[4] = {in.channels, squeezed, 1, 1};
    snprintf(name, sizeof name, "%sse.conv_reduce", prefix);
    op->weight = add_parameter(builder, ROLE_CONV, name, "weight", 4, reduce);
    op->bias = add_vector(builder, ROLE_BIAS, name, "bias", squeezed);
    snprintf(name, sizeof name, "%sse.conv_expand", prefix);
    op->expand_weight = add_parameter(builder, ROLE_CONV, name, "weight", 4, expand);
    op->expand_bias = add_vector(builder, ROLE_BIAS, name, "bias", in.channels);
}

/* One MBConv block: expand -> depthwise -> squeeze-excite -> project -> residual. Without expansion it is
 * timm's DepthwiseSeparable, whose names are one number lower. */
static void add_block(Builder *builder, const Block *block, Activation activation) {
    char prefix[40];
    snprintf(prefix, sizeof prefix, "%s.", block->name);
    int entry = builder->current;
    bool expands = block->expand_ratio != 1;
    if (expands) {
        add_convolution(builder, prefix, "conv_pw", 1, 1, block->expanded_channels);
        add_batch_norm(builder, prefix, "bn1", activation);
    }
    add_convolution(builder, prefix, "conv_dw", block->kernel, block->stride, 0);
    add_batch_norm(builder, prefix, expands ? "bn2" : "bn1", activation);
    if (block->squeezed) add_squeeze_excite(builder, prefix, block->squeezed, activation);
    add_convolution(builder, prefix, expands ? "conv_pwl" : "conv_pw", 1, 1, block->out_channels);
    add_batch_norm(builder, prefix, expands ? "bn3" : "bn2", ACTIVATION_NONE);
    if (block->residual) {
        TensorShape in = current_shape(builder);
        Op *op = add_op(builder, OP_RESIDUAL, in.height, in.width, in.channels, "%sresidual", prefix);
        op->residual = entry;
        op->drop_path_index = builder->network->num_residuals++;
    }
}

/* The table's stages scaled by the coefficients, as blocks with rounded channels. */
static void add_blocks(Builder *builder, int channels) {
    Network *network = builder->network;
    const ModelConfig *config = &network->config;
    for (int stage = 0; stage < STAGES; stage++) {
        const struct Stage *row = &stages[stage];
        bool fixed = config->lite && (stage == 0 || stage == STAGES - 1);
        int repeats = fixed ? row->repeats : round_repeats(row->repeats, config->depth);
        int out_channels = round_filters(row->out_channels, config->width);
        for (int index = 0; index < repeats; index++) {
            Block *block = append(builder, (void **)&network->blocks, &network->num_blocks, sizeof *block);
            if (!block) return;
            snprintf(block->name, sizeof block->name, "blocks.%d.%d", stage, index);
            block->stage = stage;
            block->index = index;
            block->kernel = row->kernel;
            block->stride = index == 0 ? row->stride : 1;
            block->expand_ratio = row->expand_ratio;
            block->in_channels = channels;
            block->expanded_channels = channels * row->expand_ratio;
            block->out_channels = out_channels;
            block->squeezed = config->lite ? 0 : squeeze_width(channels, config->squeeze_even);
            block->residual = block->stride == 1 && channels == out_channels;
            channels = out_channels;
        }
    }
    for (int i = 0; i < network->num_blocks; i++)
        network->blocks[i].drop_path = config->drop_path * i / network->num_blocks;
}

static effnet_status check_config(const ModelConfig *config, effnet_error *err) {
    const TensorShape input = config->input;
    if (input.height < 1 || input.height > 4096 || input.width < 1 || input.width > 4096)
        return fail(err, EFFNET_ERROR_ARGUMENT, "resolution is %dx%d; allowed: sides of 1 to 4096", input.height,
                    input.width);
    if (input.channels < 1 || input.channels > MOST_CHANNELS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "in_chans is %d; allowed: 1 to %d", input.channels, (int)MOST_CHANNELS);
    if (config->num_classes < 1 || config->num_classes > 1000000)
        return fail(err, EFFNET_ERROR_ARGUMENT, "num_classes is %d; allowed: 1 to 1000000", config->num_classes);
    if (!(config->width > 0 && config->width <= 16 && config->depth > 0 && config->depth <= 16))
        return fail(err, EFFNET_ERROR_ARGUMENT, "width %g and depth %g must be above 0 and at most 16", config->width,
                    config->depth);
    if (!(config->drop >= 0 && config->drop < 1 && config->drop_path >= 0 && config->drop_path < 1))
        return fail(err, EFFNET_ERROR_ARGUMENT, "drop %g and drop_path %g must be at least 0 and below 1", config->drop,
                    config->drop_path);
    return EFFNET_OK;
}

effnet_status network_build(const ModelConfig *config, Network *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    TRY(check_config(config, err));
    out->config = *config;
    Builder builder = {.network = out, .block = -1};
    Activation activation = config->lite ? ACTIVATION_RELU6 : ACTIVATION_SWISH;
    double end_width = config->lite ? 1.0 : config->width; /* Lite: stem and head are not scaled */

    builder.current = add_tensor(&builder, config->input.height, config->input.width, config->input.channels);
    add_convolution(&builder, "", "conv_stem", 3, 2, round_filters(STEM_CHANNELS, end_width));
    add_batch_norm(&builder, "", "bn1", activation);
    add_blocks(&builder, current_shape(&builder).channels);
    for (int i = 0; i < out->num_blocks && !builder.out_of_memory; i++) {
        builder.block = i;
        add_block(&builder, &out->blocks[i], activation);
    }
    builder.block = out->num_blocks;
    add_convolution(&builder, "", "conv_head", 1, 1,
                    round_filters(HEAD_CHANNELS, config->head_fixed ? 1.0 : end_width));
    add_batch_norm(&builder, "", "bn2", activation);
    out->features = current_shape(&builder).channels;
    add_op(&builder, OP_GLOBAL_POOL, 1, 1, out->features, "global_pool");
    add_op(&builder, OP_DROPOUT, 1, 1, out->features, "dropout");
    Op *dense = add_op(&builder, OP_DENSE, 1, 1, config->num_classes, "classifier");
    int shape[2] = {config->num_classes, out->features};
    dense->weight = add_parameter(&builder, ROLE_DENSE, "classifier", "weight", 2, shape);
    dense->bias = add_vector(&builder, ROLE_BIAS, "classifier", "bias", config->num_classes);

    if (builder.out_of_memory) {
        network_free(out);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to describe %s", config->name);
    }
    return EFFNET_OK;
}

void network_free(Network *network) {
    if (!network) return;
    free(network->parameters);
    free(network->statistics);
    free(network->tensors);
    free(network->ops);
    free(network->blocks);
    memset(network, 0, sizeof *network);
}

const Parameter *network_find(const Network *network, const char *name, bool *is_statistic) {
    for (int i = 0; i < network->num_parameters; i++)
        if (strcmp(network->parameters[i].name, name) == 0) {
            *is_statistic = false;
            return &network->parameters[i];
        }
    for (int i = 0; i < network->num_statistics; i++)
        if (strcmp(network->statistics[i].name, name) == 0) {
            *is_statistic = true;
            return &network->statistics[i];
        }
    return NULL;
}

double network_keep_probability(const Network *network, int drop_path_index) {
    int residual = 0;
    for (int i = 0; i < network->num_blocks; i++)
        if (network->blocks[i].residual && residual++ == drop_path_index) return 1.0 - network->blocks[i].drop_path;
    return 1.0;
}
