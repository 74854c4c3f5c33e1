/* mask_keys.h - the key of each layer's dropout and drop path masks in a step: drawn from on the host (masks.c,
 * masks_flax.c) or on a device (backend/xla/xla_random.c), the same masks either way.
 *
 * Ours: key = fold_in(fold_in(fold_in(fold_in(key(seed), "mask"), high half of step), low half of step), layer), layer
 * being the drop path index, or num_residuals for the dropout; a value's index is the image's place in the whole batch,
 * for the dropout place * features + feature. So the number of parts, threads and workers leaves masks as they are.
 *
 * Flax's: as the original trainer (github NobuoTsukamoto/jax_examples c05ece5, classification/train.py) carries a key
 * on each device from step to step:
 *   rng of step 0 = split(split(key(seed), 4)[3], devices)[device]
 *   dropout key, stochastic depth key, rng of the next step = split(rng, 3)
 * and each layer folds its module's path into its key (model/flax_names.h). The chain has no short cut, so its place is
 * kept between calls; a resumed run goes through it once (a tenth of a microsecond a step). */
#ifndef EFFNET_STEP_MASK_KEYS_H
#define EFFNET_STEP_MASK_KEYS_H

#include "base/random.h"
#include "model/network.h"

typedef struct FlaxMaskChain { /* where a device's chain of keys stands; zeros: before its beginning */
    bool begun;
    int64_t step;
    RandomKey key;
} FlaxMaskChain;

typedef struct FlaxMaskOptions {
    uint64_t seed;
    ThreefryMode threefry; /* how its JAX counts random numbers */
    int device, devices;
} FlaxMaskOptions;

enum { MOST_KEYS = 256 }; /* more than any member of the family has residuals */
/* keys (num_residuals + 1): of each drop path, and last of the dropout. */
void mask_keys(const Network *network, uint64_t seed, int64_t step, RandomKey *keys);
/* The same of a device of the original; `chain` belongs to these options. */
void mask_keys_flax(FlaxMaskChain *chain, const FlaxMaskOptions *options, const Network *network, int64_t step,
                    RandomKey *keys);

#endif
