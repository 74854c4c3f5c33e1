/* crop.h - which part of a picture is used. A box may reach over the picture's edges (padding): what lies outside is
 * black. Every random choice is a function of a key and of the fixed indices below. Internal to data/. */
#ifndef EFFNET_DATA_PICTURE_CROP_H
#define EFFNET_DATA_PICTURE_CROP_H

#include "base/random.h"
#include "base/tensor_shape.h"

#include <stdbool.h>

typedef struct Box {
    int top, left, height, width; /* in pixels of the picture; top and left may be negative */
} Box;

/* Which number of a picture's key decides what. */
enum {
    DRAW_FLIP = 0,
    DRAW_PAD_TOP = 1,
    DRAW_PAD_LEFT = 2,
    DRAW_CROP = 8, /* and four a try: area, ratio, top, left */
    DRAW_CROP_EACH = 4,
};

/* Inception's crop as torchvision has it (RandomResizedCrop.get_params): ten tries of an area in `scale` (share of the
 * whole) and a ratio, width over height, log-uniform in `ratio`; then the largest central crop within the ratios. */
Box crop_random_resized(int height, int width, const double scale[2], const double ratio[2], RandomKey key);

/* The picture's largest part with the input's proportions, moved at random by at most `padding` (its place in the
 * picture, where that has other proportions, is random too): torchvision's RandomCrop(size, padding) for pictures of
 * the input's size or proportions. */
Box crop_padded(int height, int width, int padding, TensorShape input, RandomKey key);

/* Of the picture's largest part with the input's proportions `share` of each side, at least 1, in the middle: for a
 * square the central square of side share * the shorter side (TensorFlow's decode_and_center_crop). */
Box crop_center(int height, int width, double share, TensorShape input);

/* The other order, timm's and torchvision's: the picture resized and of that the input's part in the middle (CenterCrop:
 * (whole - side) / 2, halves to the even number). With both of int(input's side / share) alike, s: resized so that the
 * shorter side is s and the longer int(s * longer / shorter) (torchvision's Resize). Else (timm's ResizeKeepRatio) so
 * that one side is its int(side / share) and the other, in proportion and rounded, halves to the even number, at least
 * its own. timm divides by a quotient in doubles; a picture whose side lies exactly between two whole numbers may come
 * out one pixel away there. */
typedef struct ResizedCrop {
    int height, width; /* of the resized picture */
    int top, left;     /* of the input's part in it */
} ResizedCrop;
ResizedCrop crop_of_resized(int height, int width, double share, TensorShape input);

/* What is made of a picture, found once and passed on: the box is resized to the network's input; or, where `resized` says
 * a size, to that, and of it the input's part is taken. */
typedef struct PictureCrop {
    Box box;
    ResizedCrop resized; /* height 0: none */
} PictureCrop;

/* A canvas of at least `side` a side with the picture in its middle, as a box of the picture. */
Box crop_canvas(int height, int width, int side);

bool crop_flips(double probability, RandomKey key);

#endif
