/* test_replay_batches.c - effnet replay: the same bits as the step-by-step trainer, from one long tensor and from
 * stacked batches; what the dump holds; batches taken in turn; stopping; and what is said of every wrong file. */
#include "effnet.h"
#include "format/safetensors.h"
#include "scratch_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIDE = 32, BATCH = 2, CLASSES = 3, BATCHES = 3, IMAGE = SIDE * SIDE * 3, IMAGES = BATCH * BATCHES };

static ScratchFolder folder;
static float images[IMAGES * IMAGE], labels[IMAGES];

static void must(effnet_status status, const effnet_error *error) {
    if (status != EFFNET_OK) fail_msg("%s", error->message);
}

static effnet_recipe *open_recipe(void) {
    static const char *const settings[][2] = {
        {"resolution", "32"},
        {"batch_size", "2"},
        {"num_classes", "3"},
        {"warmup_epochs", "0"},
        {"sched", "cosine"},
        {"epochs", "2"},
        {"lr", "0.01"},
        {"clip_grad", "0.5"},
        {"threads", "1"},
        {"model_ema", "true"},
        {"drop_path", "0.3"},
        {"width_coefficient", "0.5"},
        {"depth_coefficient", "0.5"},
    };
    effnet_recipe *recipe;
    effnet_error error;
    must(effnet_recipe_open(NULL, &recipe, &error), &error);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        must(effnet_recipe_set(recipe, settings[i][0], settings[i][1], &error), &error);
    return recipe;
}

/* A file of both tensors in the given shapes (ended by -1), filled from the arrays above as far as they reach. */
static const char *write_batches(const char *name, const int *image_shape, const int *label_shape) {
    static const float zeros[8 * IMAGE];
    const char *path = scratch_path(&folder, name);
    SafetensorsEntry entries[2] = {{.name = "images", .shape = image_shape, .values = images, .count = 1},
                                   {.name = "labels", .shape = label_shape, .values = labels, .count = 1}};
    for (int e = 0; e < 2; e++) {
        for (; entries[e].shape[entries[e].rank] >= 0; entries[e].rank++)
            entries[e].count *= (size_t)entries[e].shape[entries[e].rank];
        size_t filled = e ? IMAGES : IMAGES * IMAGE;
        if (entries[e].count > filled) entries[e].values = zeros;
        assert_true(entries[e].count <= 8 * IMAGE || entries[e].count <= filled);
    }
    effnet_error error;
    must(safetensors_write(path, entries, 2, NULL, &error), &error);
    return path;
}

static const char *stacked(void) {
    return write_batches("stacked", (const int[]){BATCHES, BATCH, SIDE, SIDE, 3, -1},
                         (const int[]){BATCHES, BATCH, -1});
}

static const char *long_file(void) {
    return write_batches("long", (const int[]){IMAGES, SIDE, SIDE, 3, -1}, (const int[]){IMAGES, -1});
}

/* A tensor of a dump, freed by free(). */
static float *read_tensor(const Safetensors *file, const char *name, size_t *count) {
    effnet_error error;
    int index = safetensors_find(file, name);
    if (index < 0) fail_msg("%s: no tensor %s", safetensors_path(file), name);
    *count = safetensors_tensor(file, index).count;
    float *values = malloc(*count * sizeof *values);
    assert_non_null(values);
    must(safetensors_read(file, index, values, *count, &error), &error);
    return values;
}

static Safetensors *open_dump(const char *path) {
    Safetensors *file;
    effnet_error error;
    must(safetensors_open(path, &file, &error), &error);
    return file;
}

static void expect_same_file(const char *a, const char *b) {
    FILE *first = fopen(a, "rb"), *second = fopen(b, "rb");
    assert_non_null(first);
    assert_non_null(second);
    int x, y;
    long at = 0;
    do {
        x = getc(first), y = getc(second), at++;
        if (x != y) fail_msg("'%s' and '%s' differ at byte %ld", a, b, at);
    } while (x != EOF);
    assert_true(at > 1000000);
    fclose(first);
    fclose(second);
}

typedef struct Heard {
    effnet_replay_step steps[16];
    int count, stop_after;
} Heard;

static bool hear(void *context, const effnet_replay_step *step) {
    Heard *heard = context;
    heard->steps[heard->count++] = *step;
    return heard->count == heard->stop_after;
}

