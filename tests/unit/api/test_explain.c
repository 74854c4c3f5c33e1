/* test_explain.c - class activation maps: their mean and the class's bias are its logit, for every class, in every family and
 * dtype; drawn, the crop alone is coloured. And pictures
 * seen in a mirror too: probabilities are the mean of two calls, in effnet_run and in effnet_evaluate. */
#include "api/handles.h"
#include "data/picture/decode.h"
#include "unit/data/make_pictures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SIDE = 64, CLASSES = 5, HEIGHT = 90, WIDTH = 140 };

static ScratchFolder folder;
static effnet_error error;

static void must(effnet_status status) {
    if (status != EFFNET_OK) fail_msg("%s", error.message);
}

static effnet_model *make(const char *name, const char *dtype, const char *engine) {
    effnet_model *model;
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = CLASSES,
                                          .resolution = SIDE,
                                          .threads = 2,
                                          .seed = 3,
                                          .dtype = dtype,
                                          .engine = engine,
                                          .width_coefficient = 0.5,
                                          .depth_coefficient = 0.5};
    must(effnet_model_create(name, &options, &model, &error));
    const Network *network = &model->network;
    for (int i = 0; i < network->num_statistics; i++) { /* batch norms that do something */
        const Parameter *statistic = &network->statistics[i];
        for (size_t k = 0; k < statistic->count; k++)
            model->statistics[statistic->offset + k] =
                statistic->role == ROLE_RUNNING_MEAN ? 0.1F * sinf((float)k) : 0.5F + 0.3F * cosf((float)(k + 1));
    }
    for (int i = 0; i < network->num_parameters; i++) {
        const Parameter *parameter = &network->parameters[i];
        for (size_t k = 0; k < parameter->count && (parameter->role == ROLE_BN_BIAS || parameter->role == ROLE_BIAS);
             k++)
            model->parameters[parameter->offset + k] = 0.2F * sinf((float)(3 * k + 1));
    }
    return model;
}

static effnet_picture drawn(void) {
    static uint8_t *pixels;
    if (!pixels) pixels = pattern_picture(HEIGHT, WIDTH);
    return (effnet_picture){.pixels = pixels, .height = HEIGHT, .width = WIDTH};
}

static void maps_add_up(void **state) {
    (void)state;
    static const struct {
        const char *name, *dtype, *engine;
        double tolerance; /* of the largest logit */
    } cases[] = {
        {"efficientnet_b0", "fp32", NULL, 1e-5},
        {"efficientnet_b0", "fp32", "reference", 1e-5},
        {"efficientnet_lite0", "fp32", NULL, 1e-5},
        {"efficientnet_b1", "bf16", NULL, 0.03},
    };
    const effnet_picture picture = drawn();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        effnet_model *model = make(cases[i].name, cases[i].dtype, cases[i].engine);
        float logits[CLASSES], bias[CLASSES], map[64];
        double largest = 0;
        int shape[3], best = 0;
        must(effnet_model_feature(model, "reduction_5", shape, &error));
        assert_int_equal(shape[0] * shape[1], 4);
        const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = logits};
        must(effnet_run(model, &picture, 1, &outputs, &error));
        must(effnet_weights_read(model, "classifier.bias", bias, CLASSES, &error));
        for (int c = 0; c < CLASSES; c++) {
            largest = fmax(largest, fabs((double)logits[c]));
            if (logits[c] > logits[best]) best = c;
        }
        for (int c = 0; c < CLASSES; c++) {
            double mean = 0;
            effnet_prediction of;
            must(effnet_explain(model, &picture, c, map, &of, &error));
            assert_int_equal(of.index, c);
            for (int k = 0; k < 4; k++) mean += (double)map[k] / 4;
            const double sum = mean + (double)bias[c];
            if (!(fabs(sum - (double)logits[c]) <= cases[i].tolerance * largest))
                fail_msg("%s %s, class %d: the map's mean and the bias are %.8g, the logit is %.8g", cases[i].name,
                         cases[i].dtype, c, sum, (double)logits[c]);
        }
        effnet_prediction of;
        must(effnet_explain(model, &picture, -1, map, &of, &error));
        assert_int_equal(of.index, best);
        assert_int_equal(effnet_explain(model, &picture, CLASSES, map, NULL, &error), EFFNET_ERROR_ARGUMENT);
        assert_int_equal(effnet_explain(model, &picture, -2, map, NULL, &error), EFFNET_ERROR_ARGUMENT);
        effnet_model_free(model);
    }
}

