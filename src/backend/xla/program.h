/* program.h - a network's training step or inference as the text of a StableHLO module, with a description of what goes
 * in and comes out: what the writer (xla_*.c, stablehlo.c) makes and the client (pjrt.c, executor_xla.c) compiles and
 * feeds. The writer knows no plugin, the client knows no network.
 *
 * State is passed as the run keeps it (step/state.h): one fp32 vector each for parameters, statistics, both slots and
 * both averages, in the network's order and timm's layouts; each gives its memory to the result of the same role
 * (tf.aliasing_output), so that a step's results are the next step's arguments and nothing is copied. The program
 * slices its tensors out of the vectors and joins the gradients to one vector, so the optimizer is one loop there too.
 */
#ifndef EFFNET_BACKEND_XLA_PROGRAM_H
#define EFFNET_BACKEND_XLA_PROGRAM_H

#include "base/error.h"
#include "model/network.h"
#include "step/step_spec.h"

typedef enum XlaRole {
    /* state: argument and result; f32 vectors */
    XLA_PARAMETERS,
    XLA_STATISTICS,
    XLA_SLOT_0,
    XLA_SLOT_1,
    XLA_AVERAGED_PARAMETERS,
    XLA_AVERAGED_STATISTICS,
    /* arguments of a step */
    XLA_PICTURES,  /* ui8 or f32 (share, H, W, 3), the replica's share of the batch */
    XLA_LABELS,    /* i32 (share) */
    XLA_OTHERS,    /* i32 (share): second labels (Mixup, CutMix), only where asked for */
    XLA_SHARES,    /* f32 (share): what the first label has of the target, with XLA_OTHERS */
    XLA_TARGETS,   /* f32 (share, classes), 0 to 1: in place of labels, only where asked for */
    XLA_WEIGHTS,   /* f32 (share): what each picture counts in the loss, only where asked for */
    XLA_MASK_KEYS, /* ui32 (accumulate, residuals + 1, 2): a Threefry key for each drop path and, last, the dropout */
    XLA_RATES,     /* f32 (XLA_RATES_COUNT): what changes from step to step */
    XLA_DECAYS,    /* f32 vector: 1 for a weight that decays, else 0; the same at every step */
    XLA_SCALES,    /* f32 vector: lr_scale of each weight, 0 of frozen ones; only where xla_has_scales */
    /* results of a step */
    XLA_LOSS,          /* f32 scalar: mean over the whole batch */
    XLA_GRADIENT_NORM, /* f32 scalar: before clipping */
    XLA_WEIGHT_NORM,   /* f32 scalars: of the new weights that are trained, and of what the step moved them by */
    XLA_UPDATE_NORM,
    /* result of inference */
    XLA_LOGITS, /* f32 (N, classes) */
} XlaRole;

/* Places in XLA_RATES, as step/rates.h has them. */
enum {
    XLA_RATE_LEARNING,
    XLA_RATE_AVERAGE, /* 1 - d of the averages */
    XLA_RATE_ADAM,    /* adamw: lr / (1 - b1^t) */
    XLA_RATE_ROOT,    /* adamw, lamb: 1 / sqrt(1 - b2^t) */
    XLA_RATE_FIRST,   /* lamb: 1 / (1 - b1^t) */
    XLA_RATES_COUNT
};

typedef enum XlaType { XLA_F32, XLA_BF16, XLA_I32, XLA_U32, XLA_U8, XLA_BOOL } XlaType;

typedef struct XlaValue { /* an argument or a result of main, in order */
    XlaRole role;
    XlaType type;
    int rank;
    int64_t shape[4];
    int alias; /* of an argument: the result that takes over its memory, or -1 */
} XlaValue;

enum { XLA_MOST_VALUES = 16 };

typedef struct XlaProgram {
    char *text; /* the module, NUL-terminated; owned */
    size_t bytes;
    int replicas; /* the module's mhlo.num_replicas; each is run with arguments of its own */
    XlaValue arguments[XLA_MOST_VALUES], results[XLA_MOST_VALUES];
    int num_arguments, num_results;
} XlaProgram;

/* Depthwise convolutions that are written as sums of shifted maps instead of grouped convolutions (xla_depthwise.c). */
enum {
    XLA_SHIFT_FORWARD = 1,
    XLA_SHIFT_BACK = 2,         /* the gradient of the input, at stride 1 */
    XLA_SHIFT_BACK_STRIDED = 4, /* and at stride 2 */
    XLA_SHIFT_WEIGHTS = 8,      /* the gradient of the kernel */
};

struct Nvrtc;

typedef struct XlaStepOptions {
    bool bytes;        /* pictures come as ui8 */
    bool soft_targets; /* others and shares are arguments */
    bool dense;        /* targets are, in place of labels */
    bool weighted;     /* weights are */
    unsigned shifts;   /* XLA_SHIFT_...; of inference the first alone */
    /* Compiles kernels of our own for depthwise convolutions, for a program that an NVIDIA GPU runs; NULL: they are the
     * compiler's. Where one fails, the program is written without it and *kernel_error says why. */
    struct Nvrtc *kernels;
    effnet_error *kernel_error;
} XlaStepOptions;

/* Whether a parameter is frozen or has a learning rate of its own. */
bool xla_has_scales(const Network *network);
/* The whole training step of `spec` on batches of exactly spec->batch pictures. */
effnet_status xla_write_step(const Network *network, const StepSpec *spec, const XlaStepOptions *options,
                             XlaProgram *out, effnet_error *err);
/* Inference on `batch` pictures (running statistics, no masks): parameters, statistics, pictures -> logits. spec's
 * mean, std and bf16 are looked at. */
effnet_status xla_write_inference(const Network *network, const StepSpec *spec, int batch,
                                  const XlaStepOptions *options, XlaProgram *out, effnet_error *err);
/* What an executor that only evaluates keeps on the device: parameters and statistics, as arguments of no program. */
void xla_describe_weights(const Network *network, XlaProgram *out);
/* Into a file, below comments that say what goes in and comes out; what: "Inference". */
effnet_status xla_program_write(const char *path, const Network *network, const XlaProgram *program, const char *what,
                                effnet_error *err);
void xla_program_free(XlaProgram *program);

#endif
