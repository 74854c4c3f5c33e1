/* test_reference_conv.c - dense and depthwise convolution: values by hand, and backward against finite differences for
 * kernels 1, 3 and 5, strides 1 and 2, TensorFlow's and symmetric padding, odd sizes and channels. */
#include "unit/reference/gradient_check.h"

typedef struct Case {
    int height, width, kernel, stride, in_channels, out_channels;
    bool same; /* TensorFlow's padding, else symmetric (kernel-1)/2 */
} Case;

static const Case cases[] = {
    {1, 1, 1, 1, 1, 1, true},   {5, 7, 1, 1, 17, 3, true},  {7, 5, 3, 1, 2, 3, true},  {7, 5, 3, 2, 3, 4, true},
    {8, 6, 3, 2, 3, 2, true},   {8, 5, 3, 2, 5, 1, false},  {7, 9, 5, 1, 1, 3, false}, {6, 9, 5, 2, 2, 2, true},
    {9, 8, 5, 2, 3, 2, false},  {2, 3, 5, 2, 4, 3, true},   {1, 2, 5, 1, 3, 2, false}, {3, 1, 3, 2, 17, 2, true},
    {11, 4, 5, 1, 17, 1, true}, {4, 13, 3, 1, 16, 1, true},
};

static Window case_window(const Case *c) {
    Window window = {.in_height = c->height, .in_width = c->width, .kernel = c->kernel, .stride = c->stride};
    const int in[2] = {c->height, c->width};
    int out[2], before[2];
    for (int side = 0; side < 2; side++) {
        if (c->same) {
            out[side] = (in[side] + c->stride - 1) / c->stride;
            int total = (out[side] - 1) * c->stride + c->kernel - in[side];
            before[side] = total > 0 ? total / 2 : 0;
        } else {
            before[side] = (c->kernel - 1) / 2;
            out[side] = (in[side] + 2 * before[side] - c->kernel) / c->stride + 1;
        }
    }
    window.out_height = out[0], window.out_width = out[1];
    window.pad_top = before[0], window.pad_left = before[1];
    return window;
}

typedef struct Context {
    Window window;
    int in_channels, out_channels;
    bool depthwise;
    real *x, *y, *r;
    float *weight;
    size_t outputs;
} Context;

static real conv_loss(void *opaque) {
    Context *c = opaque;
    if (c->depthwise)
        reference_depthwise_forward(&c->window, c->in_channels, c->x, c->weight, c->y);
    else
        reference_conv_forward(&c->window, c->in_channels, c->out_channels, c->x, c->weight, c->y);
    return combine(c->r, c->y, c->outputs);
}

static void check_case(const Case *from, bool depthwise) {
    const Window window = case_window(from);
    const int out_channels = depthwise ? from->in_channels : from->out_channels, taps = from->kernel * from->kernel;
    const size_t inputs = (size_t)from->height * from->width * from->in_channels;
    const size_t outputs = (size_t)window.out_height * window.out_width * out_channels;
    const size_t weights = (size_t)out_channels * (depthwise ? 1 : from->in_channels) * taps;
    Context c = {.window = window,
                 .in_channels = from->in_channels,
                 .out_channels = out_channels,
                 .depthwise = depthwise,
                 .x = random_reals(1, inputs),
                 .y = random_reals(2, outputs),
                 .r = random_reals(3, outputs),
                 .weight = random_floats(4, weights),
                 .outputs = outputs};
    real *dx = zeros(inputs), *dweight = zeros(weights);
    if (depthwise)
        reference_depthwise_backward(&window, from->in_channels, c.x, c.weight, c.r, dx, dweight);
    else
        reference_conv_backward(&window, from->in_channels, out_channels, c.x, c.weight, c.r, dx, dweight);
    char name[128];
    snprintf(name, sizeof name, "%s %dx%d kernel %d stride %d channels %d to %d %s, ", depthwise ? "depthwise" : "conv",
             from->height, from->width, from->kernel, from->stride, from->in_channels, out_channels,
             from->same ? "same" : "symmetric");
    char dx_name[160], dw_name[160];
    snprintf(dx_name, sizeof dx_name, "%sdx", name);
    snprintf(dw_name, sizeof dw_name, "%sdweight", name);
    check_gradient(dx_name, conv_loss, &c, c.x, true, inputs, dx, GRADIENT_STEP);
    check_gradient(dw_name, conv_loss, &c, c.weight, false, weights, dweight, GRADIENT_STEP);
    free(c.x), free(c.y), free(c.r), free(c.weight), free(dx), free(dweight);
}

static void conv_backward_is_the_derivative(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i], false);
}

static void depthwise_backward_is_the_derivative(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i], true);
}

/* A 3x3 picture 1..9 and a kernel of powers of ten: an output's digits, from the right, say which pixel met which tap
 * (0: outside). */
static void taps_lie_where_they_should(void **state) {
    (void)state;
    const real x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float weight[9] = {1, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f};
    const real stride_1[9] = {540210000, 654321000, 65032000, 870540210, 987654321, 98065032, 870540, 987654, 98065};
    const real same_2[1] = {987654321}, symmetric_2[4] = {540210000, 65032000, 870540, 98065};
    const Window windows[3] = {{3, 3, 3, 3, 3, 1, 1, 1}, {3, 3, 1, 1, 3, 2, 0, 0}, {3, 3, 2, 2, 3, 2, 1, 1}};
    const real *want[3] = {stride_1, same_2, symmetric_2};
    real y[9];
    for (int i = 0; i < 3; i++) {
        const size_t count = (size_t)windows[i].out_height * windows[i].out_width;
        const int shape[2] = {windows[i].out_height, windows[i].out_width};
        reference_conv_forward(&windows[i], 1, 1, x, weight, y);
        assert_true(compare_doubles("conv", y, want[i], count, shape, 2, 0));
        reference_depthwise_forward(&windows[i], 1, x, weight, y);
        assert_true(compare_doubles("depthwise", y, want[i], count, shape, 2, 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taps_lie_where_they_should),
        cmocka_unit_test(conv_backward_is_the_derivative),
        cmocka_unit_test(depthwise_backward_is_the_derivative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
