/* xla_network.h - what the parts of the writer share: a network's tensors, parameters and gradients as values of the
 * text.
 *
 *   xla_forward.c, xla_backward.c   the op list, forwards and backwards
 *   xla_batch_norm.c, xla_depthwise.c   the two ops that are more than a few lines
 *   xla_random.c                    masks
 *   xla_loss.c, xla_optimizer.c     the loss and what becomes of the gradients
 *   xla_program.c                   main
 *
 * The specification of every formula is src/reference/. bf16: pictures, the outputs of convolutions, squeeze-excite and
 * residuals, batch norm's where an op reads it at every pixel, their gradients and the weights of convolutions are
 * rounded; sums, statistics, batch norm's own arithmetic, squeeze-excite's vectors and the classifier are fp32. Unlike
 * the reference engine, which computes depthwise convolutions on the fly, what they read and the gradient that they go
 * back from are rounded too: those are stored here. */
#ifndef EFFNET_BACKEND_XLA_XLA_NETWORK_H
#define EFFNET_BACKEND_XLA_XLA_NETWORK_H

#include "backend/xla/stablehlo.h"

typedef struct XlaSaved {           /* of an op, from forward to backward */
    HloValue mean, inverse;         /* batch norm: (C) */
    HloValue pooled, reduced, gate; /* squeeze-excite: (N, C), (N, R) before its activation, (N, C) */
} XlaSaved;

typedef struct XlaNetwork {
    Hlo *hlo;
    const Network *network;
    const StepSpec *spec;
    const XlaStepOptions *options;
    bool training;
    int64_t images;                /* of a part */
    XlaType stored;                /* what tensors are rounded to */
    bool exact;                    /* products of fp32 are not rounded to less */
    HloValue *parameters;          /* by index: f32, in their shape */
    HloValue *statistics;          /* (C) each: running ones before */
    HloValue *tensors;             /* by index */
    HloValue drop_path;            /* (residuals, N), where training */
    HloValue dropout;              /* (N, features), where training */
    XlaSaved *saved;               /* by op */
    HloValue *gradients;           /* by tensor; id -1: none yet */
    HloValue *parameter_gradients; /* by index: f32, in their shape */
    HloValue *new_statistics;      /* (C) each */
} XlaNetwork;

/* Parts of the flat vectors; `hlo`, `network`, `spec`, `options`, `training` and `images` are set. False: no memory. */
bool xla_network_begin(XlaNetwork *net, HloValue parameters, HloValue statistics);
void xla_network_free(XlaNetwork *net);
/* Tensors of one kind joined to a vector, in order. */
HloValue xla_join(Hlo *hlo, const HloValue *values, int count);

/* pictures (N, H, W, 3), ui8 or f32 -> logits (N, classes), f32. */
HloValue xla_forward(XlaNetwork *net, HloValue pictures);
/* From d loss / d logits, f32, to parameter_gradients. */
void xla_backward(XlaNetwork *net, HloValue logits_gradient);

void xla_batch_norm_forward(XlaNetwork *net, const Op *op);
void xla_batch_norm_backward(XlaNetwork *net, const Op *op);
HloValue xla_depthwise_forward(XlaNetwork *net, const Op *op, HloValue x);
/* Gradient of the input, in fp32 or stored; the weights' into parameter_gradients. */
HloValue xla_depthwise_backward(XlaNetwork *net, const Op *op, HloValue x, HloValue dy);

/* (N): the residual's row of drop_path. */
HloValue xla_drop_path_of(XlaNetwork *net, const Op *op);
/* A convolution of stride, dilations and groups 1 whose result is stored; result and padding are the caller's. */
HloConvolution xla_plain_convolution(const XlaNetwork *net, const char *dimensions);
/* Zeros before and behind the input of an op's window, along height and width. */
void xla_padding(const Network *network, const Op *op, int pad[2][2]);
HloValue xla_activate(Hlo *hlo, Activation activation, HloValue z);
HloValue xla_activation_slope(Hlo *hlo, Activation activation, HloValue z);

