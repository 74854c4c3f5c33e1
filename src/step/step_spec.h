/* step_spec.h - what a training step computes, as plain numbers: the contract between a run and whatever executes it.
 *
 * train/ makes it from a recipe once; an executor (executor/executor.h) carries it out, on host threads, over several
 * workers or compiled into one program for an accelerator. It knows no recipe, no file and no device, and holds no
 * pointer: two executors given the same spec, state and batches compute the same step. What changes from step to step
 * (learning rate, batch) is an argument of the step.
 *
 * The order of a step:
 *   for each replica, in `accumulate` parts: normalise -> masks -> forward (training) -> loss -> backward
 *   gradient of the batch's mean loss (summed over parts, then over replicas)
 *   -> clip -> weight decay -> optimizer -> averages of weights and statistics
 * The formulas, with their sources, are in optimizer.c, loss.c, masks.c and masks_flax.c beside this file. */
#ifndef EFFNET_STEP_STEP_SPEC_H
#define EFFNET_STEP_STEP_SPEC_H

#include "base/random.h"
#include "base/tensor_shape.h"

#include <stdbool.h>
#include <stdint.h>

/* The choices count as those of the recipe do (recipe/recipe.h); train/ asserts it. */
typedef enum StepOptimizer { STEP_RMSPROP, STEP_SGD, STEP_ADAMW, STEP_LARS, STEP_LAMB } StepOptimizer;
/* UPDATE, lamb alone: added to what the trust ratio scales. */
typedef enum StepDecayMode { STEP_DECAY_L2, STEP_DECAY_DECOUPLED, STEP_DECAY_HALF_L2, STEP_DECAY_UPDATE } StepDecayMode;
/* Which parameters lars and lamb scale; what lars divides by (optimizer_layerwise.c). */
typedef enum StepTrustMask { STEP_TRUST_DECAYED, STEP_TRUST_ALL } StepTrustMask;
typedef enum StepTrustNorm { STEP_TRUST_SEPARATE, STEP_TRUST_JOINT } StepTrustNorm;
typedef enum StepDecayMask {
    STEP_DECAY_ALL,
    STEP_DECAY_NO_BN,
    STEP_DECAY_NO_BN_BIAS,
    STEP_DECAY_NO_BN_BIAS_DEPTHWISE
} StepDecayMask;
/* BINARY: a yes or no for each class by itself (sigmoid); FOCAL: the same, what is right already counting less. */
typedef enum StepLoss { STEP_LOSS_CROSS_ENTROPY, STEP_LOSS_BINARY, STEP_LOSS_FOCAL } StepLoss;
typedef enum StepMasks { STEP_MASKS_EFFNET, STEP_MASKS_FLAX } StepMasks;
/* Whose values batch norm sees in training. RUNNING_AVERAGE: each replica its own; every replica moves the running
 * statistics of the step's beginning once, and the step leaves their mean. GROUPS: the moments of bn_group neighbouring
 * replicas are one. ALL: of every replica. Where not RUNNING_AVERAGE the running statistics move once for each part,
 * by each group in turn. */
typedef enum StepBnSync { STEP_BN_NONE, STEP_BN_RUNNING_AVERAGE, STEP_BN_GROUPS, STEP_BN_ALL } StepBnSync;

typedef struct StepSpec {
    /* the batch: `batch` pictures at most, in `replicas` neighbouring shares of batch / replicas, each share computed
     * in `accumulate` parts (memory, not mathematics, but for batch norm, which sees a part) */
    int batch, replicas, accumulate;
    bool recompute; /* EngineOptions.recompute */
    /* of each channel of pixels that come as bytes: input = (byte / 255 - mean) / std, in fp32 */
    double mean[MOST_CHANNELS], std[MOST_CHANNELS];

    bool bf16; /* activations and their gradients in bfloat16; parameters, statistics, sums and slots in fp32 */
    int fuse;  /* EngineOptions.fuse; of no consequence where nothing is stored by hand */

    StepMasks masks;
    ThreefryMode threefry; /* of STEP_MASKS_FLAX */
    uint64_t seed;

    StepBnSync bn_sync;
    int bn_group; /* replicas that share moments: 1 without STEP_BN_GROUPS and STEP_BN_ALL */

    StepLoss loss;
    double smoothing;                /* label smoothing, 0: none */
    bool loss_sum;                   /* binary, focal: over classes; else their mean */
    double loss_threshold;           /* binary, focal: a target above it is 1, another 0; 0: as it is */
    double focal_gamma, focal_alpha; /* focal; an alpha below 0: none */
    double clip_grad;                /* largest global gradient norm, 0: no clipping */

    StepDecayMode decay_mode;
    StepDecayMask decay_mask;
    double weight_decay;

    StepOptimizer optimizer;
    double momentum;     /* rmsprop, sgd, lars */
    bool nesterov;       /* sgd, lars */
    double alpha, eps;   /* rmsprop: decay of the mean square, eps inside the root; adamw, lamb: outside it */
    bool lr_in_momentum; /* rmsprop, sgd, lars: TensorFlow's order; else PyTorch's */
    double betas[2];     /* adamw, lamb */

    StepTrustMask trust_mask;            /* lars, lamb */
    StepTrustNorm trust_norm;            /* lars */
    double trust_coefficient, trust_eps; /* lars */
    bool trust_in_momentum;              /* lars */
    bool trust_clip;                     /* lars, lamb */
    bool bias_correction;                /* lamb; adamw always has it */

    bool average;              /* keep averages of weights and statistics */
    double average_decay;      /* d */
    bool average_warmup;       /* d is min(average_decay, (1 + n) / (10 + n)) */
    bool average_count_before; /* n does not include the step */
} StepSpec;

#endif
