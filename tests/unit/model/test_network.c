/* test_network.c - the family's parameter counts, shapes, paddings and names. */
#include "model/initialize.h"
#include "model/input_channels.h"
#include "model/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static Network build(const char *name, int resolution, int padding) {
    ModelConfig config;
    effnet_error err;
    assert_int_equal(model_config_by_name(name, &config, &err), EFFNET_OK);
    if (resolution) config.input = (TensorShape){resolution, resolution, 3};
    config.padding = padding;
    Network network;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_OK);
    return network;
}

static void parameter_counts_are_the_published_ones(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t parameters;
    } expected[] = {
        {"efficientnet_b0", 5288548},    {"efficientnet_b1", 7794184},    {"efficientnet_b2", 9109994},
        {"efficientnet_b3", 12233232},   {"efficientnet_b4", 19341616},   {"efficientnet_b5", 30389784},
        {"efficientnet_b6", 43040704},   {"efficientnet_b7", 66347960},   {"efficientnet_b8", 87413142},
        {"efficientnet_l2", 480309308},  {"efficientnet_lite0", 4652008}, {"efficientnet_lite1", 5416680},
        {"efficientnet_lite2", 6092072}, {"efficientnet_lite3", 8197096}, {"efficientnet_lite4", 13006568},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        Network network = build(expected[i].name, 0, MODEL_PADDING_SAME);
        print_message("%s: %zu\n", expected[i].name, network.parameter_floats);
        assert_int_equal(network.parameter_floats, expected[i].parameters);
        assert_string_equal(model_name_at((int)i), expected[i].name);
        network_free(&network);
    }
    assert_null(model_name_at(15));
}

static void padding_is_asymmetric_as_tensorflow_or_symmetric_as_pytorch(void **state) {
    (void)state;
    Network same = build("efficientnet_b0", 224, MODEL_PADDING_SAME);
    assert_int_equal(same.ops[0].pad_top, 0); /* 224, kernel 3, stride 2: one row of zeros, at the bottom */
    assert_int_equal(same.tensors[same.ops[0].output].height, 112);
    network_free(&same);
    Network odd = build("efficientnet_b0", 225, MODEL_PADDING_SAME);
    assert_int_equal(odd.ops[0].pad_top, 1);
    assert_int_equal(odd.tensors[odd.ops[0].output].height, 113);
    network_free(&odd);
    Network symmetric = build("efficientnet_b0", 224, MODEL_PADDING_SYMMETRIC);
    assert_int_equal(symmetric.ops[0].pad_top, 1);
    assert_int_equal(symmetric.tensors[symmetric.ops[0].output].height, 112);
    network_free(&symmetric);
}

static void names_and_shapes_are_timms(void **state) {
    (void)state;
    Network network = build("efficientnet_b0", 0, MODEL_PADDING_SAME);
    bool statistic;
    static const struct {
        const char *name;
        int shape[4];
    } expected[] = {
        {"conv_stem.weight", {32, 3, 3, 3}},
        {"blocks.0.0.conv_dw.weight", {32, 1, 3, 3}},
        {"blocks.0.0.conv_pw.weight", {16, 32, 1, 1}},
        {"blocks.1.0.se.conv_reduce.weight", {4, 96, 1, 1}},
        {"blocks.6.0.conv_pwl.weight", {320, 1152, 1, 1}},
        {"classifier.weight", {1000, 1280, 0, 0}},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const Parameter *parameter = network_find(&network, expected[i].name, &statistic);
        assert_non_null(parameter);
        assert_false(statistic);
        for (int d = 0; d < parameter->rank; d++) assert_int_equal(parameter->shape[d], expected[i].shape[d]);
    }
    assert_non_null(network_find(&network, "blocks.6.0.bn3.running_var", &statistic));
    assert_true(statistic);
    assert_null(network_find(&network, "no.such", &statistic));
    assert_int_equal(network.num_blocks, 16);
    assert_int_equal(network.num_residuals, 9);
    assert_int_equal(network.features, 1280);
    network_free(&network);
}

static void drop_path_rises_with_depth(void **state) {
    (void)state;
    Network network = build("efficientnet_b0", 0, MODEL_PADDING_SAME);
    double last = 1.0;
    for (int i = 0; i < network.num_residuals; i++) {
        double keep = network_keep_probability(&network, i);
        assert_true(keep < last);
        last = keep;
    }
    assert_true(fabs(network_keep_probability(&network, 0) - (1 - 0.2 * 2 / 16)) < 1e-12);
    network_free(&network);
}

