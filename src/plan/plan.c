/* plan.c - see plan.h: the forward passes from the op list, and the backward passes from the forward ones. Where their
 * buffers lie: plan_memory.c. */
#include "plan/plan.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct Planner {
    Plan *plan;
    Operand *operands; /* what each tensor of the network has become */
    int *gradients;    /* buffer of the gradient of each tensor's stored form, -1: none yet */
    int *again;        /* (buffers) the buffer that a tensor is made again in for backward; itself where it is kept */
} Planner;

static const Operand no_operand = {-1, -1, ACTIVATION_NONE};

const char *pass_name(const Pass *pass) {
    static const char *names[] = {"conv",          "depthwise",       "project",          "residual",
                                  "pool",          "dense",           "dense backward",   "pool backward",
                                  "conv backward", "reduce backward", "project backward", "depthwise backward",
                                  "gram",          "expand backward"};
    if (pass->expand < 0) return names[pass->kind];
    return pass->kind == PASS_DEPTHWISE_FORWARD ? "expand depthwise" : "exp. depthwise back";
}

/* ---- building -------------------------------------------------------------------------------------------
 */

/* For a network's tensor, or its gradient. */
static int new_buffer(Plan *plan, const char *prefix, const char *name, int tensor) {
    const Network *network = plan->network;
    Buffer *buffer = &plan->buffers[plan->num_buffers];
    snprintf(buffer->name, sizeof buffer->name, "%s%.50s", prefix, name);
    buffer->shape = network->tensors[tensor];
    bool exact = tensor > 0 && network->ops[tensor - 1].kind == OP_GLOBAL_POOL;
    buffer->value_bytes = exact ? (int)sizeof(float) : plan->options.value_bytes;
    buffer->first = -1;
    return plan->num_buffers++;
}

static Pass *new_pass(Plan *plan, PassKind kind, int op) {
    Pass *pass = &plan->passes[plan->num_passes++];
    *pass = (Pass){.kind = kind,
                   .op = op,
                   .input = no_operand,
                   .raw = -1,
                   .batch_norm = -1,
                   .squeeze_excite = -1,
                   .expand = -1,
                   .expanded = no_operand,
                   .residual_op = -1,
                   .residual = no_operand,
                   .gradient = -1,
                   .gradient_out = -1};
    return pass;
}

/* True where the tensor, its batch norm and gate aside, was made by a depthwise convolution: its 1x1 is a
 * project. */
static bool comes_from_depthwise(const Network *network, const Pass *passes, int num_passes, Operand operand) {
    for (int i = 0; i < num_passes; i++)
        if (passes[i].raw == operand.buffer && passes[i].raw >= 0)
            return network->ops[passes[i].op].kind == OP_DEPTHWISE;
    return false;
}

/* True for a convolution whose output goes through a batch norm into a depthwise convolution, where not storing it
 * pays: it is larger than caches are, and its input narrow enough that the second moments cost little. */
static bool should_fuse(const Plan *plan, int index) {
    const Network *network = plan->network;
    if (plan->options.fuse == PLAN_FUSE_NONE || index + 2 >= network->num_ops) return false;
    const Op *conv = &network->ops[index], *norm = conv + 1, *depthwise = conv + 2;
    if (conv->kernel != 1 || norm->kind != OP_BATCH_NORM || norm->input != conv->output ||
        norm->activation == ACTIVATION_NONE || depthwise->kind != OP_DEPTHWISE || depthwise->input != norm->output)
        return false;
    if (plan->options.training && norm->frozen && network->first_trainable <= index + 2) return false;
    if (plan->options.fuse == PLAN_FUSE_ALL) return true;
    double bytes =
        (double)shape_floats(network->tensors[conv->output]) * plan->options.batch * plan->options.value_bytes;
    return bytes >= (double)plan->options.fuse_bytes &&
           network->tensors[conv->input].channels <= plan->options.fuse_channels;
}

