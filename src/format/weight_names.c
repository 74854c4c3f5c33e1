/* weight_names.c - see weight_names.h.
 *
 * A layer's name is a template: %b block from 0, %s stage from 0, %S stage from 1, %i place in the stage from 0, %l the
 * same as a letter from 'a'. Blocks without expansion (the first stage) have a table of their own, since programs that
 * number layers number them otherwise there. Sources: torchvision/models/efficientnet.py, efficientnet_pytorch 0.7.1,
 * NobuoTsukamoto/jax_examples c05ece5 common/common_layer.py, keras/src/applications/efficientnet.py (3.15), and
 * tensorflow/tpu models/official/efficientnet/efficientnet_model.py. */
#include "format/weight_names.h"

#include <stdio.h>
#include <string.h>

typedef enum Part {
    PART_STEM,
    PART_STEM_NORM,
    PART_EXPAND,
    PART_EXPAND_NORM,
    PART_DEPTHWISE,
    PART_DEPTHWISE_NORM,
    PART_REDUCE, /* of squeeze-excite */
    PART_EXCITE,
    PART_PROJECT,
    PART_PROJECT_NORM,
    PART_HEAD,
    PART_HEAD_NORM,
    PART_CLASSIFIER,
    PARTS
} Part;

enum { ROLES = ROLE_RUNNING_VARIANCE + 1, MOST_IGNORED = 6 };

#define PYTORCH_LEAVES                                                                                                 \
    { "weight", "weight", "weight", "bias", "weight", "bias", "running_mean", "running_var" }