/* Mean and deviation of each drawn tensor against what its rule says, within five standard errors. */
static void initial_weights_have_the_stated_spread(void **state) {
    (void)state;
    Network network = build("efficientnet_b0", 0, MODEL_PADDING_SAME);
    float *parameters = malloc(network.parameter_floats * sizeof *parameters);
    float *statistics = malloc(network.statistic_floats * sizeof *statistics);
    for (int variant = 0; variant < 4; variant++) {
        InitializeOptions options = {.seed = 42, .truncated = variant & 1, .depthwise_fan_flax = variant & 2};
        network_initialize(&network, &options, parameters, statistics);
        for (int p = 0; p < network.num_parameters; p++) {
            const Parameter *parameter = &network.parameters[p];
            double wanted = -1;
            double taps = parameter->rank == 4 ? parameter->shape[2] * parameter->shape[3] : 1;
            if (parameter->role == ROLE_CONV) wanted = sqrt(2 / (parameter->shape[0] * taps));
            if (parameter->role == ROLE_DEPTHWISE)
                wanted = sqrt(2 / (options.depthwise_fan_flax ? taps * parameter->shape[0] : taps));
            if (parameter->role == ROLE_DENSE) wanted = 1 / sqrt(3.0 * parameter->shape[0]);
            if (wanted < 0) continue;
            double sum = 0, squares = 0, n = (double)parameter->count;
            for (size_t i = 0; i < parameter->count; i++) {
                double value = parameters[parameter->offset + i];
                sum += value;
                squares += value * value;
            }
            double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
            if (!(fabs(mean) <= 5 * wanted / sqrt(n)) || !(fabs(deviation / wanted - 1) <= 5 / sqrt(n)))
                fail_msg("%s: mean %g, deviation %g, wanted %g", parameter->name, mean, deviation, wanted);
        }
    }
    free(parameters);
    free(statistics);
    network_free(&network);
}

static void wrong_names_and_sizes_are_errors(void **state) {
    (void)state;
    ModelConfig config;
    effnet_error err;
    assert_int_equal(model_config_by_name("efficientnet_b9", &config, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "efficientnet_b9"));
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.input = (TensorShape){0, 0, 3};
    Network network;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_ERROR_ARGUMENT);
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 0;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_ERROR_ARGUMENT);
}

/* timm's adapt_input_conv on weights of two outputs, three channels, two taps. */
static void stems_of_other_channels(void **state) {
    (void)state;
    const float rgb[12] = {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};
    const float one[4] = {9, 12, 90, 120}; /* 1 + 3 + 5, 2 + 4 + 6 */
    const float scale = (float)(3 / 5.0), five[10] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4};
    float got[20];
    stem_for_channels(rgb, 2, 3, 2, 1, got);
    assert_memory_equal(got, one, sizeof one);
    stem_for_channels(rgb, 2, 3, 2, 3, got);
    assert_memory_equal(got, rgb, sizeof rgb);
    stem_for_channels(rgb, 2, 3, 2, 5, got);
    for (int i = 0; i < 10; i++) assert_true(got[i] == five[i] * scale && got[10 + i] == 10 * five[i] * scale);
    stem_for_channels(one, 2, 1, 2, 3, got);
    for (int i = 0; i < 6; i++) assert_true(got[i] == one[i % 2] * (float)(1 / 3.0));
    ModelConfig config;
    Network network;
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, NULL), EFFNET_OK);
    config.input.channels = 16;
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    assert_string_equal(network_stem(&network)->name, "conv_stem.weight");
    assert_int_equal(network_stem(&network)->shape[1], 16);
    network_free(&network);
    for (int channels = 0; channels <= 17; channels += 17) {
        config.input.channels = channels;
        assert_int_equal(network_build(&config, &network, NULL), EFFNET_ERROR_ARGUMENT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(padding_is_asymmetric_as_tensorflow_or_symmetric_as_pytorch),
        cmocka_unit_test(names_and_shapes_are_timms),
        cmocka_unit_test(drop_path_rises_with_depth),
        cmocka_unit_test(initial_weights_have_the_stated_spread),
        cmocka_unit_test(stems_of_other_channels),
        cmocka_unit_test(wrong_names_and_sizes_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