static void drawing(void **state) {
    (void)state;
    effnet_model *model = make("efficientnet_b0", "fp32", NULL);
    const effnet_picture picture = drawn();
    char path[300];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "map.png"));
    must(effnet_explain_save(model, &picture, 1, path, NULL, &error));
    float map[4], largest = 0;
    int hottest = 0;
    must(effnet_explain(model, &picture, 1, map, NULL, &error));
    for (int k = 0; k < 4; k++)
        if (map[k] > largest) {
            largest = map[k];
            hottest = k;
        }
    assert_true(largest > 0);
    Picture read;
    must(picture_read(path, &read, &error));
    assert_int_equal(read.height, HEIGHT);
    assert_int_equal(read.width, WIDTH);
    effnet_preprocessing how = {.struct_size = sizeof how};
    must(effnet_model_preprocessing(model, &how, &error));
    assert_string_equal(how.val_crop, "center");
    const int side = (int)(how.crop_pct * HEIGHT), left = (WIDTH - side) / 2, top = (HEIGHT - side) / 2;
    for (int y = 0; y < HEIGHT; y++) /* outside of the crop: the picture, darker, to a level */
        for (int x = 0; x < left - 1; x++)
            for (int c = 0; c < 3; c++) {
                const int wanted = (int)(0.5 + 0.35 * picture.pixels[3 * (y * WIDTH + x) + c]);
                const int got = read.pixels[3 * (y * WIDTH + x) + c];
                if (abs(got - wanted) > 1)
                    fail_msg("row %d, column %d, channel %d is %d, not %d", y, x, c, got, wanted);
            }
    /* the middle of the hottest quarter is 65 % red: (255, 0, 0) */
    const int y = top + side / 4 + hottest / 2 * side / 2, x = left + side / 4 + hottest % 2 * side / 2;
    const uint8_t *was = picture.pixels + 3 * (y * WIDTH + x), *is = read.pixels + 3 * (y * WIDTH + x);
    assert_in_range(is[0], (int)(0.35 * was[0] + 0.65 * 255) - 12, 255);
    assert_in_range(is[2], 0, (int)(0.35 * was[2]) + 12);
    picture_free(&read);
    assert_int_equal(effnet_explain_save(model, &picture, 1, "/nowhere/map.png", NULL, &error), EFFNET_ERROR_IO);
    effnet_model_free(model);
}

static void probabilities_of(const effnet_model *model, const float *logits, double *out) {
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) sum += exp((double)logits[c]);
    for (int c = 0; c < CLASSES; c++)
        out[c] = model->card.several ? 1 / (1 + exp(-(double)logits[c])) : exp((double)logits[c]) / sum;
}

/* Two inputs whose logits are these get others of about 1, and as far from each other. */
static void tell_apart(effnet_model *model, const float *first, const float *second) {
    const Parameter *weight = network_find(&model->network, "classifier.weight", &(bool){false});
    const Parameter *bias = network_find(&model->network, "classifier.bias", &(bool){false});
    float largest = 0;
    assert_true(weight && bias);
    for (int c = 0; c < CLASSES; c++) largest = fmaxf(largest, fabsf(first[c] - second[c]));
    assert_true(largest > 0);
    for (size_t i = 0; i < weight->count; i++) model->parameters[weight->offset + i] /= largest;
    for (int c = 0; c < CLASSES; c++) {
        float *old = model->parameters + bias->offset + c;
        *old = 0.3F * (float)c - (first[c] - *old) / largest;
    }
    model->writes++;
}

