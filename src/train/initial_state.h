/* initial_state.h - the state that a run begins with, and what an optimizer keeps beside the weights. */
#ifndef EFFNET_TRAIN_INITIAL_STATE_H
#define EFFNET_TRAIN_INITIAL_STATE_H

#include "recipe/recipe.h"
#include "step/state.h"

/* Allocates the blocks and sets initial weights, slots and EMA (model_ema_start) from the recipe's seed. */
effnet_status train_state_create(const Network *network, const Recipe *recipe, TrainState *out, effnet_error *err);
/* First values of the averages, where there are any: the weights and statistics as they are now, or zeros. */
void train_state_start_averages(const Network *network, const Recipe *recipe, TrainState *state);
/* Initial weights from a file instead, ours (weights.h) or another program's (import_weights.h), and the
 * averages begun anew. */
effnet_status train_state_read_initial(const char *path, const Network *network, const Recipe *recipe,
                                       TrainState *state, bool allow_other_head, bool *head_kept, effnet_error *err);
/* How many slots an optimizer (recipe.h) keeps, and their names in slots.safetensors; NULL past the last. */
int optimizer_slots(int optimizer, const char *names[2]);

#endif
