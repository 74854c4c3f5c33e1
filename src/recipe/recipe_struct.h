/* recipe_struct.h - the struct of a recipe's values, made from keys.def, and the names of its choices. What is done with
 * one stands in recipe.h. */
#ifndef EFFNET_RECIPE_RECIPE_STRUCT_H
#define EFFNET_RECIPE_RECIPE_STRUCT_H

#include "base/tensor_shape.h"

#include <stdbool.h>
#include <stdint.h>

/* The choices, in the order of their texts in keys.def. */
enum { PADDING_SAME, PADDING_SYMMETRIC };
enum { BN_VARIANCE_BIASED, BN_VARIANCE_UNBIASED };
enum { INIT_EFFNET, INIT_FLAX };
enum { MASKS_EFFNET, MASKS_FLAX };
/* threefry: ThreefryMode of base/random.h */
enum { LOSS_CROSS_ENTROPY, LOSS_BINARY, LOSS_FOCAL };
enum { LOSS_CLASSES_MEAN, LOSS_CLASSES_SUM };
enum { INIT_CONV_NORMAL, INIT_CONV_TRUNCATED_NORMAL };
enum { DEPTHWISE_FAN_TENSORFLOW, DEPTHWISE_FAN_FLAX };
enum { INIT_DENSE_UNIFORM, INIT_DENSE_TRUNCATED_NORMAL, INIT_DENSE_ZEROS };
enum { HEAD_WIDTH_SCALED, HEAD_WIDTH_FIXED };
enum { SE_ROUND_FLOOR, SE_ROUND_EVEN };
enum { BN_SYNC_NONE, BN_SYNC_RUNNING_AVERAGE, BN_SYNC_TPU_GROUPS, BN_SYNC_ALL };
enum { ACCUMULATE_BN_PART, ACCUMULATE_BN_FULL };
enum { OVERSHOOT_CLIP, OVERSHOOT_KEEP };
enum { LEVELS_FRACTIONAL, LEVELS_WHOLE };
enum { SAMPLER_SHUFFLE, SAMPLER_BALANCED };
enum { TRAIN_REMAINDER_DROP, TRAIN_REMAINDER_WRAP };
enum { EVAL_REMAINDER_COUNT, EVAL_REMAINDER_DROP };
enum { TRAIN_CROP_RANDOM_RESIZED, TRAIN_CROP_PAD, TRAIN_CROP_CENTER, TRAIN_CROP_NONE };
enum { VAL_CROP_CENTER, VAL_CROP_NONE, VAL_CROP_RESIZE_SHORTER };
enum { INTERPOLATION_BILINEAR, INTERPOLATION_BICUBIC };
enum { RESIZE_PILLOW, RESIZE_TENSORFLOW, RESIZE_TENSORFLOW1, RESIZE_TORCH };
enum { AA_OPS_TENSORFLOW, AA_OPS_PILLOW };
enum {
    AA_INTERPOLATION_REFERENCE,
    AA_INTERPOLATION_NEAREST,
    AA_INTERPOLATION_BILINEAR,
    AA_INTERPOLATION_BICUBIC,
    AA_INTERPOLATION_RANDOM
};
enum { DECODE_EXACT, DECODE_SCALED };
enum { MIXUP_MODE_BATCH, MIXUP_MODE_ELEM };
enum { REMODE_CONST, REMODE_RAND, REMODE_PIXEL };
enum { BAD_IMAGES_SKIP, BAD_IMAGES_STOP };
enum { OPTIMIZER_RMSPROP, OPTIMIZER_SGD, OPTIMIZER_ADAMW, OPTIMIZER_LARS, OPTIMIZER_LAMB };
enum { DECAY_MODE_L2, DECAY_MODE_DECOUPLED, DECAY_MODE_HALF_L2, DECAY_MODE_UPDATE };
enum { DECAY_MASK_ALL, DECAY_MASK_NO_BN, DECAY_MASK_NO_BN_BIAS, DECAY_MASK_NO_BN_BIAS_DEPTHWISE };
enum { TRUST_MASK_DECAYED, TRUST_MASK_ALL };
enum { TRUST_NORM_SEPARATE, TRUST_NORM_JOINT };
enum { SCHEDULE_STAIRCASE, SCHEDULE_EXPONENTIAL, SCHEDULE_COSINE, SCHEDULE_CONSTANT };
enum { DECAY_BEGIN_START, DECAY_BEGIN_WARMUP, DECAY_BEGIN_TWICE_WARMUP };
enum { MODEL_EMA_START_WEIGHTS, MODEL_EMA_START_ZEROS };
enum { MODEL_EMA_COUNT_AFTER, MODEL_EMA_COUNT_BEFORE };
enum { AMP_NONE, AMP_BF16 };
enum { FUSE_AUTO, FUSE_ALL, FUSE_NONE };

enum { RECIPE_TEXT = 512 }; /* bytes of a string value, terminator included */

/* Rows and columns of a picture; 0, 0: not said. As text "224", which is 224 x 224, or "224x320". */
typedef struct PictureSize {
    int height, width;
} PictureSize;

/* A number for each channel of a picture, the rest 0. */
typedef struct ChannelValues {
    double values[MOST_CHANNELS];
    int64_t count;
} ChannelValues;

typedef struct Recipe {
#define KEY_STRING(key, field, initial, help)                   char field[RECIPE_TEXT];
#define KEY_INTEGER(key, field, initial, least, most, help)     int64_t field;
#define KEY_SIZE(key, field, initial, least, most, help)        PictureSize field;
#define KEY_NUMBER(key, field, initial, least, most, help)      double field;
#define KEY_SWITCH(key, field, initial, help)                   bool field;
#define KEY_CHOICE(key, field, prefix, initial, choices, help)  int field;
#define KEY_PAIR(key, field, d0, d1, least, most, help)         double field[2];
#define KEY_CHANNELS(key, field, d0, d1, d2, least, most, help) ChannelValues field;
#include "recipe/keys.def"
#undef KEY_STRING
#undef KEY_INTEGER
#undef KEY_SIZE
#undef KEY_NUMBER
#undef KEY_SWITCH
#undef KEY_CHOICE
#undef KEY_PAIR
#undef KEY_CHANNELS
    char name[128]; /* of the recipe: its file's name without folder and ending; "default" */
} Recipe;

#endif
