/* test_schedule.c - learning rates at the steps where something changes, against numbers worked out by hand. */
#include "recipe/recipe.h"
#include "train/schedule.h"

#include <math.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The published recipe: ImageNet, batch 4096 of 1,281,167 pictures would be 312 steps; 2048 gives 626. */
static Recipe published(void) {
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.batch_size = 2048;
    return recipe;
}

static void expect_rate(const Recipe *recipe, int64_t step, int64_t steps_per_epoch, double want) {
    double got = schedule_learning_rate(recipe, step, steps_per_epoch);
    if (!(fabs(got - want) <= 1e-12 * fabs(want) + 1e-18)) {
        fprintf(stderr, "step %lld: rate %.17g, want %.17g\n", (long long)step, got, want);
        fail_msg("learning rate");
    }
}

static void test_peak_follows_batch(void **state) {
    (void)state;
    Recipe recipe = published();
    assert_true(fabs(recipe_learning_rate(&recipe) - 0.128) < 1e-15);
    recipe.lr = 0.3;
    assert_true(recipe_learning_rate(&recipe) == 0.3);
}

static void test_warmup(void **state) {
    (void)state;
    Recipe recipe = published(); /* W = 5 * 626 = 3130 */
    expect_rate(&recipe, 0, 626, 0);
    expect_rate(&recipe, 1, 626, 0.128 / 3130);
    expect_rate(&recipe, 1565, 626, 0.064);
    expect_rate(&recipe, 3129, 626, 0.128 * 3129 / 3130);
    expect_rate(&recipe, 3130, 626, 0.128 * 0.97 * 0.97); /* 3130 / 1502.4 = 2.08: the decay counted from step 0 */
    recipe.warmup_lr = 0.001;
    recipe.min_lr = 0.01; /* does not touch the warm-up */
    expect_rate(&recipe, 0, 626, 0.001);
    expect_rate(&recipe, 1565, 626, 0.001 + 0.127 / 2);
}

static void test_staircase(void **state) {
    (void)state;
    Recipe recipe = published(); /* D = 2.4 * 626 = 1502.4 */
    recipe.warmup_epochs = 0;
    expect_rate(&recipe, 0, 626, 0.128);
    expect_rate(&recipe, 1502, 626, 0.128);
    expect_rate(&recipe, 1503, 626, 0.128 * 0.97);
    expect_rate(&recipe, 3004, 626, 0.128 * 0.97);
    expect_rate(&recipe, 3005, 626, 0.128 * 0.97 * 0.97);
    expect_rate(&recipe, 350 * 626 - 1, 626, 0.128 * pow(0.97, 145)); /* floor(219099 / 1502.4) */
    recipe.decay_epochs = 0.1;                                        /* 0.1 * 30 = 3.0000000000000004 */
    expect_rate(&recipe, 2, 30, 0.128);
    expect_rate(&recipe, 3, 30, 0.128 * 0.97);
    recipe.min_lr = 0.1;
    expect_rate(&recipe, 3000, 30, 0.1);
}

static void test_exponential(void **state) {
    (void)state;
    Recipe recipe = published();
    recipe.warmup_epochs = 0;
    recipe.sched = SCHEDULE_EXPONENTIAL;
    expect_rate(&recipe, 0, 626, 0.128);
    expect_rate(&recipe, 751, 626, 0.128 * pow(0.97, 751 / 1502.4));
    expect_rate(&recipe, 1502, 626, 0.128 * pow(0.97, 1502 / 1502.4));
}

static void test_cosine(void **state) {
    (void)state;
    Recipe recipe = published();
    recipe.sched = SCHEDULE_COSINE;
    recipe.epochs = 10;
    recipe.warmup_epochs = 1;
    recipe.min_lr = 0.002;
    expect_rate(&recipe, 99, 100, 0.128 * 99 / 100);
    expect_rate(&recipe, 100, 100, 0.002 + 0.126 * 0.5 * (1 + cos(3.14159265358979323846 * 0.1)));
    expect_rate(&recipe, 500, 100, 0.065);
    expect_rate(&recipe, 1000, 100, 0.002);
    expect_rate(&recipe, 5000, 100, 0.002);
}

static void test_constant(void **state) {
    (void)state;
    Recipe recipe = published();
    recipe.sched = SCHEDULE_CONSTANT;
    recipe.warmup_epochs = 0.5; /* W = floor(0.5 * 25) = 12 */
    expect_rate(&recipe, 11, 25, 0.128 * 11 / 12);
    expect_rate(&recipe, 12, 25, 0.128);
    expect_rate(&recipe, 1000000, 25, 0.128);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_follows_batch), cmocka_unit_test(test_warmup), cmocka_unit_test(test_staircase),
        cmocka_unit_test(test_exponential),        cmocka_unit_test(test_cosine), cmocka_unit_test(test_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
