/* A forward pass, a backward pass and five optimizer steps of both engines against timm/PyTorch and Flax/Optax.
 *
 * The golden files beside this source were made by make_timm.py and make_flax.py in float64, from weights, pictures and
 * masks that golden_formula gives to both sides. Each case goes through each engine: names and shapes of every tensor,
 * checksums of the formula's values, logits in evaluation, logits, loss, every gradient and running statistic of a
 * training step, then five steps with src/train's loss, optimizer and averages: losses, weights, averages, slots.
 * golden_compare.h says what difference is allowed. Each line of output is a row of docs/parity.md. */
#include "base/memory.h"
#include "base/random.h"
#include "engine/engine.h"
#include "golden/golden_compare.h"
#include "recipe/recipe.h"
#include "spec_of.h"
#include "step/loss.h"
#include "step/optimizer.h"
#include "step/state.h"
#include "train/initial_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *const cases[] = {
    "timm_small_same_40",    "timm_small_symmetric_40", "timm_small_same_33", "timm_small_same_32",
    "timm_small_same_40x56", "timm_small_same_grey",    "timm_b0_same_64",    "timm_b0_symmetric_64",
    "timm_lite0_same_64",    "timm_b0_same_224",        "flax_small_40",      "flax_b0_64",
};
static const EngineVtable *const engines[] = {&reference_engine, &cpu_engine};

/* One golden file on one engine. */
typedef struct Example {
    const char *name, *engine_name;
    json_t *golden;
    Network network;
    ThreadTeam *team;
    Engine *engine;
    int batch;
    size_t pixels; /* floats of a batch of pictures */
    float *parameters, *statistics, *images, *logits, *logits_gradient, *drop_path_scale, *dropout_scale;
    int32_t *labels;
    bool exact; /* computes in double and rounds once */
    int failures;
} Example;

static void must(effnet_status status, const effnet_error *err) {
    if (status != EFFNET_OK) fail_msg("%s", err->message);
}

static float *floats(size_t count) {
    float *block = calloc(count ? count : 1, sizeof *block);
    assert_non_null(block);
    return block;
}

/* ---- the model and the inputs of a file ---- */

