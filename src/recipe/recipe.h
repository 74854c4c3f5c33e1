/* recipe.h - a training run as data: one struct made from keys.def, read from YAML, changed by key=value,
 * written back whole. An unknown or doubled key, a wrong type or a value out of range is an error that names
 * file, line, key, what is allowed and, for a misspelt key, the nearest one. */
#ifndef EFFNET_RECIPE_RECIPE_H
#define EFFNET_RECIPE_RECIPE_H

#include "base/error.h"

#include <stdio.h>

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
enum { OVERSHOOT_CLIP, OVERSHOOT_KEEP };
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

typedef struct Recipe {
#define KEY_STRING(key, field, initial, help)                  char field[RECIPE_TEXT];
#define KEY_INTEGER(key, field, initial, least, most, help)    int64_t field;
#define KEY_NUMBER(key, field, initial, least, most, help)     double field;
#define KEY_SWITCH(key, field, initial, help)                  bool field;
#define KEY_CHOICE(key, field, prefix, initial, choices, help) int field;
#define KEY_TRIPLE(key, field, d0, d1, d2, least, most, help)  double field[3];
#define KEY_PAIR(key, field, d0, d1, least, most, help)        double field[2];
#include "recipe/keys.def"
#undef KEY_STRING
#undef KEY_INTEGER
#undef KEY_NUMBER
#undef KEY_SWITCH
#undef KEY_CHOICE
#undef KEY_TRIPLE
#undef KEY_PAIR
    char name[128]; /* of the recipe: its file's name without folder and ending; "default" */
} Recipe;

void recipe_defaults(Recipe *recipe);
effnet_status recipe_read(const char *path, Recipe *recipe, effnet_error *err);
/* From text in memory (`name` stands for the file in messages): read_file is this plus reading; fuzzed. */
effnet_status recipe_parse(const char *name, const char *text, size_t size, Recipe *recipe, effnet_error *err);
effnet_status recipe_set(Recipe *recipe, const char *key, const char *value, effnet_error *err);
/* The value of a key as text that recipe_set takes back; an error where `size` bytes do not hold it. */
effnet_status recipe_get(const Recipe *recipe, const char *key, char *buffer, size_t size, effnet_error *err);
/* Contradictions between keys (e.g. batch_size not divisible by replicas * accumulate). Called by read and by train. */
effnet_status recipe_check(const Recipe *recipe, effnet_error *err);
/* Every key with its value, as YAML that recipe_read takes back to the same struct. */
effnet_status recipe_write(const Recipe *recipe, FILE *stream, effnet_error *err);
void recipe_visit_keys(effnet_key_visitor *visit, void *context);

/* The names in class_names, which must be `count`; one block, freed by free(). */
effnet_status recipe_class_names(const Recipe *recipe, int count, char ***out, effnet_error *err);

/* lr, or lr_base * batch_size / lr_base_size where lr is 0. */
double recipe_learning_rate(const Recipe *recipe);
/* What is worth a warning before a run begins, as one sentence; NULL: nothing. */
const char *recipe_warning(const Recipe *recipe);
/* smoothing, or 0 where it is not applied. */
double recipe_smoothing(const Recipe *recipe);
/* What input = (pixel / 255 - mean) / std uses: mean and std, or, where normalize is false, 0 and 1/255, which leave
 * the levels 0..255. */
void recipe_normalisation(const Recipe *recipe, double mean[3], double std[3]);
/* Optimizer steps of an epoch of `pictures` pictures, by train_remainder. */
int64_t recipe_steps_per_epoch(const Recipe *recipe, int64_t pictures);
/* How many of `devices` share the moments of batch norm: 1, or for tpu_groups max(8, devices / 8) above 8 devices (Tan
 * and Le's TpuBatchNormalization), or all. */
int64_t recipe_bn_group(const Recipe *recipe, int64_t devices);
/* Pictures that go forward at once: batch_size / replicas / accumulate. */
int64_t recipe_part(const Recipe *recipe);

#endif
