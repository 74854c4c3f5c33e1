/* initialize.c - see initialize.h. Source: tensorflow/tpu efficientnet_model.py (conv_kernel_initializer,
 * dense_kernel_initializer). TensorFlow counts the fan_out of a depthwise kernel (K, K, C, 1) as K*K*1; Flax,
 * whose kernel is (K, K, 1, C), as K*K*C. */
#include "model/initialize.h"

#include "model/flax_names.h"

#include <math.h>

/* Where the random numbers of one tensor come from. */
typedef struct Draws {
    RandomKey key;
    ThreefryMode mode;
    const Parameter *flax; /* elements are counted in its Flax layout; NULL: in our own */
} Draws;

static uint32_t bits(const Draws *draws, size_t i) {
    if (!draws->flax) return random_bits(draws->key, i);
    return random_bits_of(draws->key, draws->mode, draws->flax->count, flax_element(draws->flax, i));
}

static Draws draws_of(const Network *network, const InitializeOptions *options, int p) {
    const Parameter *parameter = &network->parameters[p];
    RandomKey root = random_key(options->seed);
    if (!options->flax) { /* "init": apart from order and masks */
        RandomKey init = random_fold_in(root, 0x696E6974);
        return (Draws){.key = random_fold_in(init, (uint32_t)p)};
    }
    char path[FLAX_PATH];
    flax_module_path(network, parameter, path);
    RandomKey params = random_split(root, options->threefry, 4, 0); /* the trainer's: params, dropout, depth, train */
    return (Draws){flax_make_rng(params, path, 1), options->threefry, parameter}; /* a kernel is its module's first */
}

/* Normal(0, deviation) cut at two deviations of the underlying normal, and widened so that its own deviation is
 * `deviation` (the factor is that of jax.nn.initializers.variance_scaling). */
static float truncated_normal(const Draws *draws, size_t i, double deviation) {
    return (float)(truncated_normal_from_bits(bits(draws, i), -2.0f, 2.0f) * (deviation / 0.87962566103423978));
}

static void initialize_convolution(const Parameter *parameter, const InitializeOptions *options, const Draws *draws,
                                   float *values) {
    double taps = (double)parameter->shape[2] * parameter->shape[3];
    double fan_out = parameter->shape[0] * taps;
    if (parameter->role == ROLE_DEPTHWISE && !options->depthwise_fan_flax) fan_out = taps;
    double deviation = sqrt(2.0 / fan_out);
    for (size_t i = 0; i < parameter->count; i++)
        values[i] = options->truncated ? truncated_normal(draws, i, deviation)
                                       : (float)(normal_from_bits(bits(draws, i)) * deviation);
}

static void initialize_dense(const Parameter *parameter, const InitializeOptions *options, const Draws *draws,
                             float *values) {
    float range = 1.0f / sqrtf((float)parameter->shape[0]);
    double deviation = sqrt(1.0 / 3.0 / parameter->shape[0]);
    for (size_t i = 0; i < parameter->count; i++)
        values[i] = options->dense_truncated ? truncated_normal(draws, i, deviation)
                                             : uniform_between_from_bits(bits(draws, i), -1.0f, 1.0f) * range;
}

static void fill(float *values, size_t count, float value) {
    for (size_t i = 0; i < count; i++) values[i] = value;
}

void network_initialize(const Network *network, const InitializeOptions *options, float *parameters,
                        float *statistics) {
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        float *values = parameters + parameter->offset;
        Draws draws = draws_of(network, options, p);
        switch (parameter->role) {
        case ROLE_CONV:
        case ROLE_DEPTHWISE:
            initialize_convolution(parameter, options, &draws, values);
            break;
        case ROLE_DENSE:
            if (options->dense_zero)
                fill(values, parameter->count, 0.0f);
            else
                initialize_dense(parameter, options, &draws, values);
            break;
        default:
            fill(values, parameter->count, parameter->role == ROLE_BN_SCALE ? 1.0f : 0.0f);
        }
    }
    for (int s = 0; s < network->num_statistics; s++) {
        const Parameter *statistic = &network->statistics[s];
        fill(statistics + statistic->offset, statistic->count, statistic->role == ROLE_RUNNING_VARIANCE ? 1.0f : 0.0f);
    }
}