static int64_t integer_of(const json_t *object, const char *key) {
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key) {
    assert_true(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

static ModelConfig model_of(const json_t *model) {
    effnet_error err;
    ModelConfig config;
    bool lite = json_is_true(json_object_get(model, "lite"));
    must(model_config_by_name(lite ? "efficientnet_lite0" : "efficientnet_b0", &config, &err), &err);
    config.width = number_of(model, "width");
    config.depth = number_of(model, "depth");
    if (json_object_get(model, "in_chans")) config.input.channels = (int)integer_of(model, "in_chans");
    const json_t *sides = json_object_get(model, "resolution"); /* of a square, or [height, width] */
    for (int i = 0; i < 2; i++)
        *(i ? &config.input.width : &config.input.height) =
            (int)json_integer_value(json_is_array(sides) ? json_array_get(sides, (size_t)i) : sides);
    config.num_classes = (int)integer_of(model, "num_classes");
    bool same = strcmp(json_string_value(json_object_get(model, "padding")), "same") == 0;
    config.padding = same ? MODEL_PADDING_SAME : MODEL_PADDING_SYMMETRIC;
    config.drop = number_of(model, "drop");
    config.drop_path = number_of(model, "drop_path");
    config.bn_momentum = number_of(model, "bn_momentum");
    config.bn_eps = number_of(model, "bn_eps");
    config.bn_unbiased = json_is_true(json_object_get(model, "bn_unbiased"));
    return config;
}

static void set_initial_values(const Network *network, float *parameters, float *statistics) {
    for (int i = 0; i < network->num_parameters; i++)
        golden_initial(&network->parameters[i], parameters + network->parameters[i].offset);
    for (int i = 0; i < network->num_statistics; i++)
        golden_initial(&network->statistics[i], statistics + network->statistics[i].offset);
}

static void set_inputs(Example *example, int step) {
    const ModelConfig *config = &example->network.config;
    golden_images(step, example->batch, config->input, example->images);
    golden_labels(step, example->batch, config->num_classes, example->labels);
    golden_masks(&example->network, step, example->batch, example->drop_path_scale, example->dropout_scale);
}

/* Into *example, where it stays: the engine points at its network. */
static void example_open(const char *name, const EngineVtable *vtable, Example *example) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s.json", EFFNET_SOURCE_DIR, name);
    json_error_t where;
    *example = (Example){.name = name, .golden = json_load_file(path, 0, &where)};
    if (!example->golden) fail_msg("%s:%d: %s", path, where.line, where.text);
    const json_t *model = json_object_get(example->golden, "model");
    ModelConfig config = model_of(model);
    effnet_error err;
    must(network_build(&config, &example->network, &err), &err);
    const Network *network = &example->network;
    example->batch = (int)integer_of(model, "batch");
    EngineOptions options = {.batch = example->batch, .training = json_object_get(example->golden, "training") != NULL};
    must(thread_team_create(2, &example->team, &err), &err);
    options.team = example->team;
    must(engine_create(vtable, network, &options, &example->engine, &err), &err);
    example->engine_name = engine_info(example->engine).name;
    example->exact = vtable == &reference_engine;
    size_t n = (size_t)example->batch;
    example->pixels = n * shape_floats(config.input);
    example->parameters = floats(network->parameter_floats);
    example->statistics = floats(network->statistic_floats);
    example->images = floats(example->pixels);
    example->logits = floats(n * (size_t)config.num_classes);
    example->logits_gradient = floats(n * (size_t)config.num_classes);
    example->drop_path_scale = floats((size_t)network->num_residuals * n);
    example->dropout_scale = floats(n * (size_t)network->features);
    example->labels = calloc(n, sizeof *example->labels);
    assert_non_null(example->labels);
    set_initial_values(network, example->parameters, example->statistics);
    set_inputs(example, 0);
}

static void example_close(Example *example) {
    engine_free(example->engine);
    thread_team_free(example->team);
    network_free(&example->network);
    free(example->parameters);
    free(example->statistics);
    free(example->images);
    free(example->logits);
    free(example->logits_gradient);
    free(example->drop_path_scale);
    free(example->dropout_scale);
    free(example->labels);
    json_decref(example->golden);
}

/* ---- comparisons ---- */

static void conclude(Example *example, const char *quantity, const GoldenReport *report) {
    printf("%-24s %-9s %-36s largest difference %.1e, %.2f of the allowed (%s)\n", example->name, example->engine_name,
           quantity, report->worst_relative, report->worst_ratio, report->worst_name);
    example->failures += report->failures;
}

static void compare_logits(Example *example, const char *quantity, const json_t *row) {
    GoldenReport report = {0};
    size_t count = (size_t)example->batch * (size_t)example->network.config.num_classes;
    GoldenScale scale = {.norm = golden_number(row, 0), .exact = example->exact};
    golden_compare_row(&report, "logits", row, scale, example->logits, count);
    conclude(example, quantity, &report);
}

/* Every tensor of `key` in `section`; names are listed once, in the file's "parameters" or "statistics". */
static void compare_tensors(Example *example, const char *label, const json_t *section, const char *key,
                            bool statistics, bool exact, const float *block) {
    const json_t *rows = json_object_get(section, key);
    const json_t *names = json_object_get(example->golden, statistics ? "statistics" : "parameters");
    size_t count = json_array_size(rows);
    assert_int_equal(count, json_array_size(names));
    assert_true(count > 0);
    size_t *counts = calloc(count, sizeof *counts);
    assert_non_null(counts);
    for (size_t i = 0; i < count; i++)
        counts[i] = network_find(&example->network, json_string_value(json_array_get(json_array_get(names, i), 0)),
                                 &(bool){false})
                        ->count;
    GoldenScale scale = golden_scale(rows, counts);
    scale.exact = exact;
    GoldenReport report = {0};
    for (size_t i = 0; i < count; i++) {
        bool is_statistic;
        const char *name = json_string_value(json_array_get(json_array_get(names, i), 0));
        const Parameter *parameter = network_find(&example->network, name, &is_statistic);
        assert_int_equal(is_statistic, statistics);
        golden_compare_row(&report, name, json_array_get(rows, i), scale, block + parameter->offset, counts[i]);
    }
    free(counts);
    char quantity[64];
    snprintf(quantity, sizeof quantity, "%s %s", label, key);
    conclude(example, quantity, &report);
}

static void compare_losses(Example *example, const char *label, const json_t *pairs, const double *losses) {
    GoldenReport report = {0};
    /* A logit that is off by d moves the loss by up to 2 d; what the framework's first logits were off by is the least
     * to be expected. After that the largest so far, for errors grow from step to step. */
    const json_t *training = json_object_get(example->golden, "training");
    double logits_noise = golden_number(json_object_get(training, "logits"), 2), noise = 0;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        double want = golden_number(pair, 0);
        noise = fmax(noise, golden_number(pair, 1));
        char step[32];
        snprintf(step, sizeof step, "step %zu", i);
        golden_check(&report, step, "loss", losses[i], want, fmax(GOLDEN_MARGIN * noise, 2 * logits_noise), want);
    }
    char quantity[64];
    snprintf(quantity, sizeof quantity, "%s losses", label);
    conclude(example, quantity, &report);
}

