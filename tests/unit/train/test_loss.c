/* test_loss.c - cross-entropy against known values, its gradient against finite differences in double, and no silence
 * about logits that are not finite. */
#include "base/random.h"
#include "compare.h"
#include "step/loss.h"
#include "step/loss_binary.h"
#include "step/step_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BATCH = 5, CLASSES = 7 };

static const int32_t labels[BATCH] = {0, 6, 3, 3, 1};

static void draw_logits(float *logits) {
    RandomKey key = random_key(7);
    for (int i = 0; i < BATCH * CLASSES; i++) logits[i] = 3 * random_normal(key, (uint64_t)i);
}

/* -sum target * log softmax, term by term. */
static double loss_in_double(const double *logits, double smoothing) {
    double total = 0;
    for (int n = 0; n < BATCH; n++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += exp(logits[n * CLASSES + c]);
        for (int c = 0; c < CLASSES; c++) {
            double target = (1 - smoothing) * (c == labels[n]) + smoothing / CLASSES;
            total -= target * (logits[n * CLASSES + c] - log(sum));
        }
    }
    return total / BATCH;
}

static void check_smoothing(double smoothing, double scale) {
    float logits[BATCH * CLASSES], gradient[BATCH * CLASSES];
    double wide[BATCH * CLASSES], want[BATCH * CLASSES];
    draw_logits(logits);
    for (int i = 0; i < BATCH * CLASSES; i++) wide[i] = logits[i];
    double loss = loss_cross_entropy(logits, labels, BATCH, CLASSES, smoothing, scale, gradient);
    assert_true(fabs(loss - loss_in_double(wide, smoothing)) < 1e-12);
    assert_true(loss_cross_entropy(logits, labels, BATCH, CLASSES, smoothing, scale, NULL) == loss);
    const double h = 1e-5;
    for (int i = 0; i < BATCH * CLASSES; i++) {
        double kept = wide[i];
        wide[i] = kept + h;
        double above = loss_in_double(wide, smoothing);
        wide[i] = kept - h;
        want[i] = scale * (above - loss_in_double(wide, smoothing)) / (2 * h);
        wide[i] = kept;
    }
    float rounded[BATCH * CLASSES];
    for (int i = 0; i < BATCH * CLASSES; i++) rounded[i] = (float)want[i];
    const int shape[2] = {BATCH, CLASSES};
    assert_true(compare_floats("gradient of the logits", gradient, rounded, BATCH * CLASSES, shape, 2, 1e-6));
}

static void test_against_finite_differences(void **state) {
    (void)state;
    check_smoothing(0, 1);
    check_smoothing(0.1, 1);
    check_smoothing(0.7, 0.25);
}

/* Mixed targets: every target is linear in the onehots, so the loss is the mean of the losses of both labels, weighted;
 * the gradient likewise, and both against PyTorch's numbers. */
static void test_soft_targets_against_pytorch(void **state) {
    (void)state;
    enum { N = 4, C = 6 };
    FILE *golden = fopen(EFFNET_SOURCE_DIR "/tests/golden/soft_loss.txt", "r");
    assert_non_null(golden);
    int cases = 0, read = fscanf(golden, "%*[^\n]");
    double smoothing;
    for (; fscanf(golden, "%lf", &smoothing) == 1; cases++) {
        float shares[N], logits[N * C], gradient[N * C], want[N * C], loss;
        int32_t first[N], second[N];
        for (int i = 0; i < N; i++) read += fscanf(golden, "%f", &shares[i]);
        for (int i = 0; i < N; i++) read += fscanf(golden, "%d", &first[i]);
        for (int i = 0; i < N; i++) read += fscanf(golden, "%d", &second[i]);
        for (int i = 0; i < N * C; i++) read += fscanf(golden, "%f", &logits[i]);
        read += fscanf(golden, "%f", &loss);
        for (int i = 0; i < N * C; i++) read += fscanf(golden, "%f", &want[i]);
        const Targets targets = {.labels = first, .others = second, .shares = shares};
        double got = loss_soft_cross_entropy(logits, &targets, N, C, smoothing, 1, NULL, gradient);
        assert_true(fabs(got - (double)loss) < 1e-6 * fabs((double)loss));
        const int shape[2] = {N, C};
        assert_true(compare_floats("gradient of mixed targets", gradient, want, N * C, shape, 2, 1e-6));
        double apart = 0;
        for (int n = 0; n < N; n++) {
            apart += (double)shares[n] * loss_cross_entropy(logits + n * C, first + n, 1, C, smoothing, 1, NULL) / N;
            apart +=
                (1 - (double)shares[n]) * loss_cross_entropy(logits + n * C, second + n, 1, C, smoothing, 1, NULL) / N;
        }
        assert_true(fabs(got - apart) < 1e-12 * fabs(apart));
    }
    assert_int_equal(cases, 2);
    assert_int_equal(read, 2 * (3 * N + 2 * N * C + 1));
    fclose(golden);
}

