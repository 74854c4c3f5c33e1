/* xla_depthwise.c - depthwise convolutions, as the compiler's convolutions, as sums of shifted maps, or, on an NVIDIA
 * GPU, by kernels of our own (xla_cuda_depthwise.c).
 *
 * As a convolution of as many groups as channels: what JAX and TensorFlow write. The gradient of the input is the
 * convolution of the output's gradient, with zeros between its pixels where the stride is 2, by the kernel turned
 * round; the gradient of the kernel the convolution of the input by the output's gradient, a group of the batch for
 * each channel.
 *
 * As shifts, for compilers whose grouped convolutions are slow: y = sum over taps of x shifted by the tap times the
 * tap's weight, K * K slices of a padded map which the compiler fuses to one loop over it; a gradient of the kernel is
 * a sum over all pixels for each tap, all taps in one pass. Sums are fp32 either way. */
#include "backend/xla/xla_taps.h"

#include <string.h>

static Taps taps_of(const XlaNetwork *net, const Op *op) {
    TensorShape in = net->network->tensors[op->input], out = net->network->tensors[op->output];
    Taps taps = {.kernel = op->kernel,
                 .stride = op->stride,
                 .images = net->images,
                 .in = {in.height, in.width},
                 .out = {out.height, out.width},
                 .channels = in.channels};
    xla_padding(net->network, op, taps.pad);
    return taps;
}

/* What is left to add before and behind the output's gradient, zeros between its pixels where the stride is 2, so that
 * the kernel turned round makes the input's. */
static void padding_back(const Taps *taps, int pad[2][2]) {
    for (int d = 0; d < 2; d++) {
        const int64_t spread = (taps->out[d] - 1) * taps->stride + 1;
        pad[d][0] = taps->kernel - 1 - taps->pad[d][0];
        pad[d][1] = (int)(taps->in[d] + taps->kernel - 1 - spread) - pad[d][0];
    }
}

/* ---- as convolutions ---- */

static HloValue convolve(XlaNetwork *net, const Taps *taps, HloValue x, HloValue kernel) {
    HloConvolution convolution = xla_plain_convolution(net, "[b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f]");
    const int64_t result[4] = {taps->images, taps->out[0], taps->out[1], taps->channels};
    convolution.stride[0] = convolution.stride[1] = taps->stride;
    convolution.feature_groups = taps->channels;
    memcpy(convolution.result, result, sizeof result);
    memcpy(convolution.pad, taps->pad, sizeof taps->pad);
    return hlo_convolution(net->hlo, x, kernel, &convolution, net->exact);
}

static HloValue convolve_back(XlaNetwork *net, const Taps *taps, HloValue dy, HloValue kernel) {
    HloConvolution convolution = xla_plain_convolution(net, "[b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f]");
    const int64_t result[4] = {taps->images, taps->in[0], taps->in[1], taps->channels};
    convolution.lhs_dilate[0] = convolution.lhs_dilate[1] = taps->stride;
    convolution.feature_groups = taps->channels;
    memcpy(convolution.result, result, sizeof result);
    padding_back(taps, convolution.pad);
    return hlo_convolution(net->hlo, dy, hlo_reverse(net->hlo, kernel, 2, 3), &convolution, net->exact);
}

static HloValue convolve_weights(XlaNetwork *net, const Taps *taps, HloValue x, HloValue dy) {
    HloConvolution convolution = xla_plain_convolution(net, "[f, 0, 1, b]x[i, 0, 1, o]->[b, f, 0, 1]");
    const int64_t result[4] = {1, taps->channels, taps->kernel, taps->kernel};
    const int64_t shape[4] = {taps->channels, 1, taps->kernel, taps->kernel};
    convolution.rhs_dilate[0] = convolution.rhs_dilate[1] = taps->stride;
    convolution.batch_groups = taps->channels;
    memcpy(convolution.result, result, sizeof result);
    memcpy(convolution.pad, taps->pad, sizeof taps->pad);
    return hlo_reshape(net->hlo, hlo_convolution(net->hlo, x, dy, &convolution, net->exact), 4, shape);
}

/* ---- as shifts ---- */

/* The padded map, as long as every tap of every output wants. */
static HloValue padded(Hlo *hlo, const Taps *taps, HloValue x) {
    const int64_t low[4] = {0, taps->pad[0][0], taps->pad[1][0], 0}, none[4] = {0};
    const int64_t high[4] = {0, taps->pad[0][1], taps->pad[1][1], 0};
    return hlo_pad(hlo, x, low, high, none);
}

/* What tap (row, column) multiplies, at every output. */
static HloValue shifted(Hlo *hlo, HloValue map, int row, int column, int64_t height, int64_t width, int stride) {
    const int64_t begin[4] = {0, row, column, 0}, step[4] = {1, stride, stride, 1};
    const int64_t end[4] = {map.shape[0], row + (height - 1) * stride + 1, column + (width - 1) * stride + 1,
                            map.shape[3]};
    return hlo_slice(hlo, map, begin, end, step);
}