/* Masks of one part from its keys (residuals + 1, 2), ui32: drop_path (residuals, N) and dropout (N, features), each
 * value 0 or 1 / keep. first: ui32 scalar, the place of the part's first picture in the whole batch (masks of our own
 * count from there, Flax's from 0). */
void xla_masks(XlaNetwork *net, HloValue keys, HloValue first);

/* What the part's pictures are taught, as step/loss.h has it; id -1 where there is none. */
typedef struct XlaTargets {
    HloValue labels, others, shares; /* (N) */
    HloValue dense;                  /* (N, classes), in place of them */
    HloValue weights;                /* (N) */
} XlaTargets;
/* Sum over the part's pictures of the loss, and its gradient (N, classes) times `scale`; logits (N, classes), f32. */
HloValue xla_loss(XlaNetwork *net, HloValue logits, const XlaTargets *given, double scale, HloValue *gradient);

typedef struct XlaUpdate {
    HloValue parameters, slots[2], averaged_parameters, averaged_statistics; /* in and out; id -1: none */
    HloValue statistics, statistics_before;                                  /* running; statistics: in and out */
    HloValue gradient, decays;                                               /* (parameters): decays: 1 or 0 */
    HloValue scales;                                                         /* (parameters); id -1: 1 everywhere */
    HloValue rates;                                                          /* (XLA_RATES_COUNT) */
    HloValue norm, weight_norm, update_norm;                                 /* out; norm: before clipping */
} XlaUpdate;
/* Clips, decays, steps and averages. Where `well` (a bool scalar made of the loss, by the caller) or the gradient's
 * norm is not finite, everything stays as it was. */
void xla_optimizer(Hlo *hlo, const Network *network, const StepSpec *spec, HloValue well, XlaUpdate *update);
/* LARS and LAMB from the clipped gradient g: the new weights; the slots move. */
HloValue xla_layerwise(Hlo *hlo, const Network *network, const StepSpec *spec, XlaUpdate *update, HloValue g);
/* A number of the step, at each weight, times its scale: the learning rate. rate: one of XLA_RATES. */
HloValue xla_scaled_rate(Hlo *hlo, const XlaUpdate *update, int rate);
/* One of XLA_RATES, as a scalar. */
HloValue xla_rate(Hlo *hlo, HloValue rates, int which);
/* weight_decay, halved where the mode says so, of what decays. */
static inline double xla_weight_decay(const StepSpec *spec) {
    return spec->weight_decay * (spec->decay_mode == STEP_DECAY_HALF_L2 ? 0.5 : 1);
}

/* ---- shorthands ---- */
static inline bool xla_there(HloValue a) {
    return a.id >= 0;
}
static inline HloValue xla_none(void) {
    return (HloValue){.id = -1};
}
/* (C) along the last of the dimensions of `like`; (N) along the first; (N, C) along both. */
HloValue xla_channels(Hlo *hlo, HloValue vector, HloValue like);
HloValue xla_images(Hlo *hlo, HloValue vector, HloValue like);
HloValue xla_images_channels(Hlo *hlo, HloValue matrix, HloValue like);
/* a * number, a + number. */
HloValue xla_times(Hlo *hlo, HloValue a, double number);
HloValue xla_plus(Hlo *hlo, HloValue a, double number);

#define ADD(a, b)      hlo_binary(hlo, HLO_ADD, a, b)
#define SUBTRACT(a, b) hlo_binary(hlo, HLO_SUBTRACT, a, b)
#define MULTIPLY(a, b) hlo_binary(hlo, HLO_MULTIPLY, a, b)
#define DIVIDE(a, b)   hlo_binary(hlo, HLO_DIVIDE, a, b)
#define F32(a)         hlo_convert(hlo, XLA_F32, a)

enum { OVER_PIXELS = 0x7, OVER_MAP = 0x6 }; /* dimensions (N, H, W) and (H, W) of (N, H, W, C) */

#endif
