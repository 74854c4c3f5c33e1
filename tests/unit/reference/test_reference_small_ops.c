/* test_reference_small_ops.c - squeeze-excite, residual, global pool, dropout and dense: backward against finite
 * differences. The last four are linear, so that their differences are exact but for rounding. */
#include "unit/reference/gradient_check.h"

typedef struct SqueezeContext {
    SqueezeExcite se;
    real *x, *y, *r, *saved;
} SqueezeContext;

static real squeeze_loss(void *opaque) {
    SqueezeContext *c = opaque;
    reference_squeeze_excite_forward(&c->se, c->x, c->saved, c->y);
    return combine(c->r, c->y, c->se.pixels * c->se.channels);
}

static void check_squeeze_excite(size_t pixels, int channels, int squeezed, Activation activation) {
    const size_t count = pixels * channels, weights = (size_t)channels * squeezed;
    float *reduce_weight = random_floats(1, weights), *expand_weight = random_floats(2, weights);
    float *reduce_bias = random_floats(3, squeezed), *expand_bias = random_floats(4, channels);
    SqueezeContext c = {
        .se = {pixels, channels, squeezed, activation, reduce_weight, reduce_bias, expand_weight, expand_bias},
        .x = random_reals(5, count),
        .y = zeros(count),
        .r = random_reals(6, count),
        .saved = zeros(reference_squeeze_excite_saved(channels, squeezed))};
    real *dx = zeros(count);
    const SqueezeExciteGradient gradient = {zeros(weights), zeros(squeezed), zeros(weights), zeros(channels)};
    squeeze_loss(&c);
    reference_squeeze_excite_backward(&c.se, c.x, c.saved, c.r, dx, &gradient);
    check_gradient("squeeze-excite dx", squeeze_loss, &c, c.x, true, count, dx, GRADIENT_STEP);
    check_gradient("reduce dweight", squeeze_loss, &c, reduce_weight, false, weights, gradient.reduce_weight,
                   GRADIENT_STEP);
    check_gradient("reduce dbias", squeeze_loss, &c, reduce_bias, false, squeezed, gradient.reduce_bias, GRADIENT_STEP);
    check_gradient("expand dweight", squeeze_loss, &c, expand_weight, false, weights, gradient.expand_weight,
                   GRADIENT_STEP);
    check_gradient("expand dbias", squeeze_loss, &c, expand_bias, false, channels, gradient.expand_bias, GRADIENT_STEP);
    free(reduce_weight), free(expand_weight), free(reduce_bias), free(expand_bias);
    free(c.x), free(c.y), free(c.r), free(c.saved), free(dx);
    free(gradient.reduce_weight), free(gradient.reduce_bias), free(gradient.expand_weight), free(gradient.expand_bias);
}

static void squeeze_excite(void **state) {
    (void)state;
    check_squeeze_excite(1, 1, 1, ACTIVATION_SWISH);
    check_squeeze_excite(15, 3, 2, ACTIVATION_SWISH);
    check_squeeze_excite(7, 17, 4, ACTIVATION_SWISH);
    check_squeeze_excite(6, 8, 3, ACTIVATION_NONE);
}

typedef enum Linear { RESIDUAL, GLOBAL_POOL, DROPOUT, DROPOUT_OFF, DENSE } Linear;
enum { PIXELS = 35, CHANNELS = 7, CLASSES = 5, MOST = PIXELS * CHANNELS };

typedef struct LinearContext {
    Linear op;
    real x[MOST], residual[MOST], y[MOST], r[MOST];
    float weight[CLASSES * CHANNELS], bias[CLASSES], mask[CHANNELS];
    size_t outputs;
} LinearContext;

static const real drop_path = 1.25;

