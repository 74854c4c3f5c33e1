/* test_gguf.c - models as GGUF files: read back to the same bits (float16: to the nearest), verified by their golden picture;
 * every byte that is changed, and every end that is cut off, is told; float16's rounding over all its numbers. */
#include "api/handles.h"
#include "base/file.h"
#include "base/float16.h"
#include "format/elements.h"
#include "format/gguf.h"
#include "scratch_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ScratchFolder folder;
static effnet_error error;

static void must(effnet_status status) {
    if (status != EFFNET_OK) fail_msg("%s", error.message);
}

static effnet_model *make(const char *name, double width) {
    effnet_model *model;
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = 3,
                                          .resolution = 32,
                                          .threads = 1,
                                          .seed = 5,
                                          .width_coefficient = width,
                                          .depth_coefficient = 0.5};
    must(effnet_model_create(name, &options, &model, &error));
    for (size_t i = 0; i < model->network.statistic_floats; i++)
        model->statistics[i] = 0.75F + 0.2F * sinf((float)i); /* fresh ones would all be 0 and 1 */
    return model;
}

static void reads_back(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        effnet_model *model = make(half ? "efficientnet_lite0" : "efficientnet_b0", 0.35);
        char path[300];
        snprintf(path, sizeof path, "%s", scratch_path(&folder, "mine.gguf"));
        const effnet_gguf_options options = {.struct_size = sizeof options, .half = half};
        must(effnet_model_save_gguf(model, path, &options, &error));
        effnet_verification told = {.struct_size = sizeof told};
        must(effnet_verify(path, &told, &error));
        assert_string_equal(told.model, model->network.config.name);
        assert_int_equal(told.num_classes, 3);
        assert_true(told.has_checksum && told.has_golden);
        assert_true(told.worst <= 1e-5 * fmax(told.largest, 1) && told.largest > 0);

        GgufFile *file;
        const Network *network = &model->network;
        float *parameters = calloc(network->parameter_floats, sizeof *parameters);
        float *statistics = calloc(network->statistic_floats, sizeof *statistics);
        must(gguf_open(path, &file, &error));
        assert_string_equal(gguf_metadata(file, "general.architecture"), "efficientnet");
        assert_string_equal(gguf_metadata(file, "general.name"), network->config.name);
        must(gguf_read_weights(file, network, parameters, statistics, &error));
        gguf_close(file);
        bool rounded = false;
        for (int i = 0; i < network->num_parameters; i++) {
            const Parameter *parameter = &network->parameters[i];
            for (size_t k = parameter->offset; k < parameter->offset + parameter->count; k++) {
                const float was = model->parameters[k], is = parameters[k];
                /* 11 bits: an error of half a unit of the last, or of the least subnormal */
                const double allowed = half && parameter->rank > 1 ? fmax(fabs((double)was) / 2048, ldexp(1, -25)) : 0;
                if (!(fabs((double)is - (double)was) <= allowed))
                    fail_msg("%s, %zu: %.9g was written, %.9g read", parameter->name, k - parameter->offset,
                             (double)was, (double)is);
                rounded |= is != was;
            }
        }
        assert_int_equal(rounded, half);
        assert_memory_equal(statistics, model->statistics, network->statistic_floats * sizeof(float));
        free(parameters);
        free(statistics);
        effnet_model_free(model);
    }
}

static void refuse(const char *path, const char *bytes, size_t size, size_t place) {
    effnet_verification told = {.struct_size = sizeof told};
    scratch_write(path, bytes, size);
    if (effnet_verify(path, &told, &error) == EFFNET_OK) fail_msg("taken: %zu bytes, changed at %zu", size, place);
    assert_int_equal(error.status, EFFNET_ERROR_FORMAT);
}

static void damage(void **state) {
    (void)state;
    effnet_model *model = make("efficientnet_lite0", 0.1);
    char path[300], *bytes;
    size_t size;
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "damaged.gguf"));
    must(effnet_model_save_gguf(model, path, NULL, &error));
    effnet_model_free(model);
    must(file_read(path, 1 << 28, &bytes, &size, &error));
    /* all of the beginning, where lengths and counts are, and places all over the rest */
    for (size_t place = 0; place < size; place += place < 300 ? 1 : size / 150) {
        const char was = bytes[place];
        bytes[place] = (char)(was ^ (place % 2 ? 0x80 : 0x01));
        refuse(path, bytes, size, place);
        bytes[place] = was;
    }
    for (size_t length = 0; length < size; length += length < 100 ? 7 : size / 60) refuse(path, bytes, length, length);
    free(bytes);
    scratch_write(path, "no model", 8);
    effnet_verification told = {.struct_size = sizeof told};
    assert_int_equal(effnet_verify(path, &told, &error), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "does not begin with GGUF"));
}

static float value_of(unsigned bits) {
    const unsigned char bytes[2] = {(unsigned char)bits, (unsigned char)(bits >> 8)};
    float value;
    elements_to_float(ELEMENT_F16, bytes, &value, 1);
    return value;
}

/* Every finite float16 is itself; half way to the next goes to the even one, and a little more or less to the nearer. */
static void rounding(void **state) {
    (void)state;
    enum { INFINITE = 0x7C00 };
    for (unsigned bits = 0; bits < INFINITE; bits++) {
        const float here = value_of(bits), next = bits + 1 < INFINITE ? value_of(bits + 1) : 65536;
        const float middle = here + (next - here) / 2; /* exact: 12 bits */
        const unsigned even = bits & 1 ? bits + 1 : bits;
        const struct {
            float value;
            unsigned wanted;
        } cases[] = {{here, bits}, {middle, even}, {nextafterf(middle, 0), bits}, {nextafterf(middle, 1e9F), bits + 1}};
        for (int i = 0; i < 4; i++) {
            if (float16_bits(cases[i].value) != cases[i].wanted)
                fail_msg("%.9g is %#x, not %#x", (double)cases[i].value, float16_bits(cases[i].value), cases[i].wanted);
            assert_int_equal(float16_bits(-cases[i].value), cases[i].wanted | 0x8000);
        }
    }
    assert_int_equal(float16_bits(INFINITY), INFINITE);
    assert_int_equal(float16_bits(1e30F), INFINITE);
    assert_true((float16_bits(NAN) & 0x7FFF) > INFINITE);
}

static void too_large(void **state) {
    (void)state;
    effnet_model *model = make("efficientnet_b0", 0.35);
    const Parameter *weight = network_find(&model->network, "classifier.weight", &(bool){false});
    assert_non_null(weight);
    model->parameters[weight->offset] = 70000;
    const effnet_gguf_options options = {.struct_size = sizeof options, .half = true};
    assert_int_equal(effnet_model_save_gguf(model, scratch_path(&folder, "large.gguf"), &options, &error),
                     EFFNET_ERROR_NUMERIC);
    assert_non_null(strstr(error.message, "'classifier.weight' has the value 70000, which float16 cannot hold"));
    must(effnet_model_save_gguf(model, scratch_path(&folder, "large.gguf"), NULL, &error));
    effnet_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back),
        cmocka_unit_test(damage),
        cmocka_unit_test(rounding),
        cmocka_unit_test(too_large),
    };
    folder = scratch_folder_create();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failed;
}
