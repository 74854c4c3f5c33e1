/* test_interface.c - what holds for every function of the header: NULL where something is needed is an error and no
 * crash, structures of an older and a newer header are filled as far as both sides know them, recipes are read back and
 * saved, and a run leaves its caller's recipe alone. */
#include "effnet.h"

#include "scratch_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- NULL ---- */

static char called[20000]; /* the calls' texts, one after the other */

static void note_call(const char *text) {
    assert_true(strlen(called) + strlen(text) + 2 < sizeof called);
    strcat(called, text);
    strcat(called, "\n");
}

/* A call that must be refused, with a message that names the function. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        effnet_error error = {0};                                                                                      \
        note_call(#call);                                                                                              \
        assert_int_equal(call, EFFNET_ERROR_ARGUMENT);                                                                 \
        assert_int_equal(error.status, EFFNET_ERROR_ARGUMENT);                                                         \
        if (!strstr(error.message, "is NULL")) fail_msg("%s: %s", #call, error.message);                               \
    } while (0)
/* A call that has nothing to answer, or nothing to do. */
#define ANSWERS(call, expected)                                                                                        \
    do {                                                                                                               \
        note_call(#call);                                                                                              \
        if (!(expected)) fail_msg("%s has another answer", #call);                                                     \
    } while (0)
#define HARMLESS(call)                                                                                                 \
    do {                                                                                                               \
        note_call(#call);                                                                                              \
        call;                                                                                                          \
    } while (0)

static void call_all_with_null(effnet_model *model, effnet_recipe *recipe, effnet_trainer *trainer) {
    float values[3] = {0};
    uint8_t pixels[3] = {0};
    effnet_prediction best[1];
    effnet_model *made;
    effnet_recipe *read;
    effnet_trainer *begun;
    effnet_evaluation evaluation = {.struct_size = sizeof evaluation};
    effnet_data_report report = {.struct_size = sizeof report};
    effnet_summary summary = {.struct_size = sizeof summary};
    effnet_plan plan = {.struct_size = sizeof plan};
    effnet_audit audit = {.struct_size = sizeof audit};
    effnet_comparison comparison = {.struct_size = sizeof comparison};
    effnet_run_difference difference = {.struct_size = sizeof difference};
    effnet_device device = {.struct_size = sizeof device};
    effnet_verification verification = {.struct_size = sizeof verification};
    effnet_preprocessing preprocessing = {.struct_size = sizeof preprocessing};
    const effnet_picture picture = {.pixels = pixels, .height = 1, .width = 1};
    const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = values};
    const effnet_dtype_options dtype_options = {.struct_size = sizeof dtype_options};
    int shape[3];
    char text[10];

    REFUSED(effnet_model_create(NULL, NULL, &made, &error));
    REFUSED(effnet_model_create("efficientnet_b0", NULL, NULL, &error));
    REFUSED(effnet_model_open(NULL, NULL, &made, &error));
    REFUSED(effnet_model_open("a", NULL, NULL, &error));
    REFUSED(effnet_model_import(NULL, NULL, &made, NULL, &error));
    REFUSED(effnet_model_import("a", NULL, NULL, NULL, &error));
    REFUSED(effnet_model_save(NULL, "a", &error));
    REFUSED(effnet_model_save(model, NULL, &error));
    REFUSED(effnet_model_save_onnx(NULL, "a", NULL, &error));
    REFUSED(effnet_model_save_onnx(model, NULL, NULL, &error));
    char *decoded;
    REFUSED(effnet_text_of_bytes(NULL, "a", 1, &decoded, &error));
    REFUSED(effnet_text_of_bytes("a", NULL, 1, &decoded, &error));
    REFUSED(effnet_text_of_bytes("a", "a", 1, NULL, &error));
    REFUSED(effnet_finetune(NULL, NULL, NULL, &error));
    REFUSED(effnet_model_save_c(NULL, "a.c", &error));
    REFUSED(effnet_model_save_c(model, NULL, &error));
    REFUSED(effnet_verify(NULL, &verification, &error));
    REFUSED(effnet_verify("a", NULL, &error));
    REFUSED(effnet_model_save_stablehlo(NULL, "a", NULL, &error));
    REFUSED(effnet_model_save_stablehlo(model, NULL, NULL, &error));
    REFUSED(effnet_weights_read(NULL, "classifier.bias", values, 3, &error));
    REFUSED(effnet_weights_read(model, NULL, values, 3, &error));
    REFUSED(effnet_weights_read(model, "classifier.bias", NULL, 3, &error));
    REFUSED(effnet_weights_write(NULL, "classifier.bias", values, 3, &error));
    REFUSED(effnet_weights_write(model, NULL, values, 3, &error));
    REFUSED(effnet_weights_write(model, "classifier.bias", NULL, 3, &error));
    REFUSED(effnet_predict(NULL, &picture, best, 1, &error));
    REFUSED(effnet_predict(model, NULL, best, 1, &error));
    REFUSED(effnet_predict(model, &picture, NULL, 1, &error));
    REFUSED(effnet_run(NULL, &picture, 1, &outputs, &error));
    REFUSED(effnet_run(model, NULL, 1, &outputs, &error));
    REFUSED(effnet_run(model, &picture, 1, NULL, &error));
    REFUSED(effnet_prepare(NULL, &picture, values, &error));
    REFUSED(effnet_prepare(model, NULL, values, &error));
    REFUSED(effnet_prepare(model, &picture, NULL, &error));
    REFUSED(effnet_model_feature(NULL, "gap", shape, &error));
    REFUSED(effnet_model_feature(model, NULL, shape, &error));
    REFUSED(effnet_model_feature(model, "gap", NULL, &error));
    REFUSED(effnet_model_preprocessing(NULL, &preprocessing, &error));
    REFUSED(effnet_model_preprocessing(model, NULL, &error));
    REFUSED(effnet_predict_file(NULL, "a.png", best, 1, &error));
    REFUSED(effnet_predict_file(model, NULL, best, 1, &error));
    REFUSED(effnet_predict_file(model, "a.png", NULL, 1, &error));
    REFUSED(effnet_logits(NULL, values, 1, values, &error));
    REFUSED(effnet_logits(model, NULL, 1, values, &error));
    REFUSED(effnet_logits(model, values, 1, NULL, &error));
    REFUSED(effnet_explain(NULL, &picture, 0, values, best, &error));
    REFUSED(effnet_explain(model, NULL, 0, values, best, &error));
    REFUSED(effnet_explain(model, &picture, 0, NULL, best, &error));
    REFUSED(effnet_explain_save(NULL, &picture, 0, "a.png", best, &error));
    REFUSED(effnet_explain_save(model, NULL, 0, "a.png", best, &error));
    REFUSED(effnet_explain_save(model, &picture, 0, NULL, best, &error));
    REFUSED(effnet_model_save_gguf(NULL, "a.gguf", NULL, &error));
    REFUSED(effnet_model_save_gguf(model, NULL, NULL, &error));
    REFUSED(effnet_average(NULL, 1, NULL, &made, &error));
    REFUSED(effnet_average(&(const char *){NULL}, 1, NULL, &made, &error));
    REFUSED(effnet_average(&(const char *){"a"}, 1, NULL, NULL, &error));
    REFUSED(effnet_calibrate(NULL, "a", NULL, &error));
    REFUSED(effnet_calibrate(model, NULL, NULL, &error));
    REFUSED(effnet_dtype_errors(NULL, "a", &dtype_options, &error));
    REFUSED(effnet_dtype_errors(model, NULL, &dtype_options, &error));
    REFUSED(effnet_dtype_errors(model, "a", NULL, &error));
    REFUSED(effnet_evaluate(NULL, "a", NULL, &evaluation, &error));
    REFUSED(effnet_evaluate(model, NULL, NULL, &evaluation, &error));
    REFUSED(effnet_evaluate(model, "a", NULL, NULL, &error));
    ANSWERS(effnet_model_name(NULL), !*effnet_model_name(NULL));
    ANSWERS(effnet_model_classes(NULL), !effnet_model_classes(NULL));
    ANSWERS(effnet_model_resolution(NULL), !effnet_model_resolution(NULL));
    HARMLESS(effnet_model_input(model, NULL));
    shape[0] = shape[1] = shape[2] = 1;
    HARMLESS(effnet_model_input(NULL, shape));
    assert_true(!shape[0] && !shape[1] && !shape[2]);
    ANSWERS(effnet_model_file(NULL), !*effnet_model_file(NULL));
    ANSWERS(effnet_model_weights(NULL), !*effnet_model_weights(NULL));
    ANSWERS(effnet_model_step(NULL), !effnet_model_step(NULL));
    ANSWERS(effnet_model_notes(NULL), !*effnet_model_notes(NULL));
    ANSWERS(effnet_model_label(NULL, 0), !*effnet_model_label(NULL, 0));
    HARMLESS(effnet_model_free(NULL));

    REFUSED(effnet_recipe_open("a", NULL, &error));
    REFUSED(effnet_recipe_copy(NULL, &read, &error));
    REFUSED(effnet_recipe_copy(recipe, NULL, &error));
    REFUSED(effnet_recipe_set(NULL, "lr", "1", &error));
    REFUSED(effnet_recipe_set(recipe, NULL, "1", &error));
    REFUSED(effnet_recipe_set(recipe, "lr", NULL, &error));
    REFUSED(effnet_recipe_get(NULL, "lr", text, sizeof text, &error));
    REFUSED(effnet_recipe_get(recipe, NULL, text, sizeof text, &error));
    REFUSED(effnet_recipe_get(recipe, "lr", NULL, 10, &error));
    REFUSED(effnet_recipe_save(NULL, "a", &error));
    REFUSED(effnet_recipe_save(recipe, NULL, &error));
    REFUSED(effnet_recipe_save_stablehlo(NULL, "a", NULL, &error));
    REFUSED(effnet_recipe_save_stablehlo(recipe, NULL, NULL, &error));
    HARMLESS(effnet_recipe_keys(NULL, NULL));
    HARMLESS(effnet_recipe_free(NULL));

    REFUSED(effnet_trainer_create(NULL, NULL, &begun, &error));
    REFUSED(effnet_trainer_create(recipe, NULL, NULL, &error));
    REFUSED(effnet_trainer_step(NULL, values, NULL, 1, NULL, NULL, &error));
    REFUSED(effnet_trainer_step(trainer, NULL, (const int32_t[1]){0}, 1, NULL, NULL, &error));
    REFUSED(effnet_trainer_step(trainer, values, NULL, 1, NULL, NULL, &error));
    REFUSED(effnet_trainer_model(NULL, false, &made, &error));
    REFUSED(effnet_trainer_model(trainer, false, NULL, &error));
    HARMLESS(effnet_trainer_free(NULL));
    REFUSED(effnet_train(NULL, NULL, NULL, &error));
    REFUSED(effnet_replay(NULL, NULL, &error));
    REFUSED(effnet_plan_run(NULL, NULL, &plan, &error));
    REFUSED(effnet_plan_run(recipe, NULL, NULL, &error));
    HARMLESS(effnet_plan_free(NULL));
    REFUSED(effnet_compare(NULL, model, "a", NULL, &comparison, &error));
    REFUSED(effnet_compare(model, NULL, "a", NULL, &comparison, &error));
    REFUSED(effnet_compare(model, model, NULL, NULL, &comparison, &error));
    REFUSED(effnet_compare(model, model, "a", NULL, NULL, &error));
    REFUSED(effnet_data_audit(NULL, "a", NULL, &audit, &error));
    REFUSED(effnet_data_audit(model, NULL, NULL, &audit, &error));
    REFUSED(effnet_data_audit(model, "a", NULL, NULL, &error));
    REFUSED(effnet_diff_runs(NULL, "a", NULL, &difference, &error));
    REFUSED(effnet_diff_runs("a", NULL, NULL, &difference, &error));
    REFUSED(effnet_diff_runs("a", "b", NULL, NULL, &error));

    REFUSED(effnet_pack(NULL, "a", NULL, NULL, &error));
    REFUSED(effnet_pack("a", NULL, NULL, NULL, &error));
    REFUSED(effnet_data_check(NULL, NULL, &report, &error));
    REFUSED(effnet_data_check("a", NULL, NULL, &error));
    REFUSED(effnet_data_show(NULL, "a", "b", NULL, &error));
    REFUSED(effnet_data_show(recipe, NULL, "b", NULL, &error));
    REFUSED(effnet_data_show(recipe, "a", NULL, NULL, &error));
    HARMLESS(effnet_data_report_free(NULL));
    REFUSED(effnet_summarize(NULL, 0, 0, &summary, &error));
    REFUSED(effnet_summarize("efficientnet_b0", 0, 0, NULL, &error));
    HARMLESS(effnet_summary_free(NULL));
    REFUSED(effnet_bench(NULL, NULL, &error));
    REFUSED(effnet_measure_limits(1, NULL, &error));
    REFUSED(effnet_device_probe(NULL, &device, &error));
    REFUSED(effnet_device_probe("xla", NULL, &error));
    ANSWERS(effnet_device_known(0, NULL), !effnet_device_known(0, NULL));
    REFUSED(effnet_team_create(NULL, NULL, &error));
    ANSWERS(effnet_team_threads(NULL), !effnet_team_threads(NULL));
    HARMLESS(effnet_team_free(NULL));
    HARMLESS(effnet_build_info(NULL, 0));
    ANSWERS(effnet_version(), strcmp(effnet_version(), EFFNET_VERSION) == 0);
    ANSWERS(effnet_status_name(EFFNET_OK), strcmp(effnet_status_name((effnet_status)77), "unknown status") == 0);
}

/* Each function that the header declares is among those called. */
static void compare_with_header(void) {
    static char line[4096];
    int functions = 0;
    FILE *header = fopen(EFFNET_SOURCE_DIR "/include/effnet.h", "r");
    assert_non_null(header);
    while (fgets(line, sizeof line, header)) {
        if (strncmp(line, "EFFNET_API", 10) != 0) continue;
        char *end = strchr(line, '('), *name = end;
        assert_non_null(end);
        while (name > line && strchr("abcdefghijklmnopqrstuvwxyz_0123456789", name[-1])) name--;
        end[1] = 0;
        functions++;
        if (!strstr(called, name)) fail_msg("%s...) is never called with NULL", name);
    }
    fclose(header);
    assert_true(functions > 40);
}

static effnet_recipe *small_recipe(void) {
    effnet_recipe *recipe;
    effnet_error error;
    assert_int_equal(effnet_recipe_open(NULL, &recipe, &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "resolution", "32", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "batch_size", "2", &error), EFFNET_OK);
    return recipe;
}

static void test_null(void **state) {
    (void)state;
    const effnet_model_options small = {.struct_size = sizeof small, .num_classes = 3, .resolution = 32, .threads = 1};
    const effnet_trainer_options steps = {
        .struct_size = sizeof steps, .num_classes = 3, .steps_per_epoch = 1, .threads = 1};
    effnet_model *model;
    effnet_trainer *trainer;
    effnet_recipe *recipe = small_recipe();
    assert_int_equal(effnet_model_create("efficientnet_b0", &small, &model, NULL), EFFNET_OK);
    assert_int_equal(effnet_trainer_create(recipe, &steps, &trainer, NULL), EFFNET_OK);
    call_all_with_null(model, recipe, trainer);
    effnet_trainer_free(trainer);
    effnet_model_free(model);
    effnet_recipe_free(recipe);
    compare_with_header();
}

/* ---- structures ---- */

static void test_structures(void **state) {
    (void)state;
    effnet_error error;
    effnet_summary whole = {.struct_size = sizeof whole};
    assert_int_equal(effnet_summarize("efficientnet_b0", 0, 0, &whole, &error), EFFNET_OK);
    assert_int_equal(whole.struct_size, sizeof whole);
    assert_int_equal(whole.blocks[0].struct_size, sizeof *whole.blocks);

    /* A newer header: what the library does not know becomes zero. */
    struct {
        effnet_summary known;
        int64_t later;
    } newer = {.known = {.struct_size = sizeof newer}, .later = 5};
    assert_int_equal(effnet_summarize("efficientnet_b0", 0, 0, &newer.known, &error), EFFNET_OK);
    assert_int_equal(newer.known.parameters, whole.parameters);
    assert_int_equal(newer.later, 0);
    effnet_summary_free(&newer.known);
    effnet_summary_free(&whole);

    /* An older one: nothing is written behind what it has. */
    effnet_limits older;
    memset(&older, 0x5a, sizeof older);
    older.struct_size = offsetof(effnet_limits, gflops);
    assert_int_equal(effnet_measure_limits(1, &older, &error), EFFNET_OK);
    assert_int_equal(older.threads, 1);
    for (size_t i = offsetof(effnet_limits, gflops); i < sizeof older; i++)
        assert_int_equal(((unsigned char *)&older)[i], 0x5a);

    effnet_summary unset = {0};
    assert_int_equal(effnet_summarize("efficientnet_b0", 0, 0, &unset, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "effnet_summary.struct_size is 0; set it to sizeof(effnet_summary)");
    assert_string_equal(effnet_status_name(error.status), "EFFNET_ERROR_ARGUMENT");
}

/* ---- recipes ---- */

typedef struct Keys {
    effnet_recipe *recipe, *again;
    int count;
} Keys;

static void compare_key(void *context, const char *section, const char *key, const char *type, const char *initial,
                        const char *allowed, const char *help) {
    Keys *keys = context;
    char value[1000], read[1000];
    effnet_error error;
    (void)section;
    (void)type;
    (void)initial;
    (void)allowed;
    (void)help;
    if (effnet_recipe_get(keys->recipe, key, value, sizeof value, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(effnet_recipe_get(keys->again, key, read, sizeof read, &error), EFFNET_OK);
    if (strcmp(value, read) != 0) fail_msg("%s is '%s' and is read back as '%s'", key, value, read);
    if (effnet_recipe_set(keys->recipe, key, value, &error) != EFFNET_OK) fail_msg("%s: %s", key, error.message);
    assert_int_equal(effnet_recipe_get(keys->recipe, key, read, sizeof read, &error), EFFNET_OK);
    assert_string_equal(value, read);
    keys->count++;
}

static void test_recipe(void **state) {
    (void)state;
    char value[1000];
    effnet_error error;
    effnet_recipe *recipe = small_recipe(), *copy, *read;
    const ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "recipe.yaml");
    assert_int_equal(effnet_recipe_set(recipe, "lr", "0.0123", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "mean", "0.1,0.2,0.3", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "opt", "adamw", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_get(recipe, "lr", value, sizeof value, &error), EFFNET_OK);
    assert_string_equal(value, "0.0123");
    assert_int_equal(effnet_recipe_get(recipe, "mean", value, sizeof value, &error), EFFNET_OK);
    assert_string_equal(value, "[0.1, 0.2, 0.3]");
    assert_int_equal(effnet_recipe_get(recipe, "lr", value, 6, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_recipe_get(recipe, "lr", value, 7, &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_get(recipe, "lrr", value, sizeof value, &error), EFFNET_ERROR_FORMAT);
    assert_int_equal(effnet_recipe_copy(recipe, &copy, &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(copy, "opt", "sgd", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_get(recipe, "opt", value, sizeof value, &error), EFFNET_OK);
    assert_string_equal(value, "adamw");
    if (effnet_recipe_save(recipe, path, &error) != EFFNET_OK) fail_msg("%s", error.message);
    if (effnet_recipe_open(path, &read, &error) != EFFNET_OK) fail_msg("%s", error.message);
    Keys keys = {.recipe = recipe, .again = read};
    effnet_recipe_keys(compare_key, &keys);
    assert_true(keys.count > 80);
    assert_int_equal(effnet_recipe_save(recipe, "/nowhere/at/all.yaml", &error), EFFNET_ERROR_IO);
    effnet_recipe_free(read);
    effnet_recipe_free(copy);
    effnet_recipe_free(recipe);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_recipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
