/* input_channels.c - see input_channels.h. */
#include "model/input_channels.h"

void stem_for_channels(const float *from, int outputs, int from_channels, int taps, int to_channels, float *out) {
    const float scale = (float)((double)from_channels / to_channels);
    for (int o = 0; o < outputs; o++) {
        const float *own = from + (size_t)o * (size_t)from_channels * (size_t)taps;
        float *made = out + (size_t)o * (size_t)to_channels * (size_t)taps;
        for (int c = 0; c < to_channels; c++)
            for (int t = 0; t < taps; t++) {
                float sum = 0;
                for (int i = 0; to_channels == 1 && i < from_channels; i++) sum += own[i * taps + t];
                if (to_channels > 1)
                    sum = own[c % from_channels * taps + t] * (from_channels == to_channels ? 1 : scale);
                made[c * taps + t] = sum;
            }
    }
}

const Parameter *network_stem(const Network *network) {
    return &network->parameters[0];
}
