/* augment.h - the operations of AutoAugment and its descendants on a picture of 8-bit levels, as two libraries have
 * them: TensorFlow's official code for EfficientNet (tensorflow/tpu and google/automl, autoaugment.py) and Pillow as
 * timm (data/auto_augment.py) and torchvision call it. The same name means different pixels there: TensorFlow moves
 * pixels to the nearest place where Pillow interpolates, its contrast pulls towards (pixels / 256) instead of the mean
 * level, its posterize keeps at least one bit. Each is followed to the level; docs/data.md has the measured distances.
 * Internal to data/. */
#ifndef EFFNET_DATA_TRANSFORM_AUGMENT_H
#define EFFNET_DATA_TRANSFORM_AUGMENT_H

#include "data/picture/picture.h"

#include <stdbool.h>

typedef enum AugmentKind {
#define OPERATION(suffix, name, argument) AUGMENT_##suffix,
#include "data/transform/augment_operations.def"
#undef OPERATION
    AUGMENT_KINDS
} AugmentKind;

typedef struct AugmentOperation {
    AugmentKind kind;
    double argument;        /* see augment_operations.def */
    int center_y, center_x; /* AUGMENT_CUTOUT: of the square, in pixels */
} AugmentOperation;

typedef enum AugmentSampling { SAMPLING_NEAREST, SAMPLING_BILINEAR, SAMPLING_BICUBIC } AugmentSampling;

/* Whose pixels. */
typedef struct AugmentStyle {
    int reference;            /* recipe.h: AA_OPS_TENSORFLOW or AA_OPS_PILLOW */
    AugmentSampling sampling; /* of rotate, shear and translate; TensorFlow's is nearest whatever stands here */
    uint8_t fill[3];          /* what comes into the picture from outside, and the square of cutout */
} AugmentStyle;

/* Changes the picture in place; picture->pixels and *scratch, both (height, width, 3), may change places. */
void augment_apply(const AugmentOperation *operation, const AugmentStyle *style, Picture *picture, uint8_t **scratch);

const char *augment_name(AugmentKind kind);
bool augment_has_argument(AugmentKind kind);
bool augment_find(const char *name, AugmentKind *out); /* false: no operation is called so */

/* ---- the parts of augment_apply: in place, or from picture to `out` of the same size ---- */

/* augment_levels.c: each channel through a table of 256 levels. */
void augment_auto_contrast(Picture *picture, int reference);
void augment_equalize(Picture *picture);
void augment_invert(Picture *picture);
void augment_posterize(Picture *picture, int bits, int reference);
void augment_solarize(Picture *picture, double threshold, int reference);
void augment_solarize_add(Picture *picture, int addition);

/* augment_blend.c: degenerate + factor * (picture - degenerate), clipped, cut to whole levels. */
void augment_color(Picture *picture, float factor, int reference);
void augment_contrast(Picture *picture, float factor, int reference);
void augment_brightness(Picture *picture, float factor);
void augment_sharpness(const Picture *picture, float factor, int reference, uint8_t *out);

/* augment_affine.c: output (x, y) is the picture at (m0 x + m1 y + m2, m3 x + m4 y + m5). */
void augment_rotate(const Picture *picture, double degrees, const AugmentStyle *style, uint8_t *out);
void augment_affine(const Picture *picture, const double matrix[6], const AugmentStyle *style, uint8_t *out);

/* augment_erase.c */
void augment_cutout(Picture *picture, int center_y, int center_x, int half, const uint8_t fill[3]);

#endif
