/* A model opened with `device`: its logits against the reference engine's, batches of several sizes through one
 * program, weights that are changed afterwards, what is refused; and the programs that export writes. Runs through a CPU plugin; without one
 * (tools/setup.sh test) only what needs none is tested. */
#include "effnet.h"

#include "api/handles.h"
#include "backend/xla/pjrt.h"
#include "backend/xla/plugins.h"
#include "base/file.h"
#include "scratch_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

enum { SIDE = 32, CLASSES = 10, MOST = 3 };

static bool has_plugin;

static effnet_model *model_of(const char *device, const char *engine) {
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = CLASSES,
                                          .resolution = SIDE,
                                          .threads = 1,
                                          .seed = 3,
                                          .engine = engine,
                                          .device = device};
    effnet_model *model;
    effnet_error error;
    if (effnet_model_create("efficientnet_lite0", &options, &model, &error) != EFFNET_OK) fail_msg("%s", error.message);
    return model;
}

static void near(const char *what, const float *got, const float *want, int count) {
    double size = 0;
    for (int i = 0; i < count; i++) size += (double)want[i] * want[i];
    size = sqrt(size / count);
    assert_true(size > 0);
    for (int i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= 1e-4 * size))
            fail_msg("%s: logit %d is %.9g, want %.9g", what, i, (double)got[i], (double)want[i]);
}

static void same_logits(void **state) {
    (void)state;
    if (!has_plugin) skip();
    static float images[MOST * SIDE * SIDE * 3];
    float got[MOST * CLASSES], want[MOST * CLASSES];
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = random_normal(random_key(5), i);
    effnet_model *device = model_of("xla:cpu", NULL), *host = model_of("cpu", "reference");
    effnet_error error;
    for (int batch = MOST; batch >= 1; batch -= 2) { /* the smaller one is padded */
        assert_int_equal(effnet_logits(device, images, batch, got, &error), EFFNET_OK);
        assert_int_equal(effnet_logits(host, images, batch, want, &error), EFFNET_OK);
        near(batch == MOST ? "the first batch" : "a smaller batch", got, want, batch * CLASSES);
    }
    float bias[CLASSES]; /* the device must take the new weights */
    for (int i = 0; i < CLASSES; i++) bias[i] = (float)i;
    assert_int_equal(effnet_weights_write(device, "classifier.bias", bias, CLASSES, &error), EFFNET_OK);
    assert_int_equal(effnet_weights_write(host, "classifier.bias", bias, CLASSES, &error), EFFNET_OK);
    assert_int_equal(effnet_logits(device, images, 2, got, &error), EFFNET_OK);
    assert_int_equal(effnet_logits(host, images, 2, want, &error), EFFNET_OK);
    near("after a change", got, want, 2 * CLASSES);
    effnet_model_free(device);
    effnet_model_free(host);
}