static void mirrored(void **state) {
    (void)state;
    for (int several = 0; several < 2; several++) {
        effnet_model *model = make("efficientnet_lite0", "fp32", NULL);
        model->card.several = several;
        const effnet_picture picture = drawn();
        enum { FLOATS = SIDE * SIDE * 3 };
        float *images = calloc(2 * FLOATS, sizeof *images), logits[2][CLASSES], got[CLASSES], given[CLASSES];
        double each[2][CLASSES], again[CLASSES];
        assert_non_null(images);
        must(effnet_prepare(model, &picture, images, &error));
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++)
                    images[FLOATS + (y * SIDE + x) * 3 + c] = images[(y * SIDE + SIDE - 1 - x) * 3 + c];
        must(effnet_logits(model, images, 2, logits[0], &error));
        tell_apart(model, logits[0], logits[1]);
        must(effnet_logits(model, images, 2, logits[0], &error));
        probabilities_of(model, logits[0], each[0]);
        probabilities_of(model, logits[1], each[1]);
        effnet_prediction best;
        const effnet_outputs outputs = {.struct_size = sizeof outputs,
                                        .predictions = &best,
                                        .top = 1,
                                        .probabilities = got,
                                        .logits = given,
                                        .mirrored = true};
        must(effnet_run(model, &picture, 1, &outputs, &error));
        probabilities_of(model, given, again);
        bool differ = false;
        for (int c = 0; c < CLASSES; c++) {
            const double wanted = (each[0][c] + each[1][c]) / 2;
            differ |= fabs(each[0][c] - each[1][c]) > 1e-4;
            if (!(fabs((double)got[c] - wanted) <= 1e-6))
                fail_msg("class %d: %.8g, not %.8g", c, (double)got[c], wanted);
            if (!(fabs(again[c] - wanted) <= 1e-6))
                fail_msg("class %d by its logit: %.8g, not %.8g", c, again[c], wanted);
            assert_true(!(got[c] > got[best.index]));
        }
        assert_true(differ);
        float features[1280];
        effnet_outputs wrong = outputs;
        wrong.features = features;
        wrong.feature = "gap";
        assert_int_equal(effnet_run(model, &picture, 1, &wrong, &error), EFFNET_ERROR_ARGUMENT);
        free(images);
        effnet_model_free(model);
    }
}

/* The evaluation's loss is that of effnet_run's probabilities, with mirrors and without. */
static void evaluated(void **state) {
    (void)state;
    enum { PICTURES = 6 };
    effnet_model *model = make("efficientnet_lite0", "fp32", NULL);
    char data[300], path[400], relative[60];
    double losses[2];
    snprintf(data, sizeof data, "%s", scratch_path(&folder, "data"));
    for (int i = 0; i < PICTURES; i++) {
        snprintf(relative, sizeof relative, "data/class-%d/%d.jpg", i % CLASSES, i);
        place_file(&folder, relative, make_pattern_jpeg(80 + 7 * i, 110 - 9 * i));
    }
    for (int both = 0; both < 2; both++) {
        double loss = 0;
        for (int i = 0; i < PICTURES; i++) {
            float probabilities[CLASSES];
            snprintf(path, sizeof path, "%s/class-%d/%d.jpg", data, i % CLASSES, i);
            const effnet_picture picture = {.path = path};
            const effnet_outputs outputs = {
                .struct_size = sizeof outputs, .probabilities = probabilities, .mirrored = both};
            must(effnet_run(model, &picture, 1, &outputs, &error));
            loss -= log((double)probabilities[i % CLASSES]) / PICTURES;
        }
        const effnet_evaluate_options options = {
            .struct_size = sizeof options, .batch = 4, .workers = 1, .mirrored = both};
        effnet_evaluation told = {.struct_size = sizeof told};
        must(effnet_evaluate(model, data, &options, &told, &error));
        assert_int_equal(told.images, PICTURES);
        losses[both] = told.loss;
        if (!(fabs(told.loss - loss) <= 1e-5 * loss)) fail_msg("the loss is %.8g, not %.8g", told.loss, loss);
    }
    assert_true(fabs(losses[0] - losses[1]) > 1e-5);
    effnet_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_add_up),
        cmocka_unit_test(drawing),
        cmocka_unit_test(mirrored),
        cmocka_unit_test(evaluated),
    };
    folder = scratch_folder_create();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failed;
}
