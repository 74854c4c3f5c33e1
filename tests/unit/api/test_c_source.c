/* test_c_source.c - models exported as C, compiled by gcc and clang without warnings and loaded: their probabilities are
 * effnet_run's to 1e-4 on pictures of many sizes, for every way of cropping and resizing, and their own test passes - and
 * fails where a weight was changed. Skipped (77) without a compiler. */
#include "api/handles.h"
#include "base/file.h"
#include "scratch_folder.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef int Predict(const unsigned char *pixels, int height, int width, float *probabilities);
typedef int Test(void);

static void must(effnet_status status, const effnet_error *error) {
    if (status != EFFNET_OK) fail_msg("%s", error->message);
}

static uint8_t *picture_of(int height, int width) {
    uint8_t *pixels = malloc((size_t)height * (size_t)width * 3);
    assert_non_null(pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                pixels[3 * (y * width + x) + c] =
                    (uint8_t)(127 + 120 * sin(0.05 * x * (c + 1) + 0.3 * y) * cos(0.02 * x * y / (1 + c) + c));
    return pixels;
}

/* Weights of the classifier such that logits are of about 2: probabilities that are neither 0 nor 1. */
static void calm(effnet_model *model) {
    enum { HEIGHT = 120, WIDTH = 90, MOST_CLASSES = 8 };
    float logits[MOST_CLASSES], largest = 0;
    effnet_error error;
    const size_t count = (size_t)model->network.features * (size_t)effnet_model_classes(model);
    float *weights = calloc(count, sizeof *weights);
    uint8_t *pixels = picture_of(HEIGHT, WIDTH);
    const effnet_picture picture = {.pixels = pixels, .height = HEIGHT, .width = WIDTH};
    const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = logits};
    assert_non_null(weights);
    must(effnet_run(model, &picture, 1, &outputs, &error), &error);
    for (int i = 0; i < effnet_model_classes(model); i++) largest = fmaxf(largest, fabsf(logits[i]));
    must(effnet_weights_read(model, "classifier.weight", weights, count, &error), &error);
    for (size_t i = 0; i < count; i++) weights[i] *= 2 / largest;
    must(effnet_weights_write(model, "classifier.weight", weights, count, &error), &error);
    free(weights);
    free(pixels);
}

/* A small model whose batch norms do something, with cards of its own. */
static effnet_model *make(const char *name, int height, int width, int classes) {
    effnet_model *model;
    effnet_error error;
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = classes,
                                          .resolution = height,
                                          .resolution_width = width,
                                          .threads = 1,
                                          .seed = 7,
                                          .width_coefficient = 0.35,
                                          .depth_coefficient = 0.5};
    must(effnet_model_create(name, &options, &model, &error), &error);
    const Network *network = &model->network;
    for (int i = 0; i < network->num_statistics; i++) {
        const Parameter *statistic = &network->statistics[i];
        for (size_t k = 0; k < statistic->count; k++)
            model->statistics[statistic->offset + k] =
                statistic->role == ROLE_RUNNING_MEAN ? 0.1F * sinf((float)k) : 0.5F + 0.3F * cosf((float)(k + 1));
    }
    for (int i = 0; i < network->num_parameters; i++) {
        const Parameter *parameter = &network->parameters[i];
        for (size_t k = 0; k < parameter->count && parameter->role == ROLE_BN_BIAS; k++)
            model->parameters[parameter->offset + k] = 0.2F * sinf((float)(3 * k + 1));
    }
    calm(model);
    return model;
}

static bool has(const char *compiler) {
    char command[100];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", compiler);
    return system(command) == 0;
}

/* FOLDER/mine.c as a shared object, loaded; NULL: it does not compile. */
static void *compile(const ScratchFolder *folder, const char *compiler, const char *source, int number) {
    char command[2000], object[700];
    snprintf(object, sizeof object, "%s/%s_%d.so", folder->path, compiler, number);
    snprintf(command, sizeof command,
             "%s -std=c99 -O1 -Wall -Wextra -Wshadow -pedantic -Werror -shared -fPIC -o '%s' '%s' -lm", compiler,
             object, source);
    if (system(command) != 0) return NULL;
    void *loaded = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!loaded) fail_msg("%s", dlerror());
    return loaded;
}

