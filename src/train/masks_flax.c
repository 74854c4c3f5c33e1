/* masks_flax.c - dropout and stochastic depth as the original Flax trainer draws them.
 *
 * The trainer (github NobuoTsukamoto/jax_examples c05ece5, classification/train.py) carries a key on each device from
 * step to step:
 *   rng of step 0 = split(split(key(seed), 4)[3], devices)[device]
 *   dropout key, stochastic depth key, rng of the next step = split(rng, 3)
 * and each layer folds its module's path into its key (model/flax_names.h): Dropout_0 draws (batch, features),
 * StochasticDepth_0 of a block (batch): uniform < keep, of the device's own images. A part of our batch (accumulate)
 * stands for a device, as in bn_sync. The masks are those of Flax bit for bit; what is kept is multiplied by 1 / keep
 * here and divided by keep there.
 *
 * How jax.random counts its numbers is `threefry`: JAX before 0.5 counted otherwise, and with it the key of a device
 * depends on how many there are.
 *
 * The chain has no short cut, so its place is kept between calls: the masks are a function of seed, device and step
 * alone, and a resumed run goes through the chain once (a tenth of a microsecond a step). */
#include "train/train.h"

#include "model/flax_names.h"

#include <stdio.h>

enum { PARAMS_DROPOUT_DEPTH_TRAIN = 4, DROPOUT_DEPTH_NEXT = 3 }; /* parts of each split, named in order */

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

static void draw(RandomKey key, ThreefryMode mode, size_t count, double keep, float *out) {
    float scale = (float)(1 / keep);
    for (size_t i = 0; i < count; i++) {
        float uniform = uniform_from_bits(random_bits_of(key, mode, count, i));
        out[i] = uniform < (float)keep ? scale : 0.0f; /* jax.random.bernoulli */
    }
}

void masks_draw_flax(FlaxMaskChain *chain, const FlaxMaskOptions *options, const Network *network, int64_t step,
                     int batch, float *drop_path_scale, float *dropout_scale) {
    ThreefryMode mode = options->threefry;
    go_to_step(chain, options, step);
    RandomKey dropout = random_split(chain->key, mode, DROPOUT_DEPTH_NEXT, 0);
    RandomKey depth = random_split(chain->key, mode, DROPOUT_DEPTH_NEXT, 1);
    int residual = 0;
    for (int k = 0; k < network->num_blocks; k++) {
        if (!network->blocks[k].residual) continue;
        char path[FLAX_PATH];
        snprintf(path, sizeof path, "EfficientNetBackbone_0/InvertedResBlockEfficientNet_%d/StochasticDepth_0", k);
        draw(flax_make_rng(depth, path, 1), mode, (size_t)batch, network_keep_probability(network, residual),
             drop_path_scale + (size_t)residual * (size_t)batch);
        residual++;
    }
    draw(flax_make_rng(dropout, "Dropout_0", 1), mode, (size_t)batch * (size_t)network->features,
         1 - network->config.drop, dropout_scale);
}
