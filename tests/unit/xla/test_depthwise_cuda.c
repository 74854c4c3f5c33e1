/* The kernels for NVIDIA GPUs (depthwise.cu), run on the processor as C, thread by thread, against sums written down
 * plainly; layers of both strides, of both kinds of numbers, of sides that no tile divides and that are smaller than one.
 * And the text that is compiled on a machine with a GPU: NVRTC takes it, where it is installed (it needs no GPU), and the
 * program that calls it is well formed as far as it can be seen here. */
#include "backend/xla/embedded.h"
#include "backend/xla/nvrtc.h"
#include "backend/xla/stablehlo.h"
#include "base/bfloat16.h"
#include "base/random.h"
#include "compare.h"
#include "scratch_folder.h"
#include "unit/xla/cuda_on_host.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* fp32, stride 1, a side that 4 does not divide. */
#define LAYER    plain
#define BFLOAT16 0
#define IMAGES   2
#define CHANNELS 6
#define IN_H     9
#define IN_W     10
#define OUT_H    9
#define OUT_W    10
#define TAPS     3
#define STRIDE   1
#define PAD_TOP  1
#define PAD_LEFT 1
#define ROWS     4
#define COLUMNS  4
#define CHUNKS   5
#include "unit/xla/depthwise_layer.h"

/* bf16, stride 2, TensorFlow's padding of an even side: none before, one behind. */
#define LAYER    strided
#define BFLOAT16 1
#define IMAGES   3
#define CHANNELS 4
#define IN_H     12
#define IN_W     8
#define OUT_H    6
#define OUT_W    4
#define TAPS     3
#define STRIDE   2
#define PAD_TOP  0
#define PAD_LEFT 0
#define ROWS     2
#define COLUMNS  8
#define CHUNKS   4
#include "unit/xla/depthwise_layer.h"

/* fp32, stride 2, five taps, an odd side. */
#define LAYER    odd
#define BFLOAT16 0
#define IMAGES   2
#define CHANNELS 2
#define IN_H     11
#define IN_W     13
#define OUT_H    6
#define OUT_W    7
#define TAPS     5
#define STRIDE   2
#define PAD_TOP  2
#define PAD_LEFT 2
#define ROWS     2
#define COLUMNS  4
#define CHUNKS   1
#include "unit/xla/depthwise_layer.h"

/* bf16, five taps, a map smaller than the tile. */
#define LAYER    small
#define BFLOAT16 1
#define IMAGES   2
#define CHANNELS 8
#define IN_H     3
#define IN_W     2
#define OUT_H    3
#define OUT_W    2
#define TAPS     5
#define STRIDE   1
#define PAD_TOP  2
#define PAD_LEFT 2
#define ROWS     4
#define COLUMNS  4
#define CHUNKS   2
#include "unit/xla/depthwise_layer.h"

#include "unit/xla/xla_fixture.h" /* last: cmocka has a macro fail() */

typedef struct Layer {
    const char *name;
    void (*run)(int part, const void *a, const void *b, void *result); /* one thread */
    bool bfloat16;
    int images, channels, in[2], out[2], taps, stride, pad[2], chunks;
} Layer;

enum { BLOCK = 256 };

/* One number of a tensor as it is stored. */
static float element(const Layer *layer, const void *tensor, size_t i) {
    return layer->bfloat16 ? float_from_bfloat16(((const uint16_t *)tensor)[i]) : ((const float *)tensor)[i];
}

static void *tensor_of(const Layer *layer, const float *values, size_t count) {
    void *tensor = malloc(count * sizeof(float));
    assert_non_null(tensor);
    for (size_t i = 0; i < count; i++)
        if (layer->bfloat16)
            ((uint16_t *)tensor)[i] = values ? bfloat16_from_float(values[i]) : 0x7fc0;
        else
            ((float *)tensor)[i] = values ? values[i] : NAN;
    return tensor;
}

static float *random_floats(size_t count, uint64_t seed) {
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = random_normal(random_key(seed), i);
    return values;
}

