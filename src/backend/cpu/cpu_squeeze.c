/* cpu_squeeze.c - squeeze-excite's two small layers: from the means of an image's channels to its gates, and back. In
 * fp32 whatever the activations are. */
#include "backend/cpu/cpu_project.h"

#include "backend/cpu/small_math.h"

/* out (count, columns) = x (count, depth) * packed + bias (NULL: none), in fp32; `tile` holds count * round_up(depth,
 * 64). */
static void rows_times_matrix(const CpuKernels *kernels, const float *x, int count, int depth, const Packed *packed,
                              int columns, const float *bias, float *tile, float *out) {
    kernels->tile_fill(x, (size_t)depth, count, depth, tile, count);
    kernels->gemm_tile(tile, count, count, depth, packed, columns, out, (size_t)columns, NULL, bias);
}

/* pooled -> reduce -> activation -> expand -> sigmoid = gate, of a group's images. */
void squeeze_forward(const PassRun *run, const Project *project, const Group *group, float *tile) {
    const CpuKernels *kernels = run->engine->exact;
    const Op *op = &run->engine->network->ops[run->pass->squeeze_excite];
    GateState *state = project->gate;
    size_t c = (size_t)state->channels, s = (size_t)state->squeezed, at = (size_t)group->first;
    size_t count = (size_t)group->count;
    float *hidden_sum = state->hidden_sum + at * s, *hidden = state->hidden + at * s, *gate = state->gate + at * c;
    rows_times_matrix(kernels, state->pooled + at * c, group->count, (int)c, state->packed_reduce, (int)s,
                      parameter_data(run, op->bias), tile, hidden_sum);
    for (size_t i = 0; i < count * s; i++) hidden[i] = activate(hidden_sum[i], project->inner);
    rows_times_matrix(kernels, hidden, group->count, (int)s, state->packed_expand, (int)c,
                      parameter_data(run, op->expand_bias), tile, gate);
    kernels->sigmoid(gate, count * c);
}

/* From the gates' gradients (sums over each image of dv * a) to q = d(pooled) / pixels; keeps what the weights need. */
void squeeze_backward(const PassRun *run, const Project *project, const Group *group, const float *gate_sums,
                      float *tile, float *q) {
    const CpuKernels *kernels = run->engine->exact;
    GateState *state = project->gate;
    size_t c = (size_t)state->channels, s = (size_t)state->squeezed, at = (size_t)group->first;
    size_t count = (size_t)group->count;
    const float *gate = state->gate + at * c, *hidden_sum = state->hidden_sum + at * s;
    float *gate_gradient = state->gate_gradient + at * c, *hidden_gradient = state->hidden_gradient + at * s;
    for (size_t i = 0; i < count * c; i++) gate_gradient[i] = gate_sums[i] * gate[i] * (1 - gate[i]);
    rows_times_matrix(kernels, gate_gradient, group->count, (int)c, state->packed_expand_back, (int)s, NULL, tile,
                      hidden_gradient);
    for (size_t i = 0; i < count * s; i++) hidden_gradient[i] *= activation_slope(hidden_sum[i], project->inner);
    rows_times_matrix(kernels, hidden_gradient, group->count, (int)s, state->packed_reduce_back, (int)c, NULL, tile, q);
    for (size_t i = 0; i < count * c; i++) q[i] /= (float)project->pixels;
}
