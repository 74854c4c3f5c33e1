/* freeze.h - which parameters train, and how fast: for fine-tuning, on a network that was just built.
 *
 * A frozen parameter never changes. A batch norm whose scale and bias are both frozen goes by its running statistics,
 * and these stay (timm's freeze_batch_norm_2d); the backward pass ends at the first op that is trained, which is where
 * the time is won. */
#ifndef EFFNET_MODEL_FREEZE_H
#define EFFNET_MODEL_FREEZE_H

#include "model/network.h"

/* what: "" nothing; a number: the stem and that many of the 7 stages, 8 all but the classifier; anything else: an
 * extended regular expression, and every parameter is frozen that it is found in the name of ("^(conv_stem|bn1|blocks)").
 * EFFNET_ERROR_ARGUMENT, naming the key `freeze`, for an expression that is none, that is found in no name, or that
 * leaves nothing to train. */
effnet_status network_freeze(Network *network, const char *what, effnet_error *err);

/* Learning rates that fall layer by layer towards the input, as timm's layer_decay does with its EfficientNets: the
 * classifier has 1, each layer below it `decay` times the one above. A layer is a block; the stem is one, and conv_head
 * with its batch norm belongs to the last block. decay 1: all the same. */
void network_layer_decay(Network *network, double decay);

/* Floats of the parameters that are trained. */
size_t network_trainable_floats(const Network *network);

#endif
