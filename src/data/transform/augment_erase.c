/* augment_erase.c - rectangles put over a picture: cutout on levels (DeVries and Taylor, arXiv 1708.04552, as
 * TensorFlow's autoaugment.py has it) and random erasing on the normalised floats (Zhong et al., arXiv 1708.04896, as
 * timm's data/random_erasing.py has it). */
#include "data/transform/augment.h"
#include "data/transform/augment_erase.h"
#include "recipe/recipe.h"

#include <math.h>

static int limited(int n, int most) {
    return n < 0 ? 0 : n > most ? most : n;
}

void augment_cutout(Picture *picture, int center_y, int center_x, int half, const uint8_t fill[3]) {
    int top = limited(center_y - half, picture->height), bottom = limited(center_y + half, picture->height);
    int left = limited(center_x - half, picture->width), right = limited(center_x + half, picture->width);
    for (int y = top; y < bottom; y++) {
        uint8_t *rgb = picture->pixels + 3 * ((size_t)y * (size_t)picture->width + (size_t)left);
        for (int x = left; x < right; x++, rgb += 3)
            for (int c = 0; c < 3; c++) rgb[c] = fill[c];
    }
}

/* ---- random erasing ---- */

enum { DRAW_WHETHER = 0, DRAW_COUNT = 1, DRAW_RECTANGLE = 8, DRAW_EACH_TRY = 4, TRIES = 10, DRAWS_EACH = 64 };

static double draw(RandomKey key, uint64_t index, double low, double high) {
    return low + (high - low) * (double)random_uniform(key, index);
}

static void fill_rectangle(int mode, RandomKey key, TensorShape shape, int top, int left, int height, int width,
                           float *image) {
    uint64_t next = 0;
    const int channels = shape.channels;
    float color[MOST_CHANNELS] = {0}; /* remode const: the mean colour */
    if (mode == REMODE_RAND)
        for (; next < (uint64_t)channels; next++) color[next] = random_normal(key, next);
    for (int y = top; y < top + height; y++) {
        float *pixels = image + (size_t)channels * ((size_t)y * (size_t)shape.width + (size_t)left);
        for (int i = 0; i < channels * width; i++)
            pixels[i] = mode == REMODE_PIXEL ? random_normal(key, next++) : color[i % channels];
    }
}

void augment_erase(const EraseOptions *options, RandomKey key, TensorShape shape, float *image) {
    const double least_area = 0.02, most_area = 1.0 / 3, least_ratio = 0.3;
    if (!((double)random_uniform(key, DRAW_WHETHER) < options->probability)) return;
    int count = 1 + (int)random_below(key, DRAW_COUNT, (uint32_t)options->most);
    for (int i = 0; i < count; i++) {
        uint64_t first = DRAW_RECTANGLE + (uint64_t)DRAWS_EACH * (uint64_t)i;
        for (int attempt = 0; attempt < TRIES; attempt++, first += DRAW_EACH_TRY) {
            double area = draw(key, first, least_area, most_area) * shape.height * shape.width / count;
            double ratio = exp(draw(key, first + 1, log(least_ratio), -log(least_ratio)));
            int height = (int)rint(sqrt(area * ratio)), width = (int)rint(sqrt(area / ratio));
            if (height >= shape.height || width >= shape.width) continue;
            int top = (int)random_below(key, first + 2, (uint32_t)(shape.height - height + 1));
            int left = (int)random_below(key, first + 3, (uint32_t)(shape.width - width + 1));
            fill_rectangle(options->mode, random_fold_in(key, (uint32_t)i), shape, top, left, height, width, image);
            break;
        }
    }
}