static void plan_forward(Planner *planner) {
    Plan *plan = planner->plan;
    const Network *network = plan->network;
    int squeeze_excite = -1;
    planner->operands[0] = no_operand;
    for (int index = 0; index < network->num_ops; index++) {
        const Op *op = &network->ops[index];
        Operand input = planner->operands[op->input];
        Pass *pass = NULL;
        switch (op->kind) {
        case OP_CONV:
            if (should_fuse(plan, index)) { /* and with it the batch norm and the depthwise convolution that follow */
                const Op *norm = op + 1, *depthwise = op + 2;
                pass = new_pass(plan, PASS_GRAM_FORWARD, index);
                pass->input = input;
                pass->batch_norm = index + 1;
                pass->activation = norm->activation;
                pass = new_pass(plan, PASS_DEPTHWISE_FORWARD, index + 2);
                pass->input = input;
                pass->expand = index;
                pass->expanded = (Operand){-1, index + 1, norm->activation};
                pass->raw = new_buffer(plan, "", depthwise->name, depthwise->output);
                planner->operands[depthwise->output] = (Operand){pass->raw, -1, ACTIVATION_NONE};
                index += 2;
                continue;
            }
            pass = new_pass(plan,
                            comes_from_depthwise(network, plan->passes, plan->num_passes, input) ? PASS_PROJECT_FORWARD
                                                                                                 : PASS_CONV_FORWARD,
                            index);
            pass->squeeze_excite = squeeze_excite;
            squeeze_excite = -1;
            break;
        case OP_DEPTHWISE:
            pass = new_pass(plan, PASS_DEPTHWISE_FORWARD, index);
            break;
        case OP_BATCH_NORM: /* pending on the raw tensor that the pass before wrote */
            plan->passes[plan->num_passes - 1].batch_norm = index;
            plan->passes[plan->num_passes - 1].activation = op->activation;
            planner->operands[op->output] = (Operand){input.buffer, index, op->activation};
            continue;
        case OP_SQUEEZE_EXCITE: /* made by the project that reads it */
            squeeze_excite = index;
            planner->operands[op->output] = input;
            continue;
        case OP_RESIDUAL:
            pass = new_pass(plan, PASS_RESIDUAL_FORWARD, index);
            pass->residual = planner->operands[op->residual];
            break;
        case OP_GLOBAL_POOL:
            pass = new_pass(plan, PASS_POOL_FORWARD, index);
            break;
        case OP_DROPOUT: /* a factor of the pooled features, applied by the pool */
            planner->operands[op->output] = input;
            continue;
        case OP_DENSE:
            pass = new_pass(plan, PASS_DENSE_FORWARD, index);
            break;
        }
        pass->input = input;
        if (op->kind != OP_DENSE) pass->raw = new_buffer(plan, "", op->name, op->output); /* logits are the caller's */
        planner->operands[op->output] = (Operand){pass->raw, -1, ACTIVATION_NONE};
    }
    plan->num_forward = plan->num_passes;
}

/* The gradient buffer of a tensor, made where it is first needed. */
static int gradient_of(Planner *planner, int tensor, const char *name) {
    if (planner->gradients[tensor] < 0) planner->gradients[tensor] = new_buffer(planner->plan, "d ", name, tensor);
    return planner->gradients[tensor];
}

/* The tensor whose stored form `op` reads: through batch norm, squeeze-excite and dropout back to what made
 * it. */
static int stored_tensor(const Network *network, int tensor) {
    for (int i = network->num_ops - 1; i >= 0; i--)
        if (network->ops[i].output == tensor &&
            (network->ops[i].kind == OP_BATCH_NORM || network->ops[i].kind == OP_SQUEEZE_EXCITE ||
             network->ops[i].kind == OP_DROPOUT))
            tensor = network->ops[i].input;
    return tensor;
}

