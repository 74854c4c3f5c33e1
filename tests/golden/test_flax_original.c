/* The original Flax model and trainer (jax_examples c05ece5) reproduced: initial weights of `init: flax`, masks of
 * `masks: flax`, and fifty steps from nothing but recipes/tpu-run3-fp32.yaml, made small, and the same batches.
 *
 * flax_original.json was made by make_flax_original.py, which says what is in it. An initial weight may be off by 1e-6
 * of its value (bits and uniforms are JAX's; log1p and the order of products are not), a mask by nothing;
 * golden_replay.h has the rest, where the rounding is what Flax's own float32 differs by when each batch comes in
 * reverse. */
#include "format/weight_names.h"
#include "golden/golden_replay.h"
#include "model/flax_names.h"
#include "model/initialize.h"
#include "step/masks.h"

enum { SEED = 42 };

static json_t *golden;
static ScratchFolder folder;

static Network build(int classes, int side) {
    ModelConfig config;
    Network network;
    effnet_error err;
    must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.num_classes = classes;
    config.input = (TensorShape){side, side, 3};
    must(network_build(&config, &network, &err), &err);
    return network;
}

/* ---- initial weights ---- */

static void check_initial(const char *kind, bool truncated, ThreefryMode threefry) {
    Network network = build(1000, SIDE);
    float *parameters = room(network.parameter_floats, sizeof *parameters);
    float *statistics = room(network.statistic_floats, sizeof *statistics);
    const InitializeOptions options = {
        .seed = SEED, .truncated = truncated, .depthwise_fan_flax = true, .flax = true, .threefry = threefry};
    network_initialize(&network, &options, parameters, statistics);
    const json_t *rows = json_object_get(json_object_get(golden, "initial"), kind);
    const json_t *names = json_object_get(golden, "parameters");
    assert_int_equal(json_array_size(rows), network.num_parameters);
    assert_int_equal(json_array_size(names), network.num_parameters);
    GoldenReport report = {0};
    for (size_t t = 0; t < json_array_size(rows); t++) {
        const json_t *row = json_array_get(rows, t);
        const char *name = json_string_value(json_array_get(json_array_get(names, t), 0));
        const Parameter *parameter = network_find(&network, name, &(bool){false});
        if (!parameter) fail_msg("%s: no such tensor", name);
        const float *values = parameters + parameter->offset;
        double squares = 0, norm = golden_number(row, 0);
        for (size_t i = 0; i < parameter->count; i++) squares += (double)values[i] * values[i];
        golden_check(&report, name, "norm", sqrt(squares), norm, 1e-6 * norm + 1e-30, norm);
        char label[112];
        snprintf(label, sizeof label, "samples.%s", name);
        size_t samples = json_array_size(row) - 3;
        assert_in_range(samples, 1, parameter->count);
        for (size_t k = 0; k < samples; k++) {
            double want = golden_number(row, k + 3);
            size_t place = golden_place(golden_name_key(label), parameter->count, samples, k);
            golden_check(&report, name, "an initial weight", (double)values[place], want, 1e-6 * fabs(want) + 1e-30,
                         fabs(want));
        }
    }
    printf("initial weights (%s): largest difference %.1e of a value (%s)\n", kind, report.worst_relative,
           report.worst_name);
    free(parameters);
    free(statistics);
    network_free(&network);
    assert_int_equal(report.failures, 0);
}

static void test_initial_weights(void **state) {
    (void)state;
    check_initial("normal", false, THREEFRY_PARTITIONABLE);
    check_initial("truncated_normal", true, THREEFRY_PARTITIONABLE);
    check_initial("normal_original", false, THREEFRY_ORIGINAL);
    check_initial("truncated_normal_original", true, THREEFRY_ORIGINAL);
}

