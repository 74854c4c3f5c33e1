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

#endif
