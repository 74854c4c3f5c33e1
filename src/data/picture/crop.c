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

/* `own`, or what is left of it beside all of `other` in the proportion own_input : other_input. Products are exact in
 * doubles, so that the same proportions, a square's above all, lose nothing. */
static double fitting(int own, int other, int own_input, int other_input) {
    return fmin(own, (double)other * own_input / other_input);
}

/* `share` of each side of the largest part with the input's proportions; its place is 0, 0. */
static Box part_like(int height, int width, double share, TensorShape input) {
    return (Box){.height = at_least_1((int)(share * fitting(height, width, input.height, input.width))),
                 .width = at_least_1((int)(share * fitting(width, height, input.width, input.height)))};
}

Box crop_padded(int height, int width, int padding, TensorShape input, RandomKey key) {
    Box box = part_like(height, width, 1, input);
    uint32_t rows = (uint32_t)(height - box.height + 2 * padding + 1),
             columns = (uint32_t)(width - box.width + 2 * padding + 1);
    box.top = (int)random_below(key, DRAW_PAD_TOP, rows) - padding;
    box.left = (int)random_below(key, DRAW_PAD_LEFT, columns) - padding;
    return box;
}

Box crop_center(int height, int width, double share, TensorShape input) {
    Box box = part_like(height, width, share, input);
    box.top = (height - box.height + 1) / 2;
    box.left = (width - box.width + 1) / 2;
    return box;
}

/* a * b / c, rounded, halves to the even number. */
static int rounded_quotient(int64_t a, int64_t b, int64_t c) {
    int64_t whole = a * b / c, twice_rest = 2 * (a * b % c);
    return (int)(whole + (twice_rest > c || (twice_rest == c && whole % 2)));
}

ResizedCrop crop_of_resized(int height, int width, double share, TensorShape input) {
    const int down = side_before_crop(input.height, share), across = side_before_crop(input.width, share);
    ResizedCrop made;
    if (down == across) {
        const int shorter = height < width ? height : width;
        made.height = (int)((int64_t)down * height / shorter);
        made.width = (int)((int64_t)down * width / shorter);
    } else {
        const int rows = rounded_quotient(height, across, width), columns = rounded_quotient(width, down, height);
        made.height = rows > down ? rows : down; /* the larger of both scales */
        made.width = columns > across ? columns : across;
    }
    made.top = rounded((made.height - input.height) / 2.0);
    made.left = rounded((made.width - input.width) / 2.0);
    return made;
}

Box crop_canvas(int height, int width, int side) {
    int canvas_height = height < side ? side : height, canvas_width = width < side ? side : width;
    return (Box){-((canvas_height - height) / 2), -((canvas_width - width) / 2), canvas_height, canvas_width};
}

bool crop_flips(double probability, RandomKey key) {
    return (double)random_uniform(key, DRAW_FLIP) < probability;
}
