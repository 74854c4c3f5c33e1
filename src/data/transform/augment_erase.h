/* augment_erase.h - random erasing of the network's input; internal to data/. */
#ifndef EFFNET_DATA_TRANSFORM_AUGMENT_ERASE_H
#define EFFNET_DATA_TRANSFORM_AUGMENT_ERASE_H

#include "base/random.h"
#include "base/tensor_shape.h"

typedef struct EraseOptions {
    double probability; /* of a picture to be touched at all; 0: never */
    int mode;           /* recipe.h: REMODE_CONST (0 = mean colour), REMODE_RAND (one normal colour), REMODE_PIXEL */
    int most;           /* rectangles: 1 to this many, sharing the area */
} EraseOptions;

/* image (shape), normalised: rectangles of 2 to 33 % of the area, height over width 0.3 to 3.3. Every choice is
 * a function of the key. */
void augment_erase(const EraseOptions *options, RandomKey key, TensorShape shape, float *image);

#endif
