/* The original Flax model and trainer (jax_examples c05ece5) reproduced: initial weights of `init: flax`, masks of
 * `masks: flax`, and fifty steps by effnet_replay from nothing but recipes/tpu-run3-fp32.yaml,
 * made small, and the same batches.
 *
 * flax_original.json was made by make_flax_original.py, which says what is in it. Allowed are
 *   an initial weight     1e-6 of its value: bits and uniforms are JAX's, log1p and the order of products are not
 *   a mask                nothing
 *   the loss of a step    1e-5 of its value in the first five steps, from there on growing evenly to 1e-3 at the last
 *   a gradient's norm     ten times that: it depends on the weights one derivative more closely
 *   a final tensor        golden_compare.h: 16 times what Flax's own float32 differs by when each batch comes in
 * reverse Each line of output is a row of docs/parity.md. */
#include "base/memory.h"
#include "format/safetensors.h"
#include "golden/golden_compare.h"
#include "model/flax_names.h"
#include "model/initialize.h"
#include "scratch_folder.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { STEPS = 50, BATCH = 8, SIDE = 64, CLASSES = 10, STEPS_PER_EPOCH = 10, SEED = 42 };

static json_t *golden;
static ScratchFolder folder;

static void must(effnet_status status, const effnet_error *err) {
    if (status != EFFNET_OK) fail_msg("%s", err->message);
}

static void *room(size_t count, size_t size) {
    void *block = calloc(count, size);
    assert_non_null(block);
    return block;
}

static Network build(int classes, int side) {
    ModelConfig config;
    Network network;
    effnet_error err;
    must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.num_classes = classes;
    config.resolution = side;
    must(network_build(&config, &network, &err), &err);
    return network;
}

/* ---- initial weights ---- */

static void check_initial(const char *kind, bool truncated) {
    Network network = build(1000, SIDE);
    float *parameters = room(network.parameter_floats, sizeof *parameters);
    float *statistics = room(network.statistic_floats, sizeof *statistics);
    const InitializeOptions options = {.seed = SEED, .truncated = truncated, .depthwise_fan_flax = true, .flax = true};
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
    check_initial("normal", false);
    check_initial("truncated_normal", true);
}

/* The names that the keys are made of: one of each kind. */
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
    network_free(&network);
}

/* ---- masks ---- */

/* Bit i of text as numpy.packbits and bytes.hex leave it: the first in the highest bit of the first byte. */
static bool bit_of(const char *hex, size_t i) {
    char digit = hex[i / 4];
    unsigned value = (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    return value >> (3 - i % 4) & 1;
}

static void check_call(FlaxMaskChain *chain, const Network *network, const json_t *row) {
    size_t features = (size_t)network->features, residuals = (size_t)network->num_residuals;
    float *paths = room(residuals * BATCH, sizeof *paths), *dropout = room(BATCH * features, sizeof *dropout);
    int64_t call = json_integer_value(json_array_get(row, 0));
    masks_draw_flax(chain, network, SEED, 0, call, BATCH, paths, dropout);
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
    Network network = build(CLASSES, SIDE);
    FlaxMaskChain chain = {0};
    const json_t *calls = json_object_get(golden, "masks");
    size_t count = json_array_size(calls);
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++) check_call(&chain, &network, json_array_get(calls, i));
    for (size_t i = count; i-- > 0;) check_call(&chain, &network, json_array_get(calls, i));
    float paths[2][16 * BATCH], *dropout[2];
    assert_in_range(network.num_residuals, 1, 16);
    for (int device = 0; device < 2; device++) {
        FlaxMaskChain own = {0};
        dropout[device] = room(BATCH * (size_t)network.features, sizeof *dropout[device]);
        masks_draw_flax(&own, &network, SEED, device, 3, BATCH, paths[device], dropout[device]);
    }
    assert_memory_not_equal(dropout[0], dropout[1], BATCH * (size_t)network.features * sizeof(float));
    free(dropout[0]);
    free(dropout[1]);
    network_free(&network);
}

