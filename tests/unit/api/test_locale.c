/* test_locale.c - in a program whose locale writes 0,5 for a half: recipes are read and written, a run is trained, logged
 * and resumed, policies of augmentation are understood and messages written with points all the same. The locale is made
 * by localedef into a folder of the test's. */
#include "effnet.h"

#include "scratch_folder.h"

#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <spng.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SIDE = 32, CLASSES = 2, PICTURES = 6 };

static ScratchFolder folder;

/* True where printf writes a comma from here on. */
static bool go_to_germany(void) {
    char command[600], half[10];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/localedef.txt 2>&1", folder.path,
             folder.path);
    if (system(command) != 0) return false;
    setenv("LOCPATH", folder.path, 1);
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) return false;
    snprintf(half, sizeof half, "%.1f", 0.5);
    return strcmp(half, "0,5") == 0;
}

static void write_png(const char *path, int mark) {
    uint8_t pixels[SIDE * SIDE * 3];
    size_t size;
    int failed = 0;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * (size_t)(mark + 3) % 251);
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {.width = SIDE, .height = SIDE, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_ihdr(encoder, &header);
    assert_int_equal(spng_encode_image(encoder, pixels, sizeof pixels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    void *png = spng_get_png_buffer(encoder, &size, &failed);
    scratch_write(path, png, size);
    free(png);
    spng_ctx_free(encoder);
}

static void write_pictures(void) {
    static const char *const splits[] = {"train", "val"};
    char path[400];
    snprintf(path, sizeof path, "%s/data", folder.path);
    mkdir(path, 0777);
    for (int s = 0; s < 2; s++) {
        snprintf(path, sizeof path, "%s/data/%s", folder.path, splits[s]);
        mkdir(path, 0777);
        for (int c = 0; c < CLASSES; c++) {
            snprintf(path, sizeof path, "%s/data/%s/class%d", folder.path, splits[s], c);
            mkdir(path, 0777);
            for (int i = 0; i < PICTURES; i++) {
                snprintf(path, sizeof path, "%s/data/%s/class%d/%d.png", folder.path, splits[s], c, i);
                write_png(path, (s * CLASSES + c) * PICTURES + i);
            }
        }
    }
}

static effnet_recipe *recipe_of(const char *text) {
    effnet_recipe *recipe = NULL;
    effnet_error error;
    scratch_write(scratch_path(&folder, "recipe.yaml"), text, strlen(text));
    if (effnet_recipe_open(scratch_path(&folder, "recipe.yaml"), &recipe, &error) != EFFNET_OK)
        fail_msg("%s", error.message);
    return recipe;
}

static void expect_key(const effnet_recipe *recipe, const char *key, const char *expected) {
    char value[1000];
    assert_int_equal(effnet_recipe_get(recipe, key, value, sizeof value, NULL), EFFNET_OK);
    assert_string_equal(value, expected);
}

static void test_recipe(void **state) {
    (void)state;
    effnet_error error;
    effnet_recipe *recipe = recipe_of("lr: 0.0125\nmean: [0.25, 0.5, 0.75]\naa: rand-m9-mstd0.5\nmomentum: 1e-1\n"),
                  *again;
    expect_key(recipe, "lr", "0.0125");
    expect_key(recipe, "mean", "[0.25, 0.5, 0.75]");
    expect_key(recipe, "momentum", "0.1");
    assert_int_equal(effnet_recipe_set(recipe, "std", "0.5,0.25,0.125", &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_set(recipe, "lr", "0,5", &error), EFFNET_ERROR_FORMAT);
    assert_int_equal(effnet_recipe_set(recipe, "smoothing", "1.5", &error), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "1.5"));
    assert_null(strstr(error.message, "0,"));
    assert_int_equal(effnet_recipe_save(recipe, scratch_path(&folder, "saved.yaml"), &error), EFFNET_OK);
    assert_int_equal(effnet_recipe_open(scratch_path(&folder, "saved.yaml"), &again, &error), EFFNET_OK);
    expect_key(again, "lr", "0.0125");
    expect_key(again, "std", "[0.5, 0.25, 0.125]");
    effnet_recipe_free(again);
    effnet_recipe_free(recipe);
}

/* A message of a contradiction between keys holds the number as a recipe does. */
static void test_messages(void **state) {
    (void)state;
    effnet_error error;
    effnet_trainer *trainer;
    const effnet_trainer_options options = {
        .struct_size = sizeof options, .num_classes = 2, .steps_per_epoch = 1, .threads = 1};
    effnet_recipe *recipe = recipe_of("resolution: 32\n");
    assert_int_equal(effnet_recipe_set(recipe, "scale", "0.75,0.5", &error), EFFNET_OK);
    assert_int_equal(effnet_trainer_create(recipe, &options, &trainer, &error), EFFNET_ERROR_FORMAT);
    assert_string_equal(error.message, "scale is [0.75, 0.5]; write the smaller share first");
    effnet_recipe_free(recipe);
    char text[400];
    effnet_build_info(text, sizeof text);
    const char *memory = strstr(text, "memory: ");
    assert_non_null(memory);
    memory += strlen("memory: ");
    assert_true(memory[strspn(memory, "0123456789.")] == ' '); /* no comma in the number */
}

/* Lines of the log are JSON whose learning rate is a fraction; returns how many have one. */
static int read_log(const char *path) {
    char line[4096];
    int found = 0;
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log)) {
        json_error_t at;
        json_t *object = json_loads(line, 0, &at);
        if (!object) fail_msg("%s: %s", at.text, line);
        const json_t *lr = json_object_get(object, "lr");
        if (lr) {
            assert_true(json_is_real(lr));
            if (!(fabs(json_real_value(lr) - 0.0125) < 1e-9)) fail_msg("lr is %g: %s", json_real_value(lr), line);
            found++;
        }
        json_decref(object);
    }
    fclose(log);
    return found;
}

