/* input_channels.h - the first convolution for pictures of other channels than it was trained on. */
#ifndef EFFNET_MODEL_INPUT_CHANNELS_H
#define EFFNET_MODEL_INPUT_CHANNELS_H

#include "model/network.h"

/* The stem's kernel from (outputs, from_channels, taps) to (outputs, to_channels, taps), taps = rows x columns, `out` not
 * `from`: for one channel the sum over those that it had, so that grey pictures give what they gave as equal channels;
 * else repeated as often as is needed and scaled by from_channels / to_channels, so that the sum over equal channels
 * stays. Source: timm, models/_manipulate.py, adapt_input_conv. */
void stem_for_channels(const float *from, int outputs, int from_channels, int taps, int to_channels, float *out);

/* The network's stem kernel in its parameters. */
const Parameter *network_stem(const Network *network);

#endif