/* Every product of an output, a tap and an input, to each of the three sums that it is part of. */
static void add_plainly(const Layer *layer, const void *x, const void *dy, const float *kernel, double *y, double *dx,
                        double *dkernel) {
    const int *in = layer->in, *out = layer->out, channels = layer->channels;
    for (int n = 0; n < layer->images; n++)
        for (int row = 0; row < out[0]; row++)
            for (int column = 0; column < out[1]; column++)
                for (int t = 0; t < layer->taps * layer->taps; t++) {
                    const int i = row * layer->stride - layer->pad[0] + t / layer->taps;
                    const int j = column * layer->stride - layer->pad[1] + t % layer->taps;
                    if (i < 0 || i >= in[0] || j < 0 || j >= in[1]) continue;
                    for (int c = 0; c < channels; c++) {
                        const size_t from =
                            (((size_t)n * (size_t)in[0] + (size_t)i) * (size_t)in[1] + (size_t)j) * (size_t)channels +
                            (size_t)c;
                        const size_t to =
                            (((size_t)n * (size_t)out[0] + (size_t)row) * (size_t)out[1] + (size_t)column) *
                                (size_t)channels +
                            (size_t)c;
                        const size_t tap = (size_t)t * (size_t)channels + (size_t)c;
                        y[to] += (double)element(layer, x, from) * kernel[tap];
                        dx[from] += (double)element(layer, dy, to) * kernel[tap];
                        dkernel[tap] += (double)element(layer, x, from) * element(layer, dy, to);
                    }
                }
}

static void check(const Layer *layer, const char *what, const void *got, bool stored, const double *want,
                  size_t count) {
    char name[64];
    float *values = malloc(count * sizeof *values), *wanted = malloc(count * sizeof *wanted);
    assert_non_null(values);
    assert_non_null(wanted);
    for (size_t i = 0; i < count; i++) {
        values[i] = stored ? element(layer, got, i) : ((const float *)got)[i];
        wanted[i] = (float)want[i];
    }
    snprintf(name, sizeof name, "%s: %s", layer->name, what);
    assert_true(compare_floats(name, values, wanted, count, NULL, 0, stored && layer->bfloat16 ? 4e-3 : 2e-6));
    free(values);
    free(wanted);
}

/* A layer's three kernels, each for as many threads as the grid would have, and past them. */
static void check_layer(const Layer *layer) {
    const size_t channels = (size_t)layer->channels, weights = (size_t)(layer->taps * layer->taps) * channels;
    const size_t in = (size_t)(layer->images * layer->in[0] * layer->in[1]) * channels;
    const size_t out = (size_t)(layer->images * layer->out[0] * layer->out[1]) * channels;
    const size_t partials = (size_t)layer->chunks * weights;
    float *x_values = random_floats(in, 1), *dy_values = random_floats(out, 2), *kernel = random_floats(weights, 3);
    void *x = tensor_of(layer, x_values, in), *dy = tensor_of(layer, dy_values, out);
    void *y = tensor_of(layer, NULL, out), *dx = tensor_of(layer, NULL, in);
    float *partial = malloc(partials * sizeof *partial), *total = calloc(weights, sizeof *total);
    double *want_y = calloc(out, sizeof *want_y), *want_dx = calloc(in, sizeof *want_dx);
    double *want_kernel = calloc(weights, sizeof *want_kernel);
    assert_true(partial && total && want_y && want_dx && want_kernel);
    for (size_t i = 0; i < partials; i++) partial[i] = NAN;
    for (blockIdx.x = 0; blockIdx.x < 8; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < BLOCK; threadIdx.x++) {
            layer->run(1, x, kernel, y);
            layer->run(2, dy, kernel, dx);
            layer->run(3, x, dy, partial);
        }
    for (size_t i = 0; i < partials; i++) total[i % weights] += partial[i];
    add_plainly(layer, x, dy, kernel, want_y, want_dx, want_kernel);
    check(layer, "forward", y, true, want_y, out);
    check(layer, "gradient of the input", dx, true, want_dx, in);
    check(layer, "gradient of the kernel", total, false, want_kernel, weights);
    void *all[] = {x_values, dy_values, kernel, x, dy, y, dx, partial, total, want_y, want_dx, want_kernel};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void test_on_host(void **unused) {
    (void)unused;
    static const Layer layers[] = {
        {"fp32, 3 taps", plain_run, false, 2, 6, {9, 10}, {9, 10}, 3, 1, {1, 1}, 5},
        {"bf16, 3 taps, stride 2", strided_run, true, 3, 4, {12, 8}, {6, 4}, 3, 2, {0, 0}, 4},
        {"fp32, 5 taps, stride 2", odd_run, false, 2, 2, {11, 13}, {6, 7}, 5, 2, {2, 2}, 1},
        {"bf16, 5 taps, a small map", small_run, true, 2, 8, {3, 2}, {3, 2}, 5, 1, {2, 2}, 2},
    };
    blockDim.x = BLOCK;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) check_layer(&layers[i]);
}

