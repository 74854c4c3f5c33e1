/* test_preprocess.c - picture to floats: against values computed pixel by pixel here, for every crop, with padding,
 * with and without resizing. */
#include "data/transform/preprocess.h"
#include "compare.h"
#include "data/picture/crop.h"
#include "make_pictures.h"

#include <math.h>

static const PreprocessOptions usual = {.transform = {.input = {32, 32, 3},
                                                      .val_crop = VAL_CROP_CENTER,
                                                      .interpolation = INTERPOLATION_BICUBIC,
                                                      .pad_to = 32,
                                                      .crop_pct = 1,
                                                      .mean = {.485, .456, .406},
                                                      .std = {.229, .224, .225}},
                                        .train_crop = TRAIN_CROP_PAD,
                                        .crop_padding = 4,
                                        .scale = {.08, 1},
                                        .ratio = {.75, 4.0 / 3},
                                        .hflip = .5};

/* Level of picture pixel (y, x), black outside. */
static double level_at(const Picture *picture, int y, int x, int c) {
    if (y < 0 || x < 0 || y >= picture->height || x >= picture->width) return 0;
    return picture->pixels[3 * (y * picture->width + x) + c];
}

/* What a box without resizing must give. */
static void expect_box(const char *name, const Picture *picture, Box box, bool flip, const PreprocessOptions *options,
                       const float *got) {
    int side = options->transform.input.width;
    float *want = malloc(3 * (size_t)side * (size_t)side * sizeof *want);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++) {
                double level = level_at(picture, box.top + y, box.left + (flip ? side - 1 - x : x), c);
                want[3 * (side * y + x) + c] =
                    (float)((level / 255 - options->transform.mean[c]) / options->transform.std[c]);
            }
    const int shape[3] = {side, side, 3};
    assert_true(compare_floats(name, got, want, 3 * (size_t)side * (size_t)side, shape, 3, 1e-6));
    free(want);
}

static void small_pictures_are_padded_and_shifted(void **state) {
    (void)state;
    Picture picture = {.height = 28, .width = 28, .pixels = pattern_picture(28, 28)};
    float got[3 * 32 * 32];
    int flips = 0;
    for (uint32_t i = 0; i < 200; i++) {
        RandomKey key = random_fold_in(random_key(3), i);
        assert_int_equal(preprocess_train(&usual, &picture, key, got, NULL), EFFNET_OK);
        Box box = crop_padded(32, 32, 4, (TensorShape){24, 24, 3}, key);
        bool flip = crop_flips(.5, key);
        flips += flip;
        box.top -= 2;
        box.left -= 2;
        expect_box("padded crop", &picture, box, flip, &usual, got);
    }
    assert_true(flips > 70 && flips < 130);
    assert_int_equal(preprocess_eval(&usual.transform, &picture, got, NULL), EFFNET_OK);
    expect_box("evaluation", &picture, (Box){-2, -2, 32, 32}, false, &usual, got);
    free(picture.pixels);
}

/* Padding far beyond the picture: rows and columns wholly black. */
static void large_padding_is_black(void **state) {
    (void)state;
    Picture picture = {.height = 5, .width = 5, .pixels = pattern_picture(5, 5)};
    PreprocessOptions options = usual;
    options.transform.pad_to = 0;
    options.transform.input = (TensorShape){5, 5, 3};
    options.crop_padding = 20;
    float got[75];
    int black = 0;
    for (uint32_t i = 0; i < 300; i++) {
        RandomKey key = random_fold_in(random_key(4), i);
        assert_int_equal(preprocess_train(&options, &picture, key, got, NULL), EFFNET_OK);
        Box box = crop_padded(5, 5, 20, (TensorShape){24, 24, 3}, key);
        black += abs(box.top) >= 5 || abs(box.left) >= 5;
        expect_box("far padding", &picture, box, crop_flips(.5, key), &options, got);
    }
    assert_true(black > 200);
    options.transform.input =
        (TensorShape){7, 7, 3}; /* the same with resizing: edges from the copy with black filled in */
    float large[147];
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(preprocess_train(&options, &picture, random_fold_in(random_key(4), i), large, NULL),
                         EFFNET_OK);
    free(picture.pixels);
}

