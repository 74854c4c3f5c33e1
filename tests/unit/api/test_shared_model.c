/* test_shared_model.c - pictures given as files, bytes and pixels, logits, probabilities and features of them; one model
 * run by several threads at once, two models on one team: the same bits as one call after the other. Small enough to be
 * run under ThreadSanitizer. */
#include "effnet.h"

#include "scratch_folder.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <spng.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ThreadSanitizer slows every access: it sees the same calls beside one another, fewer. */
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 1, PICTURES = 2, CALLERS = 3, ONLY_THREADS = true };
#else
enum { ROUNDS = 3, PICTURES = 4, CALLERS = 4, ONLY_THREADS = false };
#endif
enum { SIDE = 32, CLASSES = 7, HEIGHT = 50, WIDTH = 70, ROW = WIDTH * 3 };

static uint8_t pixels[PICTURES][HEIGHT * ROW];

static void draw(void) {
    for (int p = 0; p < PICTURES; p++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < ROW; x++) pixels[p][y * ROW + x] = (uint8_t)(p * 40 + (x * (p + 1) ^ y * 3) % 200);
}

static effnet_model *make(const char *name, uint64_t seed, int threads, effnet_team *team, const char *engine,
                          const char *dtype) {
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = CLASSES,
                                          .resolution = SIDE,
                                          .threads = threads,
                                          .seed = seed,
                                          .engine = engine,
                                          .dtype = dtype,
                                          .team = team};
    effnet_model *model = NULL;
    effnet_error error = {0};
    if (effnet_model_create(name, &options, &model, &error) != EFFNET_OK) fail_msg("%s", error.message);
    return model;
}

static effnet_picture drawn(int index) {
    return (effnet_picture){.pixels = pixels[index % PICTURES], .height = HEIGHT, .width = WIDTH};
}

static void run(effnet_model *model, const effnet_picture *pictures, int count, const effnet_outputs *outputs) {
    effnet_error error = {0};
    if (effnet_run(model, pictures, count, outputs, &error) != EFFNET_OK) fail_msg("%s", error.message);
}

