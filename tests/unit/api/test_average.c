/* test_average.c - effnet_average: means of weights and statistics beside those made here; a file named twice counts once;
 * models of another kind are refused by what differs; statistics estimated on pictures are those of a forward pass of the
 * reference engine over all of them, and, of the first batch norm, the mean over batches. */
#include "api/handles.h"
#include "engine/engine.h"
#include "train/card.h"
#include "unit/data/make_pictures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SIDE = 32, CLASSES = 3, PICTURES = 12 };

static ScratchFolder folder;
static effnet_error error;

static void must(effnet_status status) {
    if (status != EFFNET_OK) fail_msg("%s", error.message);
}

static effnet_model *make(const char *name, uint64_t seed, int side) {
    effnet_model *model;
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = CLASSES,
                                          .resolution = side,
                                          .threads = 1,
                                          .seed = seed,
                                          .width_coefficient = 0.35,
                                          .depth_coefficient = 0.5};
    must(effnet_model_create(name, &options, &model, &error));
    for (size_t i = 0; i < model->network.statistic_floats; i++)
        model->statistics[i] = 1 + 0.25F * sinf((float)(i * (seed + 1))); /* fresh ones would all be 0 and 1 */
    return model;
}

static void name_classes(effnet_model *model, const char *second) {
    static const char *const names[CLASSES] = {"ant", "bee", "cat"};
    model->card.class_names = calloc(CLASSES, sizeof(char *));
    assert_non_null(model->card.class_names);
    for (int i = 0; i < CLASSES; i++) model->card.class_names[i] = strdup(i == 1 ? second : names[i]);
}

static void save(effnet_model *model, const char *name) {
    must(effnet_model_save(model, scratch_path(&folder, name), &error));
}

static void check_mean(const float *got, const float *const *from, int count, size_t size, const char *what) {
    for (size_t i = 0; i < size; i++) {
        double mean = 0;
        for (int k = 0; k < count; k++) mean += (double)from[k][i] / count;
        if (!(fabs((double)got[i] - mean) <= 1e-7 * fmax(1, fabs(mean))))
            fail_msg("%s %zu is %.9g, the mean is %.9g", what, i, (double)got[i], mean);
    }
}

static void averages(void **state) {
    (void)state;
    effnet_model *models[3], *mean;
    char paths[3][300];
    const char *given[4];
    const float *parameters[3], *statistics[3];
    for (int i = 0; i < 3; i++) {
        models[i] = make("efficientnet_b0", (uint64_t)(i + 1), SIDE);
        models[i]->card.step = 100 * (i == 1 ? 5 : 1);
        snprintf(paths[i], sizeof paths[i], "%s/%d.safetensors", folder.path, i);
        must(effnet_model_save(models[i], paths[i], &error));
        given[i] = paths[i];
        parameters[i] = models[i]->parameters;
        statistics[i] = models[i]->statistics;
    }
    given[3] = paths[1]; /* again */
    must(effnet_average(given, 4, NULL, &mean, &error));
    check_mean(mean->parameters, parameters, 3, mean->network.parameter_floats, "weight");
    check_mean(mean->statistics, statistics, 3, mean->network.statistic_floats, "statistic");
    assert_int_equal(effnet_model_step(mean), 500);
    assert_non_null(strstr(effnet_model_notes(mean), "mean of the weights of 3 files: "));
    assert_non_null(strstr(effnet_model_notes(mean), "; batch norm statistics averaged like the weights"));
    assert_string_equal(effnet_model_file(mean), "");
    save(mean, "mean.safetensors");
    effnet_model_free(mean);
    must(effnet_model_open(scratch_path(&folder, "mean.safetensors"), NULL, &mean, &error));
    check_mean(mean->parameters, parameters, 3, mean->network.parameter_floats, "saved weight");
    effnet_model_free(mean);
    for (int i = 0; i < 3; i++) effnet_model_free(models[i]);
}

static void refuse(const char *const *paths, int count, const effnet_average_options *options, const char *why) {
    effnet_model *mean = (effnet_model *)1;
    if (effnet_average(paths, count, options, &mean, &error) == EFFNET_OK)
        fail_msg("taken, where '%s' was expected", why);
    assert_null(mean);
    if (!strstr(error.message, why)) fail_msg("'%s' does not say '%s'", error.message, why);
}

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *name, *class_name;
        int side;
        const char *why;
    } others[] = {
        {"efficientnet_b0", "bat", SIDE, "class 1 is 'bee' in '"},
        {"efficientnet_b0", "bee", 64, "resolution is '32' in '"},
        {"efficientnet_lite0", "bee", SIDE, "model is 'efficientnet_b0' in '"},
    };
    effnet_model *model = make("efficientnet_b0", 1, SIDE);
    char first[300], second[300];
    name_classes(model, "bee");
    save(model, "first.safetensors");
    snprintf(first, sizeof first, "%s", scratch_path(&folder, "first.safetensors"));
    snprintf(second, sizeof second, "%s", scratch_path(&folder, "second.safetensors"));
    effnet_model_free(model);
    const char *const both[] = {first, second};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        model = make(others[i].name, 2, others[i].side);
        name_classes(model, others[i].class_name);
        must(effnet_model_save(model, second, &error));
        effnet_model_free(model);
        refuse(both, 2, NULL, others[i].why);
    }
    const char *const twice[] = {first, first};
    refuse(twice, 2, NULL, "there is nothing to average");
    refuse(both, 0, NULL, "count is 0");
    const effnet_average_options options = {.struct_size = sizeof options, .batch = 1};
    refuse(both, 1, &options, "batch is 1; allowed: 2 to");
    const char *const nothing[] = {first, NULL};
    refuse(nothing, 2, NULL, "path 1 of 2 is NULL");
}

