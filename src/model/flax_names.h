/* flax_names.h - our tensors by the names and in the layouts of the Flax model that the TPU runs trained (github
 * NobuoTsukamoto/jax_examples, classification/implements/efficientnet.py and common/common_layer.py at c05ece5), and
 * the random keys that Flax makes of those names.
 *
 *   timm                          Flax
 *   conv_stem, bn1                EfficientNetBackbone_0/Stem_Conv, EfficientNetBackbone_0/BatchNorm_0
 *   blocks.S.I.conv_pw, bn1       .../InvertedResBlockEfficientNet_K/Expand_Conv, BatchNorm_0
 *   blocks.S.I.conv_dw, bn2       .../DepthWise_Conv, BatchNorm_1
 *   blocks.S.I.se.conv_reduce     .../SeBlock_0/Conv_0                          K counts all blocks from 0; a block
 *   blocks.S.I.se.conv_expand     .../SeBlock_0/Conv_1                          without expansion has conv_dw, bn1,
 *   blocks.S.I.conv_pwl, bn3      .../Project_Conv, BatchNorm_2                 conv_pw (Project_Conv), bn2
 *   conv_head, bn2                EfficientNetBackbone_0/Conv_0, EfficientNetBackbone_0/BatchNorm_1
 *   classifier                    Head
 * Leaves: kernel (weight), bias, scale (weight of a batch norm), mean, var. Kernels are HWIO, Head's is (in, out). */
#ifndef EFFNET_MODEL_FLAX_NAMES_H
#define EFFNET_MODEL_FLAX_NAMES_H

#include "base/random.h"
#include "model/network.h"

enum { FLAX_PATH = 128 }; /* bytes that hold any module's path */

/* "EfficientNetBackbone_0/Stem_Conv" of "conv_stem.weight": the module that has this parameter or statistic. */
void flax_module_path(const Network *network, const Parameter *parameter, char path[FLAX_PATH]);
/* "kernel", "bias", "scale", "mean" or "var". */
const char *flax_leaf_name(const Parameter *parameter);
/* Where element i of a parameter in our layout stands in Flax's. */
size_t flax_element(const Parameter *parameter, size_t i);

/* The key of the `count`-th make_rng call (from 1) in the module at `path`, of a stream that began with `key`:
 * fold_in(key, the first four bytes, big-endian, of SHA-1(the path's names and the count, one behind the other)). Flax
 * folds only when asked, the whole path at once (flax 0.12.8, core/scope.py: LazyRng, _fold_in_static; the flag
 * flax_fix_rng_separator off, as by default). */
RandomKey flax_make_rng(RandomKey key, const char *path, uint32_t count);

#endif