/* A pass of the forward ones once more, into a buffer of its own. */
static void make_again(Planner *planner, int forward) {
    Plan *plan = planner->plan;
    const Pass source = plan->passes[forward];
    const Op *op = &plan->network->ops[source.op];
    Pass *pass = new_pass(plan, source.kind, source.op);
    *pass = source;
    pass->again = true;
    if (pass->input.buffer >= 0) pass->input.buffer = planner->again[pass->input.buffer];
    pass->raw = new_buffer(plan, "again ", op->name, op->output);
    planner->again[source.raw] = pass->raw;
}

/* The wide tensors of the block that ends with the projection `forward`: what its depthwise convolution reads, where
 * that was made by a convolution, and what it writes. */
static void make_block_again(Planner *planner, int forward) {
    const Pass *passes = planner->plan->passes;
    if (forward < 1 || passes[forward - 1].kind != PASS_DEPTHWISE_FORWARD ||
        passes[forward - 1].raw != passes[forward].input.buffer)
        return;
    if (forward > 1 && passes[forward - 2].kind == PASS_CONV_FORWARD &&
        passes[forward - 2].raw == passes[forward - 1].input.buffer)
        make_again(planner, forward - 2);
    make_again(planner, forward - 1);
}

static void plan_backward(Planner *planner) {
    Plan *plan = planner->plan;
    const Network *network = plan->network;
    const int last = network->first_trainable; /* going backward */
    int residual_op = -1;                      /* of the block whose backward passes are being made */
    for (int forward = plan->num_forward - 1; forward >= 0; forward--) {
        const Pass source = plan->passes[forward];
        const Op *op = &network->ops[source.op];
        /* Its own parameters and those before it; those of the batch norm behind it belong to the pass that reads it,
         * or, of a projection, to REDUCE. */
        const bool wanted = last <= source.op;
        if (!wanted && !(source.kind == PASS_PROJECT_FORWARD && last <= source.batch_norm)) break;
        if (source.expand >= 0) op = &network->ops[source.expand]; /* the input is the convolution's */
        int input_tensor = stored_tensor(network, op->input);
        Pass *pass = NULL;
        switch (source.kind) {
        case PASS_DENSE_FORWARD:
            pass = new_pass(plan, PASS_DENSE_BACKWARD, source.op);
            break;
        case PASS_POOL_FORWARD:
            pass = new_pass(plan, PASS_POOL_BACKWARD, source.op);
            break;
        case PASS_CONV_FORWARD:
            pass = new_pass(plan, PASS_CONV_BACKWARD, source.op);
            break;
        case PASS_DEPTHWISE_FORWARD:
            pass = new_pass(plan, PASS_DEPTHWISE_BACKWARD, source.op);
            break;
        case PASS_RESIDUAL_FORWARD: {
            /* x' = p * scale + x: the gradient of x' is also that of x, in place, and scaled that of p. */
            residual_op = source.op;
            int gradient = gradient_of(planner, op->output, op->name);
            planner->gradients[input_tensor] = gradient;
            planner->gradients[stored_tensor(network, op->residual)] = gradient;
            continue;
        }
        case PASS_PROJECT_FORWARD: {
            Pass *reduce = new_pass(plan, PASS_REDUCE_BACKWARD, source.op);
            reduce->raw = source.raw;
            reduce->batch_norm = source.batch_norm;
            reduce->residual_op = residual_op;
            reduce->gradient = gradient_of(planner, op->output, op->name);
            if (!wanted) return;
            if (plan->options.recompute) make_block_again(planner, forward);
            pass = new_pass(plan, PASS_PROJECT_BACKWARD, source.op);
            pass->residual_op = residual_op;
            residual_op = -1;
            break;
        }
        default:
            continue;
        }
        pass->input = source.input;
        if (source.input.buffer >= 0) pass->input.buffer = planner->again[source.input.buffer];
        pass->raw = source.raw < 0 ? -1 : planner->again[source.raw];
        pass->batch_norm = source.batch_norm;
        pass->activation = source.activation;
        pass->squeeze_excite = source.squeeze_excite;
        pass->expand = source.expand;
        pass->expanded = source.expanded;
        const Op *made = &network->ops[source.op];
        if (source.kind != PASS_DENSE_FORWARD) pass->gradient = gradient_of(planner, made->output, made->name);
        if (input_tensor > 0 && !(source.kind == PASS_CONV_FORWARD && last == source.op)) {
            pass->add_residual = planner->gradients[input_tensor] >= 0;
            pass->gradient_out = gradient_of(planner, input_tensor, network->ops[input_tensor - 1].name);
        }
        if (source.expand >= 0) {
            Pass *expand = new_pass(plan, PASS_EXPAND_BACKWARD, source.expand);
            expand->input = pass->input;
            expand->gradient_out = pass->gradient_out;
        }
    }
}

