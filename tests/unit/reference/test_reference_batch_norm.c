/* test_reference_batch_norm.c - batch norm with each activation: backward through the batch's own mean and variance
 * against finite differences, the forward's moments, and the running statistics. */
#include "unit/reference/gradient_check.h"

#include <math.h>

typedef struct Context {
    BatchNorm norm;
    real *x, *y, *r, *mean, *variance;
    float *scale, *bias;
} Context;

static real batch_norm_loss(void *opaque) {
    Context *c = opaque;
    reference_batch_norm_statistics(&c->norm, c->x, c->mean, c->variance);
    reference_batch_norm_forward(&c->norm, c->x, c->mean, c->variance, c->scale, c->bias, c->y);
    return combine(c->r, c->y, c->norm.rows * c->norm.channels);
}

/* ReLU6 has no derivative at its corners: true where some z lies so near to one that moving a value could cross it. */
static bool near_corner(Context *c) {
    Activation activation = c->norm.activation;
    c->norm.activation = ACTIVATION_NONE;
    batch_norm_loss(c);
    c->norm.activation = activation;
    for (size_t i = 0; activation == ACTIVATION_RELU6 && i < c->norm.rows * c->norm.channels; i++)
        if (fabs(c->y[i]) < 0.02 || fabs(c->y[i] - 6) < 0.02) return true;
    return false;
}

static void check_case(size_t rows, int channels, Activation activation) {
    const size_t count = rows * channels;
    /* ReLU6 kinks ask for a small step. Its z is a smooth function of the values, so the error stays small. */
    const double step = activation == ACTIVATION_RELU6 ? 0x1p-10 : GRADIENT_STEP;
    Context c = {.norm = {rows, channels, 0, channels, 1e-3, activation},
                 .x = random_reals(1, count),
                 .y = zeros(count),
                 .r = random_reals(2, count),
                 .mean = zeros(channels),
                 .variance = zeros(channels),
                 .scale = random_floats(3, channels),
                 .bias = random_floats(4, channels)};
    for (int i = 0; i < channels; i++) c.bias[i] *= 4; /* so that ReLU6 meets both of its corners */
    for (uint32_t key = 5; near_corner(&c); key++) {
        assert_true(key < 5000);
        free(c.x);
        c.x = random_reals(key, count);
    }
    real *dx = zeros(count), *dscale = random_reals(9, channels), *dbias = random_reals(9, channels);
    batch_norm_loss(&c);
    /* In two calls, as threads share channels. */
    const int half = channels / 2;
    for (int part = 0; part < 2; part++) {
        BatchNorm norm = c.norm;
        norm.first = part ? half : 0;
        norm.last = part ? channels : half;
        reference_batch_norm_backward(&norm, c.x, c.mean, c.variance, c.scale, c.bias, c.r, dx, dscale, dbias);
    }
    char name[3][96];
    const char *of[3] = {"dx", "dscale", "dbias"};
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "batch norm %zu x %d, activation %d, %s", rows, channels, activation, of[i]);
    check_gradient(name[0], batch_norm_loss, &c, c.x, true, count, dx, step);
    check_gradient(name[1], batch_norm_loss, &c, c.scale, false, channels, dscale, step);
    check_gradient(name[2], batch_norm_loss, &c, c.bias, false, channels, dbias, step);
    free(c.x), free(c.y), free(c.r), free(c.mean), free(c.variance), free(c.scale), free(c.bias);
    free(dx), free(dscale), free(dbias);
}

static void backward_is_the_derivative(void **state) {
    (void)state;
    const Activation activations[] = {ACTIVATION_NONE, ACTIVATION_SWISH, ACTIVATION_RELU6};
    for (int a = 0; a < 3; a++) {
        check_case(13, 1, activations[a]);
        check_case(10, 2, activations[a]);
        check_case(30, 3, activations[a]);
        if (activations[a] != ACTIVATION_RELU6) check_case(21, 17, activations[a]);
    }
}