/* What no rounding may lose: infinities stay, and no NaN becomes a number. */
static void test_rounding(void **unused) {
    (void)unused;
    const float values[] = {1, -2.5f, 1e-40f, 3.38e38f, INFINITY, -INFINITY, NAN, 0x1.010001p0f, 0x1.01p0f, 0x1.03p0f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const float2 two = {values[i], -values[i]};
        const float2 back = strided_unpack1(strided_pack1(two));
        const float want[2] = {float_from_bfloat16(bfloat16_from_float(two.x)),
                               float_from_bfloat16(bfloat16_from_float(two.y))};
        assert_true(isnan(want[0]) ? isnan(back.x) && isnan(back.y) : back.x == want[0] && back.y == want[1]);
    }
    const float2 worst = {__uint_as_float(0x7fffffff),
                          __uint_as_float(0xffffffff)}; /* NaNs that a sum would overflow */
    const float2 back = strided_unpack1(strided_pack1(worst));
    assert_true(isnan(back.x) && isnan(back.y));
}

/* What NVIDIA's library keeps for itself is not ours to free. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libnvrtc\n";
}

static void test_compiled(void **unused) {
    (void)unused;
    static const char *const macros[] = {"NAME=depthwise_forward",
                                         "PART=1",
                                         "BFLOAT16=1",
                                         "IMAGES=256",
                                         "CHANNELS=96",
                                         "IN_H=112",
                                         "IN_W=112",
                                         "OUT_H=56",
                                         "OUT_W=56",
                                         "TAPS=3",
                                         "STRIDE=2",
                                         "PAD_TOP=0",
                                         "PAD_LEFT=0",
                                         "ROWS=2",
                                         "COLUMNS=4",
                                         "CHUNKS=1"};
    enum { COUNT = sizeof macros / sizeof *macros };
    effnet_error error = {0};
    Nvrtc *nvrtc = NULL;
    const ScratchFolder cache = scratch_folder_create();
    if (nvrtc_open(cache.path, &nvrtc, &error) != EFFNET_OK) {
        scratch_folder_remove(&cache);
        assert_non_null(strstr(error.message, "nvidia-cuda-nvrtc"));
        printf("%s\n", error.message);
        skip();
    }
    const char *ptx = NULL, *again = NULL;
    assert_int_equal(nvrtc_compile(nvrtc, text_of_depthwise_cu, macros, COUNT, &ptx, &error), EFFNET_OK);
    assert_non_null(strstr(ptx, ".entry depthwise_forward"));
    assert_int_equal(nvrtc_compile(nvrtc, text_of_depthwise_cu, macros, COUNT, &again, &error), EFFNET_OK);
    assert_ptr_equal(ptx, again);
    assert_int_equal(nvrtc_compile(nvrtc, "this is no C", macros, 1, &again, &error), EFFNET_ERROR_IO);
    assert_non_null(strstr(error.message, "does not compile"));
    assert_null(again);
    char *text = strdup(ptx);
    nvrtc_close(nvrtc);

    /* Out of the cache, where a kernel is one file; a damaged one is made again. */
    glob_t found;
    assert_int_equal(glob(scratch_path(&cache, "*.ptx"), 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    for (int damaged = 0; damaged < 2; damaged++) {
        if (damaged) scratch_write(found.gl_pathv[0], "damaged", 7);
        assert_int_equal(nvrtc_open(cache.path, &nvrtc, &error), EFFNET_OK);
        assert_int_equal(nvrtc_compile(nvrtc, text_of_depthwise_cu, macros, COUNT, &ptx, &error), EFFNET_OK);
        assert_string_equal(ptx, text);
        nvrtc_close(nvrtc);
    }
    globfree(&found);
    free(text);
    scratch_folder_remove(&cache);
}

static void test_call(void **unused) {
    (void)unused;
    const int64_t shape[4] = {2, 3, 4, 6};
    XlaProgram program = {.replicas = 1, .num_arguments = 1, .num_results = 1};
    program.arguments[0] = program.results[0] =
        (XlaValue){.role = XLA_PICTURES, .type = XLA_F32, .rank = 4, .shape = {2, 3, 4, 6}, .alias = -1};
    Hlo *hlo = hlo_create();
    HloValue in, out;
    hlo_begin_main(hlo, &program, &in);
    const HloKernel kernel = {.name = "double", .ptx = ".version 7.0\n\t\"quoted\\\" {}", .blocks = 3, .threads = 64};
    out = hlo_kernel(hlo, &kernel, &in, 1, XLA_F32, 4, shape);
    hlo_end_main(hlo, &out, 1);
    size_t bytes = 0;
    char *text = hlo_finish(hlo, &bytes);
    assert_non_null(text);
    assert_non_null(strstr(text, "kernel_data = \".version 7.0\\0A\\09\\22quoted\\5C\\22 {}\""));
    assert_non_null(strstr(text, "grid_x = 3 : i32"));
    assert_non_null(strstr(text, "result_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>]"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_on_host), cmocka_unit_test(test_rounding),
                                       cmocka_unit_test(test_compiled), cmocka_unit_test(test_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
