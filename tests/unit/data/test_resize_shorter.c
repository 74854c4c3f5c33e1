/* test_resize_shorter.c - val_crop: resize_shorter against Pillow in timm's and torchvision's order
 * (tests/golden/resize_shorter.txt, made by make_resize_shorter.py). */
#include "data/transform/preprocess.h"
#include "make_pictures.h"

#include <math.h>

static void equals_pillow(void **state) {
    (void)state;
    FILE *stream = fopen(EFFNET_SOURCE_DIR "/tests/golden/resize_shorter.txt", "r");
    assert_non_null(stream);
    char name[16];
    int height, width, rows, columns, cases = 0;
    double share;
    while (fscanf(stream, "#%*[^\n]\n") > 0) {
    }
    while (fscanf(stream, "%15s %d %d %d %d %lf", name, &height, &width, &rows, &columns, &share) == 6) {
        const EvaluationTransform transform = {.input = {rows, columns, 3},
                                               .val_crop = VAL_CROP_RESIZE_SHORTER,
                                               .interpolation = strcmp(name, "bicubic") == 0 ? INTERPOLATION_BICUBIC
                                                                                             : INTERPOLATION_BILINEAR,
                                               .crop_pct = share,
                                               .std = {1 / 255.0, 1 / 255.0, 1 / 255.0}};
        Picture picture = {.height = height, .width = width, .pixels = pattern_picture(height, width)};
        float *got = calloc(3 * (size_t)rows * (size_t)columns, sizeof *got);
        effnet_error err = {0};
        if (preprocess_eval(&transform, &picture, got, &err) != EFFNET_OK) fail_msg("%s", err.message);
        double sum = 0;
        for (int i = 0; i < 3 * rows * columns; i++) {
            int want;
            assert_int_equal(fscanf(stream, "%d", &want), 1);
            sum += fabs((double)got[i] - want);
            if (!(fabs(rint((double)got[i]) - want) <= 1)) /* Pillow rounds twice */
                fail_msg("%s %dx%d to %dx%d by %g: place (%d, %d, %d) is %g, Pillow's %d", name, height, width, rows,
                         columns, share, i / 3 / columns, i / 3 % columns, i % 3, (double)got[i], want);
        }
        assert_true(sum / (3 * rows * columns) < 0.4); /* rounding to levels alone gives 0.25 to 0.33 */
        free(got);
        picture_free(&picture);
        cases++;
    }
    assert_int_equal(cases, 26);
    fclose(stream);
}

/* The same sizes by hand: int(224 / .875) = 256, int(256 * 500 / 375) = 341; (341 - 224) / 2 = 58.5 goes to 58, and
 * int(224 / .904) = 247, int(247 * 640 / 427) = 370, 146 / 2 = 73, 23 / 2 = 11.5 goes to 12. */
static void sizes_are_torchvisions(void **state) {
    (void)state;
    ResizedCrop crop = crop_of_resized(375, 500, .875, (TensorShape){224, 224, 3});
    assert_int_equal(crop.height, 256);
    assert_int_equal(crop.width, 341);
    assert_int_equal(crop.top, 16);
    assert_int_equal(crop.left, 58);
    crop = crop_of_resized(640, 427, .904, (TensorShape){224, 224, 3});
    assert_int_equal(crop.height, 370);
    assert_int_equal(crop.width, 247);
    assert_int_equal(crop.top, 73);
    assert_int_equal(crop.left, 12);
    crop = crop_of_resized(1, 30000, .05, (TensorShape){600, 600, 3}); /* no overflow */
    assert_int_equal(crop.height, 12000);
    assert_int_equal(crop.width, 360000000);
}

/* timm's own formula for inputs that are not square (ResizeKeepRatio.get_params), in doubles as in Python: the same sizes
 * but for quotients that lie exactly between two whole numbers. */
static void sizes_are_timms(void **state) {
    (void)state;
    static const int inputs[][2] = {{224, 320}, {320, 224}, {96, 97}, {480, 640}};
    int ties = 0;
    for (int i = 0; i < 4; i++)
        for (int height = 1; height < 900; height += 7)
            for (int width = 1; width < 900; width += 5) {
                const ResizedCrop crop =
                    crop_of_resized(height, width, .875, (TensorShape){inputs[i][0], inputs[i][1], 3});
                const double down = floor(inputs[i][0] / .875), across = floor(inputs[i][1] / .875);
                const double ratio = fmin(height / down, width / across);
                const double rows = height / ratio, columns = width / ratio;
                const bool between =
                    fabs(rows - floor(rows) - 0.5) < 1e-9 || fabs(columns - floor(columns) - 0.5) < 1e-9;
                const bool same = crop.height == (int)rint(rows) && crop.width == (int)rint(columns);
                if (!same && between) ties++;
                if (!same && !between)
                    fail_msg("%d x %d: %d x %d, timm's %g x %g", height, width, crop.height, crop.width, rows, columns);
                assert_true(crop.height >= inputs[i][0] && crop.width >= inputs[i][1] && crop.top >= 0 &&
                            crop.left >= 0);
            }
    print_message("%d sizes between two whole numbers where timm's rounding of the quotient decides\n", ties);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_pillow), cmocka_unit_test(sizes_are_torchvisions),
                                       cmocka_unit_test(sizes_are_timms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