/* A padded box that is resized gives what resizing the padded picture gives. */
static void padding_comes_before_resizing(void **state) {
    (void)state;
    Picture picture = {.height = 28, .width = 20, .pixels = pattern_picture(28, 20)};
    Picture padded = {.height = 32, .width = 32, .pixels = calloc(1, 3 * 32 * 32)};
    for (int y = 0; y < 28; y++) memcpy(padded.pixels + 3 * (32 * (y + 2) + 6), picture.pixels + 3 * 20 * y, 3 * 20);
    PreprocessOptions options = usual;
    options.transform.input = (TensorShape){48, 48, 3};
    float got[3 * 48 * 48], want[3 * 48 * 48];
    for (options.transform.val_crop = 0; options.transform.val_crop < 3; options.transform.val_crop++) {
        options.transform.crop_pct = .9;
        assert_int_equal(preprocess_eval(&options.transform, &picture, got, NULL), EFFNET_OK);
        assert_int_equal(preprocess_eval(&options.transform, &padded, want, NULL), EFFNET_OK);
        assert_memory_equal(got, want, sizeof got);
    }
    for (options.train_crop = 0; options.train_crop < 4; options.train_crop++) {
        assert_int_equal(preprocess_train(&options, &picture, random_key(8), got, NULL), EFFNET_OK);
        assert_int_equal(preprocess_train(&options, &padded, random_key(8), want, NULL), EFFNET_OK);
        assert_memory_equal(got, want, sizeof got);
    }
    free(picture.pixels);
    free(padded.pixels);
}

/* Each crop is resize_box of the box that crop.c names, normalised. */
static void crops_are_their_boxes(void **state) {
    (void)state;
    Picture picture = {.height = 90, .width = 130, .pixels = pattern_picture(90, 130)};
    PreprocessOptions options = usual;
    options.transform.pad_to = 0;
    options.transform.crop_pct = .8;
    options.transform.input = (TensorShape){24, 24, 3};
    RandomKey key = random_key(77);
    Box boxes[4] = {crop_random_resized(90, 130, usual.scale, usual.ratio, key),
                    crop_padded(90, 130, 0, (TensorShape){24, 24, 3}, key),
                    crop_center(90, 130, .8, (TensorShape){24, 24, 3}),
                    {0, 0, 90, 130}};
    ResizeOptions resize = {.height = 24, .width = 24, .interpolation = INTERPOLATION_BICUBIC, .scale = {1, 1, 1}};
    resize.flip = crop_flips(.5, key);
    options.crop_padding = 0;
    for (int crop = 0; crop < 4; crop++) {
        float got[3 * 24 * 24], want[3 * 24 * 24];
        Resizer resizer = {0};
        options.train_crop = crop;
        assert_int_equal(preprocess_train(&options, &picture, key, got, NULL), EFFNET_OK);
        assert_int_equal(resize_box(&resizer, picture.pixels, 3 * 130, boxes[crop], &resize, want, NULL), EFFNET_OK);
        for (int i = 0; i < 3 * 24 * 24; i++)
            want[i] = (float)(((double)want[i] / 255 - usual.transform.mean[i % 3]) / usual.transform.std[i % 3]);
        assert_true(compare_floats("crop", got, want, 3 * 24 * 24, NULL, 0, 1e-6));
        resizer_release(&resizer);
    }
    free(picture.pixels);
}

static void recipe_is_copied(void **state) {
    (void)state;
    Recipe recipe;
    PreprocessOptions options;
    recipe_defaults(&recipe);
    recipe.crop_padding = 7;
    recipe.train_crop = TRAIN_CROP_CENTER;
    preprocess_from_recipe(&recipe, (TensorShape){99, 99, 3}, &options);
    assert_int_equal(options.transform.input.width, 99);
    assert_int_equal(options.crop_padding, 7);
    assert_int_equal(options.train_crop, TRAIN_CROP_CENTER);
    assert_true(options.transform.std[1] == .224 && options.transform.mean[2] == .406 && options.scale[0] == .08 &&
                options.hflip == .5);
    assert_int_equal(preprocess_check(&options, NULL), EFFNET_OK);
}

