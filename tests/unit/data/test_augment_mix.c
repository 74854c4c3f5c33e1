/* test_augment_mix.c - Mixup and CutMix: every pixel of a mixed batch is what its share and its partner say, shares are
 * distributed as Beta, switches and probabilities count. */
#include "compare.h"
#include "data/transform/augment_mix.h"
#include "make_pictures.h"

#include <math.h>

enum { BATCH = 7, SIDE = 12, FLOATS = 3 * SIDE * SIDE, TRIALS = 4000 };

static float image_value(int image, int i) {
    return (float)(100 * image) + (float)(i % 37) / 4;
}

typedef struct Mixed {
    float images[BATCH * FLOATS];
    int32_t others[BATCH];
    float shares[BATCH];
} Mixed;

static const int32_t labels[BATCH] = {10, 11, 12, 13, 14, 15, 16};

static Mixed *mixed(const MixOptions *options, uint32_t trial) {
    Mixed *made = malloc(sizeof *made);
    float spare[FLOATS];
    assert_non_null(made);
    for (int n = 0; n < BATCH; n++)
        for (int i = 0; i < FLOATS; i++) made->images[n * FLOATS + i] = image_value(n, i);
    mix_batch(options, random_fold_in(random_key(3), trial), BATCH, (TensorShape){SIDE, SIDE, 3}, made->images, spare,
              labels, made->others, made->shares);
    return made;
}

/* 1: mixup, 2: cutmix, 0: not mixed; fails where the pixels are none of these. */
static int check_image(const Mixed *made, int n) {
    int partner = BATCH - 1 - n, own = 0, other = 0, between = 0;
    double share = (double)made->shares[n];
    assert_int_equal(made->others[n], labels[partner]);
    assert_true(share >= 0 && share <= 1);
    for (int i = 0; i < FLOATS; i++) {
        double got = (double)made->images[n * FLOATS + i], a = (double)image_value(n, i),
               b = (double)image_value(partner, i);
        own += got == a;
        other += got == b && a != b;
        between += fabs(got - (share * a + (1 - share) * b)) < 1e-3;
    }
    if (own == FLOATS) {
        assert_true(share == 1 || n == partner || between == FLOATS);
        return 0;
    }
    if (own + other == FLOATS && fabs((double)own / FLOATS - share) < 1e-6) return 2;
    assert_int_equal(between, FLOATS);
    return 1;
}

static void pixels_and_shares_agree(void **state) {
    (void)state;
    for (int mode = MIXUP_MODE_BATCH; mode <= MIXUP_MODE_ELEM; mode++) {
        MixOptions options = {.mixup = .8, .cutmix = 1, .probability = .75, .switch_probability = .25, .mode = mode};
        int kinds[3] = {0}, unequal = 0;
        for (uint32_t trial = 0; trial < TRIALS; trial++) {
            Mixed *made = mixed(&options, trial);
            for (int n = 0; n < BATCH; n++) {
                int kind = check_image(made, n);
                if (n == 0) kinds[kind]++;
                if (n != BATCH / 2) unequal += made->shares[n] != made->shares[0];
            }
            assert_true(made->shares[BATCH / 2] == 1); /* its own partner */
            free(made);
        }
        assert_true(mode == MIXUP_MODE_BATCH ? unequal == 0 : unequal > TRIALS);
        /* mixed 0.75, of it CutMix 0.25 (a little less: small rectangles are empty) */
        assert_true(fabs(kinds[1] / (double)TRIALS - .5625) < .04);
        assert_true(kinds[2] / (double)TRIALS > .15 && kinds[2] / (double)TRIALS < .21);
    }
}

static void one_alone_is_always_it(void **state) {
    (void)state;
    MixOptions mixup = {.mixup = 1, .probability = 1, .switch_probability = 1};
    MixOptions cutmix = {.cutmix = 1, .probability = 1, .switch_probability = 0};
    for (uint32_t trial = 0; trial < 500; trial++) {
        Mixed *made = mixed(&mixup, trial);
        assert_int_not_equal(check_image(made, 0), 2);
        free(made);
        made = mixed(&cutmix, trial);
        assert_int_not_equal(check_image(made, 1), 1);
        free(made);
    }
    assert_true(mix_is_empty(&(MixOptions){.probability = 1}));
    assert_true(mix_is_empty(&(MixOptions){.mixup = 1}));
    assert_false(mix_is_empty(&cutmix));
}

/* Mean 1/2 and variance 1 / (4 (2 alpha + 1)) of Beta(alpha, alpha); mean and variance of Beta(2, 6). */
static void shares_are_beta(void **state) {
    (void)state;
    static const double shapes[][2] = {{.2, .2}, {.8, .8}, {1, 1}, {5, 5}, {2, 6}, {1e-3, 1e-3}};
    enum { DRAWS = 40000 };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        double a = shapes[s][0], b = shapes[s][1], sum = 0, squares = 0;
        for (uint32_t i = 0; i < DRAWS; i++) {
            double x = random_beta(random_fold_in(random_key(77), i), a, b);
            assert_true(x >= 0 && x <= 1);
            sum += x;
            squares += x * x;
        }
        double mean = sum / DRAWS, variance = squares / DRAWS - mean * mean;
        double want = a / (a + b), want_variance = a * b / ((a + b) * (a + b) * (a + b + 1));
        if (!(fabs(mean - want) < 5 * sqrt(want_variance / DRAWS)) || !(fabs(variance / want_variance - 1) < .03))
            fail_msg("Beta(%g, %g): mean %g, variance %g", a, b, mean, variance);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_and_shares_agree),
        cmocka_unit_test(one_alone_is_always_it),
        cmocka_unit_test(shares_are_beta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
