/* mirror.h - pictures from right to left. */
#ifndef EFFNET_DATA_TRANSFORM_MIRROR_H
#define EFFNET_DATA_TRANSFORM_MIRROR_H

#include "base/tensor_shape.h"

/* `out`, not `images` itself, becomes images (count, shape) with every row reversed. */
void images_mirror(const float *images, int count, TensorShape shape, float *out);

#endif