/* A function of a loaded object: ISO C has no cast from an object's address to a function's. */
static void find(void *loaded, const char *name, void *function) {
    void *found = dlsym(loaded, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof found);
}

static void compare(effnet_model *model, Predict *predict, const char *what) {
    static const int sizes[][2] = {{48, 48}, {31, 47}, {120, 90}, {1, 40}, {333, 500}, {700, 20}};
    enum { MOST_CLASSES = 8 };
    double worst = 0, least = 1, most = 0; /* of the first class */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int height = sizes[i][0], width = sizes[i][1], classes = effnet_model_classes(model);
        float wanted[MOST_CLASSES], got[MOST_CLASSES];
        effnet_error error;
        uint8_t *pixels = picture_of(height, width);
        const effnet_picture picture = {.pixels = pixels, .height = height, .width = width};
        const effnet_outputs outputs = {.struct_size = sizeof outputs, .probabilities = wanted};
        must(effnet_run(model, &picture, 1, &outputs, &error), &error);
        assert_int_equal(predict(pixels, height, width, got), 0);
        for (int k = 0; k < classes; k++) {
            const double difference = fabs((double)got[k] - (double)wanted[k]);
            if (!(difference <= 1e-4))
                fail_msg("%s, %d x %d, class %d: %.7g in C, %.7g in effnet", what, height, width, k, (double)got[k],
                         (double)wanted[k]);
            worst = fmax(worst, difference);
        }
        least = fmin(least, (double)wanted[0]);
        most = fmax(most, (double)wanted[0]);
        free(pixels);
    }
    print_message("%s: within %.1e, the first class from %.3f to %.3f\n", what, worst, least, most);
    assert_true(most - least > 1e-3 && least > 0.001 &&
                most < 0.999); /* pictures make a difference, and none is certain */
    assert_int_equal(predict((const unsigned char *)"abc", 0, 1, (float[MOST_CLASSES]){0}), -1);
    assert_int_equal(predict((const unsigned char *)"abc", 1, 30001, (float[MOST_CLASSES]){0}), -1);
}

