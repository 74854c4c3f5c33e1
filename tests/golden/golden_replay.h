/* golden_replay.h - steps of another implementation, fifty where a file has no other number, replayed by effnet_replay and
 * held to its numbers: the learning rate, loss and gradient norm of every step, and every tensor at the end of those
 * quantities that the file has (weights, running statistics and momentum at least). The golden
 * file's "run" has them, in the forms of golden_formula.py; pictures and labels are the formula's, 64x64 in ten classes,
 * batches of eight or of the file's "batch".
 *
 * Allowed are
 *   the loss of a step    1e-5 of its value in the first five steps, from there on growing evenly to 1e-3 at the last
 *   a gradient's norm     ten times that: it depends on the weights one derivative more closely
 *   a final tensor        golden_compare.h: 16 times the implementation's own rounding
 * Each line of output is a row of docs/parity.md.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EFFNET_TESTS_GOLDEN_REPLAY_H
#define EFFNET_TESTS_GOLDEN_REPLAY_H

#include "format/safetensors.h"
#include "golden/golden_compare.h"
#include "scratch_folder.h"
#include "recipe/recipe.h"
#include "train/model_card.h"
#include "train/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { STEPS = 50, BATCH = 8, SIDE = 64, CLASSES = 10, STEPS_PER_EPOCH = 10 };

static inline void must(effnet_status status, const effnet_error *err) {
    if (status != EFFNET_OK) fail_msg("%s", err->message);
}

static inline void *room(size_t count, size_t size) {
    void *block = calloc(count, size);
    assert_non_null(block);
    return block;
}

/* tests/golden/NAME; exits where it cannot be read. */
static inline json_t *golden_load(const char *name) {
    char path[512];
    json_error_t where;
    snprintf(path, sizeof path, "%s/tests/golden/%s", EFFNET_SOURCE_DIR, name);
    json_t *golden = json_load_file(path, 0, &where);
    if (golden) return golden;
    fprintf(stderr, "%s:%d: %s\n", path, where.line, where.text);
    exit(1);
}

static inline void write_batches(const char *path, int steps, int batch) {
    size_t floats = (size_t)batch * SIDE * SIDE * 3, count = (size_t)(steps * batch);
    float *images = room((size_t)steps * floats, sizeof *images), *labels = room(count, sizeof *labels);
    int32_t *of_step = room((size_t)batch, sizeof *of_step);
    for (int step = 0; step < steps; step++) {
        golden_images(step, batch, (TensorShape){SIDE, SIDE, 3}, images + (size_t)step * floats);
        golden_labels(step, batch, CLASSES, of_step);
        for (int n = 0; n < batch; n++) labels[step * batch + n] = (float)of_step[n];
    }
    const SafetensorsEntry entries[] = {
        {"images", 5, (const int[]){steps, batch, SIDE, SIDE, 3}, images, (size_t)steps * floats},
        {"labels", 2, (const int[]){steps, batch}, labels, count},
    };
    effnet_error err;
    must(safetensors_write(path, entries, 2, NULL, &err), &err);
    free(images), free(labels), free(of_step);
}

/* The formula's weights and statistics of EfficientNet-B0 as a file for --init. */
static inline void write_formula_weights(const char *path) {
    ModelConfig config;
    Network network;
    effnet_error err;
    must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.num_classes = CLASSES;
    config.input = (TensorShape){SIDE, SIDE, 3};
    must(network_build(&config, &network, &err), &err);
    float *parameters = room(network.parameter_floats, sizeof *parameters);
    float *statistics = room(network.statistic_floats, sizeof *statistics);
    for (int i = 0; i < network.num_parameters; i++)
        golden_initial(&network.parameters[i], parameters + network.parameters[i].offset);
    for (int i = 0; i < network.num_statistics; i++)
        golden_initial(&network.statistics[i], statistics + network.statistics[i].offset);
    const ModelCard card = {.config = config,
                            .transform = {.input = {SIDE, SIDE, 3}, .std = {1, 1, 1}, .crop_pct = 0.875}};
    must(weights_write(path, &network, parameters, statistics, &card, &err), &err);
    free(parameters);
    free(statistics);
    network_free(&network);
}

typedef struct Heard {
    effnet_replay_step steps[STEPS];
    int count, wanted;
} Heard;

static inline bool hear(void *context, const effnet_replay_step *step) {
    Heard *heard = context;
    heard->steps[heard->count++] = *step;
    return heard->count == heard->wanted;
}

static inline double allowed_of_loss(int step) {
    return step < 5 ? 1e-5 : 1e-5 * pow(100, (step - 4) / 45.0);
}

static inline int check_steps(const Heard *heard, const json_t *run) {
    GoldenReport rates = {0}, first = {0}, losses = {0}, norms = {0};
    for (int step = 0; step < heard->count; step++) {
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
        {"learning rates", &rates}, {"losses 1 to 5", &first}, {"later losses", &losses}, {"gradient norms", &norms}};
    int failures = 0;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        printf("%d steps, %s: largest difference %.1e, %.2f of the allowed (%s)\n", heard->count, lines[i].what,
               lines[i].report->worst_relative, lines[i].report->worst_ratio, lines[i].report->worst_name);
        failures += lines[i].report->failures;
    }
    return failures;
}