/* What `effnet export` writes, read back as a stranger would: the heading says what goes in, the text runs. */
static void exported(void **state) {
    (void)state;
    static float images[MOST * SIDE * SIDE * 3];
    float got[MOST * CLASSES], want[MOST * CLASSES];
    char path[300], *text;
    size_t bytes;
    effnet_error error;
    ScratchFolder folder = scratch_folder_create();
    snprintf(path, sizeof path, "%s/lite0.mlir", folder.path);
    effnet_model *model = model_of("cpu", "reference");
    const effnet_stablehlo_options options = {.struct_size = sizeof options, .batch = MOST};
    assert_int_equal(effnet_model_save_stablehlo(model, path, &options, &error), EFFNET_OK);
    assert_int_equal(file_read(path, 1 << 26, &text, &bytes, &error), EFFNET_OK);
    static const char *const says[] = {
        "// Inference of efficientnet_lite0, 32x32, 10 classes, as StableHLO",
        "//    2 f32 (3, 32, 32, 3) pictures (N, H, W, 3), normalised\n",
        "//    0 f32 (3, 10) logits (N, classes)\n",
        "//   0 (32, 3, 3, 3) conv_stem.weight\n",
        "func.func public @main(",
    };
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++)
        if (!strstr(text, says[i])) fail_msg("the text does not say '%s'", says[i]);
    if (has_plugin) {
        char plugin[PLUGIN_PATH];
        Pjrt *pjrt;
        PjrtExecutable *executable;
        PjrtBuffer *arguments[3] = {NULL}, *logits;
        XlaProgram program = {.text = text, .bytes = bytes, .replicas = 1, .num_arguments = 3, .num_results = 1};
        assert_int_equal(plugin_find("xla:cpu", plugin, &(PluginOptions){0}, &error), EFFNET_OK);
        assert_int_equal(pjrt_open(plugin, 1, NULL, &pjrt, &error), EFFNET_OK);
        if (pjrt_compile(pjrt, &program, NULL, &executable, NULL, &error) != EFFNET_OK) fail_msg("%s", error.message);
        for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = random_normal(random_key(6), i);
        const int64_t shape[4] = {MOST, SIDE, SIDE, 3};
        const int64_t counts[2] = {(int64_t)model->network.parameter_floats, (int64_t)model->network.statistic_floats};
        const float *vectors[2] = {model->parameters, model->statistics};
        for (int i = 0; i < 2; i++)
            assert_int_equal(pjrt_upload(pjrt, 0, XLA_F32, 1, &counts[i], vectors[i], &arguments[i], &error),
                             EFFNET_OK);
        assert_int_equal(pjrt_upload(pjrt, 0, XLA_F32, 4, shape, images, &arguments[2], &error), EFFNET_OK);
        assert_int_equal(pjrt_execute(executable, arguments, &logits, &error), EFFNET_OK);
        assert_int_equal(pjrt_download(pjrt, logits, got, sizeof got, &error), EFFNET_OK);
        assert_int_equal(effnet_logits(model, images, MOST, want, &error), EFFNET_OK);
        near("the exported program", got, want, MOST * CLASSES);
        for (int i = 0; i < 3; i++) pjrt_buffer_free(pjrt, arguments[i]);
        pjrt_buffer_free(pjrt, logits);
        pjrt_executable_free(executable);
        pjrt_close(pjrt);
    }
    free(text);
    effnet_model_free(model);
    scratch_folder_remove(&folder);
}

/* The same by JAX, where EFFNET_JAX_PYTHON names a python3 that has it: check_stablehlo.py prints the logits of pictures
 * that are sin(i). */
static void exported_to_jax(void **state) {
    (void)state;
    const char *python = getenv("EFFNET_JAX_PYTHON");
    if (!python || !*python) skip();
    static float images[MOST * SIDE * SIDE * 3];
    float got[MOST * CLASSES], want[MOST * CLASSES];
    char program[300], weights[300], command[2000];
    effnet_error error;
    ScratchFolder folder = scratch_folder_create();
    snprintf(program, sizeof program, "%s/lite0.mlir", folder.path);
    snprintf(weights, sizeof weights, "%s/lite0.safetensors", folder.path);
    effnet_model *model = model_of("cpu", "reference");
    const effnet_stablehlo_options options = {.struct_size = sizeof options, .batch = MOST};
    assert_int_equal(effnet_model_save_stablehlo(model, program, &options, &error), EFFNET_OK);
    assert_int_equal(effnet_model_save(model, weights, &error), EFFNET_OK);
    snprintf(command, sizeof command, "'%s' '%s/tests/golden/check_stablehlo.py' run '%s' '%s'", python,
             EFFNET_SOURCE_DIR, program, weights);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    for (int i = 0; i < MOST * CLASSES; i++)
        if (fscanf(pipe, "%f", &got[i]) != 1) fail_msg("'%s' printed %d logits", command, i);
    assert_int_equal(pclose(pipe), 0);
    for (int i = 0; i < MOST * SIDE * SIDE * 3; i++) images[i] = (float)sin(i);
    assert_int_equal(effnet_logits(model, images, MOST, want, &error), EFFNET_OK);
    near("the exported program under JAX", got, want, MOST * CLASSES);
    effnet_model_free(model);
    scratch_folder_remove(&folder);
}

