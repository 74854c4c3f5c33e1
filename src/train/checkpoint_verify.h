/* checkpoint_verify.h - is a checkpoint whole? Internal to train/; what is in one is told in checkpoint.h.
 *
 * Every byte counts: raw, ema and slots.safetensors carry their own checksums (format/safetensors_sum.h), and the
 * slots' metadata that of recipe.yaml. Checkpoints of older versions have none; of these the structure is checked
 * alone. */
#ifndef EFFNET_TRAIN_CHECKPOINT_VERIFY_H
#define EFFNET_TRAIN_CHECKPOINT_VERIFY_H

#include "base/error.h"

#define CHECKPOINT_RECIPE_SUM "effnet.recipe_crc32c" /* eight hexadecimal digits in the metadata of the slots */

/* EFFNET_ERROR_MEMORY says nothing about the checkpoint; any other error is damage, the message names file and kind. */
effnet_status checkpoint_verify(const char *path, effnet_error *err);

/* Checkpoints that were passed over because they are damaged, the newest first. */
typedef struct CheckpointDamage {
    int count;
    int64_t newest;   /* step of the first */
    char reason[500]; /* what is wrong with it */
} CheckpointDamage;

void checkpoint_damage_add(CheckpointDamage *damage, int64_t step, const effnet_error *reason);
/* The whole checkpoint of the highest step below `below`, *step -1 where there is none; damaged ones on the way are
 * added to `damage` (may be NULL). */
effnet_status checkpoint_find_whole(const char *out_folder, int64_t below, char *path, size_t size, int64_t *step,
                                    CheckpointDamage *damage, effnet_error *err);
/* Renames the checkpoints above `step`, all damaged, to 00001234.damaged, so that nothing takes them for good ones. */
effnet_status checkpoint_set_aside(const char *out_folder, int64_t step, effnet_error *err);

#endif
