/* test_api.c - the public header alone: models made, saved and opened again; predictions; weights; option structures;
 * summaries; and what a wrong call says. */
#include "effnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 32, CLASSES = 3 };

static effnet_model *make(uint64_t seed) {
    const effnet_model_options options = {
        .struct_size = sizeof options, .num_classes = CLASSES, .resolution = SIDE, .threads = 1, .seed = seed};
    effnet_model *model = NULL;
    effnet_error error = {0};
    if (effnet_model_create("efficientnet_b0", &options, &model, &error) != EFFNET_OK) fail_msg("%s", error.message);
    return model;
}

static void test_predict(void **state) {
    (void)state;
    static uint8_t pixels[40 * 64 * 3];
    effnet_prediction tight[CLASSES], padded[CLASSES];
    effnet_error error;
    effnet_model *model = make(1);
    static uint8_t rows[40 * 200];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 31 % 251);
    for (size_t y = 0; y < 40; y++) memcpy(rows + y * 200, pixels + y * 192, 192);
    effnet_picture picture = {.pixels = pixels, .height = 40, .width = 64};
    const effnet_picture apart = {.pixels = rows, .height = 40, .width = 64, .stride = 200};
    assert_int_equal(effnet_predict(model, &picture, tight, CLASSES, &error), EFFNET_OK);
    assert_int_equal(effnet_predict(model, &apart, padded, CLASSES, &error), EFFNET_OK);
    double sum = 0;
    for (int i = 0; i < CLASSES; i++) {
        assert_int_equal(tight[i].index, padded[i].index);
        assert_true(tight[i].probability == padded[i].probability);
        assert_true(i == 0 || tight[i].probability <= tight[i - 1].probability);
        assert_int_equal(atoi(tight[i].label), tight[i].index);
        sum += (double)tight[i].probability;
    }
    assert_true(sum > 0.99999 && sum < 1.00001);
    assert_int_equal(effnet_predict(model, &picture, tight, 4, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "4 predictions are asked for; allowed: 1 to the model's 3 classes");
    picture.stride = 191;
    assert_int_equal(effnet_predict(model, &picture, tight, 1, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "the stride of the picture is 191 bytes; a row of 64 pixels has 192");
    picture.stride = 0;
    picture.height = 0;
    assert_int_equal(effnet_predict(model, &picture, tight, 1, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_predict_file(model, "/nonexistent.png", tight, 1, NULL), EFFNET_ERROR_IO);
    effnet_model_free(model);
}

/* Saved and opened again, a model gives the same bits; a batch larger than the engine's parts is cut without a seam. */
static void test_save(void **state) {
    (void)state;
    enum { BATCH = 35, PIXELS = SIDE * SIDE * 3 };
    static float images[BATCH * PIXELS], first[BATCH][CLASSES], second[BATCH][CLASSES];
    char path[] = "/tmp/effnet_api_XXXXXX";
    effnet_error error;
    effnet_model *model = make(7), *opened = NULL, *other = make(8);
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    for (int i = 0; i < BATCH * PIXELS; i++) images[i] = (float)(i * 37 % 101) / 50 - 1;
    if (effnet_model_save(model, path, &error) != EFFNET_OK) fail_msg("%s", error.message);
    if (effnet_model_open(path, NULL, &opened, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(effnet_model_classes(opened), CLASSES);
    assert_int_equal(effnet_model_resolution(opened), SIDE);
    assert_int_equal(effnet_logits(model, images, BATCH, &first[0][0], &error), EFFNET_OK);
    assert_int_equal(effnet_logits(opened, images, BATCH, &second[0][0], &error), EFFNET_OK);
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(effnet_logits(opened, images + 34 * PIXELS, 1, &second[0][0], &error), EFFNET_OK);
    assert_memory_equal(first[34], second[0], sizeof first[34]);
    assert_int_equal(effnet_logits(other, images, BATCH, &second[0][0], &error), EFFNET_OK);
    assert_memory_not_equal(first, second, sizeof first); /* another seed is another model */
    effnet_model_free(model);
    effnet_model_free(other);
    effnet_model_free(opened);
    const effnet_model_options wrong = {.struct_size = sizeof wrong, .num_classes = 4};
    assert_int_equal(effnet_model_open(path, &wrong, &opened, &error), EFFNET_ERROR_ARGUMENT);
    assert_null(opened);
    unlink(path);
    assert_int_equal(effnet_model_open(path, NULL, &opened, &error), EFFNET_ERROR_IO);
}

static void test_weights(void **state) {
    (void)state;
    effnet_error error;
    effnet_model *model = make(1);
    float values[CLASSES] = {1, 2, 3}, back[CLASSES] = {0}, mean[32];
    assert_int_equal(effnet_weights_write(model, "classifier.bias", values, CLASSES, &error), EFFNET_OK);
    assert_int_equal(effnet_weights_read(model, "classifier.bias", back, CLASSES, &error), EFFNET_OK);
    assert_memory_equal(values, back, sizeof back);
    assert_int_equal(effnet_weights_read(model, "bn1.running_mean", mean, 32, &error), EFFNET_OK);
    assert_int_equal(effnet_weights_read(model, "classifier.bias", back, 2, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "'classifier.bias' of efficientnet_b0 has 3 elements, not 2");
    assert_int_equal(effnet_weights_read(model, "nothing", back, 2, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "no tensor 'nothing'"));
    effnet_model_free(model);
    effnet_model_free(NULL);
}

static void test_options(void **state) {
    (void)state;
    effnet_error error;
    effnet_model *model;
    struct {
        effnet_model_options known;
        int64_t later;
    } newer = {.known = {.struct_size = sizeof newer, .num_classes = CLASSES, .resolution = SIDE}};
    effnet_model_options none = {0};
    assert_int_equal(effnet_model_create("efficientnet_b0", &none, &model, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "struct_size"));
    assert_int_equal(effnet_model_create("efficientnet_b0", &newer.known, &model, &error), EFFNET_OK);
    effnet_model_free(model);
    newer.later = 1; /* a field of a library to come */
    assert_int_equal(effnet_model_create("efficientnet_b0", &newer.known, &model, &error), EFFNET_ERROR_UNSUPPORTED);
    assert_null(model);
    const effnet_model_options narrow = {.struct_size = sizeof narrow, .dtype = "fp8"};
    assert_int_equal(effnet_model_create("efficientnet_b0", &narrow, &model, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "fp8"));
    const effnet_model_options huge = {.struct_size = sizeof huge, .resolution = 5000};
    assert_int_equal(effnet_model_create("efficientnet_b0", &huge, &model, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_not_equal(effnet_model_create("resnet50", NULL, &model, &error), EFFNET_OK);
}

static void test_summary(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t parameters;
    } models[] = {{"efficientnet_b0", 5288548}, {"efficientnet_b7", 66347960}, {"efficientnet_lite4", 13006568}};
    effnet_error error;
    effnet_summary summary = {.struct_size = sizeof summary};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        assert_int_equal(effnet_summarize(models[i].name, 0, 0, &summary, &error), EFFNET_OK);
        assert_int_equal(summary.parameters, models[i].parameters);
        effnet_summary_free(&summary);
    }
    assert_int_equal(effnet_summarize("efficientnet_b0", 0, 0, &summary, &error), EFFNET_OK);
    assert_int_equal(summary.num_blocks, 18);
    assert_int_equal(summary.macs, 385814752);
    assert_int_equal(summary.activation_bytes, 26988144); /* timm's results tables: 6.75 million */
    assert_string_equal(summary.blocks[2].name, "blocks.1.0");
    assert_int_equal(summary.blocks[2].expanded_channels, 96);
    effnet_summary_free(&summary);
    effnet_summary_free(NULL);
    assert_int_equal(effnet_summarize("nowhere/r.yaml", 0, 0, &summary, &error), EFFNET_ERROR_IO);
}

static void test_trainer(void **state) {
    (void)state;
    static float images[2 * SIDE * SIDE * 3];
    int32_t labels[2] = {0, 5};
    effnet_error error;
    effnet_recipe *recipe;
    effnet_trainer *trainer;
    effnet_trainer_options options = {.struct_size = sizeof options, .steps_per_epoch = 1, .threads = 1};
    assert_int_equal(effnet_recipe_open(NULL, &recipe, &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "resolution", "32", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "batch_size", "2", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "model_ema", "false", &error), EFFNET_OK);
    assert_int_equal(effnet_trainer_create(recipe, &options, &trainer, &error), EFFNET_ERROR_ARGUMENT);
    options = (effnet_trainer_options){.struct_size = sizeof options, .num_classes = 2, .threads = 1};
    assert_int_equal(effnet_trainer_create(recipe, &options, &trainer, &error), EFFNET_ERROR_ARGUMENT);
    options.steps_per_epoch = 1;
    assert_int_equal(effnet_trainer_create(recipe, &options, &trainer, &error), EFFNET_OK);
    assert_int_equal(effnet_trainer_step(trainer, images, labels, 2, NULL, NULL, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "label 1 of the batch is 5; allowed: 0 to 1");
    assert_int_equal(effnet_trainer_step(trainer, images, labels, 3, NULL, NULL, &error), EFFNET_ERROR_ARGUMENT);
    effnet_model *model;
    assert_int_equal(effnet_trainer_model(trainer, true, &model, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_trainer_model(trainer, false, &model, &error), EFFNET_OK);
    effnet_model_free(model);
    effnet_trainer_free(trainer);
    effnet_recipe_free(recipe);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict), cmocka_unit_test(test_save),    cmocka_unit_test(test_weights),
        cmocka_unit_test(test_options), cmocka_unit_test(test_summary), cmocka_unit_test(test_trainer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
