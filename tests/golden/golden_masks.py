"""The masks that `masks: effnet` draws (src/train/masks.c), by jax.random, whose numbers ours are: for the programs
that effnet's runs are replayed in.

SPDX-License-Identifier: Apache-2.0"""

import jax
import numpy as np

MASK_STREAM = 0x6D61736B


def masks_of_step(seed, step, batch, keep, features, keep_features):
    """(residuals, batch) and (batch, features), 0 or 1/keep. keep: of each residual."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(jax.random.PRNGKey(seed), MASK_STREAM), 0), step)

    def draw(layer, shape, share):
        kept = np.asarray(jax.random.uniform(jax.random.fold_in(key, layer), shape)) < np.float32(share)
        return np.where(kept, np.float32(1 / share), np.float32(0))

    return ([draw(r, (batch,), share) for r, share in enumerate(keep)],
            draw(len(keep), (batch, features), keep_features))
