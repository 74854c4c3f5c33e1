/* plan_work.c - what a pass must cost: its multiplications and additions, and each large tensor read or written once.
 * Elementwise arithmetic and weights are left out, so both are lower bounds: the roofline that a profile compares
 * with. */
#include "plan/plan.h"

static double buffer_bytes(const Plan *plan, int buffer) {
    return buffer < 0 ? 0
                      : (double)shape_floats(plan->buffers[buffer].shape) * plan->options.batch *
                            plan->buffers[buffer].value_bytes;
}

/* Multiply-accumulates of the op's forward pass over the batch. */
static double forward_macs(const Plan *plan, const Op *op) {
    TensorShape in = plan->network->tensors[op->input], out = plan->network->tensors[op->output];
    double outputs = (double)shape_floats(out) * plan->options.batch;
    switch (op->kind) {
    case OP_CONV:
        return outputs * in.channels * op->kernel * op->kernel;
    case OP_DEPTHWISE:
        return outputs * op->kernel * op->kernel;
    case OP_DENSE:
        return outputs * in.channels;
    default:
        return 0;
    }
}

void pass_work(const Plan *plan, const Pass *pass, double *operations, double *bytes) {
    double macs = forward_macs(plan, &plan->network->ops[pass->op]);
    double expand = pass->expand < 0 ? 0 : forward_macs(plan, &plan->network->ops[pass->expand]);
    double input = pass->input.buffer < 0 && pass->op == 0
                       ? (double)shape_floats(plan->network->tensors[0]) * plan->options.batch * sizeof(float)
                       : buffer_bytes(plan, pass->input.buffer);
    double raw = buffer_bytes(plan, pass->raw), gradient = buffer_bytes(plan, pass->gradient);
    double gradient_out = buffer_bytes(plan, pass->gradient_out);
    bool backward = pass - plan->passes >= plan->num_forward && !pass->again;
    if (!backward) {
        double channels = plan->network->tensors[plan->network->ops[pass->op].input].channels;
        if (pass->kind == PASS_GRAM_FORWARD)
            macs = input / plan->options.value_bytes * channels; /* every pair of channels */
        *operations = 2 * (macs + expand);
        *bytes = input + raw + buffer_bytes(plan, pass->residual.buffer);
    } else if (pass->kind == PASS_REDUCE_BACKWARD) {
        *operations = 0;
        *bytes = raw + gradient;
    } else if (pass->kind == PASS_EXPAND_BACKWARD) {
        *operations =
            2 * input / plan->options.value_bytes * plan->network->tensors[plan->network->ops[pass->op].input].channels;
        *bytes = input + 2 * gradient_out;
    } else { /* the weights' gradient, and the data's where there is one */
        *operations = 2 * macs * (pass->gradient_out >= 0 ? 2 : 1) + 3 * 2 * expand;
        *bytes = input + raw + gradient + gradient_out * (pass->add_residual ? 2 : 1);
    }
}