/* Every tensor of the file is ours, with its shape, and we have no other. */
static void compare_shapes(Example *example, const char *key, int ours) {
    const json_t *list = json_object_get(example->golden, key);
    assert_int_equal(json_array_size(list), ours);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(entry, 0));
        bool is_statistic;
        const Parameter *parameter = network_find(&example->network, name, &is_statistic);
        if (!parameter || parameter->rank != (int)json_array_size(entry) - 1) fail_msg("%s: no such tensor", name);
        for (int d = 0; d < parameter->rank; d++)
            if (parameter->shape[d] != (int)golden_number(entry, (size_t)d + 1))
                fail_msg("%s: axis %d is %d, not %d", name, d, parameter->shape[d],
                         (int)golden_number(entry, (size_t)d + 1));
    }
}

/* The formula's values have the same bits here and in numpy. */
static void compare_checksums(Example *example) {
    const json_t *sums = json_object_get(example->golden, "checksum"), *names[2];
    names[0] = json_object_get(example->golden, "parameters");
    names[1] = json_object_get(example->golden, "statistics");
    const float *blocks[2] = {example->parameters, example->statistics};
    for (int b = 0; b < 2; b++) {
        uLong sum = crc32(0, NULL, 0);
        for (size_t i = 0; i < json_array_size(names[b]); i++) {
            const Parameter *tensor = network_find(
                &example->network, json_string_value(json_array_get(json_array_get(names[b], i), 0)), &(bool){false});
            sum = crc32(sum, (const Bytef *)(blocks[b] + tensor->offset), (uInt)(tensor->count * sizeof(float)));
        }
        assert_int_equal(sum, integer_of(sums, b ? "statistics" : "parameters"));
    }
    uLong sum = crc32(0, (const Bytef *)example->images, (uInt)(example->pixels * sizeof(float)));
    assert_int_equal(sum, integer_of(sums, "images"));
}

/* ---- the passes ---- */

static EngineForward forward_call(const Example *example, bool training, const float *parameters, float *statistics) {
    return (EngineForward){.batch = example->batch,
                           .images = example->images,
                           .parameters = parameters,
                           .statistics = statistics,
                           .training = training,
                           .drop_path_scale = training ? example->drop_path_scale : NULL,
                           .dropout_scale = training ? example->dropout_scale : NULL,
                           .logits = example->logits};
}

/* Forward, loss and backward of the current inputs; returns the loss. */
static double gradients_of(Example *example, double smoothing, const float *parameters, float *statistics,
                           float *gradients) {
    effnet_error err;
    EngineForward call = forward_call(example, true, parameters, statistics);
    must(engine_forward(example->engine, &call, &err), &err);
    double loss = loss_cross_entropy(example->logits, example->labels, example->batch,
                                     example->network.config.num_classes, smoothing, 1.0, example->logits_gradient);
    must(engine_backward(example->engine, &call, example->logits_gradient, gradients, false, &err), &err);
    return loss;
}

