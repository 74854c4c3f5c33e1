/* Mean average precision and F1 against scikit-learn's numbers (average_precision_score, f1_score with average="macro"),
 * ties, classes that no picture has, and NaN; and a loss on rows of targets, the same as on the labels they stand for. */
#include "step/loss.h"
#include "train/set_metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* last: it has a macro fail() */

static void expect(int pictures, int classes, const float *logits, const float *targets, double map, double f1) {
    SetMetrics metrics = {.classes = classes};
    effnet_error err = {0};
    double found_map, found_f1;
    for (int n = 0; n < pictures; n++) /* one at a time: the block grows */
        assert_int_equal(set_metrics_add(&metrics, logits + n * classes, targets + n * classes, 1, &err), EFFNET_OK);
    assert_int_equal(set_metrics_finish(&metrics, &found_map, &found_f1, &err), EFFNET_OK);
    set_metrics_free(&metrics);
    if (!(fabs(found_map - map) <= 1e-9 * 100) || !(fabs(found_f1 - f1) <= 1e-9 * 100))
        fail_msg("mAP %.10g, F1 %.10g; wanted %.10g, %.10g", found_map, found_f1, map, f1);
}

static void test_known_values(void **state) {
    (void)state;
    /* average_precision_score([0, 0, 1, 1], [.1, .4, .35, .8]) is .8333...; all logits above 0: precision 2/4, recall 1 */
    expect(4, 1, (float[]){.1f, .4f, .35f, .8f}, (float[]){0, 0, 1, 1}, 100 * 5.0 / 6, 100 * 2.0 / 3);
    expect(4, 1, (float[]){1, 1, 1, 1}, (float[]){0, 1, 0, 1}, 50, 100 * 2.0 / 3); /* one threshold for equals */
    expect(2, 2, (float[]){3, -1, -3, -1}, (float[]){1, 0, 0, 0}, 100, 100);       /* the second class is nobody's */
    expect(2, 2, (float[]){3, 1, -3, -1}, (float[]){1, 0, 0, 0}, 100, 50);         /* and was given once */
    expect(3, 1, (float[]){NAN, 2, 1}, (float[]){1, 0, 0}, 100 / 3.0, 0);          /* NaN is the last of all */
    /* y = [[1,0,1],[0,1,1],[1,1,0],[0,0,1]]: average precisions 1, .8333..., 1; F1 .8 of each class */
    expect(4, 3, (float[]){2, .5f, .1f, .9f, 2, 3, 1, .2f, -.5f, -1, -2, -.1f},
           (float[]){1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1}, 100 * (1 + 5.0 / 6 + 1) / 3, 100 * (.8 + .8 + .8) / 3);
}

static void test_rows_are_labels(void **state) {
    (void)state;
    const float logits[8] = {.5f, -1, 2, 0, 3, -.25f, 1, -4}, shares[2] = {.25f, 1};
    const int32_t labels[2] = {0, 2}, others[2] = {2, 0};
    const float dense[8] = {.25f, 0, .75f, 0, 0, 0, 1, 0};
    float first[8], second[8];
    for (int kind = STEP_LOSS_BINARY; kind <= STEP_LOSS_FOCAL; kind++) {
        const StepSpec spec = {.loss = (StepLoss)kind, .smoothing = .1, .focal_gamma = 2, .focal_alpha = .25};
        const Targets by_label = {.labels = labels, .others = others, .shares = shares}, by_row = {.dense = dense};
        double one = loss_of_step(&spec, logits, &by_label, 2, 4, 1, NULL, first);
        double other = loss_of_step(&spec, logits, &by_row, 2, 4, 1, NULL, second);
        assert_true(fabs(one - other) < 1e-12);
        for (int i = 0; i < 8; i++) assert_true(fabsf(first[i] - second[i]) < 1e-7f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_values), cmocka_unit_test(test_rows_are_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
