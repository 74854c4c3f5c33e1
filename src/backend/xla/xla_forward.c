/* xla_forward.c - the op list forwards. A 1x1 convolution is a product of matrices, (pixels, in) times (out, in)
 * turned, which compilers do best; the stem is a convolution. */
#include "backend/xla/xla_network.h"

#include <string.h>

HloValue xla_activate(Hlo *hlo, Activation activation, HloValue z) {
    switch (activation) {
    case ACTIVATION_SWISH:
        return MULTIPLY(z, hlo_unary(hlo, HLO_LOGISTIC, z));
    case ACTIVATION_RELU6: {
        HloValue least = hlo_fill(hlo, z.type, z.rank, z.shape, 0), most = hlo_fill(hlo, z.type, z.rank, z.shape, 6);
        return hlo_binary(hlo, HLO_MINIMUM, hlo_binary(hlo, HLO_MAXIMUM, z, least), most);
    }
    default:
        return z;
    }
}

HloValue xla_activation_slope(Hlo *hlo, Activation activation, HloValue z) {
    HloValue one = hlo_fill(hlo, z.type, z.rank, z.shape, 1), zero = hlo_fill(hlo, z.type, z.rank, z.shape, 0);
    if (activation == ACTIVATION_SWISH) { /* s + z s (1 - s) */
        HloValue s = hlo_unary(hlo, HLO_LOGISTIC, z);
        return MULTIPLY(s, ADD(one, MULTIPLY(z, SUBTRACT(one, s))));
    }
    if (activation == ACTIVATION_NONE) return one;
    HloValue six = hlo_fill(hlo, z.type, z.rank, z.shape, 6);
    HloValue inside =
        hlo_binary(hlo, HLO_AND, hlo_compare(hlo, HLO_GREATER, z, zero), hlo_compare(hlo, HLO_LESS, z, six));
    return hlo_select(hlo, inside, one, zero);
}

/* (byte / 255 - mean) / std as byte * scale + offset in fp32, rounded after each, as the host has it: the same bits,
 * whether or not the compiler fuses products with sums. For scale = upper + lower, where `upper` has 16 bits and `lower`
 * the other 8, byte * upper and byte * lower are exact, so that their sum is byte * scale, rounded once. */
static HloValue normalise(XlaNetwork *net, HloValue pictures) {
    Hlo *hlo = net->hlo;
    if (pictures.type == XLA_U8) {
        const int channels = net->network->config.input.channels;
        float upper[MOST_CHANNELS], lower[MOST_CHANNELS], offset[MOST_CHANNELS];
        for (int c = 0; c < channels; c++) {
            const float scale = (float)(1 / (255 * net->spec->std[c]));
            uint32_t bits;
            memcpy(&bits, &scale, sizeof bits);
            bits &= 0xFFFFFF00;
            memcpy(&upper[c], &bits, sizeof bits);
            lower[c] = scale - upper[c];
            offset[c] = (float)(-net->spec->mean[c] / net->spec->std[c]);
        }
        pictures = F32(pictures);
        const HloValue most = MULTIPLY(pictures, xla_channels(hlo, hlo_floats(hlo, upper, channels), pictures));
        const HloValue rest = MULTIPLY(pictures, xla_channels(hlo, hlo_floats(hlo, lower, channels), pictures));
        pictures = ADD(most, rest);
        pictures = ADD(pictures, xla_channels(hlo, hlo_floats(hlo, offset, channels), pictures));
    }
    return hlo_convert(hlo, net->stored, pictures);
}

static HloValue convolution(XlaNetwork *net, const Op *op, HloValue x) {
    Hlo *hlo = net->hlo;
    const TensorShape in = net->network->tensors[op->input], out = net->network->tensors[op->output];
    HloValue kernel = hlo_convert(hlo, net->stored, net->parameters[op->weight]);
    const int64_t result[4] = {net->images, out.height, out.width, out.channels};
    if (op->kernel == 1) {
        const int64_t rows[2] = {net->images * in.height * in.width, in.channels},
                      matrix[2] = {out.channels, in.channels};
        HloValue y = hlo_dot(hlo, hlo_reshape(hlo, x, 2, rows), 1, hlo_reshape(hlo, kernel, 2, matrix), 1, net->stored,
                             net->exact);
        return hlo_reshape(hlo, y, 4, result);
    }
    HloConvolution convolution = xla_plain_convolution(net, "[b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f]");
    convolution.stride[0] = convolution.stride[1] = op->stride;
    memcpy(convolution.result, result, sizeof result);
    xla_padding(net->network, op, convolution.pad);
    return hlo_convolution(hlo, x, kernel, &convolution, net->exact);
}