/* What a run says of accuracies has points; counts how often. */
static bool check_message(void *context, const effnet_progress *now) {
    if (now->message && strstr(now->message, "top-1 before the first step: ")) {
        ++*(int *)context;
        if (strchr(now->message, ',')) fail_msg("%s", now->message);
    }
    return false;
}

static void test_run(void **state) {
    (void)state;
    char data[300], out[300], log[300];
    effnet_error error;
    effnet_train_result first = {.struct_size = sizeof first}, second = {.struct_size = sizeof second};
    write_pictures();
    effnet_recipe *recipe = recipe_of("model: efficientnet_b0\nresolution: 32\nbatch_size: 4\nepochs: 2\nlr: 0.0125\n"
                                      "sched: constant\nwarmup_epochs: 0\naa: rand-m9-mstd0.5\nworkers: 1\nthreads: 1\n"
                                      "log_interval: 1\n");
    snprintf(data, sizeof data, "%s/data", folder.path);
    snprintf(out, sizeof out, "%s/run", folder.path);
    snprintf(log, sizeof log, "%s/run/log.jsonl", folder.path);
    int told = 0;
    effnet_train_options options = {.struct_size = sizeof options,
                                    .data = data,
                                    .out = out,
                                    .steps = 2,
                                    .evaluate_first = true,
                                    .progress = check_message,
                                    .progress_context = &told};
    if (effnet_train(recipe, &options, &first, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(first.steps, 2);
    assert_int_equal(told, 1);
    const int logged = read_log(log);
    assert_true(logged >= 2);
    options.steps = 4;
    options.resume = true;
    if (effnet_train(recipe, &options, &second, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(second.steps, 4);
    assert_true(read_log(log) >= logged + 2);
    expect_key(recipe, "data", ""); /* the run resolved a copy */
    effnet_recipe_free(recipe);

    /* The checkpoint's own numbers. */
    effnet_model *model;
    effnet_preprocessing how = {.struct_size = sizeof how};
    if (effnet_model_open(out, NULL, &model, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(effnet_model_preprocessing(model, &how, &error), EFFNET_OK);
    assert_true(fabs(how.mean[0] - 0.485) < 1e-9 && fabs(how.crop_pct - 0.875) < 0.1);
    effnet_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_run),
    };
    folder = scratch_folder_create();
    int status = 77;
    if (go_to_germany())
        status = cmocka_run_group_tests(tests, NULL, NULL);
    else
        printf("skipped: localedef makes no de_DE.UTF-8 (Debian: locales)\n");
    scratch_folder_remove(&folder);
    return status;
}
