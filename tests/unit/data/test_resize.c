/* test_resize.c - resampling against Pillow (tests/golden/resize.txt, made by make_resize.py), and what must hold for
 * any filter: flat stays flat, flipping is mirroring, nothing outside the box is looked at. */
#include "data/transform/resize.h"
#include "compare.h"
#include "make_pictures.h"
#include "recipe/recipe.h"

#include <math.h>

enum { HEIGHT = 97, WIDTH = 131 };

static const ResizeOptions plain = {.scale = {1, 1, 1}, .bias = {0, 0, 0}};

static void resize(const uint8_t *pixels, int width, Box box, const ResizeOptions *options, float *out) {
    Resizer resizer = {0};
    effnet_error err = {0};
    if (resize_box(&resizer, pixels, 3 * (size_t)width, box, options, out, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    resizer_release(&resizer);
}

static void equals_pillow(void **state) {
    (void)state;
    FILE *stream = fopen(EFFNET_SOURCE_DIR "/tests/golden/resize.txt", "r");
    assert_non_null(stream);
    char name[16];
    while (fscanf(stream, "#%*[^\n]\n") > 0) {
    }
    uint8_t *pixels = pattern_picture(HEIGHT, WIDTH);
    Resizer resizer = {0}; /* one for all: tables and ring change with every box */
    Box box;
    int side, cases = 0;
    while (fscanf(stream, "%15s %d %d %d %d %d", name, &box.top, &box.left, &box.height, &box.width, &side) == 6) {
        ResizeOptions options = plain;
        options.height = options.width = side;
        options.interpolation = strcmp(name, "bicubic") == 0 ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR;
        float *got = calloc(3 * (size_t)side * (size_t)side, sizeof *got);
        effnet_error err = {0};
        assert_int_equal(resize_box(&resizer, pixels, 3 * WIDTH, box, &options, got, &err), EFFNET_OK);
        double worst = 0, sum = 0;
        for (int i = 0; i < 3 * side * side; i++) {
            int want;
            assert_int_equal(fscanf(stream, "%d", &want), 1);
            double difference = fabs((double)got[i] - want);
            sum += difference;
            if (!(difference <= worst)) worst = difference;
            if (!(fabs(rint((double)got[i]) - want) <= 1))
                fail_msg("%s box %d,%d %dx%d to %d: place %d is %g, Pillow's %d", name, box.top, box.left, box.height,
                         box.width, side, i, (double)got[i], want);
        }
        print_message("%s %dx%d to %d: worst %.3f, mean %.3f levels\n", name, box.height, box.width, side, worst,
                      sum / (3 * side * side));
        assert_true(sum / (3 * side * side) < 0.4); /* rounding to levels alone gives 0.25 to 0.33 */
        free(got);
        cases++;
    }
    assert_int_equal(cases, 14);
    resizer_release(&resizer);
    free(pixels);
    fclose(stream);
}

static void flat_stays_flat(void **state) {
    (void)state;
    uint8_t pixels[3 * 20 * 30];
    memset(pixels, 200, sizeof pixels);
    for (int interpolation = 0; interpolation < 2; interpolation++)
        for (int side = 1; side < 60; side += 7) {
            ResizeOptions options = plain;
            options.height = options.width = side;
            options.interpolation = interpolation;
            float out[3 * 60 * 60];
            resize(pixels, 30, (Box){0, 0, 20, 30}, &options, out);
            for (int i = 0; i < 3 * side * side; i++)
                if (!(fabsf(out[i] - 200) <= 1e-3f)) fail_msg("side %d place %d: %g", side, i, (double)out[i]);
        }
}

/* 4 pixels 0, 100, 200, 40 to 2, bilinear: scale 2, output 0 at centre 1, weights of pixels 0, 1, 2 with the triangle
 * of half width 2: 3/4, 3/4, 1/4 over 7/4; output 1 likewise of pixels 1, 2, 3: 1/4, 3/4, 3/4. */
static void bilinear_by_hand(void **state) {
    (void)state;
    uint8_t pixels[3 * 4] = {0, 0, 0, 100, 100, 100, 200, 200, 200, 40, 40, 40};
    ResizeOptions options = plain;
    options.height = options.width = 2;
    options.interpolation = INTERPOLATION_BILINEAR;
    float out[12];
    resize(pixels, 4, (Box){0, 0, 1, 4}, &options, out);
    const float first = (75 + 50) / 1.75f, second = (25 + 150 + 30) / 1.75f;
    const float want[12] = {first, first, first, second, second, second, first, first, first, second, second, second};
    assert_true(compare_floats("by hand", out, want, 12, NULL, 0, 1e-6));
}

/* Enlarging 0, 255 by two, bicubic: overshoot is clipped to 0..255. Between, output 1 at centre 3/4 has distances 1/4
 * and 3/4 to the two: Keys' weights .8671875 and .2265625, normalised. */
static void bicubic_clips(void **state) {
    (void)state;
    uint8_t pixels[6] = {0, 0, 0, 255, 255, 255};
    ResizeOptions options = plain;
    options.height = options.width = 4;
    options.interpolation = INTERPOLATION_BICUBIC;
    float out[48];
    resize(pixels, 2, (Box){0, 0, 1, 2}, &options, out);
    const float between = 255 * .2265625f / (.2265625f + .8671875f);
    assert_true(out[0] == 0); /* weight of 255 is negative here */
    assert_true(fabsf(out[3] - between) < 1e-3f);
    assert_true(fabsf(out[6] - (255 - between)) < 1e-3f);
    assert_true(out[9] == 255);
}

static void flip_is_mirror_and_box_is_all(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(HEIGHT, WIDTH);
    Box box = {7, 11, 50, 60};
    float got[3 * 23 * 23], mirrored[3 * 23 * 23], inside[3 * 23 * 23];
    ResizeOptions options = {
        .height = 23, .width = 23, .interpolation = INTERPOLATION_BICUBIC, .scale = {1, 2, 3}, .bias = {4, 5, 6}};
    resize(pixels, WIDTH, box, &options, got);
    options.flip = true;
    resize(pixels, WIDTH, box, &options, mirrored);
    options.flip = false;
    for (int y = 0; y < HEIGHT; y++) /* all but the box changes */
        for (int x = 0; x < WIDTH; x++)
            if (y < 7 || y >= 57 || x < 11 || x >= 71) memset(pixels + 3 * (y * WIDTH + x), 123, 3);
    resize(pixels, WIDTH, box, &options, inside);
    assert_memory_equal(got, inside, sizeof got);
    for (int y = 0; y < 23; y++)
        for (int x = 0; x < 23; x++)
            assert_memory_equal(got + 3 * (23 * y + x), mirrored + 3 * (23 * y + 22 - x), 3 * sizeof *got);
    free(pixels);
}

/* The same size: every level exactly, times scale plus bias. */
static void same_size_is_a_copy(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(16, 16);
    ResizeOptions options = {.height = 16, .width = 16, .scale = {.5f, 2, 1}, .bias = {1, 0, -3}};
    float out[3 * 16 * 16];
    for (options.interpolation = 0; options.interpolation < 2; options.interpolation++) {
        resize(pixels, 16, (Box){0, 0, 16, 16}, &options, out);
        for (int i = 0; i < 3 * 16 * 16; i++)
            assert_true(out[i] == (float)pixels[i] * options.scale[i % 3] + options.bias[i % 3]);
    }
    free(pixels);
}

/* The longest side that is allowed, one pixel high. */
static void extreme_shapes(void **state) {
    (void)state;
    uint8_t *pixels = malloc(3 * 30000);
    memset(pixels, 50, 3 * 30000);
    ResizeOptions options = plain;
    options.height = options.width = 8;
    options.interpolation = INTERPOLATION_BICUBIC;
    float out[3 * 64];
    resize(pixels, 30000, (Box){0, 0, 1, 30000}, &options, out);
    for (int i = 0; i < 192; i++) assert_true(fabsf(out[i] - 50) < .02f);
    resize(pixels, 1, (Box){0, 0, 30000, 1}, &options, out);
    for (int i = 0; i < 192; i++) assert_true(fabsf(out[i] - 50) < .02f);
    free(pixels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),       cmocka_unit_test(flat_stays_flat),
        cmocka_unit_test(bilinear_by_hand),    cmocka_unit_test(bicubic_clips),
        cmocka_unit_test(same_size_is_a_copy), cmocka_unit_test(flip_is_mirror_and_box_is_all),
        cmocka_unit_test(extreme_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