static void wrong_options_are_named(void **state) {
    (void)state;
    PreprocessOptions options;
    effnet_error err;
    struct {
        const char *name;
        double *value, wrong;
    } numbers[] = {{"scale", &options.scale[0], 2},
                   {"scale", &options.scale[0], NAN},
                   {"ratio", &options.ratio[1], .1},
                   {"std", &options.transform.std[2], 0},
                   {"crop_pct", &options.transform.crop_pct, 0},
                   {"crop_pct", &options.transform.crop_pct, 1.5}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        options = usual;
        *numbers[i].value = numbers[i].wrong;
        assert_int_equal(preprocess_check(&options, &err), EFFNET_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, numbers[i].name));
    }
    options = usual;
    options.transform.input = (TensorShape){0, 0, 3};
    assert_int_equal(preprocess_check(&options, &err), EFFNET_ERROR_ARGUMENT);
    options = usual;
    options.crop_padding = -1;
    assert_int_equal(preprocess_check(&options, &err), EFFNET_ERROR_ARGUMENT);
}

/* One channel is the luma of RGB, and then what a grey picture of three equal channels gives, augmentation and all; of
 * several each is made as if it were red. */
static void other_channels(void **state) {
    (void)state;
    enum { H = 37, W = 50, OUT = 16 * 24 };
    uint8_t *rgb = pattern_picture(H, W), grey[3 * H * W], five[5 * H * W];
    for (int i = 0; i < H * W; i++) {
        const uint8_t *p = rgb + 3 * i;
        grey[3 * i] = grey[3 * i + 1] = grey[3 * i + 2] =
            (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        for (int c = 0; c < 5; c++) five[5 * i + c] = (uint8_t)(rgb[(3 * i + c * 7) % (3 * H * W)]);
    }
    static float want[3 * OUT], got[5 * OUT];
    PreprocessOptions one, three;
    Recipe recipe;
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "aa", "v0", NULL), EFFNET_OK);
    assert_int_equal(recipe_set(&recipe, "mean", "0.4", NULL), EFFNET_OK);
    assert_int_equal(recipe_set(&recipe, "std", "0.2", NULL), EFFNET_OK);
    preprocess_from_recipe(&recipe, (TensorShape){16, 24, 3}, &three);
    assert_int_equal(preprocess_augment_from_recipe(&recipe, &three, NULL), EFFNET_OK);
    one = three;
    one.transform.input.channels = 1;
    const Picture colours = {.height = H, .width = W, .pixels = rgb}, equal = {.height = H, .width = W, .pixels = grey};
    for (uint32_t i = 0; i < 60; i++) {
        const RandomKey key = random_fold_in(random_key(11), i);
        assert_int_equal(preprocess_train(&three, &equal, key, want, NULL), EFFNET_OK);
        assert_int_equal(preprocess_train(&one, &colours, key, got, NULL), EFFNET_OK);
        for (int p = 0; p < OUT; p++) assert_true(got[p] == want[3 * p]);
    }
    PreprocessOptions many;
    recipe.aa[0] = 0;
    preprocess_from_recipe(&recipe, (TensorShape){16, 24, 5}, &many);
    preprocess_from_recipe(&recipe, (TensorShape){16, 24, 3}, &three);
    const Picture samples = {.height = H, .width = W, .pixels = five, .channels = 5};
    assert_int_equal(preprocess_train(&many, &samples, random_key(3), got, NULL), EFFNET_OK);
    for (int c = 0; c < 5; c++) {
        for (int i = 0; i < H * W; i++) grey[3 * i] = grey[3 * i + 1] = grey[3 * i + 2] = five[5 * i + c];
        assert_int_equal(preprocess_train(&three, &equal, random_key(3), want, NULL), EFFNET_OK);
        for (int p = 0; p < OUT; p++) assert_true(got[5 * p + c] == want[3 * p]);
    }
    effnet_error err = {0};
    assert_int_equal(preprocess_train(&many, &colours, random_key(3), got, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "3 channels and in_chans is 5"));
    free(rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pictures_are_padded_and_shifted),
        cmocka_unit_test(large_padding_is_black),
        cmocka_unit_test(padding_comes_before_resizing),
        cmocka_unit_test(crops_are_their_boxes),
        cmocka_unit_test(other_channels),
        cmocka_unit_test(recipe_is_copied),
        cmocka_unit_test(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