/* ---- fifty steps ---- */

static effnet_recipe *open_recipe(void) {
    /* The published run, on one device, small and soon done. */
    static const char *const settings[][2] = {
        {"num_classes", "10"}, {"resolution", "64"},  {"batch_size", "8"},      {"accumulate", "1"},
        {"init", "flax"},      {"masks", "flax"},     {"lr", "5e-5"},           {"warmup_epochs", "1"},
        {"decay_steps", "7"},  {"decay_rate", "0.9"}, {"weight_decay", "0.02"},
    };
    effnet_recipe *recipe;
    effnet_error err;
    must(effnet_recipe_open(EFFNET_SOURCE_DIR "/recipes/tpu-run3-fp32.yaml", &recipe, &err), &err);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        must(effnet_recipe_set(recipe, settings[i][0], settings[i][1], &err), &err);
    return recipe;
}

static void write_batches(const char *path) {
    size_t floats = (size_t)BATCH * SIDE * SIDE * 3;
    float *images = room(STEPS * floats, sizeof *images), labels[STEPS * BATCH];
    for (int step = 0; step < STEPS; step++) {
        int32_t of_step[BATCH];
        golden_images(step, BATCH, SIDE, images + (size_t)step * floats);
        golden_labels(step, BATCH, CLASSES, of_step);
        for (int n = 0; n < BATCH; n++) labels[step * BATCH + n] = (float)of_step[n];
    }
    const SafetensorsEntry entries[] = {
        {"images", 5, (const int[]){STEPS, BATCH, SIDE, SIDE, 3}, images, STEPS * floats},
        {"labels", 2, (const int[]){STEPS, BATCH}, labels, STEPS * BATCH},
    };
    effnet_error err;
    must(safetensors_write(path, entries, 2, NULL, &err), &err);
    free(images);
}

typedef struct Heard {
    effnet_replay_step steps[STEPS];
    int count;
} Heard;

static bool hear(void *context, const effnet_replay_step *step) {
    Heard *heard = context;
    heard->steps[heard->count++] = *step;
    return heard->count == STEPS;
}

static double allowed_of_loss(int step) {
    return step < 5 ? 1e-5 : 1e-5 * pow(100, (step - 4) / 45.0);
}

static int check_steps(const Heard *heard, const json_t *run) {
    GoldenReport rates = {0}, first = {0}, losses = {0}, norms = {0};
    for (int step = 0; step < STEPS; step++) {
        const effnet_replay_step *got = &heard->steps[step];
        double rate = golden_number(json_object_get(run, "lr"), (size_t)step);
        double loss = golden_number(json_object_get(run, "losses"), (size_t)step);
        double norm = golden_number(json_object_get(run, "gradient_norms"), (size_t)step);
        double allowed = allowed_of_loss(step);
        char name[32];
        snprintf(name, sizeof name, "step %d", step + 1);
        golden_check(&rates, name, "learning rate", got->lr, rate, 1e-6 * rate + 1e-12, rate);
        golden_check(step < 5 ? &first : &losses, name, "loss", got->loss, loss, allowed * loss, loss);
        golden_check(&norms, name, "gradient norm", got->gradient_norm, norm, 10 * allowed * norm, norm);
    }
    const struct {
        const char *what;
        const GoldenReport *report;
    } lines[] = {
        {"learning rates", &rates}, {"losses 1 to 5", &first}, {"losses 6 to 50", &losses}, {"gradient norms", &norms}};
    int failures = 0;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        printf("50 steps, %s: largest difference %.1e, %.2f of the allowed (%s)\n", lines[i].what,
               lines[i].report->worst_relative, lines[i].report->worst_ratio, lines[i].report->worst_name);
        failures += lines[i].report->failures;
    }
    return failures;
}

/* The tensors `prefix`/NAME of the dump against the rows of `quantity`. Some are zero in exact arithmetic, such as the
 * bias of a batch norm before an expansion: what Flax has there changes with the order of the batch. */