static void *png_of(int index, size_t *size) {
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {
        .width = WIDTH, .height = HEIGHT, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int failed = 0;
    spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_ihdr(encoder, &header);
    assert_int_equal(
        spng_encode_image(encoder, pixels[index], sizeof pixels[index], SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    void *png = spng_get_png_buffer(encoder, size, &failed);
    assert_int_equal(failed, 0);
    spng_ctx_free(encoder);
    return png;
}

/* The same picture as a file, as its bytes, as pixels and as pixels with a stride; one that is damaged among them. */
static void test_pictures(void **state) {
    (void)state;
    enum { STRIDE = ROW + 13, COUNT = 5, BAD = 3 };
    static uint8_t apart[HEIGHT * STRIDE];
    const ScratchFolder folder = scratch_folder_create();
    size_t size;
    void *png = png_of(1, &size);
    scratch_write(scratch_path(&folder, "a.png"), png, size);
    for (int y = 0; y < HEIGHT; y++) memcpy(apart + y * STRIDE, pixels[1] + y * ROW, ROW);
    const effnet_picture pictures[COUNT] = {
        {.path = scratch_path(&folder, "a.png")},
        {.bytes = png, .size = size},
        drawn(1),
        {.bytes = png, .size = size / 2},
        {.pixels = apart, .height = HEIGHT, .width = WIDTH, .stride = STRIDE},
    };
    effnet_model *model = make("efficientnet_b0", 3, 2, NULL, NULL, NULL);
    float logits[COUNT][CLASSES], probabilities[COUNT][CLASSES], alone[CLASSES];
    effnet_prediction best[COUNT][2];
    effnet_error errors[COUNT], error;
    effnet_outputs outputs = {.struct_size = sizeof outputs,
                              .predictions = &best[0][0],
                              .top = 2,
                              .probabilities = &probabilities[0][0],
                              .logits = &logits[0][0],
                              .errors = errors};
    run(model, pictures, COUNT, &outputs);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(errors[i].status, i == BAD ? EFFNET_ERROR_FORMAT : EFFNET_OK);
        if (i == BAD) continue;
        assert_memory_equal(logits[i], logits[0], sizeof logits[0]);
        assert_memory_equal(probabilities[i], probabilities[0], sizeof probabilities[0]);
        assert_int_equal(best[i][0].index, best[0][0].index);
        assert_true(best[i][0].probability == probabilities[i][best[i][0].index]);
    }
    assert_non_null(strstr(errors[BAD].message, "picture 3"));
    assert_int_equal(best[BAD][0].index, -1);
    assert_true(logits[BAD][0] == 0 && probabilities[BAD][CLASSES - 1] == 0);
    const effnet_outputs one = {.struct_size = sizeof one, .logits = alone};
    run(model, &pictures[2], 1, &one);
    assert_memory_equal(alone, logits[2], sizeof alone);

    /* By hand: prepared here, logits there. */
    effnet_preprocessing preprocessing = {.struct_size = sizeof preprocessing};
    assert_int_equal(effnet_model_preprocessing(model, &preprocessing, &error), EFFNET_OK);
    assert_int_equal(preprocessing.height, SIDE);
    assert_string_equal(preprocessing.interpolation, "bicubic");
    assert_string_equal(preprocessing.val_crop, "center");
    assert_true(fabs(preprocessing.mean[0] - 0.485) < 1e-9 && preprocessing.crop_pct > 0.5);
    static float image[SIDE * SIDE * 3];
    assert_int_equal(effnet_prepare(model, &pictures[1], image, &error), EFFNET_OK);
    assert_int_equal(effnet_logits(model, image, 1, alone, &error), EFFNET_OK);
    assert_memory_equal(alone, logits[0], sizeof alone);

    /* Without `errors` the damaged one ends the call; a picture is given in one way. */
    outputs.errors = NULL;
    assert_int_equal(effnet_run(model, pictures, COUNT, &outputs, &error), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "picture 3"));
    const effnet_picture twice = {.path = "a.png", .bytes = png, .size = size}, none = {.size = 3};
    assert_int_equal(effnet_run(model, &twice, 1, &one, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_run(model, &none, 1, &one, &error), EFFNET_ERROR_ARGUMENT);
    assert_string_equal(error.message, "the picture is given in 0 ways; give one of path, bytes and pixels");
    effnet_model_free(model);
    free(png);
    scratch_folder_remove(&folder);
}

/* ---- features ---- */

/* The logits are the classifier's sums over "gap"; both engines and bf16 have the same features as far as they count. */
static void test_features(void **state) {
    (void)state;
    static const char *const names[] = {"gap",         "reduction_1", "reduction_2",
                                        "reduction_3", "reduction_4", "reduction_5"};
    static const int sides[] = {1, SIDE / 2, SIDE / 4, SIDE / 8, SIDE / 16, SIDE / 32},
                     channels[] = {1280, 16, 24, 40, 112, 320};
    const effnet_picture picture = drawn(2);
    effnet_model *fast = make("efficientnet_b0", 5, 1, NULL, NULL, NULL);
    effnet_model *exact = make("efficientnet_b0", 5, 1, NULL, "reference", NULL);
    effnet_model *half = make("efficientnet_b0", 5, 1, NULL, NULL, "bf16");
    effnet_error error;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        int shape[3];
        assert_int_equal(effnet_model_feature(fast, names[f], shape, &error), EFFNET_OK);
        assert_int_equal(shape[0], sides[f]);
        assert_int_equal(shape[1], sides[f]);
        assert_int_equal(shape[2], channels[f]);
        const size_t count = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
        float *values[4], logits[CLASSES], plain[CLASSES];
        for (int i = 0; i < 4; i++) assert_non_null(values[i] = calloc(count, sizeof(float)));
        effnet_outputs outputs = {.struct_size = sizeof outputs, .feature = names[f], .features = values[0]};
        run(fast, &picture, 1, &outputs);
        outputs.features = values[1];
        run(exact, &picture, 1, &outputs);
        outputs.features = values[2];
        run(half, &picture, 1, &outputs);
        outputs.features = values[3];
        outputs.logits = logits;
        run(fast, &picture, 1, &outputs);
        assert_memory_equal(values[3], values[0], count * sizeof(float)); /* with the rest of the network run, or not */
        const effnet_outputs bare = {.struct_size = sizeof bare, .logits = plain};
        run(fast, &picture, 1, &bare);
        assert_memory_equal(logits, plain, sizeof plain);
        double largest = 0, worst = 0, worst_half = 0;
        for (size_t i = 0; i < count; i++) {
            largest = fmax(largest, fabs((double)values[1][i]));
            worst = fmax(worst, fabs((double)values[0][i] - (double)values[1][i]));
            worst_half = fmax(worst_half, fabs((double)values[2][i] - (double)values[1][i]));
        }
        if (!(largest > 0) || !(worst <= 1e-4 * largest) || !(worst_half <= 0.1 * largest) || !(worst_half > worst))
            fail_msg("%s: largest %g, fp32 off by %g, bf16 by %g", names[f], largest, worst, worst_half);
        if (f == 0) {
            static float weights[CLASSES * 1280];
            float bias[CLASSES];
            assert_int_equal(effnet_weights_read(fast, "classifier.weight", weights, CLASSES * 1280, &error),
                             EFFNET_OK);
            assert_int_equal(effnet_weights_read(fast, "classifier.bias", bias, CLASSES, &error), EFFNET_OK);
            double most = 0;
            for (int c = 0; c < CLASSES; c++) most = fmax(most, fabs((double)logits[c]));
            assert_true(most > 0);
            for (int c = 0; c < CLASSES; c++) {
                double sum = (double)bias[c];
                for (int i = 0; i < 1280; i++) sum += (double)weights[c * 1280 + i] * (double)values[0][i];
                if (!(fabs(sum - (double)logits[c]) <= 1e-4 * most))
                    fail_msg("class %d: %g, %g", c, sum, (double)logits[c]);
            }
        }
        for (int i = 0; i < 4; i++) free(values[i]);
    }
    int shape[3];
    assert_int_equal(effnet_model_feature(fast, "reduction_6", shape, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_model_feature(fast, "reduction_10", shape, &error), EFFNET_ERROR_ARGUMENT);
    effnet_model_free(fast);
    effnet_model_free(exact);
    effnet_model_free(half);
}

/* ---- threads ---- */

typedef struct Caller {
    effnet_model *model;
    const float (*expected)[CLASSES]; /* (PICTURES) */
    int first, rounds;
    bool wrong;
} Caller;

/* Batches of another size each round, from another picture on; no cmocka in here: its state is the main thread's. */
static void *call_on(void *context) {
    Caller *caller = context;
    effnet_picture pictures[PICTURES];
    float logits[PICTURES][CLASSES];
    effnet_prediction best[PICTURES];
    for (int round = 0; round < caller->rounds && !caller->wrong; round++) {
        const int count = 1 + (caller->first + round) % PICTURES;
        const effnet_outputs outputs = {
            .struct_size = sizeof outputs, .logits = &logits[0][0], .predictions = round % 2 ? best : NULL, .top = 1};
        for (int i = 0; i < count; i++) pictures[i] = drawn(caller->first + i);
        if (effnet_run(caller->model, pictures, count, &outputs, NULL) != EFFNET_OK) caller->wrong = true;
        for (int i = 0; i < count; i++)
            if (memcmp(logits[i], caller->expected[(caller->first + i) % PICTURES], sizeof logits[i]) != 0)
                caller->wrong = true;
    }
    return NULL;
}

static void call_together(effnet_model *const *models, int kinds, float (*expected)[PICTURES][CLASSES]) {
    pthread_t threads[CALLERS];
    Caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] =
            (Caller){.model = models[i % kinds], .expected = expected[i % kinds], .first = i, .rounds = ROUNDS};
        assert_int_equal(pthread_create(&threads[i], NULL, call_on, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < CALLERS; i++)
        if (callers[i].wrong) fail_msg("caller %d got other logits than alone", i);
}

static void expect(effnet_model *model, float (*logits)[CLASSES]) {
    for (int i = 0; i < PICTURES; i++) {
        const effnet_picture picture = drawn(i);
        const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = logits[i]};
        run(model, &picture, 1, &outputs);
    }
}

static void test_one_model(void **state) {
    (void)state;
    static float expected[1][PICTURES][CLASSES];
    for (int threads = 1; threads <= 3; threads += 2) {
        effnet_model *model = make("efficientnet_lite0", 9, threads, NULL, NULL, NULL);
        expect(model, expected[0]);
        call_together(&model, 1, expected);
        effnet_model_free(model);
    }
}

/* Two models, one of them on bytes, on one team; and a change of weights, which every later call sees. */
static void test_one_team(void **state) {
    (void)state;
    static float expected[2][PICTURES][CLASSES], changed[PICTURES][CLASSES];
    effnet_error error;
    effnet_team *team;
    const effnet_team_options options = {.struct_size = sizeof options, .threads = 3, .pin = EFFNET_PIN_NEVER};
    assert_int_equal(effnet_team_create(&options, &team, &error), EFFNET_OK);
    assert_int_equal(effnet_team_threads(team), 3);
    effnet_model *models[2] = {make("efficientnet_b0", 11, 0, team, NULL, NULL),
                               make("efficientnet_lite0", 12, 0, team, NULL, "int8")};
    expect(models[0], expected[0]);
    expect(models[1], expected[1]);
    assert_memory_not_equal(expected[0], expected[1], sizeof expected[0]);
    call_together(models, 2, expected);
    const float bias[CLASSES] = {1, -1, 2, -2, 3, -3, 4};
    assert_int_equal(effnet_weights_write(models[0], "classifier.bias", bias, CLASSES, &error), EFFNET_OK);
    expect(models[0], changed);
    for (int i = 0; i < PICTURES; i++)
        for (int c = 0; c < CLASSES; c++)
            if (!(fabsf(changed[i][c] - expected[0][i][c] - bias[c]) < 1e-4f)) fail_msg("the old bias at %d, %d", i, c);
    memcpy(expected[0], changed, sizeof changed);
    call_together(models, 2, expected);
    effnet_model_free(models[0]);
    effnet_model_free(models[1]);
    effnet_team_free(team);
}

/* Threads on chosen processors: those that this process may use, and no other. */
static void test_processors(void **state) {
    (void)state;
    cpu_set_t allowed;
    int processors[2] = {0, 0};
    effnet_error error;
    effnet_team *team;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE && seen < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed)) processors[seen++] = cpu;
    effnet_team_options options = {.struct_size = sizeof options, .threads = 2, .processors = processors};
    assert_int_equal(effnet_team_create(&options, &team, &error), EFFNET_OK);
    effnet_team_free(team);
    options.threads = 0;
    assert_int_equal(effnet_team_create(&options, &team, &error), EFFNET_ERROR_ARGUMENT);
    assert_null(team);
    options.threads = 2;
    processors[1] = CPU_SETSIZE;
    assert_int_equal(effnet_team_create(&options, &team, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "processors[1]"));
    options.processors = NULL;
    options.pin = (effnet_pinning)9;
    assert_int_equal(effnet_team_create(&options, &team, &error), EFFNET_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_model),
        cmocka_unit_test(test_one_team),
        cmocka_unit_test(test_processors),
    };
    const struct CMUnitTest values[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_features),
    };
    draw();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!ONLY_THREADS) failed += cmocka_run_group_tests(values, NULL, NULL);
    return failed;
}