static void same_probabilities(void **state) {
    (void)state;
    static const struct {
        const char *what, *model;
        int width, val_crop, resize, interpolation, overshoot, pad_to;
        bool symmetric, several;
    } cases[] = {
        {"B0, center, pillow", "efficientnet_b0", 48, VAL_CROP_CENTER, RESIZE_PILLOW, INTERPOLATION_BICUBIC, 0, 0,
         false, false},
        {"Lite0, resize_shorter, pillow bilinear, several labels", "efficientnet_lite0", 48, VAL_CROP_RESIZE_SHORTER,
         RESIZE_PILLOW, INTERPOLATION_BILINEAR, 0, 0, true, true},
        {"Lite0, none, tensorflow, overshoot kept, padded", "efficientnet_lite0", 48, VAL_CROP_NONE, RESIZE_TENSORFLOW,
         INTERPOLATION_BICUBIC, OVERSHOOT_KEEP, 60, false, false},
        {"Lite0, resize_shorter, tensorflow1, padded", "efficientnet_lite0", 48, VAL_CROP_RESIZE_SHORTER,
         RESIZE_TENSORFLOW1, INTERPOLATION_BICUBIC, 0, 40, false, false},
        {"B0, center, torch bilinear, symmetric", "efficientnet_b0", 48, VAL_CROP_CENTER, RESIZE_TORCH,
         INTERPOLATION_BILINEAR, 0, 0, true, false},
        {"B0, 48 x 80, center, pillow", "efficientnet_b0", 80, VAL_CROP_CENTER, RESIZE_PILLOW, INTERPOLATION_BICUBIC, 0,
         0, false, false},
        {"Lite0, 48 x 33, resize_shorter, pillow", "efficientnet_lite0", 33, VAL_CROP_RESIZE_SHORTER, RESIZE_PILLOW,
         INTERPOLATION_BICUBIC, 0, 0, true, false},
    };
    static const char *const compilers[] = {"gcc", "clang"};
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "mine-model.c");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        effnet_model *model = make(cases[i].model, 48, cases[i].width, 5);
        effnet_error error;
        if (cases[i].symmetric) { /* the same weights, other pads */
            network_free(&model->network);
            model->card.config.padding = MODEL_PADDING_SYMMETRIC;
            must(network_build(&model->card.config, &model->network, &error), &error);
        }
        model->card.several = cases[i].several;
        model->card.transform.val_crop = cases[i].val_crop;
        model->card.transform.resize = cases[i].resize;
        model->card.transform.interpolation = cases[i].interpolation;
        model->card.transform.overshoot = cases[i].overshoot;
        model->card.transform.pad_to = cases[i].pad_to;
        model->card.transform.crop_pct = 0.83;
        must(effnet_model_save_c(model, path, &error), &error);
        const char *compiler = compilers[i % 2 && has(compilers[1])];
        void *loaded = compile(&folder, compiler, path, (int)i);
        if (!loaded) fail_msg("%s: %s refuses it", cases[i].what, compiler);
        Predict *predict;
        Test *test;
        find(loaded, "mine_model_predict", &predict);
        find(loaded, "mine_model_test", &test);
        assert_int_equal(test(), 0);
        compare(model, predict, cases[i].what);
        dlclose(loaded);
        effnet_model_free(model);
    }
    scratch_folder_remove(&folder);
}

/* The file's own test can fail; labels are what they were, whatever is in them. */
static void own_test_fails(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "mine.c");
    effnet_model *model = make("efficientnet_lite0", 32, 32, 2);
    effnet_error error;
    model->card.class_names = calloc(2, sizeof(char *));
    model->card.class_names[0] = strdup("a \"quoted\" \?\?/ \\n label */");
    model->card.class_names[1] = strdup("f\xC3\xBCnf\n1");
    must(effnet_model_save_c(model, path, &error), &error);
    char *text;
    size_t size;
    must(file_read(path, (size_t)1 << 30, &text, &size, &error), &error);
    char *bias = strstr(text, "classifier_bias[2] = {\n");
    assert_non_null(bias);
    for (char *c = bias + strlen("classifier_bias[2] = {\n"); *c != '}'; c++)
        if (*c == '0') { /* the first digit 0 of a bias of 0 */
            *c = '9';
            break;
        }
    char changed[700];
    snprintf(changed, sizeof changed, "%s/changed.c", folder.path);
    FILE *stream = fopen(changed, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    free(text);
    void *loaded = compile(&folder, "gcc", changed, 9);
    assert_non_null(loaded);
    Test *test;
    find(loaded, "mine_test", &test);
    assert_int_equal(test(), 1);
    const char *const *labels = dlsym(loaded, "mine_labels");
    assert_non_null(labels);
    for (int i = 0; i < 2; i++) assert_string_equal(labels[i], model->card.class_names[i]);
    dlclose(loaded);
    effnet_model_free(model);
    scratch_folder_remove(&folder);
}

static void refused(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    effnet_model *model = make("efficientnet_lite0", 32, 32, 2);
    effnet_error error;
    static const char *const names[] = {"mine.h", "1mine.c", ".c", "mine"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = scratch_path(&folder, names[i]);
        assert_int_equal(effnet_model_save_c(model, path, &error), EFFNET_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "must end with .c"));
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(effnet_model_save_c(model, "/nowhere/mine.c", &error), EFFNET_ERROR_IO);
    effnet_model_free(model);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_probabilities), cmocka_unit_test(own_test_fails),
                                       cmocka_unit_test(refused)};
    if (!has("gcc")) {
        printf("skipped: no gcc\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
