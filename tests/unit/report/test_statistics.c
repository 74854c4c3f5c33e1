/* test_statistics.c - intervals and tests against published and exactly computed values; predictions from logits: ranks,
 * ties, NaN, the worst first; scores and calibration counted by hand; the CSV of names that hold commas and quotes. */
#include "compare.h"
#include "report/predictions.h"

#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s is %.9g, wanted %.9g", what, got, want);
}

/* Wilson: 8 of 10 is 0.4902 to 0.9433 (Brown, Cai, DasGupta 2001); the ends stay within 0..1. */
static void test_wilson(void **state) {
    (void)state;
    Interval interval = wilson_interval(8, 10);
    near("low of 8/10", interval.low, 0.49016, 1e-5);
    near("high of 8/10", interval.high, 0.94332, 1e-5);
    interval = wilson_interval(0, 10);
    near("low of 0/10", interval.low, 0, 0);
    near("high of 0/10", interval.high, 0.27753, 1e-5);
    interval = wilson_interval(10, 10);
    near("low of 10/10", interval.low, 0.72247, 1e-5);
    near("high of 10/10", interval.high, 1, 0);
    interval = wilson_interval(0, 0);
    near("none", interval.high - interval.low, 1, 0);
}

/* p from binomial sums in whole numbers (Python's math.comb). */
static void test_mcnemar(void **state) {
    (void)state;
    near("5 and 15", paired_test(100, 5, 15, 3).p, 0.04138946533203125, 1e-12);
    near("200 and 260", paired_test(0, 200, 260, 0).p, 0.005883922473104, 1e-12);
    near("1 and 12", paired_test(9, 1, 12, 9).p, 0.00341796875, 1e-12);
    near("no difference", paired_test(50, 0, 0, 4).p, 1, 0);
    near("even", paired_test(50, 3, 3, 4).p, 1, 1e-12);
}

/* Exchanged models: the same interval the other way round; wider where fewer pictures; within it the difference. With no
 * correlation (phi 0) it is the square-and-add interval of two independent proportions. */
static void test_difference(void **state) {
    (void)state;
    PairedTest one = paired_test(70, 5, 15, 10), other = paired_test(70, 15, 5, 10), few = paired_test(14, 1, 3, 2);
    near("difference", one.difference, 0.1, 1e-12);
    near("exchanged low", other.interval.low, -one.interval.high, 1e-12);
    near("exchanged high", other.interval.high, -one.interval.low, 1e-12);
    assert_true(one.interval.low < one.difference && one.difference < one.interval.high);
    assert_true(few.interval.high - few.interval.low > one.interval.high - one.interval.low);
    assert_true(one.interval.low > 0 && few.interval.low < 0); /* as the test's p says: 0.041 and 0.62 */
    PairedTest apart = paired_test(25, 25, 25, 25);            /* phi is 0 */
    Interval half = wilson_interval(50, 100);
    near("independent", apart.interval.high, sqrt(2) * (half.high - 0.5), 1e-12);
    near("same answers", paired_test(50, 0, 0, 50).difference, 0, 0);
}

static void test_predictions(void **state) {
    (void)state;
    enum { CLASSES = 6, PICTURES = 6 };
    const float logits[PICTURES][CLASSES] = {
        {5, 1, 0, 0, 0, 0},       /* right, sure */
        {1, 5, 0, 0, 0, 0},       /* wrong, sure */
        {2, 2, 0, 0, 0, 0},       /* a tie counts against the label */
        {NAN, 1, 0, 0, 0, 0},     /* so does NaN */
        {0, 1, 2, 3, 4, 5},       /* label last: not in the five */
        {0.5f, 1, 0, 0, 0, 0.9f}, /* wrong, unsure */
    };
    const int32_t labels[PICTURES] = {0, 0, 0, 0, 0, 0};
    const uint32_t pictures[PICTURES] = {7, 8, 9, 10, 11, 12};
    effnet_error err;
    Predictions predictions = {.classes = CLASSES};
    assert_int_equal(predictions_add(&predictions, logits[0], labels, pictures, 2, &err), EFFNET_OK);
    assert_int_equal(predictions_add(&predictions, logits[2], labels + 2, pictures + 2, 4, &err), EFFNET_OK);
    const int ranks[PICTURES] = {0, 1, 1, 5, 5, 2}, guesses[PICTURES] = {0, 1, 1, 1, 5, 1};
    for (int i = 0; i < PICTURES; i++) {
        assert_int_equal(predictions.list[i].rank, ranks[i]);
        assert_int_equal(predictions.list[i].guess, guesses[i]);
        assert_int_equal(predictions.list[i].picture, 7 + i);
    }
    double sum = exp(5) + exp(1) + 4;
    near("probability", predictions.list[1].probability, exp(5) / sum, 1e-6);
    near("of the label", predictions.list[1].label_probability, exp(1) / sum, 1e-6);
    assert_int_equal(predictions.list[4].top[0], 5);
    assert_int_equal(predictions.list[4].top[4], 1);
    int worst[3];
    assert_int_equal(predictions_worst(&predictions, worst, 3), 3);
    assert_int_equal(worst[0], 1);
    assert_int_equal(worst[1], 4);
    Summary summary;
    ClassScore scores[CLASSES] = {{0}};
    int64_t confusion[CLASSES * CLASSES] = {0};
    predictions_summarize(&predictions, &summary, scores, confusion);
    assert_int_equal(summary.right, 1);
    assert_int_equal(summary.top5, 4);
    assert_int_equal(scores[0].support, 6);
    near("recall", scores[0].recall, 1.0 / 6, 1e-12);
    near("precision", scores[0].precision, 1, 0);
    near("f1", scores[0].f1, 2.0 / 7, 1e-12);
    assert_int_equal(confusion[1], 4);
    assert_int_equal(confusion[5], 1);
    predictions_free(&predictions);
}

static void test_calibration(void **state) {
    (void)state;
    Calibration calibration = {0};
    for (int i = 0; i < 10; i++) calibration_add(&calibration, 0.95, i < 8); /* 0.95 sure, 0.8 right */
    for (int i = 0; i < 10; i++) calibration_add(&calibration, 0.5, i < 5);
    calibration_add(&calibration, NAN, 1);
    calibration_finish(&calibration);
    near("ECE", calibration.error, 0.075, 1e-12);
    assert_int_equal(calibration.bins[CALIBRATION_BINS - 1].count, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),      cmocka_unit_test(test_mcnemar),     cmocka_unit_test(test_difference),
        cmocka_unit_test(test_predictions), cmocka_unit_test(test_calibration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
