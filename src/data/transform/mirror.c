/* mirror.c - see mirror.h. */
#include "data/transform/mirror.h"

#include <stddef.h>
#include <string.h>

void images_mirror(const float *images, int count, TensorShape shape, float *out) {
    const size_t rows = (size_t)count * (size_t)shape.height, columns = (size_t)shape.width;
    const size_t channels = (size_t)shape.channels;
    for (size_t row = 0; row < rows; row++)
        for (size_t x = 0; x < columns; x++)
            memcpy(out + (row * columns + (columns - 1 - x)) * channels, images + (row * columns + x) * channels,
                   channels * sizeof *out);
}