static const struct Naming {
    const char *label;
    const char *collections[2]; /* before a parameter's and a statistic's name */
    const char *layers[PARTS];
    const char *unexpanded[PARTS];     /* blocks without expansion; NULL: as `layers` */
    const char *leaves[ROLES];         /* by ParameterRole */
    bool channels_last;                /* kernels HWIO, dense (in, out) */
    bool multiplier_last;              /* depthwise kernels (H, W, C, 1), else (H, W, 1, C) */
    const char *suffix;                /* of averages */
    const char *ignored[MOST_IGNORED]; /* tensors whose name ends like this or, with '/' or '.' at the end, begins */
} namings[NAMING_STYLES] = {
    [NAMES_TIMM] =
        {
            .label = "timm",
            .collections = {"", ""},
            .layers = {"conv_stem", "bn1", "blocks.%s.%i.conv_pw", "blocks.%s.%i.bn1", "blocks.%s.%i.conv_dw",
                       "blocks.%s.%i.bn2", "blocks.%s.%i.se.conv_reduce", "blocks.%s.%i.se.conv_expand",
                       "blocks.%s.%i.conv_pwl", "blocks.%s.%i.bn3", "conv_head", "bn2", "classifier"},
            .unexpanded = {[PART_DEPTHWISE_NORM] = "blocks.%s.%i.bn1",
                           [PART_PROJECT] = "blocks.%s.%i.conv_pw",
                           [PART_PROJECT_NORM] = "blocks.%s.%i.bn2"},
            .leaves = PYTORCH_LEAVES,
            .ignored = {".num_batches_tracked"},
        },
    [NAMES_TORCHVISION] =
        {
            .label = "torchvision",
            .collections = {"", ""},
            .layers = {"features.0.0", "features.0.1", "features.%S.%i.block.0.0", "features.%S.%i.block.0.1",
                       "features.%S.%i.block.1.0", "features.%S.%i.block.1.1", "features.%S.%i.block.2.fc1",
                       "features.%S.%i.block.2.fc2", "features.%S.%i.block.3.0", "features.%S.%i.block.3.1",
                       "features.8.0", "features.8.1", "classifier.1"},
            .unexpanded = {[PART_DEPTHWISE] = "features.%S.%i.block.0.0",
                           [PART_DEPTHWISE_NORM] = "features.%S.%i.block.0.1",
                           [PART_REDUCE] = "features.%S.%i.block.1.fc1",
                           [PART_EXCITE] = "features.%S.%i.block.1.fc2",
                           [PART_PROJECT] = "features.%S.%i.block.2.0",
                           [PART_PROJECT_NORM] = "features.%S.%i.block.2.1"},
            .leaves = PYTORCH_LEAVES,
            .ignored = {".num_batches_tracked"},
        },
    [NAMES_LUKEMELAS] =
        {
            .label = "efficientnet_pytorch",
            .collections = {"", ""},
            .layers = {"_conv_stem", "_bn0", "_blocks.%b._expand_conv", "_blocks.%b._bn0", "_blocks.%b._depthwise_conv",
                       "_blocks.%b._bn1", "_blocks.%b._se_reduce", "_blocks.%b._se_expand", "_blocks.%b._project_conv",
                       "_blocks.%b._bn2", "_conv_head", "_bn1", "_fc"},
            .leaves = PYTORCH_LEAVES,
            .ignored = {".num_batches_tracked"},
        },
#define FLAX       "EfficientNetBackbone_0/"
#define FLAX_BLOCK FLAX "InvertedResBlockEfficientNet_%b/"
    [NAMES_FLAX] =
        {
            .label = "Flax",
            .collections = {"params/", "batch_stats/"},
            .layers = {FLAX "Stem_Conv", FLAX "BatchNorm_0", FLAX_BLOCK "Expand_Conv", FLAX_BLOCK "BatchNorm_0",
                       FLAX_BLOCK "DepthWise_Conv", FLAX_BLOCK "BatchNorm_1", FLAX_BLOCK "SeBlock_0/Conv_0",
                       FLAX_BLOCK "SeBlock_0/Conv_1", FLAX_BLOCK "Project_Conv", FLAX_BLOCK "BatchNorm_2",
                       FLAX "Conv_0", FLAX "BatchNorm_1", "Head"},
            .unexpanded =
                {[PART_DEPTHWISE_NORM] = FLAX_BLOCK "BatchNorm_0", [PART_PROJECT_NORM] = FLAX_BLOCK "BatchNorm_1"},
            .leaves = {"kernel", "kernel", "kernel", "bias", "scale", "bias", "mean", "var"},
            .channels_last = true,
            .ignored = {"opt_state/", "step"},
        },
#define KERAS_BLOCK "block%S%l_"
    [NAMES_KERAS] =
        {
            .label = "Keras",
            .collections = {"", ""},
            .layers = {"stem_conv", "stem_bn", KERAS_BLOCK "expand_conv", KERAS_BLOCK "expand_bn", KERAS_BLOCK "dwconv",
                       KERAS_BLOCK "bn", KERAS_BLOCK "se_reduce", KERAS_BLOCK "se_expand", KERAS_BLOCK "project_conv",
                       KERAS_BLOCK "project_bn", "top_conv", "top_bn", "predictions"},
            .leaves = {"kernel", "kernel", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"},
            .channels_last = true,
            .multiplier_last = true,
            .ignored = {"normalization/mean", "normalization/variance", "normalization/count", "optimizer/"},
        },
    [NAMES_TENSORFLOW] =
        {
            .label = "TensorFlow",
            .collections = {"", ""},
            .layers = {"stem/conv2d", "stem/tpu_batch_normalization", "blocks_%b/conv2d",
                       "blocks_%b/tpu_batch_normalization", "blocks_%b/depthwise_conv2d",
                       "blocks_%b/tpu_batch_normalization_1", "blocks_%b/se/conv2d", "blocks_%b/se/conv2d_1",
                       "blocks_%b/conv2d_1", "blocks_%b/tpu_batch_normalization_2", "head/conv2d",
                       "head/tpu_batch_normalization", "head/dense"},
            .unexpanded = {[PART_DEPTHWISE_NORM] = "blocks_%b/tpu_batch_normalization",
                           [PART_PROJECT] = "blocks_%b/conv2d",
                           [PART_PROJECT_NORM] = "blocks_%b/tpu_batch_normalization_1"},
            .leaves = {"kernel", "depthwise_kernel", "kernel", "bias", "gamma", "beta", "moving_mean",
                       "moving_variance"},
            .channels_last = true,
            .multiplier_last = true,
            .suffix = "/ExponentialMovingAverage",
            .ignored = {"global_step", "/RMSProp", "/RMSProp_1", "/Momentum"},
        },
};

const char *naming_label(NamingStyle style) {
    return namings[style].label;
}

/* ---- where in the network ---- */

/* The layer of a parameter or statistic, and its block (-1: none). */
static Part part_of(const Network *network, bool is_statistic, int index, int *block) {
    Part convolution = PART_STEM; /* the last one passed */
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        *block = op->block >= 0 && op->block < network->num_blocks ? op->block : -1;
        if (op->kind == OP_DEPTHWISE)
            convolution = PART_DEPTHWISE;
        else if (op->kind == OP_CONV && op->block < 0)
            convolution = PART_STEM;
        else if (op->kind == OP_CONV && op->block == network->num_blocks)
            convolution = PART_HEAD;
        else if (op->kind == OP_CONV) /* a block's first op, where it expands */
            convolution = i > 0 && network->ops[i - 1].block == op->block ? PART_PROJECT : PART_EXPAND;
        if (is_statistic) {
            if (op->running_mean == index || op->running_variance == index) return convolution + 1;
            continue;
        }
        if (op->expand_weight == index || op->expand_bias == index) return PART_EXCITE;
        if (op->weight != index && op->bias != index) continue;
        if (op->kind == OP_BATCH_NORM) return convolution + 1;
        if (op->kind == OP_SQUEEZE_EXCITE) return PART_REDUCE;
        return op->kind == OP_DENSE ? PART_CLASSIFIER : convolution;
    }
    *block = -1;
    return PART_CLASSIFIER; /* not reached: every parameter is some op's */
}

