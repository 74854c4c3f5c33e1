/* fold.c - see fold.h. */
#include "model/fold.h"

#include <math.h>

void network_fold(const Network *network, const Op *convolution, const Op *norm, const float *parameters,
                  const float *statistics, float *weight, float *bias) {
    const Parameter *kernel = &network->parameters[convolution->weight];
    const float *values = parameters + kernel->offset;
    const float *scale = parameters + network->parameters[norm->weight].offset;
    const float *shift = parameters + network->parameters[norm->bias].offset;
    const float *mean = statistics + network->statistics[norm->running_mean].offset;
    const float *variance = statistics + network->statistics[norm->running_variance].offset;
    const size_t outputs = (size_t)kernel->shape[0], each = kernel->count / outputs;
    for (size_t o = 0; o < outputs; o++) {
        const double s = scale[o] / sqrt((double)variance[o] + network->config.bn_eps);
        for (size_t k = 0; k < each; k++) weight[o * each + k] = (float)(values[o * each + k] * s);
        bias[o] = (float)(shift[o] - mean[o] * s);
    }
}

static void fill(const Parameter *parameter, float *block, float value) {
    for (size_t i = 0; i < parameter->count; i++) block[parameter->offset + i] = value;
}

void network_unfold(const Network *network, const Op *norm, float *parameters, float *statistics) {
    fill(&network->parameters[norm->weight], parameters, 1);
    fill(&network->statistics[norm->running_mean], statistics, 0);
    fill(&network->statistics[norm->running_variance], statistics, (float)(1 - network->config.bn_eps));
}