/* Finds the buffer of options.keep; one that is never stored, or stored without its activation, cannot be kept. */
static effnet_status keep_tensor(Planner *planner, effnet_error *err) {
    Plan *plan = planner->plan;
    const int tensor = plan->options.keep;
    plan->kept = no_operand;
    if (!tensor) return EFFNET_OK;
    plan->kept = planner->operands[tensor];
    for (int i = 0; i < plan->num_forward; i++)
        if (plan->passes[i].raw == plan->kept.buffer) plan->kept_pass = i;
    if (plan->passes[plan->kept_pass].raw != plan->kept.buffer || plan->kept.buffer < 0 ||
        plan->kept.activation != ACTIVATION_NONE)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "the values of %s are not stored; a block's output or the pool's are",
                    plan->network->ops[tensor - 1].name);
    return EFFNET_OK;
}

/* A residual's second term may have a batch norm pending, not an activation, whose slope its gradient would want. None of
 * the family has one: of widths up to a quarter, the first block has as many channels as the stem before it. */
static effnet_status check_residuals(const Plan *plan, effnet_error *err) {
    for (int i = 0; i < plan->num_passes; i++)
        if (plan->passes[i].kind == PASS_RESIDUAL_FORWARD && plan->passes[i].residual.activation != ACTIVATION_NONE)
            return fail(
                err, EFFNET_ERROR_UNSUPPORTED,
                "%s adds an activation to its branch, which the engine 'cpu' cannot; use a greater width, or the "
                "engine 'reference'",
                plan->network->ops[plan->passes[i].op].name);
    return EFFNET_OK;
}

effnet_status plan_build(const Network *network, const PlanOptions *options, Plan *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    out->network = network;
    out->options = *options;
    /* Each op makes at most one forward pass, perhaps again, two backward passes and three buffers. */
    const size_t most_buffers = (size_t)network->num_ops * 3 + (size_t)network->num_tensors;
    out->passes = calloc((size_t)network->num_ops * 4 + 1, sizeof *out->passes);
    out->buffers = calloc(most_buffers, sizeof *out->buffers);
    Planner planner = {
        .plan = out,
        .operands = calloc((size_t)network->num_tensors, sizeof *planner.operands),
        .gradients = malloc((size_t)network->num_tensors * sizeof *planner.gradients),
        .again = malloc(most_buffers * sizeof *planner.again),
    };
    effnet_status status = EFFNET_OK;
    if (!out->passes || !out->buffers || !planner.operands || !planner.gradients || !planner.again) {
        status = fail(err, EFFNET_ERROR_MEMORY, "no memory to plan %s", network->config.name);
    } else {
        for (int i = 0; i < network->num_tensors; i++) planner.gradients[i] = -1;
        for (size_t i = 0; i < most_buffers; i++) planner.again[i] = (int)i;
        plan_forward(&planner);
        status = check_residuals(out, err);
        if (status == EFFNET_OK) status = keep_tensor(&planner, err);
        if (options->training) plan_backward(&planner);
        if (status == EFFNET_OK) status = plan_place_buffers(out, err);
    }
    free(planner.operands);
    free(planner.gradients);
    free(planner.again);
    if (status != EFFNET_OK) plan_free(out);
    return status;
}

void plan_free(Plan *plan) {
    if (!plan) return;
    free(plan->passes);
    free(plan->buffers);
    memset(plan, 0, sizeof *plan);
}
