/* test_switches_data.c - the switches of the data: the input's range, bicubic's overshoot, what becomes of pictures
 * that fill no batch. Overshoot against Pillow's pictures in floats (tests/golden/overshoot_golden.h); the others by
 * counting. */
#include "golden/overshoot_golden.h"

#include "loader_fixture.h"

#include <math.h>

enum { PICTURES = 53, SIDE = 6, FLOATS = 3 * SIDE * SIDE, BATCH = 8 };

/* 8x8: black left, white from column 4, rows 6 and 7 at level 40. */
static Picture edge_picture(uint8_t pixels[8 * 8 * 3]) {
    for (int i = 0; i < 8 * 8 * 3; i++) pixels[i] = i / 24 >= 6 ? 40 : i / 3 % 8 >= 4 ? 255 : 0;
    return (Picture){.height = 8, .width = 8, .pixels = pixels};
}

static void prepare(const Recipe *recipe, int resolution, float *out) {
    uint8_t pixels[8 * 8 * 3];
    Picture picture = edge_picture(pixels);
    PreprocessOptions options;
    effnet_error err = {0};
    preprocess_from_recipe(recipe, (TensorShape){resolution, resolution, 3}, &options);
    if (preprocess_eval(&options.transform, &picture, out, &err) != EFFNET_OK) fail_msg("%s", err.message);
}

static Recipe plain_recipe(void) {
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.val_crop = VAL_CROP_NONE;
    return recipe;
}

static void expect_near(int place, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("place %d is %.9g, want %.9g", place, got, want);
}

static void overshoot_is_kept(void **state) {
    (void)state;
    Recipe recipe = plain_recipe();
    recipe.normalize = false;
    recipe.overshoot = OVERSHOOT_KEEP;
    float out[11 * 11 * 3];
    prepare(&recipe, 11, out);
    double lowest = 0, highest = 0;
    for (int i = 0; i < 11 * 11 * 3; i++) {
        expect_near(i, out[i], pillow_overshoot[i / 33][i / 3 % 11], 1e-3);
        lowest = fmin(lowest, out[i]);
        highest = fmax(highest, out[i]);
    }
    assert_true(lowest < -18 && highest > 277);
    recipe.overshoot = OVERSHOOT_CLIP;
    prepare(&recipe, 11, out);
    for (int i = 0; i < 11 * 11 * 3; i++) {
        assert_true(out[i] >= 0 && out[i] <= 255);
        if (i / 33 < 6) expect_near(i, out[i], fmin(fmax(pillow_overshoot[i / 33][i / 3 % 11], 0), 255), 1e-3);
    }
}

/* Without normalisation the network sees the levels themselves, resized or not. */
static void levels_as_they_are(void **state) {
    (void)state;
    Recipe recipe = plain_recipe();
    float levels[8 * 8 * 3], normal[8 * 8 * 3];
    uint8_t pixels[8 * 8 * 3];
    edge_picture(pixels);
    prepare(&recipe, 8, normal);
    recipe.normalize = false;
    prepare(&recipe, 8, levels);
    for (int i = 0; i < 8 * 8 * 3; i++) {
        assert_true(levels[i] == pixels[i]);
        expect_near(i, normal[i], (pixels[i] / 255.0 - recipe.mean.values[i % 3]) / recipe.std.values[i % 3], 1e-6);
    }
    recipe.interpolation = INTERPOLATION_BILINEAR;
    float large[16 * 16 * 3];
    prepare(&recipe, 16, large);
    for (int x = 0; x < 16; x++) /* the edge: 1/4 and 3/4 of the step */
        expect_near(x, large[3 * x], x < 7 ? 0 : x == 7 ? 63.75 : x == 8 ? 191.25 : 255, 1e-4);
}

/* ---- remainders ---- */

static Loader *open_loader(const Dataset *dataset, bool training, int workers, int64_t first_step) {
    Recipe recipe = plain_recipe();
    recipe.normalize = false;
    recipe.train_crop = TRAIN_CROP_NONE;
    LoaderOptions options = {.dataset = dataset,
                             .training = training,
                             .wrap = true,
                             .drop_remainder = true,
                             .batch = BATCH,
                             .workers = workers,
                             .seed = 42,
                             .first_step = first_step};
    preprocess_from_recipe(&recipe, (TensorShape){SIDE, SIDE, 3}, &options.preprocess);
    return create_loader(&options);
}