static real linear_loss(void *opaque) {
    LinearContext *c = opaque;
    switch (c->op) {
    case RESIDUAL:
        reference_residual_forward(MOST, c->x, c->residual, drop_path, c->y);
        break;
    case GLOBAL_POOL:
        reference_global_pool_forward(PIXELS, CHANNELS, c->x, c->y);
        break;
    case DROPOUT:
        reference_dropout_forward(CHANNELS, c->x, c->mask, c->y);
        break;
    case DROPOUT_OFF:
        reference_dropout_forward(CHANNELS, c->x, NULL, c->y);
        break;
    case DENSE:
        reference_dense_forward(CHANNELS, CLASSES, c->x, c->weight, c->bias, c->y);
        break;
    }
    return combine(c->r, c->y, c->outputs);
}

static void linear_ops(void **state) {
    (void)state;
    static const char *const names[] = {"residual", "global pool", "dropout", "dropout without a mask", "dense"};
    static const size_t inputs[] = {MOST, MOST, CHANNELS, CHANNELS, CHANNELS};
    static const size_t outputs[] = {MOST, CHANNELS, CHANNELS, CHANNELS, CLASSES};
    LinearContext *c = calloc(1, sizeof *c);
    for (int i = 0; i < MOST; i++) {
        c->x[i] = gradient_random(1, i);
        c->residual[i] = gradient_random(2, i);
        c->r[i] = gradient_random(3, i);
    }
    for (int i = 0; i < CLASSES * CHANNELS; i++) c->weight[i] = (float)gradient_random(4, i);
    for (int i = 0; i < CHANNELS; i++) c->mask[i] = i % 3 ? 1.25f : 0;
    for (c->op = RESIDUAL; c->op <= DENSE; c->op++) {
        real dx[MOST] = {0}, dresidual[MOST] = {0}, dweight[CLASSES * CHANNELS] = {0}, dbias[CLASSES] = {0};
        c->outputs = outputs[c->op];
        switch (c->op) {
        case RESIDUAL:
            reference_residual_backward(MOST, c->r, drop_path, dx, dresidual);
            break;
        case GLOBAL_POOL:
            reference_global_pool_backward(PIXELS, CHANNELS, c->r, dx);
            break;
        case DROPOUT:
            reference_dropout_backward(CHANNELS, c->r, c->mask, dx);
            break;
        case DROPOUT_OFF:
            reference_dropout_backward(CHANNELS, c->r, NULL, dx);
            break;
        case DENSE:
            reference_dense_backward(CHANNELS, CLASSES, c->x, c->weight, c->r, dx, dweight, dbias);
            break;
        }
        check_gradient(names[c->op], linear_loss, c, c->x, true, inputs[c->op], dx, GRADIENT_STEP);
        if (c->op == RESIDUAL)
            check_gradient("residual's skip", linear_loss, c, c->residual, true, MOST, dresidual, GRADIENT_STEP);
        if (c->op == DENSE) {
            check_gradient("dense dweight", linear_loss, c, c->weight, false, CLASSES * CHANNELS, dweight,
                           GRADIENT_STEP);
            check_gradient("dense dbias", linear_loss, c, c->bias, false, CLASSES, dbias, GRADIENT_STEP);
        }
    }
    free(c);
}

/* Backward adds to what is there: a tensor that feeds two operations gets both gradients. */
static void backward_adds(void **state) {
    (void)state;
    const real dy[2] = {3, -5};
    real dx[4] = {10, 20, 30, 40}, skip[2] = {1, 1};
    reference_global_pool_backward(2, 2, dy, dx);
    const real want[4] = {11.5, 17.5, 31.5, 37.5};
    assert_true(compare_doubles("pool adds", dx, want, 4, NULL, 0, 0));
    reference_residual_backward(2, dy, 0, dx, skip);
    const real want_skip[2] = {4, -4};
    assert_true(compare_doubles("residual adds", skip, want_skip, 2, NULL, 0, 0));
    assert_true(compare_doubles("a dropped branch gets nothing", dx, want, 4, NULL, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squeeze_excite),
        cmocka_unit_test(linear_ops),
        cmocka_unit_test(backward_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
