/* test_probe.c - the linear classifier on features: at its fit the objective does not fall to any side, written out here
 * once more; l2 is chosen; teams do not change a bit; a features that never changes counts nothing. */
#include "train/probe.h"

#include "base/random.h"
#include "compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROWS = 90, FEATURES = 12, CLASSES = 3, STILL = 5 };

static float values[ROWS * FEATURES];
static int32_t labels[ROWS], pictures[ROWS];
static const ProbeData data = {
    .rows = ROWS, .features = FEATURES, .classes = CLASSES, .values = values, .labels = labels, .pictures = pictures};

/* Clouds around a corner for each class; feature STILL is 7 everywhere; neighbouring rows are one picture's two views. */
static int make_data(void **state) {
    (void)state;
    for (int n = 0; n < ROWS; n++) {
        labels[n] = n / 2 % CLASSES;
        pictures[n] = n / 2;
        for (int f = 0; f < FEATURES; f++)
            values[n * FEATURES + f] = f == STILL ? 7
                                                  : 3 * random_normal(random_key(1), (uint64_t)(n * FEATURES + f)) +
                                                        (f % CLASSES == labels[n] ? 4.0f : 0.0f) + 10;
    }
    return 0;
}

/* mean cross-entropy + l2 / 2 |w of standardised features|^2 */
static double objective(const double *weight, const double *bias, double l2) {
    double sum = 0, squares = 0;
    for (int f = 0; f < FEATURES; f++) {
        double mean = 0, variance = 0;
        for (int n = 0; n < ROWS; n++) mean += (double)values[n * FEATURES + f] / ROWS;
        for (int n = 0; n < ROWS; n++) variance += pow((double)values[n * FEATURES + f] - mean, 2) / ROWS;
        for (int c = 0; c < CLASSES; c++) squares += variance * weight[c * FEATURES + f] * weight[c * FEATURES + f];
    }
    for (int n = 0; n < ROWS; n++) {
        double logits[CLASSES], total = 0;
        for (int c = 0; c < CLASSES; c++) {
            logits[c] = bias[c];
            for (int f = 0; f < FEATURES; f++) logits[c] += weight[c * FEATURES + f] * (double)values[n * FEATURES + f];
            total += exp(logits[c]);
        }
        sum += log(total) - logits[labels[n]];
    }
    return sum / ROWS + l2 / 2 * squares;
}

static void fit(int threads, float *weight, float *bias, ProbeResult *result) {
    effnet_error err = {0};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(threads, &team, &err), EFFNET_OK);
    if (probe_fit(&data, team, NULL, NULL, weight, bias, result, &err) != EFFNET_OK) fail_msg("%s", err.message);
    thread_team_free(team);
}

static void test_minimum(void **state) {
    (void)state;
    float weight[CLASSES * FEATURES], bias[CLASSES];
    double w[CLASSES * FEATURES], b[CLASSES];
    ProbeResult result;
    fit(2, weight, bias, &result);
    for (int i = 0; i < CLASSES * FEATURES; i++) w[i] = weight[i];
    for (int c = 0; c < CLASSES; c++) b[c] = bias[c];
    const double least = objective(w, b, result.l2);
    printf("l2 %g, %.1f %% and loss %.3f in cross-validation, objective %.6f\n", result.l2, result.accuracy,
           result.loss, least);
    assert_true(result.l2 > 0.001 && result.l2 <= 1); /* neither nothing nor everything: the clouds overlap */
    assert_true(result.accuracy > 60 && result.accuracy <= 100 && result.loss < log(3));
    for (int i = 0; i < CLASSES * FEATURES + CLASSES; i++) {
        double *at = i < CLASSES * FEATURES ? &w[i] : &b[i - CLASSES * FEATURES], kept = *at;
        if (i < CLASSES * FEATURES && i % FEATURES == STILL) {
            assert_true(*at == 0);
            continue;
        }
        for (int side = -1; side <= 1; side += 2) {
            *at = kept + side * 0.01;
            double value = objective(w, b, result.l2);
            if (!(value > least))
                fail_msg("%d moved by %g: objective %.9g, not above %.9g", i, side * 0.01, value, least);
        }
        *at = kept;
    }
}

static void test_team(void **state) {
    (void)state;
    float one[CLASSES * FEATURES], many[CLASSES * FEATURES], bias[2][CLASSES];
    ProbeResult result;
    fit(1, one, bias[0], &result);
    fit(3, many, bias[1], &result);
    assert_true(compare_bits("weights of a team of three", many, one, CLASSES * FEATURES, NULL, 0));
    assert_true(compare_bits("biases of a team of three", bias[1], bias[0], CLASSES, NULL, 0));
}

static bool stop_third(void *context) {
    int *asked = context;
    return ++*asked == 3;
}

static void test_stop(void **state) {
    (void)state;
    float weight[CLASSES * FEATURES], bias[CLASSES];
    ProbeResult result;
    effnet_error err = {0};
    int asked = 0;
    assert_int_equal(probe_fit(&data, NULL, stop_third, &asked, weight, bias, &result, &err), EFFNET_INTERRUPTED);
    assert_int_equal(asked, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_minimum), cmocka_unit_test(test_team),
                                       cmocka_unit_test(test_stop)};
    return cmocka_run_group_tests(tests, make_data, NULL);
}
