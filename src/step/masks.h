/* masks.h - dropout and drop path on the host: each value 0 or 1/keep. drop_path_scale is (num_residuals, batch),
 * dropout_scale (batch, features). */
#ifndef EFFNET_STEP_MASKS_H
#define EFFNET_STEP_MASKS_H

#include "base/threads.h"
#include "step/mask_keys.h"

/* masks.c: keyed by seed, step, layer and the image's place in the whole batch (first_image: of these `batch`). */
void masks_draw(const Network *network, uint64_t seed, int64_t step, int first_image, int batch, ThreadTeam *team,
                float *drop_path_scale, float *dropout_scale);
/* masks_flax.c: those of `batch` images that are the whole of a device's share in a step of the original Flax trainer;
 * `chain` belongs to these options. */
void masks_draw_flax(FlaxMaskChain *chain, const FlaxMaskOptions *options, const Network *network, int64_t step,
                     int batch, float *drop_path_scale, float *dropout_scale);

#endif
