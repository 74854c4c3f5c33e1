/* test_crop.c - boxes: inside the picture, of the shape asked for, spread over it, and a function of the key alone. */
#include "data/picture/crop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const TensorShape square = {32, 32, 3};
static const double usual_scale[2] = {.08, 1}, usual_ratio[2] = {.75, 4.0 / 3};

static void random_resized_is_within_limits(void **state) {
    (void)state;
    double area_sum = 0, top_sum = 0, log_ratio_sum = 0;
    enum { DRAWS = 20000, H = 300, W = 400 };
    for (uint32_t i = 0; i < DRAWS; i++) {
        Box box = crop_random_resized(H, W, usual_scale, usual_ratio, random_fold_in(random_key(1), i));
        assert_true(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0);
        assert_true(box.top + box.height <= H && box.left + box.width <= W);
        double share = (double)box.height * box.width / (H * W), ratio = (double)box.width / box.height;
        assert_true(share > .078 && share <= 1);
        assert_true(ratio > .74 && ratio < 1.35);
        area_sum += share;
        log_ratio_sum += log(ratio);
        if (box.height < H)
            top_sum += (double)box.top / (H - box.height);
        else
            top_sum += .5;
    }
    /* torchvision 0.29's get_params, 20,000 draws at 300 x 400: .4351 and .0314; errors of such means .0017 and .0012.
     */
    print_message("mean share %.4f, mean log ratio %.4f\n", area_sum / DRAWS, log_ratio_sum / DRAWS);
    assert_true(fabs(area_sum / DRAWS - .435) < .008);
    assert_true(fabs(log_ratio_sum / DRAWS - .031) < .006);
    assert_true(fabs(top_sum / DRAWS - .5) < .01);
}

/* No box of the whole area fits a strip: after ten tries the largest central one within the ratios. */
static void random_resized_falls_back(void **state) {
    (void)state;
    const double whole[2] = {1, 1};
    Box tall = crop_random_resized(400, 30, whole, usual_ratio, random_key(5));
    assert_int_equal(tall.width, 30);
    assert_int_equal(tall.height, 40); /* 30 / .75 */
    assert_int_equal(tall.top, 180);
    Box wide = crop_random_resized(30, 400, whole, usual_ratio, random_key(5));
    assert_int_equal(wide.height, 30);
    assert_int_equal(wide.width, 40);
    assert_int_equal(wide.left, 180);
    Box dot = crop_random_resized(1, 1, usual_scale, usual_ratio, random_key(5));
    assert_true(dot.top == 0 && dot.left == 0 && dot.height == 1 && dot.width == 1);
}

static void padded_reaches_every_offset(void **state) {
    (void)state;
    int seen[9][9] = {{0}};
    for (uint32_t i = 0; i < 5000; i++) {
        Box box = crop_padded(32, 32, 4, square, random_fold_in(random_key(2), i));
        assert_true(box.height == 32 && box.width == 32);
        assert_true(box.top >= -4 && box.top <= 4 && box.left >= -4 && box.left <= 4);
        seen[box.top + 4][box.left + 4]++;
    }
    for (int y = 0; y < 9; y++)
        for (int x = 0; x < 9; x++) assert_true(seen[y][x] > 25); /* 62 expected */
    Box wide = crop_padded(20, 50, 0, square, random_key(3));
    assert_true(wide.top == 0 && wide.height == 20 && wide.width == 20 && wide.left >= 0 && wide.left <= 30);
}

static void center_and_canvas(void **state) {
    (void)state;
    Box box = crop_center(300, 400, .875, square); /* side 262, from (38 + 1) / 2 and (138 + 1) / 2 */
    assert_true(box.height == 262 && box.width == 262 && box.top == 19 && box.left == 69);
    box = crop_center(1, 1, .875, square);
    assert_true(box.height == 1 && box.width == 1 && box.top == 0 && box.left == 0);
    box = crop_center(32, 32, 1, square);
    assert_true(box.height == 32 && box.top == 0);
    const TensorShape wide = {24, 32, 3}, tall = {40, 10, 3};
    box = crop_center(48, 64, 1, wide); /* the same proportions lose nothing */
    assert_true(box.height == 48 && box.width == 64 && box.top == 0 && box.left == 0);
    box = crop_center(300, 300, .875, wide); /* of 225 x 300 */
    assert_true(box.height == 196 && box.width == 262 && box.top == 52 && box.left == 19);
    box = crop_center(300, 300, .5, tall); /* of 300 x 75 */
    assert_true(box.height == 150 && box.width == 37 && box.top == 75 && box.left == 132);
    box = crop_center(1, 30000, 1, tall);
    assert_true(box.height == 1 && box.width == 1);
    box = crop_padded(300, 300, 0, wide, random_key(4));
    assert_true(box.height == 225 && box.width == 300 && box.left == 0 && box.top >= 0 && box.top <= 75);
    box = crop_canvas(28, 28, 32);
    assert_true(box.top == -2 && box.left == -2 && box.height == 32 && box.width == 32);
    box = crop_canvas(40, 28, 32);
    assert_true(box.top == 0 && box.left == -2 && box.height == 40 && box.width == 32);
    box = crop_canvas(40, 50, 0);
    assert_true(box.top == 0 && box.left == 0 && box.height == 40 && box.width == 50);
}

static void key_decides(void **state) {
    (void)state;
    int flips = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        RandomKey key = random_fold_in(random_key(9), i);
        flips += crop_flips(.25, key);
        Box a = crop_random_resized(99, 77, usual_scale, usual_ratio, key);
        Box b = crop_random_resized(99, 77, usual_scale, usual_ratio, key);
        assert_true(a.top == b.top && a.left == b.left && a.height == b.height && a.width == b.width);
    }
    assert_true(flips > 900 && flips < 1100);
    assert_false(crop_flips(0, random_key(1)));
    assert_true(crop_flips(1, random_key(1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_resized_is_within_limits),
        cmocka_unit_test(random_resized_falls_back),
        cmocka_unit_test(padded_reaches_every_offset),
        cmocka_unit_test(center_and_canvas),
        cmocka_unit_test(key_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