static void check_evaluation(Example *example) {
    effnet_error err;
    EngineForward call = forward_call(example, false, example->parameters, example->statistics);
    must(engine_forward(example->engine, &call, &err), &err);
    compare_logits(example, "evaluation logits",
                   json_object_get(json_object_get(example->golden, "evaluation"), "logits"));
}

static void check_training(Example *example) {
    const json_t *training = json_object_get(example->golden, "training");
    if (!training) return;
    float *gradients = floats(example->network.parameter_floats);
    float *statistics = floats(example->network.statistic_floats);
    memcpy(statistics, example->statistics, example->network.statistic_floats * sizeof *statistics);
    double loss = gradients_of(example, number_of(training, "smoothing"), example->parameters, statistics, gradients);
    compare_logits(example, "training logits", json_object_get(training, "logits"));
    json_t *losses = json_pack("[O]", json_object_get(training, "loss"));
    compare_losses(example, "training", losses, &loss);
    json_decref(losses);
    compare_tensors(example, "training", training, "gradients", false, example->exact, gradients);
    compare_tensors(example, "training", training, "statistics", true, example->exact, statistics);
    free(gradients);
    free(statistics);
}

/* The recipe's keys are those of keys.def; "lr" is a list, one for each step. */
static Recipe recipe_of(const json_t *settings) {
    Recipe recipe;
    recipe_defaults(&recipe);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)settings, key, value) {
        if (strcmp(key, "lr") == 0) continue;
        char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
        assert_non_null(text);
        effnet_error err;
        must(recipe_set(&recipe, key, text, &err), &err);
        free(text);
    }
    return recipe;
}

static void check_run(Example *example, const json_t *run) {
    const json_t *settings = json_object_get(run, "recipe"), *rates = json_object_get(settings, "lr");
    const Network *network = &example->network;
    Recipe recipe = recipe_of(settings);
    effnet_error err;
    TrainState state;
    must(train_state_create(network, &recipe, &state, &err), &err);
    set_initial_values(network, state.parameters, state.statistics);
    set_initial_values(network, state.ema_parameters, state.ema_statistics);
    double losses[16];
    int steps = (int)json_array_size(rates);
    assert_in_range(steps, 1, 16);
    for (int step = 0; step < steps; step++) {
        set_inputs(example, step);
        losses[step] = gradients_of(example, recipe.smoothing, state.parameters, state.statistics, state.gradients);
        optimizer_step(network, spec_of(&recipe), &state, golden_number(rates, (size_t)step), example->team);
    }
    char label[32];
    snprintf(label, sizeof label, "%d steps of %s,", steps, json_string_value(json_object_get(settings, "opt")));
    compare_losses(example, label, json_object_get(run, "losses"), losses);
    compare_tensors(example, label, run, "parameters", false, false, state.parameters);
    compare_tensors(example, label, run, "ema_parameters", false, false, state.ema_parameters);
    compare_tensors(example, label, run, "slot_0", false, false, state.slots[0]);
    if (json_object_get(run, "slot_1")) compare_tensors(example, label, run, "slot_1", false, false, state.slots[1]);
    compare_tensors(example, label, run, "statistics", true, false, state.statistics);
    compare_tensors(example, label, run, "ema_statistics", true, false, state.ema_statistics);
    train_state_free(&state);
}

static void test_case(void **state) {
    for (size_t e = 0; e < sizeof engines / sizeof *engines; e++) {
        Example example;
        example_open(*state, engines[e], &example);
        compare_shapes(&example, "parameters", example.network.num_parameters);
        compare_shapes(&example, "statistics", example.network.num_statistics);
        compare_checksums(&example);
        check_evaluation(&example);
        check_training(&example);
        size_t index;
        json_t *run;
        json_array_foreach(json_object_get(example.golden, "runs"), index, run) {
            check_run(&example, run);
        }
        int failures = example.failures;
        example_close(&example);
        assert_int_equal(failures, 0);
    }
}

int main(void) {
    struct CMUnitTest tests[sizeof cases / sizeof *cases];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i], .test_func = test_case, .initial_state = (void *)cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