/* The training step of a recipe: what goes in, in order, and how it goes round. */
static void exported_step(void **state) {
    (void)state;
    char path[300], *text;
    size_t bytes;
    effnet_error error;
    effnet_recipe *recipe;
    ScratchFolder folder = scratch_folder_create();
    snprintf(path, sizeof path, "%s/step.mlir", folder.path);
    assert_int_equal(effnet_recipe_open(NULL, &recipe, &error), EFFNET_OK);
    static const char *const settings[][2] = {{"num_classes", "10"}, {"batch_size", "16"}, {"replicas", "2"},
                                              {"mixup", "0.2"},      {"resolution", "64"}, {"bn_sync", "all"}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (effnet_recipe_set(recipe, settings[i][0], settings[i][1], &error) != EFFNET_OK)
            fail_msg("%s", error.message);
    const effnet_stablehlo_options options = {.struct_size = sizeof options, .bytes = true};
    if (effnet_recipe_save_stablehlo(recipe, path, &options, &error) != EFFNET_OK) fail_msg("%s", error.message);
    assert_int_equal(file_read(path, 1 << 26, &text, &bytes, &error), EFFNET_OK);
    static const char *const says[] = {
        "// The training step of efficientnet_b0, 64x64, 10 classes, as StableHLO",
        "// 2 replicas, each with arguments of its own",
        ") parameters: the vector below; gives its memory to result 0\n",
        "ui8 (8, 64, 64, 3) pictures (N, H, W, 3), bytes 0 to 255",
        "i32 (8) second labels (N) of mixed pictures\n",
        "f32 () mean loss of the whole batch\n",
        "mhlo.num_replicas = 2",
    };
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++)
        if (!strstr(text, says[i])) fail_msg("the text does not say '%s'", says[i]);
    free(text);
    const effnet_stablehlo_options sized = {.struct_size = sizeof sized, .batch = 4};
    assert_int_equal(effnet_recipe_save_stablehlo(recipe, path, &sized, &error), EFFNET_ERROR_ARGUMENT);
    effnet_recipe_free(recipe);
    scratch_folder_remove(&folder);
}

static void refused(void **state) {
    (void)state;
    const struct {
        const char *device, *dtype, *says;
    } cases[] = {{"gpu", NULL, "device is 'gpu'; there is: cpu, xla"}, {"xla", "int8", "dtype int8"}};
    effnet_model *model;
    effnet_error error;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const effnet_model_options options = {
            .struct_size = sizeof options, .device = cases[i].device, .dtype = cases[i].dtype};
        assert_int_not_equal(effnet_model_create("efficientnet_lite0", &options, &model, &error), EFFNET_OK);
        assert_null(model);
        if (!strstr(error.message, cases[i].says)) fail_msg("'%s' does not say '%s'", error.message, cases[i].says);
    }
    model = model_of("xla:/nowhere/plugin.so", NULL);
    static float images[SIDE * SIDE * 3], feature[2000];
    float logits[CLASSES];
    assert_int_not_equal(effnet_logits(model, images, 1, logits, &error), EFFNET_OK);
    if (!strstr(error.message, "there is no plugin '/nowhere/plugin.so'")) fail_msg("'%s'", error.message);
    uint8_t pixels[3] = {1, 2, 3};
    const effnet_picture picture = {.pixels = pixels, .height = 1, .width = 1};
    const effnet_outputs outputs = {.struct_size = sizeof outputs, .features = feature, .feature = "gap"};
    assert_int_equal(effnet_run(model, &picture, 1, &outputs, &error), EFFNET_ERROR_UNSUPPORTED);
    effnet_model_free(model);
}

int main(void) {
    char path[PLUGIN_PATH];
    has_plugin = plugin_find("xla:cpu", path, &(PluginOptions){0}, NULL) == EFFNET_OK;
    setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
    setenv("EFFNET_CACHE", "", 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME"); /* nothing from an earlier build's cache */
    const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(same_logits),
                                       cmocka_unit_test(exported), cmocka_unit_test(exported_to_jax),
                                       cmocka_unit_test(exported_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
