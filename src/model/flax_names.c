/* flax_names.c - see flax_names.h. */
#include "model/flax_names.h"

#include "base/sha1.h"

#include <stdio.h>
#include <string.h>

static const char *const backbone = "EfficientNetBackbone_0";

/* The module of a layer (timm's name of `length` bytes) within its block, or outside of all blocks. */
static const char *layer_module(const char *layer, size_t length, bool in_block, bool expands) {
    static const struct {
        const char *timm, *flax;
    } block_layers[] =
        {
            {"conv_dw", "DepthWise_Conv"},
            {"conv_pwl", "Project_Conv"},
            {"bn1", "BatchNorm_0"},
            {"bn2", "BatchNorm_1"},
            {"bn3", "BatchNorm_2"},
            {"se.conv_reduce", "SeBlock_0/Conv_0"},
            {"se.conv_expand", "SeBlock_0/Conv_1"},
        },
      outer_layers[] = {
          {"conv_stem", "Stem_Conv"},
          {"bn1", "BatchNorm_0"},
          {"conv_head", "Conv_0"},
          {"bn2", "BatchNorm_1"},
      };
    if (in_block && length == strlen("conv_pw") && strncmp(layer, "conv_pw", length) == 0)
        return expands ? "Expand_Conv" : "Project_Conv";
    size_t count = in_block ? sizeof block_layers / sizeof *block_layers : sizeof outer_layers / sizeof *outer_layers;
    for (size_t i = 0; i < count; i++) {
        const char *timm = in_block ? block_layers[i].timm : outer_layers[i].timm;
        if (strlen(timm) == length && strncmp(timm, layer, length) == 0)
            return in_block ? block_layers[i].flax : outer_layers[i].flax;
    }
    return "Head"; /* classifier */
}

void flax_module_path(const Network *network, const Parameter *parameter, char path[FLAX_PATH]) {
    const char *name = parameter->name;
    for (int k = 0; k < network->num_blocks; k++) {
        const Block *block = &network->blocks[k];
        size_t prefix = strlen(block->name);
        if (strncmp(name, block->name, prefix) != 0 || name[prefix] != '.') continue;
        const char *layer = name + prefix + 1;
        snprintf(path, FLAX_PATH, "%s/InvertedResBlockEfficientNet_%d/%s", backbone, k,
                 layer_module(layer, (size_t)(strrchr(layer, '.') - layer), true, block->expand_ratio > 1));
        return;
    }
    const char *module = layer_module(name, (size_t)(strrchr(name, '.') - name), false, false);
    if (strcmp(module, "Head") == 0)
        snprintf(path, FLAX_PATH, "%s", module);
    else
        snprintf(path, FLAX_PATH, "%s/%s", backbone, module);
}

const char *flax_leaf_name(const Parameter *parameter) {
    switch (parameter->role) {
    case ROLE_BIAS:
    case ROLE_BN_BIAS:
        return "bias";
    case ROLE_BN_SCALE:
        return "scale";
    case ROLE_RUNNING_MEAN:
        return "mean";
    case ROLE_RUNNING_VARIANCE:
        return "var";
    default:
        return "kernel";
    }
}

size_t flax_element(const Parameter *parameter, size_t i) {
    if (parameter->rank < 2) return i;
    size_t outputs = (size_t)parameter->shape[0], inputs = (size_t)parameter->shape[1];
    size_t taps = parameter->rank == 4 ? (size_t)parameter->shape[2] * (size_t)parameter->shape[3] : 1;
    size_t tap = i % taps, input = i / taps % inputs, output = i / taps / inputs;
    return (tap * inputs + input) * outputs + output;
}

RandomKey flax_make_rng(RandomKey key, const char *path, uint32_t count) {
    uint8_t text[FLAX_PATH + 4], digest[20];
    size_t size = 0;
    for (; *path && size < FLAX_PATH; path++)
        if (*path != '/') text[size++] = (uint8_t)*path;
    for (int shift = 24; shift >= 0; shift -= 8) /* as few bytes as hold the count, big-endian */
        if (count >> shift) text[size++] = (uint8_t)(count >> shift);
    sha1_digest(text, size, digest);
    return random_fold_in(key,
                          (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3]);
}