/* Four steps on three batches by the trainer of the public header and by replay: the same bits in every weight. */
static void test_same_as_trainer(void **state) {
    (void)state;
    effnet_recipe *recipe = open_recipe();
    effnet_trainer *trainer;
    effnet_model *model, *average;
    effnet_error error;
    Heard heard = {0};
    char dump[512];
    snprintf(dump, sizeof dump, "%s", scratch_path(&folder, "dump"));
    const effnet_replay_options options = {.struct_size = sizeof options,
                                           .batches = stacked(),
                                           .steps = 4,
                                           .dump = dump,
                                           .on_step = hear,
                                           .on_step_context = &heard};
    must(effnet_replay(recipe, &options, &error), &error);
    assert_int_equal(heard.count, 4);
    Safetensors *file = open_dump(dump);
    size_t count;
    float *losses = read_tensor(file, "steps/loss", &count);
    assert_int_equal(count, 4);
    float *norms = read_tensor(file, "steps/gradient_norm", &count), *rates = read_tensor(file, "steps/lr", &count);
    const effnet_trainer_options stepping = {.struct_size = sizeof stepping, .steps_per_epoch = BATCHES, .threads = 1};
    must(effnet_trainer_create(recipe, &stepping, &trainer, &error), &error);
    for (int step = 0; step < 4; step++) {
        double loss, lr;
        int32_t batch_labels[BATCH];
        for (int n = 0; n < BATCH; n++) batch_labels[n] = (int32_t)labels[step % BATCHES * BATCH + n];
        must(effnet_trainer_step(trainer, images + step % BATCHES * BATCH * IMAGE, batch_labels, BATCH, &loss, &lr,
                                 &error),
             &error);
        assert_true(heard.steps[step].step == step + 1 && heard.steps[step].steps == 4);
        assert_true(heard.steps[step].loss == loss && heard.steps[step].lr == lr);
        assert_true(losses[step] == (float)loss && rates[step] == (float)lr);
        assert_true(norms[step] == (float)heard.steps[step].gradient_norm);
        assert_true(norms[step] > 0.5f); /* what the clipping left would be 0.5 */
    }
    assert_true(rates[3] < rates[0]); /* six steps of a cosine, of which three are an epoch */
    must(effnet_trainer_model(trainer, false, &model, &error), &error);
    must(effnet_trainer_model(trainer, true, &average, &error), &error);
    static const char *const names[] = {"conv_stem.weight", "blocks.3.1.conv_dw.weight", "bn2.running_var",
                                        "classifier.bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int ema = 0; ema < 2; ema++) {
            char name[128];
            snprintf(name, sizeof name, "%s/%s", ema ? "ema" : "weights", names[i]);
            float *dumped = read_tensor(file, name, &count), *trained = malloc(count * sizeof *trained);
            assert_non_null(trained);
            must(effnet_weights_read(ema ? average : model, names[i], trained, count, &error), &error);
            assert_memory_equal(dumped, trained, count * sizeof *trained);
            free(dumped);
            free(trained);
        }
    }
    float *slot = read_tensor(file, "momentum/conv_stem.weight", &count);
    assert_true(slot[0] != 0);
    free(slot);
    slot = read_tensor(file, "mean_square/classifier.weight", &count);
    assert_true(slot[0] > 0 && slot[0] < 1);
    free(slot);
    free(losses);
    free(norms);
    free(rates);
    safetensors_close(file);
    effnet_model_free(model);
    effnet_model_free(average);
    effnet_trainer_free(trainer);
    effnet_recipe_free(recipe);
}

/* One long tensor or stacked batches, one thread or three: the same bytes; weights of a file begin the run, and tell
 * the number of classes. */
static void test_forms(void **state) {
    (void)state;
    effnet_recipe *recipe = open_recipe();
    effnet_error error;
    char first[512], second[512], weights[512];
    snprintf(first, sizeof first, "%s", scratch_path(&folder, "first"));
    snprintf(second, sizeof second, "%s", scratch_path(&folder, "second"));
    snprintf(weights, sizeof weights, "%s", scratch_path(&folder, "weights"));
    effnet_replay_options options = {.struct_size = sizeof options, .batches = stacked(), .dump = first};
    must(effnet_replay(recipe, &options, &error), &error);
    options.batches = long_file();
    options.dump = second;
    options.threads = 3;
    must(effnet_replay(recipe, &options, &error), &error);
    expect_same_file(first, second);

    effnet_model *model;
    const effnet_model_options made = {.struct_size = sizeof made,
                                       .num_classes = CLASSES,
                                       .resolution = SIDE,
                                       .threads = 1,
                                       .seed = 42,
                                       .width_coefficient = 0.5,
                                       .depth_coefficient = 0.5};
    must(effnet_model_create("efficientnet_b0", &made, &model, &error), &error);
    must(effnet_model_save(model, weights, &error), &error);
    effnet_model_free(model);
    must(effnet_recipe_set(recipe, "num_classes", "0", &error), &error);
    options.init = weights; /* what the recipe's seed draws too */
    must(effnet_replay(recipe, &options, &error), &error);
    expect_same_file(first, second);
    effnet_recipe_free(recipe);
}

static void test_stop(void **state) {
    (void)state;
    effnet_recipe *recipe = open_recipe();
    effnet_error error;
    Heard heard = {.stop_after = 2};
    char dump[512];
    snprintf(dump, sizeof dump, "%s", scratch_path(&folder, "stopped"));
    const effnet_replay_options options = {.struct_size = sizeof options,
                                           .batches = long_file(),
                                           .dump = dump,
                                           .on_step = hear,
                                           .on_step_context = &heard};
    assert_int_equal(effnet_replay(recipe, &options, &error), EFFNET_INTERRUPTED);
    assert_int_equal(heard.count, 2);
    Safetensors *file = open_dump(dump);
    size_t count;
    free(read_tensor(file, "steps/loss", &count));
    assert_int_equal(count, 2);
    assert_string_equal(safetensors_metadata(file, "effnet.step"), "2");
    safetensors_close(file);
    effnet_recipe_free(recipe);
}

