/* A model opened with `device`: its logits against the reference engine's, batches of several sizes through one
 * program, weights that are changed afterwards, and what is refused. Runs through a CPU plugin; without one
 * (tools/setup.sh test) only what needs none is tested. */
#include "effnet.h"

#include "backend/xla/plugins.h"
#include "base/random.h"

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
    has_plugin = plugin_find("xla:cpu", path, NULL) == EFFNET_OK;
    setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
    setenv("EFFNET_CACHE", "", 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME"); /* nothing from an earlier build's cache */
    const struct CMUnitTest tests[] = {cmocka_unit_test(refused), cmocka_unit_test(same_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
