/* mask_keys.c - see mask_keys.h. */
#include "step/mask_keys.h"

#include "model/flax_names.h"

#include <stdio.h>

enum { MASK_STREAM = 0x6D61736B }; /* "mask": apart from initial weights and the order of the data */
enum { PARAMS_DROPOUT_DEPTH_TRAIN = 4, DROPOUT_DEPTH_NEXT = 3 }; /* parts of each split, named in order */

void mask_keys(const Network *network, uint64_t seed, int64_t step, RandomKey *keys) {
    RandomKey key = random_fold_in(random_key(seed), MASK_STREAM);
    key = random_fold_in(key, (uint32_t)((uint64_t)step >> 32));
    key = random_fold_in(key, (uint32_t)step);
    for (int layer = 0; layer <= network->num_residuals; layer++) keys[layer] = random_fold_in(key, (uint32_t)layer);
}

static void go_to_step(FlaxMaskChain *chain, const FlaxMaskOptions *options, int64_t step) {
    ThreefryMode mode = options->threefry;
    if (!chain->begun || chain->step > step) {
        RandomKey train =
            random_split(random_key(options->seed), mode, PARAMS_DROPOUT_DEPTH_TRAIN, PARAMS_DROPOUT_DEPTH_TRAIN - 1);
        *chain = (FlaxMaskChain){
            .begun = true, .key = random_split(train, mode, (uint64_t)options->devices, (uint64_t)options->device)};
    }
    for (; chain->step < step; chain->step++)
        chain->key = random_split(chain->key, mode, DROPOUT_DEPTH_NEXT, DROPOUT_DEPTH_NEXT - 1);
}

void mask_keys_flax(FlaxMaskChain *chain, const FlaxMaskOptions *options, const Network *network, int64_t step,
                    RandomKey *keys) {
    go_to_step(chain, options, step);
    RandomKey dropout = random_split(chain->key, options->threefry, DROPOUT_DEPTH_NEXT, 0);
    RandomKey depth = random_split(chain->key, options->threefry, DROPOUT_DEPTH_NEXT, 1);
    int residual = 0;
    for (int k = 0; k < network->num_blocks; k++) {
        if (!network->blocks[k].residual) continue;
        char path[FLAX_PATH];
        snprintf(path, sizeof path, "EfficientNetBackbone_0/InvertedResBlockEfficientNet_%d/StochasticDepth_0", k);
        keys[residual++] = flax_make_rng(depth, path, 1);
    }
    keys[residual] = flax_make_rng(dropout, "Dropout_0", 1);
}
