/* crop.c - see crop.h. */
#include "data/picture/crop.h"

#include <math.h>

enum { TRIES = 10 };

static double draw(RandomKey key, uint64_t index, double low, double high) {
    return low + (high - low) * (double)random_uniform(key, index);
}

/* Rounds halves to even, as Python's round. */
static int rounded(double x) {
    return (int)rint(x);
}

static int at_least_1(int n) {
    return n < 1 ? 1 : n;
}

static Box centered(int height, int width, int box_height, int box_width) {
    return (Box){(height - box_height) / 2, (width - box_width) / 2, box_height, box_width};
}

Box crop_random_resized(int height, int width, const double scale[2], const double ratio[2], RandomKey key) {
    double area = (double)height * (double)width;
    for (uint64_t attempt = 0; attempt < TRIES; attempt++) {
        uint64_t first = DRAW_CROP + DRAW_CROP_EACH * attempt;
        double wanted = area * draw(key, first, scale[0], scale[1]);
        double aspect = exp(draw(key, first + 1, log(ratio[0]), log(ratio[1])));
        double across = rint(sqrt(wanted * aspect)), down = rint(sqrt(wanted / aspect));
        if (!(across >= 1 && across <= width && down >= 1 && down <= height)) continue;
        Box box = {.height = (int)down, .width = (int)across};
        box.top = (int)random_below(key, first + 2, (uint32_t)(height - box.height + 1));
        box.left = (int)random_below(key, first + 3, (uint32_t)(width - box.width + 1));
        return box;
    }
    double own = (double)width / (double)height;
    if (own < ratio[0]) return centered(height, width, at_least_1(rounded(width / ratio[0])), width);
    if (own > ratio[1]) return centered(height, width, height, at_least_1(rounded(height * ratio[1])));
    return (Box){0, 0, height, width};
}

Box crop_padded(int height, int width, int padding, RandomKey key) {
    int side = height < width ? height : width;
    uint32_t rows = (uint32_t)(height - side + 2 * padding + 1), columns = (uint32_t)(width - side + 2 * padding + 1);
    return (Box){.top = (int)random_below(key, DRAW_PAD_TOP, rows) - padding,
                 .left = (int)random_below(key, DRAW_PAD_LEFT, columns) - padding,
                 .height = side,
                 .width = side};
}

Box crop_center(int height, int width, double share) {
    int shorter = height < width ? height : width;
    int side = at_least_1((int)(share * shorter));
    return (Box){(height - side + 1) / 2, (width - side + 1) / 2, side, side};
}

ResizedCrop crop_of_resized(int height, int width, int side, double share) {
    int shorter = (int)(side / share), from = height < width ? height : width;
    if (shorter < side) shorter = side;
    ResizedCrop made = {.height = (int)((int64_t)shorter * height / from),
                        .width = (int)((int64_t)shorter * width / from)};
    made.top = rounded((made.height - side) / 2.0);
    made.left = rounded((made.width - side) / 2.0);
    return made;
}

Box crop_canvas(int height, int width, int side) {
    int canvas_height = height < side ? side : height, canvas_width = width < side ? side : width;
    return (Box){-((canvas_height - height) / 2), -((canvas_width - width) / 2), canvas_height, canvas_width};
}

bool crop_flips(double probability, RandomKey key) {
    return (double)random_uniform(key, DRAW_FLIP) < probability;
}
