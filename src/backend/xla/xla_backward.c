/* xla_backward.c - the op list backwards, to the first op that is trained. What a tensor's readers give back is added
 * up in fp32 and, at every pixel, stored as the tensor is. Nothing goes back into the pictures. Gradients of frozen
 * parameters are zeros, and what is read by nobody the compiler leaves out. */
#include "backend/xla/xla_network.h"

#include <string.h>

/* Adds a reader's part to a tensor's gradient. */
static void give_back(XlaNetwork *net, int tensor, HloValue gradient) {
    Hlo *hlo = net->hlo;
    HloValue *sum = &net->gradients[tensor];
    if (xla_there(*sum)) gradient = ADD(F32(*sum), F32(gradient));
    *sum = gradient.rank == 4 ? hlo_convert(hlo, net->stored, gradient) : gradient;
}

static void convolution_1x1(XlaNetwork *net, const Op *op, HloValue x, HloValue dy) {
    Hlo *hlo = net->hlo;
    const int64_t pixels = net->images * x.shape[1] * x.shape[2], in = x.shape[3], out = dy.shape[3];
    const int64_t in_rows[2] = {pixels, in}, out_rows[2] = {pixels, out}, matrix[2] = {out, in},
                  kernel[4] = {out, in, 1, 1};
    HloValue rows = hlo_reshape(hlo, x, 2, in_rows), gradient = hlo_reshape(hlo, dy, 2, out_rows);
    HloValue weights = hlo_reshape(hlo, hlo_convert(hlo, net->stored, net->parameters[op->weight]), 2, matrix);
    HloValue dw = hlo_dot(hlo, gradient, 0, rows, 0, XLA_F32, net->exact);
    net->parameter_gradients[op->weight] = hlo_reshape(hlo, dw, 4, kernel);
    if (op->input == 0) return;
    HloValue dx = hlo_dot(hlo, gradient, 1, weights, 0, net->stored, net->exact);
    give_back(net, op->input, hlo_reshape(hlo, dx, 4, x.shape));
}

/* The stem's weights: the pictures convolved by the output's gradient, images taking the part of channels. */
static void stem(XlaNetwork *net, const Op *op, HloValue x, HloValue dy) {
    Hlo *hlo = net->hlo;
    HloConvolution convolution = xla_plain_convolution(net, "[f, 0, 1, b]x[i, 0, 1, o]->[b, 0, 1, f]");
    const int64_t result[4] = {x.shape[3], op->kernel, op->kernel, dy.shape[3]};
    convolution.rhs_dilate[0] = convolution.rhs_dilate[1] = op->stride;
    memcpy(convolution.result, result, sizeof result);
    xla_padding(net->network, op, convolution.pad);
    HloValue dw = hlo_convolution(hlo, x, dy, &convolution, net->exact); /* (in, K, K, out) */
    net->parameter_gradients[op->weight] = F32(hlo_transpose(hlo, dw, (const int[4]){3, 0, 1, 2}));
}

/* y = rows weights^T + bias: gradients of weights and bias, and of the rows. */
static HloValue dense(XlaNetwork *net, HloValue rows, HloValue dy, int weight, int bias) {
    Hlo *hlo = net->hlo;
    HloValue weights = net->parameters[weight];
    const int64_t matrix[2] = {weights.shape[0], weights.shape[1]};
    HloValue dw = hlo_dot(hlo, dy, 0, rows, 0, XLA_F32, true);
    net->parameter_gradients[weight] = hlo_reshape(hlo, dw, weights.rank, weights.shape);
    net->parameter_gradients[bias] = hlo_sum(hlo, dy, 1);
    return hlo_dot(hlo, dy, 1, hlo_reshape(hlo, weights, 2, matrix), 0, XLA_F32, true);
}

/* reference_squeeze_excite.c's essay: de = g (1 - g) sum dy x; dr = slope(r) We' de; dm = Wr' dr; dx = dy g + dm /
 * pixels. */
static void squeeze_excite(XlaNetwork *net, const Op *op, HloValue x, HloValue dy) {
    Hlo *hlo = net->hlo;
    const XlaSaved *saved = &net->saved[op - net->network->ops];
    HloValue wide = F32(x), gradient = F32(dy), gate = saved->gate;
    HloValue one = hlo_fill(hlo, XLA_F32, 2, gate.shape, 1);
    HloValue dgate = hlo_sum(hlo, MULTIPLY(wide, gradient), OVER_MAP);
    HloValue dexpanded = MULTIPLY(dgate, MULTIPLY(gate, SUBTRACT(one, gate)));
    HloValue hidden = xla_activate(hlo, op->activation, saved->reduced);
    HloValue dreduced = dense(net, hidden, dexpanded, op->expand_weight, op->expand_bias);
    dreduced = MULTIPLY(dreduced, xla_activation_slope(hlo, op->activation, saved->reduced));
    HloValue dpooled = dense(net, saved->pooled, dreduced, op->weight, op->bias);
    dpooled = xla_times(hlo, dpooled, 1.0 / (double)(x.shape[1] * x.shape[2]));
    HloValue dx =
        ADD(MULTIPLY(gradient, xla_images_channels(hlo, gate, gradient)), xla_images_channels(hlo, dpooled, gradient));
    give_back(net, op->input, dx);
}

static void residual(XlaNetwork *net, const Op *op, HloValue dy) {
    Hlo *hlo = net->hlo;
    HloValue gradient = F32(dy);
    give_back(net, op->input, MULTIPLY(gradient, xla_images(hlo, xla_drop_path_of(net, op), gradient)));
    give_back(net, op->residual, dy);
}

static void pool(XlaNetwork *net, const Op *op, HloValue x, HloValue dy) {
    Hlo *hlo = net->hlo;
    HloValue share = xla_times(hlo, dy, 1.0 / (double)(x.shape[1] * x.shape[2]));
    give_back(net, op->input, xla_images_channels(hlo, share, x));
}

void xla_backward(XlaNetwork *net, HloValue logits_gradient) {
    Hlo *hlo = net->hlo;
    const Network *network = net->network;
    net->gradients[network->ops[network->num_ops - 1].output] = logits_gradient;
    for (int i = network->num_ops - 1; i >= network->first_trainable; i--) {
        const Op *op = &network->ops[i];
        HloValue x = net->tensors[op->input], dy = net->gradients[op->output];
        switch (op->kind) {
        case OP_CONV:
            if (op->kernel == 1)
                convolution_1x1(net, op, x, dy);
            else
                stem(net, op, x, dy);
            break;
        case OP_DEPTHWISE:
            give_back(net, op->input, xla_depthwise_backward(net, op, x, dy));
            break;
        case OP_BATCH_NORM:
            xla_batch_norm_backward(net, op);
            break;
        case OP_SQUEEZE_EXCITE:
            squeeze_excite(net, op, x, dy);
            break;
        case OP_RESIDUAL:
            residual(net, op, dy);
            break;
        case OP_GLOBAL_POOL:
            pool(net, op, x, dy);
            break;
        case OP_DROPOUT:
            give_back(net, op->input, MULTIPLY(dy, net->dropout));
            break;
        case OP_DENSE:
            give_back(net, op->input, dense(net, x, dy, op->weight, op->bias));
            break;
        }
    }
    for (int p = 0; p < network->num_parameters; p++) {
        const HloValue like = net->parameters[p];
        if (!network->parameters[p].trainable)
            net->parameter_gradients[p] = hlo_fill(hlo, XLA_F32, like.rank, like.shape, 0);
    }
}
