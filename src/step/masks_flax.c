/* masks_flax.c - dropout and stochastic depth as the original Flax trainer draws them.
 *
 * Keys: step/mask_keys.h. Dropout_0 draws (batch, features), StochasticDepth_0 of a block (batch): uniform < keep, of
 * the device's own images. A replica of ours is a device. The masks are those of
 * Flax bit for bit; what is kept is multiplied by 1 / keep here and divided by keep there. How jax.random counts its
 * numbers is `threefry`: JAX before 0.5 counted otherwise, and with it the key of a device depends on how many there
 * are. */
#include "step/masks.h"

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
    RandomKey keys[MOST_KEYS];
    mask_keys_flax(chain, options, network, step, keys);
    for (int r = 0; r < network->num_residuals; r++)
        draw(keys[r], mode, (size_t)batch, network_keep_probability(network, r),
             drop_path_scale + (size_t)r * (size_t)batch);
    draw(keys[network->num_residuals], mode, (size_t)batch * (size_t)network->features, 1 - network->config.drop,
         dropout_scale);
}