/* train/CLASS/N.jpg below the folder. */
static void write_pictures(void) {
    char path[300];
    mkdir(scratch_path(&folder, "data"), 0700);
    mkdir(scratch_path(&folder, "data/train"), 0700);
    for (int i = 0; i < PICTURES; i++) {
        snprintf(path, sizeof path, "%s/data/train/%s", folder.path, i % 2 ? "bees" : "ants");
        mkdir(path, 0700);
        const Bytes jpeg = make_plain_jpeg(40 + i, 50 - i, 20 * i, 255 - 15 * i, i * i);
        snprintf(path, sizeof path, "%s/data/train/%s/%02d.jpg", folder.path, i % 2 ? "bees" : "ants", i);
        scratch_write(path, jpeg.data, jpeg.size);
        free(jpeg.data);
    }
}

/* What a training pass of the reference engine over all pictures at once makes of `model`'s statistics. */
static float *statistics_of_all(const effnet_model *model) {
    Network network = model->network;
    float *images = calloc((size_t)PICTURES * SIDE * SIDE * 3, sizeof *images), logits[PICTURES * CLASSES];
    float *statistics = calloc(network.statistic_floats, sizeof *statistics);
    Engine *engine;
    assert_true(images && statistics);
    for (int i = 0; i < PICTURES; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/data/train/%s/%02d.jpg", folder.path, i % 2 ? "bees" : "ants", i);
        const effnet_picture picture = {.path = path};
        must(effnet_prepare(model, &picture, images + (size_t)i * SIDE * SIDE * 3, &error));
    }
    network.config.bn_momentum = 0;
    const EngineOptions options = {.batch = PICTURES, .training = true, .team = model->team};
    must(engine_create(&reference_engine, &network, &options, &engine, &error));
    const EngineForward call = {.batch = PICTURES,
                                .images = images,
                                .parameters = model->parameters,
                                .statistics = statistics,
                                .training = true,
                                .logits = logits};
    must(engine_forward(engine, &call, &error));
    engine_free(engine);
    free(images);
    return statistics;
}

/* Pictures done, as they were told of last. */
static bool note_done(void *context, const effnet_progress *now) {
    if (!now->message && strcmp(now->phase, "statistics") == 0) *(int64_t *)context = now->step;
    return false;
}

static void estimates(void **state) {
    (void)state;
    effnet_model *first = make("efficientnet_b0", 1, SIDE), *second = make("efficientnet_b0", 2, SIDE), *mean;
    char paths[2][300], data[300];
    const char *const given[] = {paths[0], paths[1]};
    snprintf(data, sizeof data, "%s", scratch_path(&folder, "data"));
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.safetensors", folder.path, i);
        must(effnet_model_save(i ? second : first, paths[i], &error));
    }
    effnet_average_options options = {.struct_size = sizeof options, .data = data};
    refuse(given, 2, &options, "data"); /* not there yet */
    write_pictures();
    must(effnet_average(given, 2, &options, &mean, &error));
    assert_non_null(strstr(effnet_model_notes(mean), "batch norm statistics estimated on 12 pictures of "));
    float *wanted = statistics_of_all(mean);
    for (int i = 0; i < mean->network.num_statistics; i++) {
        const Parameter *statistic = &mean->network.statistics[i];
        for (size_t k = statistic->offset; k < statistic->offset + statistic->count; k++)
            if (!(fabsf(mean->statistics[k] - wanted[k]) <= 2e-4F * fmaxf(1, fabsf(wanted[k]))))
                fail_msg("%s, %zu: %.8g, the reference has %.8g", statistic->name, k - statistic->offset,
                         (double)mean->statistics[k], (double)wanted[k]);
    }
    /* Batches of four: what enters the first batch norm is the same, so its means' mean is the mean of all; its variances'
     * mean is less than the variance of all by how the batches' means scatter. */
    effnet_model *parts;
    options.batch = 4;
    must(effnet_average(given, 2, &options, &parts, &error));
    const Network *network = &mean->network;
    const Parameter *first_mean = &network->statistics[0], *first_variance = &network->statistics[1];
    assert_int_equal(first_mean->role, ROLE_RUNNING_MEAN);
    assert_int_equal(first_variance->role, ROLE_RUNNING_VARIANCE);
    bool scatters = false;
    for (size_t k = 0; k < first_mean->count; k++) {
        const float one = mean->statistics[first_mean->offset + k], other = parts->statistics[first_mean->offset + k];
        const float all = mean->statistics[first_variance->offset + k];
        const float within = parts->statistics[first_variance->offset + k];
        if (!(fabsf(one - other) <= 1e-5F * fmaxf(1, fabsf(one))))
            fail_msg("mean %zu of batches of 4 is %.8g, of all %.8g", k, (double)other, (double)one);
        if (!(within <= all * 1.0001F))
            fail_msg("variance %zu within batches %.8g, of all %.8g", k, (double)within, (double)all);
        scatters |= within < all * 0.999F;
    }
    assert_true(scatters);
    effnet_model_free(parts);
    /* One file: its weights stay. */
    int64_t done = -1;
    options.pictures = 5; /* two batches of 4 */
    options.progress = note_done;
    options.progress_context = &done;
    must(effnet_average(given, 1, &options, &parts, &error));
    assert_memory_equal(parts->parameters, first->parameters, network->parameter_floats * sizeof(float));
    assert_non_null(strstr(effnet_model_notes(parts), "estimated on 8 pictures of "));
    assert_int_equal(done, 8);
    effnet_model_free(parts);
    free(wanted);
    effnet_model_free(mean);
    effnet_model_free(first);
    effnet_model_free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages),
        cmocka_unit_test(refusals),
        cmocka_unit_test(estimates),
    };
    folder = scratch_folder_create();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failed;
}
