/* initialize.h - first values of every parameter and statistic, from a seed. */
#ifndef EFFNET_MODEL_INITIALIZE_H
#define EFFNET_MODEL_INITIALIZE_H

#include "base/random.h"
#include "model/network.h"

typedef struct InitializeOptions {
    uint64_t seed;
    bool truncated;          /* truncated normal, variance-scaled, instead of normal */
    bool dense_truncated;    /* the classifier: truncated normal of scale 1/3, fan_out, instead of uniform */
    bool dense_zero;         /* the classifier: zeros */
    bool depthwise_fan_flax; /* fan_out of a depthwise kernel k*k*C instead of k*k */
    bool flax;               /* the random numbers that Flax draws for its model of these names (flax_names.h) */
    ThreefryMode threefry;   /* with `flax`: how its JAX counts them */
} InitializeOptions;

/* parameters: network->parameter_floats; statistics: network->statistic_floats (mean 0, variance 1).
 * Convolutions N(0, sqrt(2/fan_out)), classifier U(-1/sqrt(out), 1/sqrt(out)) or a truncated normal of the
 * same variance 1/(3 out), biases 0, batch norm scale 1.
 * Each tensor has its own key, so that a head of another size changes no other tensor: folded from its index, or with
 * `flax` from its module's path, under jax.random.split(key(seed), 4)[0], each element drawn at its place in Flax's
 * layout. Equal to the original's up to the rounding of log1p and products (1e-6 of each value). */
void network_initialize(const Network *network, const InitializeOptions *options, float *parameters, float *statistics);

#endif