static const Parameter *parameter_of(const Network *network, bool is_statistic, int index) {
    return is_statistic ? &network->statistics[index] : &network->parameters[index];
}

/* ---- names ---- */

/* Appends the template's text; `block` may be NULL where it names none. */
static void append_template(char name[WEIGHT_NAME_SIZE], const char *template, const Block *block, int number) {
    size_t used = strlen(name);
    for (; *template && used + 12 < WEIGHT_NAME_SIZE; template ++) {
        if (*template != '%' || !block) {
            name[used++] = *template;
            continue;
        }
        char what = *++template;
        if (what == 'l') {
            name[used++] = (char)('a' + block->index);
            continue;
        }
        int value = what == 'b' ? number : what == 'i' ? block->index : block->stage + (what == 'S');
        used += (size_t)snprintf(name + used, 12, "%d", value);
    }
    name[used] = 0;
}

void naming_name(const WeightNaming *naming, const Network *network, bool is_statistic, int index,
                 char name[WEIGHT_NAME_SIZE]) {
    const struct Naming *style = &namings[naming->style];
    int number;
    Part part = part_of(network, is_statistic, index, &number);
    const Block *block = number >= 0 ? &network->blocks[number] : NULL;
    const char *layer = style->layers[part];
    if (block && block->expand_ratio == 1 && style->unexpanded[part]) layer = style->unexpanded[part];
    snprintf(name, WEIGHT_NAME_SIZE, "%s%s", naming->prefix, style->collections[is_statistic]);
    append_template(name, layer, block, number);
    size_t used = strlen(name);
    const char *leaf = style->leaves[parameter_of(network, is_statistic, index)->role];
    snprintf(name + used, WEIGHT_NAME_SIZE - used, "%c%s", style->channels_last ? '/' : '.', leaf);
    if (style->channels_last && naming->separator != '/')
        for (char *c = name + strlen(naming->prefix); *c; c++)
            if (*c == '/') *c = naming->separator;
}

int naming_find(const WeightNaming *naming, const Safetensors *file, const Network *network, bool is_statistic,
                int index) {
    char name[WEIGHT_NAME_SIZE];
    naming_name(naming, network, is_statistic, index, name);
    if (*naming->suffix) {
        char averaged[WEIGHT_NAME_SIZE + 40];
        snprintf(averaged, sizeof averaged, "%s%s", name, naming->suffix);
        int found = safetensors_find(file, averaged);
        if (found >= 0) return found;
    }
    return safetensors_find(file, name);
}

/* `name` ends with `tail` ('/' standing for `separator`) and what comes before is a whole part of a path. */
static bool ends_with_path(const char *name, const char *tail, char separator, size_t *before) {
    size_t length = strlen(name), wanted = strlen(tail);
    if (wanted > length) return false;
    *before = length - wanted;
    for (size_t i = 0; i < wanted; i++) {
        char c = tail[i] == '/' ? separator : tail[i];
        if (name[*before + i] != c) return false;
    }
    return *before == 0 || name[*before - 1] == '.' || name[*before - 1] == '/';
}