/* Every 53 pictures of the stream are each picture once, in another order, and batches are whole throughout. */
static void training_wraps(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, SIDE, SIDE, false);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    enum { STEPS = 2 * PICTURES }; /* sixteen passes */
    int stream[STEPS * BATCH];
    for (int workers = 1; workers <= 3; workers += 2) {
        Loader *loader = open_loader(dataset, true, workers, 0);
        assert_int_equal(loader_steps_per_epoch(loader), 7); /* 53 / 8 = 6.6, rounded up */
        for (int s = 0; s < STEPS; s++) {
            Batch batch = next_batch(loader);
            assert_int_equal(batch.size, BATCH);
            for (int i = 0; i < BATCH; i++) {
                int picture = (int)lrintf(batch.images[i * FLOATS] / 4);
                assert_int_equal(batch.labels[i], picture % 7);
                if (workers > 1) assert_int_equal(picture, stream[s * BATCH + i]);
                stream[s * BATCH + i] = picture;
            }
        }
        loader_free(loader);
    }
    int same_order = 0;
    for (int pass = 0; pass < STEPS * BATCH / PICTURES; pass++) {
        bool seen[PICTURES] = {false};
        for (int i = 0; i < PICTURES; i++) {
            int picture = stream[pass * PICTURES + i];
            assert_false(seen[picture]);
            seen[picture] = true;
            same_order += pass > 0 && picture == stream[(pass - 1) * PICTURES + i];
        }
    }
    assert_true(same_order < 60);                        /* one of 53 by chance: about 15 in 15 passes */
    Loader *resumed = open_loader(dataset, true, 2, 33); /* in the midst of a pass */
    for (int s = 33; s < 50; s++) {
        Batch batch = next_batch(resumed);
        for (int i = 0; i < BATCH; i++)
            assert_int_equal((int)lrintf(batch.images[i * FLOATS] / 4), stream[s * BATCH + i]);
    }
    loader_free(resumed);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void evaluation_drops(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, SIDE, SIDE, false);
    Dataset *dataset = open_split(folder.path, SPLIT_VALIDATION);
    Loader *loader = open_loader(dataset, false, 2, 0);
    assert_int_equal(loader_steps_per_epoch(loader), 6);
    for (int pass = 0; pass < 3; pass++) {
        int total = 0;
        for (Batch batch = next_batch(loader); batch.size; batch = next_batch(loader)) {
            assert_int_equal(batch.size, BATCH);
            for (int i = 0; i < BATCH; i++, total++) assert_int_equal((int)lrintf(batch.images[i * FLOATS] / 4), total);
        }
        assert_int_equal(total, 48);
    }
    loader_free(loader);
    Recipe recipe = plain_recipe();
    LoaderOptions options = {.dataset = dataset, .drop_remainder = true, .batch = PICTURES + 1};
    preprocess_from_recipe(&recipe, (TensorShape){SIDE, SIDE, 3}, &options.preprocess);
    effnet_error err = {0};
    assert_int_equal(loader_create(&options, &loader, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "use a smaller eval_batch_size"));
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void steps_per_epoch(void **state) {
    (void)state;
    static const int64_t cases[][4] = {/* pictures, batch, dropped, wrapped */
                                       {1281167, 2048, 625, 626},
                                       {1281167, 4096, 312, 313},
                                       {1281167, 768, 1668, 1669},
                                       {50000, 250, 200, 200},
                                       {7, 8, 0, 1}};
    Recipe recipe = plain_recipe();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recipe.batch_size = cases[i][1];
        recipe.train_remainder = TRAIN_REMAINDER_DROP;
        assert_int_equal(recipe_steps_per_epoch(&recipe, cases[i][0]), cases[i][2]);
        recipe.train_remainder = TRAIN_REMAINDER_WRAP;
        assert_int_equal(recipe_steps_per_epoch(&recipe, cases[i][0]), cases[i][3]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overshoot_is_kept), cmocka_unit_test(levels_as_they_are), cmocka_unit_test(training_wraps),
        cmocka_unit_test(evaluation_drops),  cmocka_unit_test(steps_per_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
