/* test_reference_curve.c - points as text, between points, and wrong text, each named. */
#include "report/reference_curve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static ReferenceCurve curve;

static void points_and_between(void **state) {
    (void)state;
    effnet_error err = {0};
    ReferencePoint at;
    const char *text = "# three seeds\n1 20.5 1.5\n\n 5\t41 0.5 # the fifth\r\n,6 42, 350 77.1\n";
    assert_int_equal(reference_curve_parse("text", text, &curve, &err), EFFNET_OK);
    assert_int_equal(curve.count, 4);
    assert_true(reference_curve_at(&curve, 1, &at) && at.accuracy == 20.5 && at.deviation == 1.5);
    assert_true(reference_curve_at(&curve, 2, &at));
    assert_true(fabs(at.accuracy - 25.625) < 1e-12 && fabs(at.deviation - 1.25) < 1e-12);
    assert_true(reference_curve_at(&curve, 5.5, &at) && at.accuracy == 41.5 && at.deviation < 0);
    assert_true(reference_curve_at(&curve, 350, &at) && at.accuracy == 77.1);
    assert_false(reference_curve_at(&curve, 0.5, &at));
    assert_false(reference_curve_at(&curve, 351, &at));
    assert_false(reference_curve_at(&curve, NAN, &at));
    assert_int_equal(reference_curve_read("", &curve, &err), EFFNET_OK);
    assert_int_equal(curve.count, 0);
    assert_false(reference_curve_at(&curve, 1, &at));
}

static void wrong_text_is_named(void **state) {
    (void)state;
    static const char *const wrong[] = {"1",        "1 x",       "1 50 2 3", "0 50",      "2 50, 2 51", "2 50, 1 51",
                                        "1 101",    "1 50 1000", "1 -5",     "1 nan",     "inf 50",     "1 50x",
                                        "1e999 50", "1 50 -1",   "-1 50",    "1 50; 2 60"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        effnet_error err = {0};
        if (reference_curve_parse("text", wrong[i], &curve, &err) != EFFNET_ERROR_FORMAT ||
            !strstr(err.message, "is not EPOCH ACCURACY [DEVIATION]"))
            fail_msg("'%s' was taken, or: %s", wrong[i], err.message);
    }
    effnet_error err = {0};
    assert_int_equal(reference_curve_parse("text", " # nothing\n", &curve, &err), EFFNET_ERROR_FORMAT);
    assert_int_equal(reference_curve_read("no/such/file", &curve, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "no/such/file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_and_between),
        cmocka_unit_test(wrong_text_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
