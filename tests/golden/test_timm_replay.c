/* Fifty steps of timm's efficientnet_b0, RMSpropTF, label smoothing, step schedule and ModelEmaV2, reproduced from
 * recipes/timm-b0-ra.yaml, made small, and from weights in a file. timm_replay.json was made by make_timm_replay.py;
 * golden_replay.h says what is allowed. */
#include "golden/golden_replay.h"

static ScratchFolder folder;

/* The formula's weights and statistics as a file for --init. */
static void write_weights(const char *path) {
    ModelConfig config;
    Network network;
    effnet_error err;
    must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.num_classes = CLASSES;
    config.resolution = SIDE;
    must(network_build(&config, &network, &err), &err);
    float *parameters = room(network.parameter_floats, sizeof *parameters);
    float *statistics = room(network.statistic_floats, sizeof *statistics);
    for (int i = 0; i < network.num_parameters; i++)
        golden_initial(&network.parameters[i], parameters + network.parameters[i].offset);
    for (int i = 0; i < network.num_statistics; i++)
        golden_initial(&network.statistics[i], statistics + network.statistics[i].offset);
    const ModelCard card = {.config = config, .resolution = SIDE, .std = {1, 1, 1}, .crop_pct = 0.875};
    must(weights_write(path, &network, parameters, statistics, &card, &err), &err);
    free(parameters);
    free(statistics);
    network_free(&network);
}

static void test_fifty_steps(void **state) {
    (void)state;
    static const char *const settings[][2] = {
        {"num_classes", "0"}, {"resolution", "64"}, {"batch_size", "8"},
        {"accumulate", "1"},  {"lr", "2e-4"},       {"weight_decay", "0.01"},
    };
    char weights[300];
    snprintf(weights, sizeof weights, "%s/weights", folder.path);
    write_weights(weights);
    effnet_recipe *recipe = open_recipe("timm-b0-ra.yaml", settings, sizeof settings / sizeof settings[0]);
    json_t *golden = golden_load("timm_replay.json");
    int failures = check_replay(golden, recipe, weights, &folder);
    json_decref(golden);
    effnet_recipe_free(recipe);
    assert_int_equal(failures, 0);
}

int main(void) {
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fifty_steps)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failures;
}
