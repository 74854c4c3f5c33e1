/* mirror.c - see mirror.h. */
#include "data/transform/mirror.h"

#include <stddef.h>
#include <string.h>

void images_mirror(const float *images, int count, int height, int width, float *out) {
    const size_t rows = (size_t)count * (size_t)height, columns = (size_t)width;
    for (size_t row = 0; row < rows; row++)
        for (size_t x = 0; x < columns; x++)
            memcpy(out + (row * columns + (columns - 1 - x)) * 3, images + (row * columns + x) * 3, 3 * sizeof *out);
}