/* The tensors `prefix`/NAME of the dump against the rows of `quantity`. Some are zero in exact arithmetic, such as the
 * bias of a batch norm before an expansion: what Flax has there changes with the order of the batch. */
static inline int check_tensors(const Safetensors *dump, const json_t *golden, const char *prefix,
                                const char *quantity) {
    const json_t *run = json_object_get(golden, "run");
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
    printf("final %s: largest difference %.1e, %.2f of the allowed (%s)\n", quantity, report.worst_relative,
           report.worst_ratio, report.worst_name);
    if (rounding.worst_ratio > 0)
        printf("final %s that are zero but for rounding: %.2f of the allowed (%s)\n", quantity, rounding.worst_ratio,
               rounding.worst_name);
    free(counts);
    free(places);
    return report.failures + rounding.failures;
}

/* `recipe` on the device that EFFNET_TEST_DEVICE names, such as xla:cpu (minutes; docs/accelerators.md); not set: the
 * recipe's own. */
static inline effnet_recipe *on_test_device(const effnet_recipe *recipe) {
    const char *device = getenv("EFFNET_TEST_DEVICE");
    effnet_recipe *copy;
    effnet_error err;
    must(effnet_recipe_copy(recipe, &copy, &err), &err);
    if (device && *device) must(effnet_recipe_set(copy, "device", device, &err), &err);
    return copy;
}

/* `recipe` from weights `init` (NULL: its own); returns how many numbers were out of bounds. */
static inline int check_replay(const json_t *golden, const effnet_recipe *recipe, const char *init,
                               const ScratchFolder *folder) {
    static const char *const quantities[][2] = {
        {"weights", "parameters"}, {"weights", "statistics"}, {"ema", "ema_parameters"},
        {"ema", "ema_statistics"}, {"mean_square", "slot_0"}, {"momentum", "slot_1"},
    };
    char batches[300], path[300];
    snprintf(batches, sizeof batches, "%s/batches", folder->path);
    snprintf(path, sizeof path, "%s/dump", folder->path);
    const json_t *batch = json_object_get(golden, "batch");
    const int steps = (int)json_array_size(json_object_get(json_object_get(golden, "run"), "lr"));
    assert_in_range(steps, 1, STEPS);
    write_batches(batches, steps, batch ? (int)json_integer_value(batch) : BATCH);
    Heard heard = {.wanted = steps};
    effnet_error err;
    const effnet_replay_options options = {.struct_size = sizeof options,
                                           .batches = batches,
                                           .init = init,
                                           .steps_per_epoch = STEPS_PER_EPOCH,
                                           .dump = path,
                                           .threads = 2,
                                           .on_step = hear,
                                           .on_step_context = &heard};
    effnet_recipe *placed = on_test_device(recipe);
    must(effnet_replay(placed, &options, &err), &err);
    effnet_recipe_free(placed);
    assert_int_equal(heard.count, steps);
    int failures = check_steps(&heard, json_object_get(golden, "run"));
    Safetensors *dump;
    must(safetensors_open(path, &dump, &err), &err);
    int checked = 0;
    for (size_t i = 0; i < sizeof quantities / sizeof quantities[0]; i++) {
        if (!json_object_get(json_object_get(golden, "run"), quantities[i][1])) continue;
        failures += check_tensors(dump, golden, quantities[i][0], quantities[i][1]);
        checked++;
    }
    safetensors_close(dump);
    assert_in_range(checked, 3, 6);
    return failures;
}

/* A recipe of the folder recipes/ with `count` keys set. */
static inline effnet_recipe *open_recipe(const char *name, const char *const (*settings)[2], size_t count) {
    effnet_recipe *recipe;
    effnet_error err;
    char path[512];
    snprintf(path, sizeof path, "%s/recipes/%s", EFFNET_SOURCE_DIR, name);
    must(effnet_recipe_open(path, &recipe, &err), &err);
    for (size_t i = 0; i < count; i++) must(effnet_recipe_set(recipe, settings[i][0], settings[i][1], &err), &err);
    return recipe;
}

/* Fifty steps of a recipe from the formula's weights, against a golden file: a test that has nothing else to say. */
static inline void replay_from_formula(const char *recipe_name, const char *const (*settings)[2], size_t count,
                                       const char *golden_name, const ScratchFolder *folder) {
    char weights[300];
    snprintf(weights, sizeof weights, "%s/weights", folder->path);
    write_formula_weights(weights);
    effnet_recipe *recipe = open_recipe(recipe_name, settings, count);
    json_t *golden = golden_load(golden_name);
    int failures = check_replay(golden, recipe, weights, folder);
    json_decref(golden);
    effnet_recipe_free(recipe);
    assert_int_equal(failures, 0);
}

#endif
