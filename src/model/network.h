/* network.h - what EfficientNet is: coefficients -> blocks -> parameters -> the list of operations.
 *
 * ModelConfig is a name with every difference between implementations as a field. network_build turns it into:
 *   parameters  what training changes, one contiguous fp32 block; names, shapes and layouts are timm's (OIHW)
 *   statistics  running mean and variance of each batch norm, a second contiguous fp32 block
 *   tensors     activation shapes (H, W, C) an image
 *   ops         the forward pass, in order, as data; src/reference interprets it literally, src/plan compiles it
 * Nothing here computes; nothing here knows a processor.
 *
 * Sources: Tan and Le, arXiv 1905.11946; tensorflow/tpu models/official/efficientnet (rounding, Lite); timm
 * (names). */
#ifndef EFFNET_MODEL_NETWORK_H
#define EFFNET_MODEL_NETWORK_H

#include "base/error.h"
#include "base/tensor_shape.h"
#include "model/activation_kind.h"

typedef struct ModelConfig {
    char name[32];       /* "efficientnet_b0" */
    double width, depth; /* coefficients */
    TensorShape input;   /* of a picture */
    double drop;         /* dropout before the classifier */
    bool lite;           /* fixed stem and head, ReLU6, no squeeze-excite, first and last stage not deepened */
    int num_classes;
    int padding;                /* PADDING_SAME or PADDING_SYMMETRIC, recipe.h's order */
    double bn_momentum, bn_eps; /* running = momentum * running + (1 - momentum) * batch */
    bool bn_unbiased;           /* running variance with n-1 */
    double drop_path;           /* at the last block */
    bool head_fixed;            /* 1280 channels before the pooling whatever the width */
    bool squeeze_even;          /* squeeze width rounded to a multiple of 2 instead of down */
} ModelConfig;

enum { MODEL_PADDING_SAME, MODEL_PADDING_SYMMETRIC };

typedef enum ParameterRole {
    ROLE_CONV,      /* (O, I, K, K); a 1x1 convolution is (O, I, 1, 1) */
    ROLE_DEPTHWISE, /* (C, 1, K, K) */
    ROLE_DENSE,     /* (O, I) */
    ROLE_BIAS,      /* of a convolution or dense layer */
    ROLE_BN_SCALE,
    ROLE_BN_BIAS,
    ROLE_RUNNING_MEAN,     /* in the statistics block */
    ROLE_RUNNING_VARIANCE, /* in the statistics block */
} ParameterRole;

typedef struct Parameter {
    char name[96]; /* timm's: "blocks.1.0.conv_pw.weight" */
    ParameterRole role;
    int rank, shape[4];
    size_t offset, count; /* floats, into the parameters or the statistics block */
    bool trainable;       /* false: frozen (freeze.h); it never changes and its gradient is 0. Statistics: false */
    double lr_scale;      /* times the step's learning rate (network_layer_decay), 1 */
} Parameter;

typedef enum OpKind {
    OP_CONV,           /* dense K x K convolution, no bias: stem, and every 1x1 */
    OP_DEPTHWISE,      /* K x K depthwise convolution, no bias */
    OP_BATCH_NORM,     /* followed by `activation` (NONE after a projection) */
    OP_SQUEEZE_EXCITE, /* mean over H, W -> reduce -> activation -> expand -> sigmoid -> scale the input */
    OP_RESIDUAL,       /* output = input * drop_path_scale[drop_path_index][image] + residual */
    OP_GLOBAL_POOL,    /* mean over H, W */
    OP_DROPOUT,        /* output = input * dropout_scale[image][channel] */
    OP_DENSE,          /* classifier with bias */
} OpKind;

typedef struct Op {
    OpKind kind;
    int block;             /* -1 stem, 0..blocks-1, `blocks` for the head */
    char name[64];         /* "blocks.1.0.conv_pw": the prefix of its parameters' names */
    int input, output;     /* tensor indices */
    int residual;          /* OP_RESIDUAL: tensor added; else -1 */
    int kernel, stride;    /* OP_CONV, OP_DEPTHWISE */
    int pad_top, pad_left; /* rows and columns of zeros before the first; those after follow from the output shape */
    Activation activation; /* OP_BATCH_NORM, and the inner one of OP_SQUEEZE_EXCITE */
    int squeezed;          /* OP_SQUEEZE_EXCITE: width of the reduced layer */
    int drop_path_index;   /* OP_RESIDUAL: 0..residuals-1 in order; -1 elsewhere */
    int weight, bias;      /* indices into parameters, -1 where there is none; OP_BATCH_NORM: scale and bias */
    int expand_weight, expand_bias;     /* OP_SQUEEZE_EXCITE: weight, bias are conv_reduce's, these conv_expand's */
    int running_mean, running_variance; /* OP_BATCH_NORM: indices into statistics */
    bool frozen; /* it has parameters and none is trainable; such a batch norm goes by its running statistics, which
                    stay, in training too */
} Op;

typedef struct Block {
    char name[32]; /* "stem", "blocks.1.0", "head" */
    int stage, index;
    int kernel, stride, expand_ratio, in_channels, expanded_channels, out_channels, squeezed;
    bool residual;
    double drop_path; /* probability of dropping, drop_path * block / blocks */
} Block;

typedef struct Network {
    ModelConfig config;
    Parameter *parameters;
    int num_parameters;
    size_t parameter_floats;
    Parameter *statistics;
    int num_statistics;
    size_t statistic_floats;
    TensorShape *tensors; /* tensor 0 is the input picture, config.input */
    int num_tensors;
    Op *ops;
    int num_ops;
    Block *blocks; /* the MBConv blocks only */
    int num_blocks;
    int num_residuals;   /* blocks with an identity skip: rows of the drop path mask */
    int features;        /* channels that enter the classifier */
    int first_trainable; /* the first op with a trainable parameter: backward passes end there */
} Network;

/* The published coefficients of a name; num_classes 1000, TensorFlow's padding and batch norm, drop_path 0.2.
 */
effnet_status model_config_by_name(const char *name, ModelConfig *out, effnet_error *err);
/* "efficientnet_b0, efficientnet_b1, ..." for messages. */
const char *model_names(void);
/* The index-th known name, NULL past the last. */
const char *model_name_at(int index);

/* The network for inputs of config.input. Freed by network_free. */
effnet_status network_build(const ModelConfig *config, Network *out, effnet_error *err);
void network_free(Network *network);

/* The parameter or statistic of that name, or NULL; *is_statistic says which block its offset is into. */
const Parameter *network_find(const Network *network, const char *name, bool *is_statistic);

/* TensorFlow's rounding of a filter count: to a multiple of 8, not below 90 % of the scaled count. */
int round_filters(int filters, double width);
int round_repeats(int repeats, double depth);
/* Width of the squeezed layer of a block of `channels` inputs: int(channels / 4), at least 1 (TensorFlow, timm), or,
 * even, the multiple of 2 nearest to channels / 4, halves upwards, at least 2, not below 90 % of it (the original Flax
 * SeBlock with divisor 2). The family's channels are multiples of 8, for which both are channels / 4. */
int squeeze_width(int channels, bool even);

/* Keep probability of residual `drop_path_index` in training. */
double network_keep_probability(const Network *network, int drop_path_index);

#endif
