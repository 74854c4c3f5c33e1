/* xla_network.c - the network's parameters as parts of the run's vectors, and shorthands. */
#include "backend/xla/xla_network.h"

#include <stdlib.h>
#include <string.h>

static HloValue part_of(Hlo *hlo, HloValue vector, const Parameter *part) {
    const int64_t begin = (int64_t)part->offset, end = begin + (int64_t)part->count, step = 1;
    int64_t shape[HLO_RANK] = {0};
    for (int i = 0; i < part->rank; i++) shape[i] = part->shape[i];
    HloValue slice = hlo_slice(hlo, vector, &begin, &end, &step);
    return part->rank == 1 ? slice : hlo_reshape(hlo, slice, part->rank, shape);
}

static HloValue *values(int count) {
    HloValue *made = malloc((size_t)(count > 0 ? count : 1) * sizeof *made);
    for (int i = 0; made && i < count; i++) made[i] = xla_none();
    return made;
}

bool xla_network_begin(XlaNetwork *net, HloValue parameters, HloValue statistics) {
    const Network *network = net->network;
    net->stored = net->spec->bf16 ? XLA_BF16 : XLA_F32;
    net->exact = !net->spec->bf16;
    net->parameters = values(network->num_parameters);
    net->parameter_gradients = values(network->num_parameters);
    net->statistics = values(network->num_statistics);
    net->new_statistics = values(network->num_statistics);
    net->tensors = values(network->num_tensors);
    net->gradients = values(network->num_tensors);
    net->saved = calloc((size_t)network->num_ops, sizeof *net->saved);
    net->drop_path = net->dropout = xla_none();
    if (!net->parameters || !net->parameter_gradients || !net->statistics || !net->new_statistics || !net->tensors ||
        !net->gradients || !net->saved)
        return false;
    for (int i = 0; i < network->num_parameters; i++)
        net->parameters[i] = part_of(net->hlo, parameters, &network->parameters[i]);
    for (int i = 0; i < network->num_statistics; i++)
        net->statistics[i] = net->new_statistics[i] = part_of(net->hlo, statistics, &network->statistics[i]);
    return true;
}

void xla_network_free(XlaNetwork *net) {
    free(net->parameters);
    free(net->parameter_gradients);
    free(net->statistics);
    free(net->new_statistics);
    free(net->tensors);
    free(net->gradients);
    free(net->saved);
}

HloValue xla_join(Hlo *hlo, const HloValue *parts, int count) {
    HloValue *flat = malloc((size_t)count * sizeof *flat);
    if (!flat) return parts[0]; /* the text is wrong then; who has no memory here has none for it either */
    for (int i = 0; i < count; i++) {
        const int64_t elements = hlo_elements(parts[i]);
        flat[i] = parts[i].rank == 1 ? parts[i] : hlo_reshape(hlo, parts[i], 1, &elements);
    }
    HloValue joined = count == 1 ? flat[0] : hlo_concatenate(hlo, flat, count, 0);
    free(flat);
    return joined;
}

HloConvolution xla_plain_convolution(const XlaNetwork *net, const char *dimensions) {
    return (HloConvolution){.dimensions = dimensions,
                            .stride = {1, 1},
                            .lhs_dilate = {1, 1},
                            .rhs_dilate = {1, 1},
                            .feature_groups = 1,
                            .batch_groups = 1,
                            .type = net->stored};
}

void xla_padding(const Network *network, const Op *op, int pad[2][2]) {
    const TensorShape in = network->tensors[op->input], out = network->tensors[op->output];
    pad[0][0] = op->pad_top;
    pad[1][0] = op->pad_left;
    pad[0][1] = (out.height - 1) * op->stride + op->kernel - in.height - op->pad_top;
    pad[1][1] = (out.width - 1) * op->stride + op->kernel - in.width - op->pad_left;
}

HloValue xla_channels(Hlo *hlo, HloValue vector, HloValue like) {
    const int last = like.rank - 1;
    return hlo_broadcast(hlo, vector, like.rank, like.shape, &last);
}

HloValue xla_images(Hlo *hlo, HloValue vector, HloValue like) {
    const int first = 0;
    return hlo_broadcast(hlo, vector, like.rank, like.shape, &first);
}

HloValue xla_images_channels(Hlo *hlo, HloValue matrix, HloValue like) {
    const int both[2] = {0, like.rank - 1};
    return hlo_broadcast(hlo, matrix, like.rank, like.shape, both);
}

HloValue xla_times(Hlo *hlo, HloValue a, double number) {
    return number == 1 ? a : MULTIPLY(a, hlo_fill(hlo, a.type, a.rank, a.shape, number));
}

HloValue xla_plus(Hlo *hlo, HloValue a, double number) {
    return number == 0 ? a : ADD(a, hlo_fill(hlo, a.type, a.rank, a.shape, number));
}

HloValue xla_rate(Hlo *hlo, HloValue rates, int which) {
    const int64_t begin = which, end = which + 1, step = 1;
    return hlo_reshape(hlo, hlo_slice(hlo, rates, &begin, &end, &step), 0, NULL);
}