static int check_tensors(const Safetensors *dump, const char *prefix, const json_t *run, const char *quantity) {
    const json_t *rows = json_object_get(run, quantity);
    bool statistics = strstr(quantity, "statistics") != NULL;
    const json_t *names = json_object_get(golden, statistics ? "statistics" : "parameters");
    size_t count = json_array_size(rows);
    assert_true(count > 0);
    assert_int_equal(count, json_array_size(names));
    size_t *counts = room(count, sizeof *counts);
    int *places = room(count, sizeof *places);
    for (size_t t = 0; t < count; t++) {
        char name[160];
        snprintf(name, sizeof name, "%s/%s", prefix, json_string_value(json_array_get(json_array_get(names, t), 0)));
        places[t] = safetensors_find(dump, name);
        if (places[t] < 0) fail_msg("the dump has no %s", name);
        counts[t] = safetensors_tensor(dump, places[t]).count;
    }
    GoldenScale scale = golden_scale(rows, counts);
    GoldenReport report = {0}, rounding = {0};
    for (size_t t = 0; t < count; t++) {
        const json_t *row = json_array_get(rows, t);
        bool nothing_else = golden_number(row, 1) > 0.05 * golden_number(row, 0);
        float *values = room(counts[t], sizeof *values);
        effnet_error err;
        must(safetensors_read(dump, places[t], values, counts[t], &err), &err);
        golden_compare_row(nothing_else ? &rounding : &report,
                           json_string_value(json_array_get(json_array_get(names, t), 0)), row, scale, values,
                           counts[t]);
        free(values);
    }
    printf("50 steps, final %s: largest difference %.1e, %.2f of the allowed (%s)\n", quantity, report.worst_relative,
           report.worst_ratio, report.worst_name);
    if (rounding.worst_ratio > 0)
        printf("50 steps, final %s that are zero but for rounding: %.2f of the allowed (%s)\n", quantity,
               rounding.worst_ratio, rounding.worst_name);
    free(counts);
    free(places);
    return report.failures + rounding.failures;
}

static void test_fifty_steps(void **state) {
    (void)state;
    char batches[300], path[300];
    snprintf(batches, sizeof batches, "%s/batches", folder.path);
    snprintf(path, sizeof path, "%s/dump", folder.path);
    write_batches(batches);
    effnet_recipe *recipe = open_recipe();
    Heard heard = {.count = 0};
    effnet_error err;
    const effnet_replay_options options = {.struct_size = sizeof options,
                                           .batches = batches,
                                           .steps_per_epoch = STEPS_PER_EPOCH,
                                           .dump = path,
                                           .threads = 2,
                                           .on_step = hear,
                                           .on_step_context = &heard};
    must(effnet_replay(recipe, &options, &err), &err);
    effnet_recipe_free(recipe);
    assert_int_equal(heard.count, STEPS);
    const json_t *run = json_object_get(golden, "run");
    int failures = check_steps(&heard, run);
    Safetensors *dump;
    must(safetensors_open(path, &dump, &err), &err);
    failures += check_tensors(dump, "weights", run, "parameters");
    failures += check_tensors(dump, "weights", run, "statistics");
    failures += check_tensors(dump, "ema", run, "ema_parameters");
    failures += check_tensors(dump, "ema", run, "ema_statistics");
    failures += check_tensors(dump, "mean_square", run, "slot_0");
    failures += check_tensors(dump, "momentum", run, "slot_1");
    safetensors_close(dump);
    assert_int_equal(failures, 0);
}

int main(void) {
    json_error_t where;
    const char *path = EFFNET_SOURCE_DIR "/tests/golden/flax_original.json";
    golden = json_load_file(path, 0, &where);
    if (!golden) {
        fprintf(stderr, "%s:%d: %s\n", path, where.line, where.text);
        return 1;
    }
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_initial_weights),
                                       cmocka_unit_test(test_masks), cmocka_unit_test(test_fifty_steps)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    json_decref(golden);
    return failures;
}