/* (C) of the kernel's tap, from (C, 1, K, K). */
static HloValue tap_weights(Hlo *hlo, HloValue kernel, int row, int column) {
    const int64_t channels = kernel.shape[0], begin[4] = {0, 0, row, column}, step[4] = {1, 1, 1, 1};
    const int64_t end[4] = {channels, 1, row + 1, column + 1};
    return hlo_reshape(hlo, hlo_slice(hlo, kernel, begin, end, step), 1, &channels);
}

static HloValue sum_of_shifts(Hlo *hlo, const Taps *taps, HloValue map, HloValue kernel, bool turned, int64_t height,
                              int64_t width, int stride) {
    HloValue sum = xla_none();
    const int last = taps->kernel - 1;
    for (int row = 0; row <= last; row++)
        for (int column = 0; column <= last; column++) {
            HloValue x = F32(shifted(hlo, map, row, column, height, width, stride));
            HloValue weights = tap_weights(hlo, kernel, turned ? last - row : row, turned ? last - column : column);
            HloValue product = MULTIPLY(x, xla_channels(hlo, weights, x));
            sum = xla_there(sum) ? ADD(sum, product) : product;
        }
    return sum;
}

static HloValue shift_back(Hlo *hlo, const Taps *taps, HloValue dy, HloValue kernel) {
    int pad[2][2];
    padding_back(taps, pad);
    const int64_t low[4] = {0, pad[0][0], pad[1][0], 0}, high[4] = {0, pad[0][1], pad[1][1], 0};
    const int64_t interior[4] = {0, taps->stride - 1, taps->stride - 1, 0};
    HloValue map = hlo_pad(hlo, dy, low, high, interior);
    return sum_of_shifts(hlo, taps, map, kernel, true, taps->in[0], taps->in[1], 1);
}

static HloValue shift_weights(Hlo *hlo, const Taps *taps, HloValue x, HloValue dy) {
    enum { MOST_TAPS = 49 };
    HloValue products[MOST_TAPS], sums[MOST_TAPS], gradient = F32(dy), map = padded(hlo, taps, x);
    const int64_t column_shape[2] = {taps->channels, 1}, shape[4] = {taps->channels, 1, taps->kernel, taps->kernel};
    int count = 0;
    for (int row = 0; row < taps->kernel; row++)
        for (int column = 0; column < taps->kernel; column++) {
            HloValue at = F32(shifted(hlo, map, row, column, taps->out[0], taps->out[1], taps->stride));
            products[count++] = MULTIPLY(at, gradient);
        }
    hlo_sums(hlo, products, count, OVER_PIXELS, sums);
    for (int i = 0; i < count; i++) sums[i] = hlo_reshape(hlo, sums[i], 2, column_shape);
    return hlo_reshape(hlo, hlo_concatenate(hlo, sums, count, 1), 4, shape);
}

/* ---- either ---- */

HloValue xla_depthwise_forward(XlaNetwork *net, const Op *op, HloValue x) {
    Hlo *hlo = net->hlo;
    const Taps taps = taps_of(net, op);
    HloValue kernel = net->parameters[op->weight], made;
    if (xla_cuda_depthwise_forward(net, &taps, x, kernel, &made)) return made;
    if (!(net->options->shifts & XLA_SHIFT_FORWARD))
        return convolve(net, &taps, x, hlo_convert(hlo, net->stored, kernel));
    HloValue map = padded(hlo, &taps, x);
    HloValue y = sum_of_shifts(hlo, &taps, map, kernel, false, taps.out[0], taps.out[1], taps.stride);
    return hlo_convert(hlo, net->stored, y);
}

HloValue xla_depthwise_backward(XlaNetwork *net, const Op *op, HloValue x, HloValue dy) {
    Hlo *hlo = net->hlo;
    const Taps taps = taps_of(net, op);
    HloValue kernel = net->parameters[op->weight], dx;
    if (xla_cuda_depthwise_backward(net, &taps, x, dy, kernel, &dx, &net->parameter_gradients[op->weight])) return dx;
    net->parameter_gradients[op->weight] = net->options->shifts & XLA_SHIFT_WEIGHTS
                                               ? shift_weights(hlo, &taps, x, dy)
                                               : F32(convolve_weights(net, &taps, x, dy));
    unsigned way = taps.stride == 1 ? XLA_SHIFT_BACK : XLA_SHIFT_BACK_STRIDED;
    if (net->options->shifts & way) return hlo_convert(hlo, net->stored, shift_back(hlo, &taps, dy, kernel));
    return convolve_back(net, &taps, dy, hlo_convert(hlo, net->stored, kernel));
}