/* Rows 1, 2, 6 of one channel: mean 3, variance 14/3 (biased), 7 (unbiased). */
static void statistics_by_hand(void **state) {
    (void)state;
    const real x[3] = {1, 2, 6};
    const float scale = 2, bias = -1;
    const BatchNorm norm = {3, 1, 0, 1, 1.0 / 3, ACTIVATION_NONE};
    real mean, variance, y[3];
    reference_batch_norm_statistics(&norm, x, &mean, &variance);
    const real want[2] = {3, 14.0 / 3}, got[2] = {mean, variance};
    assert_true(compare_doubles("mean and variance", got, want, 2, NULL, 0, 1e-15));
    reference_batch_norm_forward(&norm, x, &mean, &variance, &scale, &bias, y); /* sqrt(14/3 + 1/3) = sqrt 5 */
    const real want_y[3] = {-4 / sqrt(5) - 1, -2 / sqrt(5) - 1, 6 / sqrt(5) - 1};
    assert_true(compare_doubles("y", y, want_y, 3, NULL, 0, 1e-15));
    for (int unbiased = 0; unbiased < 2; unbiased++) {
        float running_mean = 8, running_variance = 1;
        reference_batch_norm_update(&norm, &mean, &variance, 0.75, unbiased, &running_mean, &running_variance);
        assert_true(running_mean == 6.75f);
        assert_true(running_variance == (float)(0.75 + 0.25 * (unbiased ? 7 : 14.0 / 3)));
    }
    const BatchNorm single = {1, 1, 0, 1, 1e-3, ACTIVATION_NONE};
    float running_mean = 0, running_variance = 1;
    variance = 0;
    reference_batch_norm_update(&single, &mean, &variance, 0.75, true, &running_mean, &running_variance);
    assert_true(running_variance == 0.75f); /* not 0/0 */
}

/* Far from zero and nearly constant: two passes lose nothing. */
static void large_mean_small_variance(void **state) {
    (void)state;
    real x[64], mean, variance;
    for (int i = 0; i < 64; i++) x[i] = 1e6 + (i % 2 ? 1e-3 : -1e-3);
    const BatchNorm norm = {64, 1, 0, 1, 1e-3, ACTIVATION_NONE};
    reference_batch_norm_statistics(&norm, x, &mean, &variance);
    const real want = 1e-6;
    assert_true(compare_doubles("variance", &variance, &want, 1, NULL, 0, 1e-6));
}

static void activations_by_hand(void **state) {
    (void)state;
    assert_true(reference_activate(ACTIVATION_RELU6, -1) == 0 && reference_activate(ACTIVATION_RELU6, 7) == 6);
    assert_true(reference_activate(ACTIVATION_RELU6, 2.5) == 2.5 && reference_activate(ACTIVATION_NONE, -3) == -3);
    assert_true(reference_activation_slope(ACTIVATION_RELU6, 0) == 0);
    assert_true(reference_activation_slope(ACTIVATION_RELU6, 6) == 0);
    assert_true(reference_activation_slope(ACTIVATION_RELU6, 3) == 1);
    assert_true(reference_activate(ACTIVATION_SWISH, 0) == 0 && reference_activation_slope(ACTIVATION_SWISH, 0) == 0.5);
    assert_true(reference_activate(ACTIVATION_SWISH, -1000) == 0 && reference_activate(ACTIVATION_SWISH, 1000) == 1000);
    assert_true(reference_activation_slope(ACTIVATION_SWISH, -1000) == 0);
    const real swish = reference_activate(ACTIVATION_SWISH, 1), want = 0.73105857863000487925;
    assert_true(compare_doubles("swish(1)", &swish, &want, 1, NULL, 0, 1e-15));
    for (Activation a = ACTIVATION_NONE; a <= ACTIVATION_RELU6; a++) assert_true(isnan(reference_activate(a, NAN)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_by_hand),
        cmocka_unit_test(statistics_by_hand),
        cmocka_unit_test(large_mean_small_variance),
        cmocka_unit_test(backward_is_the_derivative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