/* The gradient of mixed targets by differences of the loss itself, whose logits are floats: a coarse step. */
static void test_soft_targets_against_differences(void **state) {
    (void)state;
    float logits[BATCH * CLASSES], gradient[BATCH * CLASSES], want[BATCH * CLASSES];
    const int32_t others[BATCH] = {3, 6, 0, 1, 5};
    const float shares[BATCH] = {.25f, .5f, 1, 0, .9f};
    const Targets targets = {.labels = labels, .others = others, .shares = shares};
    draw_logits(logits);
    loss_soft_cross_entropy(logits, &targets, BATCH, CLASSES, .1, .5, NULL, gradient);
    for (int i = 0; i < BATCH * CLASSES; i++) {
        float kept = logits[i], above = kept + 0x1p-10f, below = kept - 0x1p-10f;
        logits[i] = above;
        double difference = loss_soft_cross_entropy(logits, &targets, BATCH, CLASSES, .1, .5, NULL, NULL);
        logits[i] = below;
        difference -= loss_soft_cross_entropy(logits, &targets, BATCH, CLASSES, .1, .5, NULL, NULL);
        logits[i] = kept;
        want[i] = (float)(.5 * difference / ((double)above - (double)below));
    }
    const int shape[2] = {BATCH, CLASSES};
    assert_true(compare_floats("gradient of mixed targets", gradient, want, BATCH * CLASSES, shape, 2, 1e-5));
    const float wrong[BATCH] = {.5f, 1.5f, .5f, .5f, NAN};
    const Targets bad = {.labels = labels, .others = others, .shares = wrong};
    assert_true(isnan(loss_soft_cross_entropy(logits, &bad, BATCH, CLASSES, .1, .5, NULL, gradient)));
    assert_true(isnan(gradient[CLASSES]) && isnan(gradient[4 * CLASSES + 6]) && isfinite(gradient[2 * CLASSES]));
}

static void test_known_values(void **state) {
    (void)state;
    float zeros[10] = {0};
    int32_t label = 4;
    assert_true(fabs(loss_cross_entropy(zeros, &label, 1, 10, 0, 1, NULL) - log(10)) < 1e-14);
    assert_true(fabs(loss_cross_entropy(zeros, &label, 1, 10, 0.1, 1, NULL) - log(10)) < 1e-14);
    float one_class = 3, gradient = 1;
    label = 0;
    assert_true(loss_cross_entropy(&one_class, &label, 1, 1, 0.1, 1, &gradient) == 0);
    assert_true(gradient == 0);
}

static void test_large_logits(void **state) {
    (void)state;
    float logits[3] = {3e38f, -3e38f, 0}, gradient[3];
    int32_t label = 0;
    assert_true(loss_cross_entropy(logits, &label, 1, 3, 0, 1, gradient) == 0);
    assert_true(gradient[0] == 0 && gradient[1] == 0 && gradient[2] == 0);
    float shifted[3] = {1000, 1001, 1002}, plain[3] = {0, 1, 2};
    assert_true(fabs(loss_cross_entropy(shifted, &label, 1, 3, 0.1, 1, NULL) -
                     loss_cross_entropy(plain, &label, 1, 3, 0.1, 1, NULL)) < 1e-12);
}