/* The names that the keys are made of: one of each kind, and all of them as `effnet import` knows them. */
static void test_names(void **state) {
    (void)state;
    static const char *const known[][3] = {
        {"conv_stem.weight", "EfficientNetBackbone_0/Stem_Conv", "kernel"},
        {"bn1.running_var", "EfficientNetBackbone_0/BatchNorm_0", "var"},
        {"blocks.0.0.conv_pw.weight", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_0/Project_Conv", "kernel"},
        {"blocks.1.0.conv_pw.weight", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_1/Expand_Conv", "kernel"},
        {"blocks.1.1.bn2.weight", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_2/BatchNorm_1", "scale"},
        {"blocks.1.1.bn3.bias", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_2/BatchNorm_2", "bias"},
        {"blocks.5.3.se.conv_expand.bias", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_14/SeBlock_0/Conv_1",
         "bias"},
        {"blocks.6.0.conv_pwl.weight", "EfficientNetBackbone_0/InvertedResBlockEfficientNet_15/Project_Conv", "kernel"},
        {"conv_head.weight", "EfficientNetBackbone_0/Conv_0", "kernel"},
        {"bn2.running_mean", "EfficientNetBackbone_0/BatchNorm_1", "mean"},
        {"classifier.bias", "Head", "bias"},
    };
    Network network = build(CLASSES, SIDE);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const Parameter *parameter = network_find(&network, known[i][0], &(bool){false});
        assert_non_null(parameter);
        char path[FLAX_PATH];
        flax_module_path(&network, parameter, path);
        assert_string_equal(path, known[i][1]);
        assert_string_equal(flax_leaf_name(parameter), known[i][2]);
    }
    const WeightNaming naming = {.style = NAMES_FLAX, .suffix = "", .separator = '/'};
    for (int i = 0; i < network.num_parameters + network.num_statistics; i++) {
        bool statistic = i >= network.num_parameters;
        int index = statistic ? i - network.num_parameters : i;
        const Parameter *parameter = statistic ? &network.statistics[index] : &network.parameters[index];
        char imported[WEIGHT_NAME_SIZE], path[FLAX_PATH], name[FLAX_PATH + 32];
        naming_name(&naming, &network, statistic, index, imported);
        flax_module_path(&network, parameter, path);
        snprintf(name, sizeof name, "%s/%s/%s", statistic ? "batch_stats" : "params", path, flax_leaf_name(parameter));
        assert_string_equal(name, imported);
    }
    network_free(&network);
}

/* ---- masks ---- */

/* Bit i of text as numpy.packbits and bytes.hex leave it: the first in the highest bit of the first byte. */
static bool bit_of(const char *hex, size_t i) {
    char digit = hex[i / 4];
    unsigned value = (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    return value >> (3 - i % 4) & 1;
}

static void check_call(FlaxMaskChain *chain, const FlaxMaskOptions *options, const Network *network,
                       const json_t *row) {
    size_t features = (size_t)network->features, residuals = (size_t)network->num_residuals;
    float *paths = room(residuals * BATCH, sizeof *paths), *dropout = room(BATCH * features, sizeof *dropout);
    int64_t call = json_integer_value(json_array_get(row, 0));
    masks_draw_flax(chain, options, network, call, BATCH, paths, dropout);
    const json_t *bits = json_array_get(row, 1), *kept = json_array_get(row, 2);
    assert_int_equal(json_array_size(bits), residuals);
    for (size_t r = 0; r < residuals; r++)
        for (size_t n = 0; n < BATCH; n++) {
            float scale = (float)(1 / network_keep_probability(network, (int)r));
            float want = bit_of(json_string_value(json_array_get(bits, r)), n) ? scale : 0;
            if (!(paths[r * BATCH + n] == want))
                fail_msg("call %lld, residual %zu, image %zu: %g, not %g", (long long)call, r, n,
                         (double)paths[r * BATCH + n], (double)want);
        }
    unsigned char *packed = room(BATCH * features / 8, 1);
    for (size_t n = 0; n < BATCH; n++) {
        int count = 0;
        for (size_t f = 0; f < features; f++) {
            float value = dropout[n * features + f];
            assert_true(value == 0 || value == (float)(1 / (1 - network->config.drop)));
            count += value != 0;
            if (value != 0) packed[(n * features + f) / 8] |= (unsigned char)(0x80 >> (n * features + f) % 8);
        }
        assert_int_equal(count, json_integer_value(json_array_get(kept, n)));
    }
    assert_int_equal(crc32(0, packed, (uInt)(BATCH * features / 8)), json_integer_value(json_array_get(row, 3)));
    free(packed);
    free(paths);
    free(dropout);
}

/* In order, and back again: a chain that has gone too far begins anew. Another device has masks of its own. */
static void test_masks(void **state) {
    (void)state;
    static const struct {
        const char *calls;
        FlaxMaskOptions options;
    } cases[] = {
        {"masks", {SEED, THREEFRY_PARTITIONABLE, 0, 1}},
        {"masks_original", {SEED, THREEFRY_ORIGINAL, 0, 1}},
        {"masks_original_3_of_8", {SEED, THREEFRY_ORIGINAL, 3, 8}},
    };
    Network network = build(CLASSES, SIDE);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        FlaxMaskChain chain = {0};
        const json_t *calls = json_object_get(golden, cases[c].calls);
        size_t count = json_array_size(calls);
        assert_true(count >= 3);
        for (size_t i = 0; i < count; i++) check_call(&chain, &cases[c].options, &network, json_array_get(calls, i));
        for (size_t i = count; i-- > 0;) check_call(&chain, &cases[c].options, &network, json_array_get(calls, i));
    }
    float paths[2][16 * BATCH], *dropout[2];
    assert_in_range(network.num_residuals, 1, 16);
    for (int device = 0; device < 2; device++) {
        FlaxMaskChain own = {0};
        dropout[device] = room(BATCH * (size_t)network.features, sizeof *dropout[device]);
        const FlaxMaskOptions options = {SEED, THREEFRY_PARTITIONABLE, device, 2};
        masks_draw_flax(&own, &options, &network, 3, BATCH, paths[device], dropout[device]);
    }
    assert_memory_not_equal(dropout[0], dropout[1], BATCH * (size_t)network.features * sizeof(float));
    free(dropout[0]);
    free(dropout[1]);
    network_free(&network);
}

/* ---- fifty steps ---- */

static void test_fifty_steps(void **state) {
    (void)state;
    /* The published run, on one device, small and soon done. */
    static const char *const settings[][2] = {
        {"num_classes", "10"},  {"resolution", "64"}, {"batch_size", "8"},   {"replicas", "1"},        {"lr", "5e-5"},
        {"warmup_epochs", "1"}, {"decay_steps", "7"}, {"decay_rate", "0.9"}, {"weight_decay", "0.02"},
    };
    effnet_recipe *recipe = open_recipe("tpu-run3-fp32.yaml", settings, sizeof settings / sizeof settings[0]);
    int failures = check_replay(golden, recipe, NULL, &folder);
    effnet_recipe_free(recipe);
    assert_int_equal(failures, 0);
}

/* Sixteen pictures a step on `replicas` devices. */
static void check_devices(const char *golden_name, const char *replicas, const char *bn_sync, const char *depth) {
    const char *const settings[][2] = {
        {"num_classes", "10"}, {"resolution", "64"},         {"batch_size", "16"},     {"replicas", replicas},
        {"bn_sync", bn_sync},  {"depth_coefficient", depth}, {"lr", "5e-5"},           {"warmup_epochs", "1"},
        {"decay_steps", "7"},  {"decay_rate", "0.9"},        {"weight_decay", "0.02"},
    };
    effnet_recipe *recipe = open_recipe("tpu-run3-fp32.yaml", settings, sizeof settings / sizeof settings[0]);
    json_t *devices = golden_load(golden_name);
    int failures = check_replay(devices, recipe, NULL, &folder);
    json_decref(devices);
    effnet_recipe_free(recipe);
    assert_int_equal(failures, 0);
}

/* The published run as it was: eight devices with their parts of a batch, masks and batch norms of their own, gradients
 * and running statistics averaged. Two pictures a device, fifty steps. */
static void test_eight_devices(void **state) {
    (void)state;
    check_devices("flax_eight.json", "8", "running_average", "1");
}

/* Flax's own synchronised batch norm: moments over groups of eight of sixteen devices, one picture each, in a network of a
 * third of the depth. Ten steps. */
static void test_shared_moments(void **state) {
    (void)state;
    check_devices("flax_groups.json", "16", "tpu_groups", "0.3");
}

/* The same over all of eight devices, two pictures each. */
static void test_moments_of_all(void **state) {
    (void)state;
    check_devices("flax_all.json", "8", "all", "0.3");
}

int main(void) {
    golden = golden_load("flax_original.json");
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),         cmocka_unit_test(test_initial_weights),
                                       cmocka_unit_test(test_masks),         cmocka_unit_test(test_fifty_steps),
                                       cmocka_unit_test(test_eight_devices), cmocka_unit_test(test_shared_moments),
                                       cmocka_unit_test(test_moments_of_all)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    json_decref(golden);
    return failures;
}