static void refused(const effnet_recipe *recipe, const char *path, effnet_status status, const char *part) {
    effnet_error error = {0};
    char dump[512];
    snprintf(dump, sizeof dump, "%s", scratch_path(&folder, "never"));
    const effnet_replay_options options = {.struct_size = sizeof options, .batches = path, .dump = dump};
    effnet_status got = effnet_replay(recipe, &options, &error);
    if (got != status || !strstr(error.message, part))
        fail_msg("status %d, message \"%s\"; wanted %d and \"%s\"", got, error.message, status, part);
    assert_int_not_equal(access(dump, F_OK), 0);
    assert_int_equal(effnet_replay(recipe, &options, NULL), status);
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        int images[7], labels[4];
        const char *message;
    } shapes[] = {
        {{IMAGES, SIDE, SIDE, -1}, {IMAGES, -1}, "it must be (N, H, W, 3) or (batches, N, H, W, 3)"},
        {{1, 1, 2, SIDE, SIDE, 3, -1}, {1, 1, 2, -1}, "images is [1,1,2,32,32,3]"},
        {{IMAGES, 3, SIDE, SIDE, -1}, {IMAGES, -1}, "channels first"},
        {{IMAGES, SIDE, SIDE, 4, -1}, {IMAGES, -1}, "the last axis is the channels"},
        {{2, 40, 40, 3, -1}, {2, -1}, "the network takes 32x32; set the recipe's resolution"},
        {{2, SIDE, 16, 3, -1}, {2, -1}, "the network takes 32x32"},
        {{5, SIDE, SIDE, 3, -1}, {5, -1}, "has 5 images, not a multiple of the recipe's batch_size of 2"},
        {{2, 3, SIDE, SIDE, 3, -1}, {2, 3, -1}, "set batch_size=3"},
        {{IMAGES, SIDE, SIDE, 3, -1}, {IMAGES - 1, -1}, "one label an image"},
        {{IMAGES, SIDE, SIDE, 3, -1}, {BATCHES, BATCH, -1}, "one label an image"},
        {{BATCHES, BATCH, SIDE, SIDE, 3, -1}, {IMAGES, -1}, "one label an image"},
        {{0, SIDE, SIDE, 3, -1}, {0, -1}, "holds no images"},
        {{0, BATCH, SIDE, SIDE, 3, -1}, {0, BATCH, -1}, "holds no images"},
    };
    effnet_recipe *recipe = open_recipe();
    effnet_error error;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        refused(recipe, write_batches("bad", shapes[i].images, shapes[i].labels), EFFNET_ERROR_FORMAT,
                shapes[i].message);

    static const float wrong[] = {-1, CLASSES, 0.5f, NAN, INFINITY};
    float kept = labels[3];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        labels[3] = wrong[i];
        refused(recipe, long_file(), EFFNET_ERROR_FORMAT, "the label of image 1 of batch 1 is");
    }
    labels[3] = kept;
    float pixel = images[5 * IMAGE + 7];
    images[5 * IMAGE + 7] = NAN;
    refused(recipe, stacked(), EFFNET_ERROR_FORMAT, "image 1 of batch 2 has a value that is not finite");
    images[5 * IMAGE + 7] = pixel;

    const SafetensorsEntry alone = {"images", 4, (const int[]){2, SIDE, SIDE, 3}, images, 2 * IMAGE};
    const char *path = scratch_path(&folder, "alone");
    must(safetensors_write(path, &alone, 1, NULL, &error), &error);
    refused(recipe, path, EFFNET_ERROR_FORMAT, "no tensor 'labels'");
    refused(recipe, "/nonexistent", EFFNET_ERROR_IO, "/nonexistent");
    refused(recipe, NULL, EFFNET_ERROR_ARGUMENT, "no file of batches");
    must(effnet_recipe_set(recipe, "num_classes", "0", &error), &error);
    refused(recipe, long_file(), EFFNET_ERROR_ARGUMENT, "num_classes");
    must(effnet_recipe_set(recipe, "num_classes", "3", &error), &error);
    effnet_replay_options options = {.struct_size = sizeof options, .batches = long_file(), .steps = -1};
    assert_int_equal(effnet_replay(recipe, &options, &error), EFFNET_ERROR_ARGUMENT);
    effnet_recipe_free(recipe);
}

int main(void) {
    folder = scratch_folder_create();
    for (int i = 0; i < IMAGES * IMAGE; i++) images[i] = (float)(i * 37 % 101 + i / IMAGE * 11 % 7) / 50 - 1;
    for (int n = 0; n < IMAGES; n++) labels[n] = (float)(n * 2 % CLASSES);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_trainer),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_bad_files),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failures;
}