static void test_not_finite_is_nan(void **state) {
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    for (int b = 0; b < 3; b++)
        for (int at = 0; at < CLASSES; at++) { /* at the label and beside it */
            float logits[BATCH * CLASSES], gradient[BATCH * CLASSES];
            draw_logits(logits);
            logits[2 * CLASSES + at] = bad[b];
            assert_true(isnan(loss_cross_entropy(logits, labels, BATCH, CLASSES, 0, 1, gradient)));
            for (int c = 0; c < CLASSES; c++) assert_true(isnan(gradient[2 * CLASSES + c]));
            for (int c = 0; c < CLASSES; c++) assert_true(isfinite(gradient[1 * CLASSES + c]));
        }
}

/* More pictures than tasks, three threads: the same bits as the caller alone. */
static void test_team(void **state) {
    (void)state;
    enum { N = 333, C = 10 };
    static float logits[N * C], alone[N * C], shared[N * C], shares[N];
    static int32_t first[N], second[N];
    RandomKey key = random_key(11);
    for (int i = 0; i < N * C; i++) logits[i] = 3 * random_normal(key, (uint64_t)i);
    for (int n = 0; n < N; n++) {
        first[n] = n % C;
        second[n] = n * 7 % C;
        shares[n] = random_uniform(key, (uint64_t)n);
    }
    const Targets targets = {.labels = first, .others = second, .shares = shares};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(3, &team, NULL), EFFNET_OK);
    double want = loss_soft_cross_entropy(logits, &targets, N, C, .1, .5, NULL, alone);
    double got = loss_soft_cross_entropy(logits, &targets, N, C, .1, .5, team, shared);
    thread_team_free(team);
    assert_true(want == got);
    assert_true(compare_bits("gradient of the logits", shared, alone, N * C, NULL, 0));
}

/* Weights of images: the mean of weighted losses, and each image's gradient times its weight. */
static void test_weights(void **state) {
    (void)state;
    enum { N = 5, C = 4 };
    float logits[N * C], gradient[N * C], weighted[N * C], one[C];
    const int32_t right[N] = {0, 3, 1, 1, 2};
    const float weights[N] = {1, 0, 2.5f, 0.5f, 1};
    for (int i = 0; i < N * C; i++) logits[i] = 2 * random_normal(random_key(21), (uint64_t)i);
    const Targets plain = {.labels = right}, targets = {.labels = right, .weights = weights};
    loss_soft_cross_entropy(logits, &plain, N, C, .1, 1, NULL, gradient);
    double got = loss_soft_cross_entropy(logits, &targets, N, C, .1, 1, NULL, weighted), want = 0;
    for (int n = 0; n < N; n++) {
        want += (double)weights[n] / N * loss_cross_entropy(logits + n * C, right + n, 1, C, .1, 1, one);
        for (int c = 0; c < C; c++) gradient[n * C + c] *= weights[n];
    }
    assert_true(fabs(got - want) < 1e-12);
    assert_true(compare_floats("weighted gradient", weighted, gradient, N * C, NULL, 0, 1e-6));
}

/* Binary cross-entropy and focal loss of mixed, smoothed, thresholded targets beside timm's and torchvision's; the
 * gradient also against finite differences of the loss. */
