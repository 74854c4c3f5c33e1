/* resize_axis.h - along one side of a picture: which source pixels make an output pixel, with what weights; as Pillow,
 * TensorFlow, TensorFlow 1 and PyTorch have it (recipe key `resize`). Internal to data/. */
#ifndef EFFNET_DATA_TRANSFORM_RESIZE_AXIS_H
#define EFFNET_DATA_TRANSFORM_RESIZE_AXIS_H

#include "base/error.h"

typedef struct ResizeKind {
    int method;        /* RESIZE_PILLOW, ... of recipe.h */
    int interpolation; /* INTERPOLATION_BILINEAR or INTERPOLATION_BICUBIC */
} ResizeKind;

/* The source of an axis: it begins `start` (0 to 1) behind the first of `pixels` pixels and is `extent` of them long.
 * But for Pillow's way it is all of them: 0, pixels. What is made of it may be a part only: output positions `offset`
 * and on of `whole`; whole 0: all. */
typedef struct ResizeSpan {
    double start, extent;
    int pixels;
    int whole, offset;
} ResizeSpan;

/* For each output position: its first source position, how many, and their weights, `taps` apart. The first positions
 * never go back from one output position to the next (where the axis is not reversed). */
typedef struct ResizeAxis {
    int taps;
    int *first, *count;
    float *weights;
} ResizeAxis;

/* The most source positions that one output position needs. */
int resize_axis_taps(ResizeSpan source, int output, ResizeKind kind);
/* Fills first, count (output each) and weights (output * taps); reversed: output position 0 is the last. */
void resize_axis_fill(ResizeAxis *axis, ResizeSpan source, int output, ResizeKind kind, bool reversed);

#endif