static bool detect_style(const Safetensors *file, NamingStyle kind, char separator, const char *suffix,
                         WeightNaming *out) {
    const struct Naming *style = &namings[kind];
    char tail[WEIGHT_NAME_SIZE];
    snprintf(tail, sizeof tail, "%s%s%c%s%s", style->collections[0], style->layers[PART_STEM],
             style->channels_last ? '/' : '.', style->leaves[ROLE_CONV], suffix);
    for (int i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_tensor(file, i).name;
        size_t before;
        if (!ends_with_path(name, tail, separator, &before) || before >= sizeof out->prefix) continue;
        *out = (WeightNaming){.style = kind, .suffix = suffix, .separator = separator};
        memcpy(out->prefix, name, before);
        return true;
    }
    return false;
}

bool naming_detect(const Safetensors *file, WeightNaming *out) {
    for (int kind = 0; kind < NAMING_STYLES; kind++) {
        const struct Naming *style = &namings[kind];
        const char *separators = style->channels_last ? "/." : ".";
        for (const char *separator = separators; *separator; separator++) {
            if (style->suffix && detect_style(file, (NamingStyle)kind, *separator, style->suffix, out)) return true;
            if (detect_style(file, (NamingStyle)kind, *separator, "", out)) {
                if (style->suffix) out->suffix = "";
                return true;
            }
        }
    }
    return false;
}

bool naming_ignores(const WeightNaming *naming, const char *name) {
    const struct Naming *style = &namings[naming->style];
    size_t length = strlen(name);
    for (int i = 0; i < MOST_IGNORED && style->ignored[i]; i++) {
        const char *pattern = style->ignored[i];
        size_t wanted = strlen(pattern), before;
        bool begins = pattern[wanted - 1] == '/', tail = pattern[0] == '/' || pattern[0] == '.';
        if (begins && strncmp(name, pattern, wanted) == 0) return true;
        if (tail && length >= wanted && strcmp(name + length - wanted, pattern) == 0) return true;
        if (!begins && !tail && ends_with_path(name, pattern, naming->separator, &before)) return true;
    }
    /* Beside a moving average stands the weight that it averages. */
    return *naming->suffix &&
           (length < strlen(naming->suffix) || strcmp(name + length - strlen(naming->suffix), naming->suffix) != 0);
}

/* ---- layouts ---- */

void naming_shape(NamingStyle style, const Parameter *parameter, int64_t shape[4]) {
    const int *timm = parameter->shape;
    for (int i = 0; i < parameter->rank; i++) shape[i] = timm[i];
    if (!namings[style].channels_last) return;
    switch (parameter->role) {
    case ROLE_CONV: /* O, I, H, W -> H, W, I, O */
        shape[0] = timm[2], shape[1] = timm[3], shape[2] = timm[1], shape[3] = timm[0];
        break;
    case ROLE_DEPTHWISE: /* C, 1, H, W -> H, W, 1, C or H, W, C, 1 */
        shape[0] = timm[2], shape[1] = timm[3];
        shape[2] = namings[style].multiplier_last ? timm[0] : 1;
        shape[3] = namings[style].multiplier_last ? 1 : timm[0];
        break;
    case ROLE_DENSE: /* O, I -> I, O */
        shape[0] = timm[1], shape[1] = timm[0];
        break;
    default:
        break;
    }
}

/* out (columns, rows) = in (rows, columns) transposed */
static void transpose(const float *in, size_t rows, size_t columns, float *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) out[c * rows + r] = in[r * columns + c];
}

void naming_to_timm(NamingStyle style, const Parameter *parameter, const float *values, float *out) {
    const int *shape = parameter->shape;
    size_t outputs = (size_t)shape[0], inputs = parameter->rank > 1 ? (size_t)shape[1] : 1, place = 0;
    if (!namings[style].channels_last || parameter->rank == 1)
        memcpy(out, values, parameter->count * sizeof *out);
    else if (parameter->role != ROLE_CONV) /* dense: (I, O) -> (O, I); depthwise: (H*W, C) -> (C, H*W) */
        transpose(values, parameter->count / outputs, outputs, out);
    else /* (H*W, I, O) -> (O, I, H*W) */
        for (size_t k = 0, area = parameter->count / outputs / inputs; k < area; k++)
            for (size_t i = 0; i < inputs; i++)
                for (size_t o = 0; o < outputs; o++) out[(o * inputs + i) * area + k] = values[place++];
}
