/* plan.h - the op list compiled into passes over memory and the buffers they use.
 *
 * A pass reads large tensors once and writes one. Batch norm, activation and the squeeze-excite gate never
 * get a pass of their own: a convolution's raw output is stored, and whoever reads it applies what is pending
 * (an Operand says what). In the same way a gradient is stored before its batch norm's backward formula,
 * which its reader applies.
 *
 *   forward                                       backward, in reverse
 *   CONV       x -> raw y, moments                DENSE, POOL
 *   DEPTHWISE  y -> raw u, moments                CONV       dz_y, y, x -> dW, dx (+ the residual's gradient)
 *   PROJECT    u -> gate -> raw p, moments        DEPTHWISE  dz_u, u, y -> dW, dz_y and its sums
 *   RESIDUAL   p, x -> x'                         PROJECT    g, p, u -> dW, SE gradients, dz_u and its sums
 *   POOL, DENSE                                   REDUCE     g, p -> the sums of p's batch norm
 *
 * An expand convolution whose output is large is not stored at all (fused): its batch norm's statistics follow from its
 * input's second moments (GRAM), DEPTHWISE computes the rows it needs of it on the fly, forward and backward, and
 * EXPAND finishes the gradient of its input. The algebra: docs/maths.md.
 *
 *   GRAM       x -> moments of y = x W            EXPAND     x, what DEPTHWISE left of dx -> dx
 *
 * Backward passes end at the first op that is trained (network->first_trainable): what lies before it has forward passes
 * alone, and its tensors live no longer than these need them. An expand convolution whose batch norm is frozen but whose
 * gradient is wanted is stored: GRAM's algebra is that of the batch's own moments.
 *
 * where dz_t is the gradient of the batch norm's output of the raw tensor t, before its activation.
 *
 * With `recompute` a block's wide tensors, y and u, live no longer than its forward passes, and are made again from the
 * block's input before its backward passes, by the same passes with the moments that are known by then: the same bits,
 * and of all blocks' wide tensors one block's in memory at a time.
 *
 * Each buffer has a first and a last pass; buffers whose lives do not meet share memory. The plan knows no
 * processor and no thread. */
#ifndef EFFNET_PLAN_PLAN_H
#define EFFNET_PLAN_PLAN_H

#include "model/network.h"

#include <stdio.h>

typedef enum PassKind {
    PASS_CONV_FORWARD,
    PASS_DEPTHWISE_FORWARD,
    PASS_PROJECT_FORWARD,
    PASS_RESIDUAL_FORWARD,
    PASS_POOL_FORWARD,
    PASS_DENSE_FORWARD,
    PASS_DENSE_BACKWARD,
    PASS_POOL_BACKWARD,
    PASS_CONV_BACKWARD,
    PASS_REDUCE_BACKWARD,
    PASS_PROJECT_BACKWARD,
    PASS_DEPTHWISE_BACKWARD,
    PASS_GRAM_FORWARD,
    PASS_EXPAND_BACKWARD,
} PassKind;

/* Which expand convolutions are not stored. */
typedef enum PlanFuse { PLAN_FUSE_AUTO, PLAN_FUSE_ALL, PLAN_FUSE_NONE } PlanFuse;

/* A stored tensor and what its reader must still apply: activation(batch_norm(buffer)) * gate. */
typedef struct Operand {
    int buffer;     /* -1: the input pictures */
    int batch_norm; /* op index, -1: none, the buffer holds the value itself */
    Activation activation;
} Operand;

typedef struct Pass {
    PassKind kind;
    int op;                /* of the network: convolution, depthwise, residual, pool, dense */
    Operand input;         /* what the forward op reads */
    int raw;               /* buffer: the op's raw output (convolutions), the residual's or pool's output */
    int batch_norm;        /* op index of the batch norm that follows `raw`, -1: none */
    Activation activation; /* and of that batch norm */
    int squeeze_excite;    /* PROJECT: op index, -1: none */
    int expand;            /* DEPTHWISE: the convolution (op) that makes its input on the fly from `input`; -1 */
    Operand expanded;      /* DEPTHWISE: what is applied to the rows so made; buffer -1 */
    int residual_op;       /* PROJECT_BACKWARD, REDUCE_BACKWARD: the residual that scales the gradient by drop path,
                              -1 */
    Operand residual;      /* RESIDUAL_FORWARD: the tensor added */
    int gradient;          /* backward: the gradient read */
    int gradient_out;      /* backward: the gradient written; -1: none needed (the input pictures') */
    bool again;            /* CONV_FORWARD, DEPTHWISE_FORWARD among the backward passes: `raw` is made once more, its
                              moments are known */
    bool add_residual;     /* CONV_BACKWARD, DEPTHWISE_BACKWARD: gradient_out already holds the skip's gradient:
                              add */
} Pass;

typedef struct Buffer {
    char name[64];
    TensorShape shape; /* an image */
    int value_bytes;   /* the plan's, or 4: the pooled features and their gradient stay fp32 */
    int first, last;   /* passes that write it first and read it last */
    size_t offset;     /* bytes from the arena's start, for the whole batch */
} Buffer;

typedef struct PlanOptions {
    int batch;
    bool training;
    bool recompute; /* of training: wide tensors are made again in backward instead of kept */
    PlanFuse fuse;
    /* PLAN_FUSE_AUTO: the least bytes of the tensor that is not stored (of the whole batch), and the most channels of
     * the convolution's input, for which making it anew is faster than reading it; a matter of the processor's caches. */
    size_t fuse_bytes;
    int fuse_channels;
    int value_bytes; /* of stored activations and gradients: 4 (fp32) or 2 (bf16) */
    int keep;        /* tensor whose buffer lives to the end of the forward passes; 0: none */
} PlanOptions;

typedef struct Plan {
    const Network *network;
    PlanOptions options;
    Pass *passes;
    int num_passes, num_forward; /* the backward passes follow the forward ones */
    Buffer *buffers;
    int num_buffers;
    size_t arena_bytes;
    Operand kept;  /* what options.keep has become */
    int kept_pass; /* the pass that writes it */
} Plan;

/* `network` must outlive the plan. */
effnet_status plan_build(const Network *network, const PlanOptions *options, Plan *out, effnet_error *err);
void plan_free(Plan *plan);
/* For plan_build, last: the lives of the buffers from the passes, and their places in the arena. */
effnet_status plan_place_buffers(Plan *plan, effnet_error *err);
const char *pass_name(const Pass *pass);
/* What one run of the pass over the plan's batch costs: multiplications and additions of its matrix products and
 * convolutions, and the bytes of each large tensor read or written once. */
void pass_work(const Plan *plan, const Pass *pass, double *operations, double *bytes);

#endif
