/* test_resize_point.c - resizing as TensorFlow, TensorFlow 1 and PyTorch do it, which sample at a point: against their
 * own results (tests/golden/resize_{tensorflow,torch}.txt, made by make_resize_point.py) within 1e-5 of the range,
 * overshoot kept; and flat pictures stay flat. */
#include "data/transform/resize.h"
#include "compare.h"
#include "make_pictures.h"
#include "recipe/recipe.h"

#include <math.h>

#define LEVELS 0.00255 /* 1e-5 of the range; their four decimals and the order of sums allow 2e-4 */

enum { HEIGHT = 97, WIDTH = 131, MOST_SIDE = 15 };

static int method_of(const char *name) {
    static const char *const names[] = {"pillow", "tensorflow", "tensorflow1", "torch"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) return i;
    fail_msg("no method '%s'", name);
    return 0;
}

static int check_file(const char *path) {
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    uint8_t *pixels = pattern_picture(HEIGHT, WIDTH);
    Resizer resizer = {0};
    char method[16], filter[16];
    Box box;
    int side, cases = 0;
    double worst = 0, overshoot = 0;
    while (fscanf(stream, "%15s %15s %d %d %d %d %d", method, filter, &box.top, &box.left, &box.height, &box.width,
                  &side) == 7) {
        assert_true(side <= MOST_SIDE);
        ResizeOptions options = {.height = side, .width = side, .scale = {1, 1, 1}, .keep_overshoot = true};
        options.method = method_of(method);
        options.interpolation = strcmp(filter, "bicubic") == 0 ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR;
        float got[3 * MOST_SIDE * MOST_SIDE];
        effnet_error err = {0};
        assert_int_equal(resize_box(&resizer, pixels, 3 * WIDTH, box, &options, got, &err), EFFNET_OK);
        for (int i = 0; i < 3 * side * side; i++) {
            double want;
            assert_int_equal(fscanf(stream, "%lf", &want), 1);
            double difference = fabs((double)got[i] - want);
            if (!(difference <= worst)) worst = difference;
            overshoot = fmax(overshoot, fmax(-want, want - 255));
            if (!(difference <= LEVELS))
                fail_msg("%s %s box %d,%d %dx%d to %d: place %d is %.4f, theirs %.4f", method, filter, box.top,
                         box.left, box.height, box.width, side, i, (double)got[i], want);
        }
        cases++;
    }
    print_message("%s: %d cases, largest difference %.5f levels, overshoot up to %.1f\n", path, cases, worst,
                  overshoot);
    assert_true(overshoot > 10); /* it is there, and kept */
    resizer_release(&resizer);
    free(pixels);
    fclose(stream);
    return cases;
}

static void equals_theirs(void **state) {
    (void)state;
    assert_int_equal(check_file(EFFNET_SOURCE_DIR "/tests/golden/resize_tensorflow.txt"), 28);
    assert_int_equal(check_file(EFFNET_SOURCE_DIR "/tests/golden/resize_torch.txt"), 14);
}

static void flat_stays_flat(void **state) {
    (void)state;
    uint8_t pixels[3 * 20 * 30];
    memset(pixels, 200, sizeof pixels);
    for (int method = RESIZE_TENSORFLOW; method <= RESIZE_TORCH; method++)
        for (int interpolation = 0; interpolation < 2; interpolation++)
            for (int side = 1; side < 60; side += 7) {
                ResizeOptions options = {.height = side,
                                         .width = side,
                                         .method = method,
                                         .interpolation = interpolation,
                                         .scale = {1, 1, 1}};
                float out[3 * 60 * 60];
                Resizer resizer = {0};
                effnet_error err = {0};
                assert_int_equal(resize_box(&resizer, pixels, 90, (Box){0, 0, 20, 30}, &options, out, &err), EFFNET_OK);
                resizer_release(&resizer);
                for (int i = 0; i < 3 * side * side; i++)
                    if (!(fabsf(out[i] - 200) <= 1e-3f))
                        fail_msg("method %d side %d place %d: %g", method, side, i, (double)out[i]);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_theirs), cmocka_unit_test(flat_stays_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
