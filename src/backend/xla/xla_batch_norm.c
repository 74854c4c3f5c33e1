/* xla_batch_norm.c - batch norm with its activation, and the moments that replicas share.
 *
 * Moments in one pass over the input, around the running mean s, which is near the true one:
 *   m1 = mean of (x - s), m2 = mean of (x - s)^2;   mean = s + m1,   variance = m2 - m1^2, not below 0
 * A plain mean of squares loses the variance where the mean is large against it; around s it does not, once s has
 * followed. Backward, with h = (x - mean) * inverse and dz = dy * slope(scale * h + bias) (reference_batch_norm.c):
 *   dbias = sum dz,  dscale = sum dz * h,  dx = scale * inverse * (dz - (dbias + h * dscale) / n)
 * Where replicas share moments, n and the sums of dx's formula are the group's; dscale and dbias of a replica go into
 * its gradient, which is added up with the others' later.
 *
 * Running statistics of several groups move once for each group in turn: after G groups of momentum m
 *   r' = m^G r + (1 - m) sum over g of m^(G-1-g) moment_g
 * to which every replica of group g adds its share. */
#include "backend/xla/xla_network.h"

#include <math.h>

static HloValue normalised(XlaNetwork *net, const Op *op, HloValue *slope_at) {
    Hlo *hlo = net->hlo;
    HloValue x = F32(net->tensors[op->input]);
    const XlaSaved *saved = &net->saved[op - net->network->ops];
    HloValue h = MULTIPLY(SUBTRACT(x, xla_channels(hlo, saved->mean, x)), xla_channels(hlo, saved->inverse, x));
    HloValue scale = net->parameters[op->weight], bias = net->parameters[op->bias];
    *slope_at = ADD(MULTIPLY(h, xla_channels(hlo, scale, h)), xla_channels(hlo, bias, h));
    return h;
}

/* Replicas whose moments are one. */
static int shared_by(const StepSpec *spec) {
    if (spec->bn_sync == STEP_BN_ALL) return spec->replicas;
    return spec->bn_sync == STEP_BN_GROUPS ? spec->bn_group : 1;
}

/* r' of the essay, of one vector. */
static HloValue moved(XlaNetwork *net, HloValue running, HloValue moment) {
    Hlo *hlo = net->hlo;
    const StepSpec *spec = net->spec;
    const double momentum = net->network->config.bn_momentum;
    const int group = shared_by(spec), groups = spec->replicas / group;
    if (groups == 1 || spec->bn_sync == STEP_BN_RUNNING_AVERAGE)
        return ADD(xla_times(hlo, running, momentum), xla_times(hlo, moment, 1 - momentum));
    float shares[1024];
    const int most = spec->replicas < 1024 ? spec->replicas : 1024;
    for (int r = 0; r < most; r++) shares[r] = (float)((1 - momentum) * pow(momentum, groups - 1 - r / group) / group);
    HloValue share = hlo_dynamic_slice(hlo, hlo_floats(hlo, shares, most), hlo_replica(hlo), 1);
    share = hlo_broadcast_scalar(hlo, hlo_reshape(hlo, share, 0, NULL), moment);
    HloValue sum = hlo_all_reduce(hlo, MULTIPLY(share, moment), spec->replicas, spec->replicas);
    return ADD(xla_times(hlo, running, pow(momentum, groups)), sum);
}

static void batch_moments(XlaNetwork *net, const Op *op, HloValue input, HloValue *mean, HloValue *variance) {
    Hlo *hlo = net->hlo;
    const StepSpec *spec = net->spec;
    const int group = shared_by(spec);
    HloValue x = F32(input), shift = net->statistics[op->running_mean];
    HloValue centred = SUBTRACT(x, xla_channels(hlo, shift, x));
    const double count = (double)(x.shape[0] * x.shape[1] * x.shape[2]) * group;
    HloValue first = hlo_all_reduce(hlo, hlo_sum(hlo, centred, OVER_PIXELS), spec->replicas, group);
    HloValue second = hlo_all_reduce(hlo, hlo_sum(hlo, MULTIPLY(centred, centred), OVER_PIXELS), spec->replicas, group);
    first = xla_times(hlo, first, 1 / count);
    second = xla_times(hlo, second, 1 / count);
    *mean = ADD(shift, first);
    HloValue spread = SUBTRACT(second, MULTIPLY(first, first));
    *variance = hlo_binary(hlo, HLO_MAXIMUM, spread, hlo_fill(hlo, XLA_F32, 1, spread.shape, 0));
    const double correction = net->network->config.bn_unbiased && count > 1 ? count / (count - 1) : 1;
    net->new_statistics[op->running_mean] = moved(net, shift, *mean);
    net->new_statistics[op->running_variance] =
        moved(net, net->statistics[op->running_variance], xla_times(hlo, *variance, correction));
}

/* Whether an op reads the tensor at every pixel, so that it is stored. */
static bool is_read(const Network *network, int tensor) {
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->input == tensor && (op->kind == OP_CONV || op->kind == OP_DEPTHWISE || op->kind == OP_SQUEEZE_EXCITE))
            return true;
    }
    return false;
}

void xla_batch_norm_forward(XlaNetwork *net, const Op *op) {
    Hlo *hlo = net->hlo;
    HloValue mean = net->statistics[op->running_mean], variance = net->statistics[op->running_variance], z;
    if (net->training && !op->frozen) batch_moments(net, op, net->tensors[op->input], &mean, &variance);
    XlaSaved *saved = &net->saved[op - net->network->ops];
    saved->mean = mean;
    saved->inverse = hlo_unary(hlo, HLO_RSQRT, xla_plus(hlo, variance, net->network->config.bn_eps));
    normalised(net, op, &z);
    HloValue y = xla_activate(hlo, op->activation, z);
    net->tensors[op->output] = is_read(net->network, op->output) ? hlo_convert(hlo, net->stored, y) : y;
}

void xla_batch_norm_backward(XlaNetwork *net, const Op *op) {
    Hlo *hlo = net->hlo;
    const StepSpec *spec = net->spec;
    const int group = shared_by(spec);
    HloValue z, h = normalised(net, op, &z), dy = F32(net->gradients[op->output]);
    HloValue dz = op->activation == ACTIVATION_NONE ? dy : MULTIPLY(dy, xla_activation_slope(hlo, op->activation, z));
    HloValue dbias = hlo_sum(hlo, dz, OVER_PIXELS), dscale = hlo_sum(hlo, MULTIPLY(dz, h), OVER_PIXELS);
    net->parameter_gradients[op->weight] = dscale;
    net->parameter_gradients[op->bias] = dbias;
    HloValue factor = MULTIPLY(net->parameters[op->weight], net->saved[op - net->network->ops].inverse), inner = dz;
    if (!op->frozen) { /* else mean and variance are constants: no way back through them */
        const double count = (double)(h.shape[0] * h.shape[1] * h.shape[2]) * group;
        HloValue bias_mean = xla_times(hlo, hlo_all_reduce(hlo, dbias, spec->replicas, group), 1 / count);
        HloValue scale_mean = xla_times(hlo, hlo_all_reduce(hlo, dscale, spec->replicas, group), 1 / count);
        inner = SUBTRACT(inner, xla_channels(hlo, bias_mean, dz));
        inner = SUBTRACT(inner, MULTIPLY(h, xla_channels(hlo, scale_mean, h)));
    }
    net->gradients[op->input] = hlo_convert(hlo, net->stored, MULTIPLY(xla_channels(hlo, factor, inner), inner));
}