/* rows (N, depth) times weights (columns, depth, ...) turned, plus a bias: squeeze-excite's layers and the classifier.
 */
static HloValue dense(XlaNetwork *net, HloValue rows, int weight, int bias) {
    Hlo *hlo = net->hlo;
    HloValue weights = net->parameters[weight];
    const int64_t matrix[2] = {weights.shape[0], weights.shape[1]};
    HloValue y = hlo_dot(hlo, rows, 1, hlo_reshape(hlo, weights, 2, matrix), 1, XLA_F32, true);
    return ADD(y, xla_channels(hlo, net->parameters[bias], y));
}

static HloValue mean_of_map(Hlo *hlo, HloValue x) {
    return xla_times(hlo, hlo_sum(hlo, F32(x), OVER_MAP), 1.0 / (double)(x.shape[1] * x.shape[2]));
}

static HloValue squeeze_excite(XlaNetwork *net, const Op *op, HloValue x) {
    Hlo *hlo = net->hlo;
    XlaSaved *saved = &net->saved[op - net->network->ops];
    saved->pooled = mean_of_map(hlo, x);
    saved->reduced = dense(net, saved->pooled, op->weight, op->bias);
    HloValue expanded =
        dense(net, xla_activate(hlo, op->activation, saved->reduced), op->expand_weight, op->expand_bias);
    saved->gate = hlo_unary(hlo, HLO_LOGISTIC, expanded);
    HloValue wide = F32(x);
    return hlo_convert(hlo, net->stored, MULTIPLY(wide, xla_images_channels(hlo, saved->gate, wide)));
}

static HloValue residual(XlaNetwork *net, const Op *op, HloValue x, HloValue other) {
    Hlo *hlo = net->hlo;
    HloValue branch = F32(x);
    if (net->training) branch = MULTIPLY(branch, xla_images(hlo, xla_drop_path_of(net, op), branch));
    return hlo_convert(hlo, net->stored, ADD(branch, F32(other)));
}

HloValue xla_drop_path_of(XlaNetwork *net, const Op *op) {
    const int64_t row = op->drop_path_index, images = net->images;
    const int64_t begin[2] = {row, 0}, end[2] = {row + 1, images}, step[2] = {1, 1};
    return hlo_reshape(net->hlo, hlo_slice(net->hlo, net->drop_path, begin, end, step), 1, &images);
}

HloValue xla_forward(XlaNetwork *net, HloValue pictures) {
    Hlo *hlo = net->hlo;
    const Network *network = net->network;
    net->tensors[0] = normalise(net, pictures);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        HloValue x = net->tensors[op->input], *y = &net->tensors[op->output];
        switch (op->kind) {
        case OP_CONV:
            *y = convolution(net, op, x);
            break;
        case OP_DEPTHWISE:
            *y = xla_depthwise_forward(net, op, x);
            break;
        case OP_BATCH_NORM:
            xla_batch_norm_forward(net, op);
            break;
        case OP_SQUEEZE_EXCITE:
            *y = squeeze_excite(net, op, x);
            break;
        case OP_RESIDUAL:
            *y = residual(net, op, x, net->tensors[op->residual]);
            break;
        case OP_GLOBAL_POOL:
            *y = mean_of_map(hlo, x);
            break;
        case OP_DROPOUT:
            *y = net->training ? MULTIPLY(x, net->dropout) : x;
            break;
        case OP_DENSE:
            *y = dense(net, x, op->weight, op->bias);
            break;
        }
    }
    return net->tensors[network->ops[network->num_ops - 1].output];
}
