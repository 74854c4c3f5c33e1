/* checkpoint.h - a folder OUT/checkpoints/00001234, a view of a TrainState:
 *
 *   ema.safetensors    averaged weights and statistics in timm's names; __metadata__ holds the ModelCard
 *   raw.safetensors    the same, not averaged
 *   slots.safetensors  optimizer slots, "mean_square/<name>"; step and best result in __metadata__
 *   recipe.yaml        the resolved recipe
 *
 * It is written as 00001234.tmp, synced and renamed; every file has its checksum (checkpoint_verify.h).
 * OUT/checkpoints/last and best name two of them (checkpoint_marker.h), replaced by rename. The newest `keep` and the
 * best survive. docs/formats.md has every key. */
#ifndef EFFNET_TRAIN_CHECKPOINT_H
#define EFFNET_TRAIN_CHECKPOINT_H

#include "recipe/recipe.h"
#include "step/state.h"
#include "train/model_card.h"

/* The state as checkpoint of state->step (card->step is not looked at); *path becomes its folder (path may be
 * NULL). A checkpoint of the same step is replaced. On failure the older checkpoints stand as they were. */
effnet_status checkpoint_write(const char *out_folder, const Network *network, const Recipe *recipe,
                               const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                               char *path, size_t path_size, effnet_error *err);
/* OUT/checkpoints/best -> the checkpoint of `step`, which must be there. */
effnet_status checkpoint_mark_best(const char *out_folder, int64_t step, effnet_error *err);
/* Removes all checkpoints but the `keep` of the highest steps, the best and the last, and what killed writers left
 * behind (*.tmp). */
effnet_status checkpoint_prune(const char *out_folder, int keep, effnet_error *err);
/* The whole checkpoint of the highest step, every file read and checked; *found false where there is none. */
effnet_status checkpoint_find_last(const char *out_folder, char *path, size_t size, bool *found, effnet_error *err);
/* Everything back, bit for bit. Network, optimizer and model_ema must be those of the checkpoint (the message
 * says what differs and which model the file looks like); the state may be half read after an error. */
effnet_status checkpoint_read(const char *path, const Network *network, const Recipe *recipe, TrainState *state,
                              double *best_top1, int64_t *best_step, effnet_error *err);

#endif
