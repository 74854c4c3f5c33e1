/* initialize.c - see initialize.h. Source: tensorflow/tpu efficientnet_model.py (conv_kernel_initializer,
 * dense_kernel_initializer). TensorFlow counts the fan_out of a depthwise kernel (K, K, C, 1) as K*K*1; Flax,
 * whose kernel is (K, K, 1, C), as K*K*C. */
#include "model/initialize.h"

#include "base/random.h"

#include <math.h>

/* Normal(0, deviation) cut at two deviations of the underlying normal by drawing again, and widened so that
 * its own deviation is `deviation` (the factor is that of jax.nn.initializers.variance_scaling). */
static float truncated_normal(RandomKey key, uint64_t index, double deviation) {
    for (uint64_t attempt = 0;; attempt++) {
        float value = random_normal(key, index + (attempt << 40));
        if (value > -2.0f && value < 2.0f) return (float)(value * deviation / 0.87962566103423978);
    }
}

static void initialize_convolution(const Parameter *parameter, const InitializeOptions *options, RandomKey key,
                                   float *values) {
    double taps = (double)parameter->shape[2] * parameter->shape[3];
    double fan_out = parameter->shape[0] * taps;
    if (parameter->role == ROLE_DEPTHWISE && !options->depthwise_fan_flax) fan_out = taps;
    double deviation = sqrt(2.0 / fan_out);
    for (size_t i = 0; i < parameter->count; i++)
        values[i] =
            options->truncated ? truncated_normal(key, i, deviation) : (float)(random_normal(key, i) * deviation);
}

void network_initialize(const Network *network, const InitializeOptions *options, float *parameters,
                        float *statistics) {
    RandomKey root = random_fold_in(random_key(options->seed), 0x696E6974); /* "init": apart from order and masks */
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        RandomKey key = random_fold_in(root, (uint32_t)p);
        float *values = parameters + parameter->offset;
        switch (parameter->role) {
        case ROLE_CONV:
        case ROLE_DEPTHWISE:
            initialize_convolution(parameter, options, key, values);
            break;
        case ROLE_DENSE: {
            float range = 1.0f / sqrtf((float)parameter->shape[0]);
            double deviation = sqrt(1.0 / 3.0 / parameter->shape[0]);
            for (size_t i = 0; options->dense_truncated && i < parameter->count; i++)
                values[i] = truncated_normal(key, i, deviation);
            for (size_t i = 0; !options->dense_truncated && i < parameter->count; i++)
                values[i] = (random_uniform(key, i) * 2.0f - 1.0f) * range;
            break;
        }
        case ROLE_BN_SCALE:
            for (size_t i = 0; i < parameter->count; i++) values[i] = 1.0f;
            break;
        default:
            for (size_t i = 0; i < parameter->count; i++) values[i] = 0.0f;
        }
    }
    for (int s = 0; s < network->num_statistics; s++) {
        const Parameter *statistic = &network->statistics[s];
        for (size_t i = 0; i < statistic->count; i++)
            statistics[statistic->offset + i] = statistic->role == ROLE_RUNNING_VARIANCE ? 1.0f : 0.0f;
    }
}