static void test_binary_against_pytorch(void **state) {
    (void)state;
    enum { N = 4, C = 6 };
    FILE *golden = fopen(EFFNET_SOURCE_DIR "/tests/golden/binary_loss.txt", "r");
    assert_non_null(golden);
    int cases = 0, read = fscanf(golden, "%*[^\n]"), kind;
    for (; fscanf(golden, "%d", &kind) == 1; cases++) {
        float shares[N], logits[N * C], gradient[N * C], want[N * C], moved[N * C], loss;
        int32_t first[N], second[N];
        int sum;
        StepSpec spec = {.loss = (StepLoss)kind};
        read += fscanf(golden, "%lf %d %lf %lf %lf", &spec.smoothing, &sum, &spec.loss_threshold, &spec.focal_gamma,
                       &spec.focal_alpha);
        spec.loss_sum = sum;
        for (int i = 0; i < N; i++) read += fscanf(golden, "%f", &shares[i]);
        for (int i = 0; i < N; i++) read += fscanf(golden, "%d", &first[i]);
        for (int i = 0; i < N; i++) read += fscanf(golden, "%d", &second[i]);
        for (int i = 0; i < N * C; i++) read += fscanf(golden, "%f", &logits[i]);
        read += fscanf(golden, "%f", &loss);
        for (int i = 0; i < N * C; i++) read += fscanf(golden, "%f", &want[i]);
        const Targets targets = {.labels = first, .others = second, .shares = shares};
        double got = loss_of_step(&spec, logits, &targets, N, C, 1, NULL, gradient);
        if (!(fabs(got - (double)loss) <= 2e-6 * fabs((double)loss)))
            fail_msg("case %d: loss %.9g, PyTorch has %.9g", cases, got, (double)loss);
        const int shape[2] = {N, C};
        assert_true(compare_floats("gradient beside PyTorch's", gradient, want, N * C, shape, 2, 2e-6));
        for (int i = 0; i < N * C; i++) {
            memcpy(moved, logits, sizeof moved);
            moved[i] = logits[i] + 0x1p-8f;
            double above = loss_of_step(&spec, moved, &targets, N, C, 1, NULL, NULL);
            double step = (double)moved[i];
            moved[i] = logits[i] - 0x1p-8f;
            step -= (double)moved[i];
            want[i] = (float)((above - loss_of_step(&spec, moved, &targets, N, C, 1, NULL, NULL)) / step);
        }
        assert_true(compare_floats("gradient by differences", gradient, want, N * C, shape, 2, 2e-5));
    }
    assert_int_equal(cases, 7);
    assert_int_equal(read, 7 * (5 + 3 * N + 2 * N * C + 1));
    fclose(golden);
}

/* Far out nothing overflows, and what is no number or no class is not passed over in silence. */
static void test_binary_at_the_edges(void **state) {
    (void)state;
    const int32_t label = 0, beyond = 3;
    const Targets targets = {.labels = &label}, bad = {.labels = &beyond};
    const float logits[3] = {3e38f, -3e38f, 0}, broken[3] = {0, INFINITY, 0};
    float gradient[3];
    for (int kind = STEP_LOSS_BINARY; kind <= STEP_LOSS_FOCAL; kind++) {
        const StepSpec spec = {.loss = (StepLoss)kind, .loss_sum = true, .focal_gamma = .5, .focal_alpha = -1};
        double got = loss_of_step(&spec, logits, &targets, 1, 3, 1, NULL, gradient);
        double guess = loss_binary(&spec, 0, 0, NULL);
        assert_true(fabs(got - guess) < 1e-12); /* two that are right beyond doubt, and one guess */
        assert_true(fabsf(gradient[0]) < 1e-30f && fabsf(gradient[1]) < 1e-30f && gradient[2] > 0);
        assert_true(isnan(loss_of_step(&spec, broken, &targets, 1, 3, 1, NULL, gradient)));
        for (int c = 0; c < 3; c++) assert_true(isnan(gradient[c]));
        assert_true(isnan(loss_of_step(&spec, logits, &bad, 1, 3, 1, NULL, gradient)));
    }
    const StepSpec sum = {.loss = STEP_LOSS_BINARY, .loss_sum = true}, mean = {.loss = STEP_LOSS_BINARY}, plain = {0};
    assert_true(fabs(loss_of_guessing(&sum, 10) - 10 * log(2)) < 1e-12);
    assert_true(fabs(loss_of_guessing(&mean, 10) - log(2)) < 1e-12);
    assert_true(fabs(loss_of_guessing(&plain, 10) - log(10)) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_finite_differences),
        cmocka_unit_test(test_soft_targets_against_pytorch),
        cmocka_unit_test(test_soft_targets_against_differences),
        cmocka_unit_test(test_binary_against_pytorch),
        cmocka_unit_test(test_binary_at_the_edges),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_team),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_large_logits),
        cmocka_unit_test(test_not_finite_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
