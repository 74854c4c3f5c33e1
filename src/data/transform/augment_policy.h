/* augment_policy.h - which operations a picture gets, and how strong. From the recipe's keys `aa`, `aa_ops`,
 * `aa_interpolation`, `color_jitter` and `grayscale_prob`; internal to data/.
 *
 *   v0                       AutoAugment for ImageNet as EfficientNet used it: one of 25 pairs
 *   randaug-n2-m15           RandAugment as published with EfficientNet (google/automl): n operations of 16, each
 *                            at magnitude m (of 10; more is allowed), every one applied
 *   rand-m9-mstd0.5-inc1     timm's RandAugment: n (2) of 15 operations, each applied with probability p (0.5) at
 *                            magnitude m (10) + a normal deviate * mstd (0; above 100: uniform in 0..m), within
 *                            0..mmax (10); inc1: every operation grows stronger with its magnitude
 *   trivial                  TrivialAugment (wide) as torchvision has it: one of 14 operations, one of 31 strengths
 *
 * An operation is drawn for a place in the sequence from that place's key alone. */
#ifndef EFFNET_DATA_TRANSFORM_AUGMENT_POLICY_H
#define EFFNET_DATA_TRANSFORM_AUGMENT_POLICY_H

#include "base/random.h"
#include "data/transform/augment.h"
#include "recipe/recipe.h"

typedef enum AugmentFamily {
    FAMILY_NONE,
    FAMILY_AUTO_V0,
    FAMILY_RANDAUG,
    FAMILY_RAND_TIMM,
    FAMILY_TRIVIAL
} AugmentFamily;

enum { AUGMENT_MOST_LAYERS = 16 };

typedef struct AugmentPolicy {
    AugmentFamily family;
    int layers;         /* operations a picture; of the two families of RandAugment */
    double magnitude;   /* the same */
    double probability; /* FAMILY_RAND_TIMM from here on: of each operation */
    double deviation;   /* of the magnitude; INFINITY: uniform */
    double most;        /* magnitude's upper bound */
    bool increasing;
    int reference;     /* recipe.h: AA_OPS_... */
    int interpolation; /* recipe.h: AA_INTERPOLATION_... */
    uint8_t fill[3];
    double color_jitter, grayscale;
} AugmentPolicy;

/* From the recipe; an `aa` that cannot be understood is an error that says what is allowed. */
effnet_status augment_policy_from_recipe(const Recipe *recipe, AugmentPolicy *out, effnet_error *err);

/* Whether it changes anything. */
bool augment_policy_is_empty(const AugmentPolicy *policy);

/* Operation `place` of a picture whose shape is (height, width): 0 .. count-1 with count = augment_policy_count. It may
 * be AUGMENT_IDENTITY. */
int augment_policy_count(const AugmentPolicy *policy);
AugmentOperation augment_policy_draw(const AugmentPolicy *policy, int place, int height, int width, RandomKey key,
                                     AugmentStyle *style);

/* The operation at `share` (0 to 1) of its full strength, magnitude 10 or the strongest of TrivialAugment's, as the
 * policy's family has it (no family: as AutoAugment has it); the square of cutout in the middle. */
AugmentOperation augment_policy_operation(const AugmentPolicy *policy, AugmentKind kind, double share, int height,
                                          int width, AugmentStyle *style);

/* All of it: policy, colour jitter, grey. picture->pixels and *scratch may change places. */
void augment_policy_apply(const AugmentPolicy *policy, RandomKey key, Picture *picture, uint8_t **scratch);

#endif
