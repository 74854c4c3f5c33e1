/* test_batch_fit.c - batch_size: auto: what bounds it, and that no larger power of two would fit. */
#include "train/batch_fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void limits_of_few_and_of_many_pictures(void **state) {
    (void)state;
    static const struct {
        int64_t pictures, unit, most;
    } cases[] = {{1, 1, 1},      {7, 1, 4},          {36, 1, 16},        {160, 1, 16},  {320, 1, 32},
                 {5000, 1, 256}, {1281167, 1, 4096}, {1281167, 6, 3072}, {1000, 64, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(batch_most(cases[i].pictures, cases[i].unit), cases[i].most);
}

static void the_largest_that_fits(void **state) {
    (void)state;
    const BatchNeeds needs = {.fixed = 100, .each = 7};
    for (double allowed = 50; allowed < 40000; allowed *= 1.37)
        for (int64_t unit = 1; unit <= 6; unit++) {
            const int64_t most = batch_most(40960, unit), batch = batch_that_fits(&needs, allowed, unit, most);
            assert_true(batch == unit || needs.fixed + needs.each * (double)batch <= allowed);
            assert_true(batch == most || needs.fixed + needs.each * (double)(2 * batch) > allowed);
            assert_int_equal(batch % unit, 0);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_few_and_of_many_pictures),
        cmocka_unit_test(the_largest_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
