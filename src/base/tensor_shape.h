/* tensor_shape.h - the shape of one image, or of one image's activations: rows, columns, channels; channels last. What a
 * network takes in is said with it by recipe, card, loader, engine and export alike. */
#ifndef EFFNET_BASE_TENSOR_SHAPE_H
#define EFFNET_BASE_TENSOR_SHAPE_H

#include <stddef.h>

typedef struct TensorShape {
    int height, width, channels;
} TensorShape;

enum { MOST_CHANNELS = 16 }; /* of a network's input */

static inline size_t shape_floats(TensorShape shape) {
    return (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;
}

/* What a side of an input is resized to where `share` of it is cut out afterwards: timm's int(side / crop_pct), at least
 * the side. */
static inline int side_before_crop(int side, double share) {
    const int whole = (int)(side / share);
    return whole < side ? side : whole;
}

#endif
