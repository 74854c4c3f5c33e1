/* augment_levels.c - operations that map each level of a channel to another: a table of 256 entries is made, from the
 * channel's histogram where the operation asks for one, and applied. Sources: PIL/ImageOps.py and TensorFlow's
 * autoaugment.py, which differ only where a comment says so. */
#include "data/transform/augment.h"
#include "recipe/recipe.h"

#include <string.h>

enum { LEVELS = 256 };

static size_t pixel_count(const Picture *picture) {
    return (size_t)picture->height * (size_t)picture->width;
}

/* counts (3, 256); two sets of counters, so that runs of one level do not wait for their own stores. */
static void count_levels(const Picture *picture, uint32_t counts[3][LEVELS]) {
    uint32_t other[3][LEVELS];
    memset(counts, 0, sizeof other);
    memset(other, 0, sizeof other);
    size_t pixels = pixel_count(picture), i = 0;
    const uint8_t *level = picture->pixels;
    for (; i + 2 <= pixels; i += 2, level += 6) {
        counts[0][level[0]]++;
        counts[1][level[1]]++;
        counts[2][level[2]]++;
        other[0][level[3]]++;
        other[1][level[4]]++;
        other[2][level[5]]++;
    }
    for (; i < pixels; i++, level += 3)
        for (int c = 0; c < 3; c++) counts[c][level[c]]++;
    for (int c = 0; c < 3; c++)
        for (int l = 0; l < LEVELS; l++) counts[c][l] += other[c][l];
}

static void apply_tables(Picture *picture, uint8_t tables[3][LEVELS]) {
    size_t pixels = pixel_count(picture);
    uint8_t *level = picture->pixels;
    for (size_t i = 0; i < pixels; i++, level += 3) {
        level[0] = tables[0][level[0]];
        level[1] = tables[1][level[1]];
        level[2] = tables[2][level[2]];
    }
}

static uint8_t clip_level(int64_t level) {
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

/* The darkest level of a channel becomes 0, the brightest 255. Pillow computes in double, TensorFlow in float. */
static void auto_contrast_table(const uint32_t counts[LEVELS], int reference, uint8_t table[LEVELS]) {
    int low = 0, high = LEVELS - 1;
    while (low < LEVELS - 1 && !counts[low]) low++;
    while (high > 0 && !counts[high]) high--;
    if (high <= low) {
        for (int l = 0; l < LEVELS; l++) table[l] = (uint8_t)l;
        return;
    }
    double wide_scale = 255.0 / (high - low), wide_offset = -low * wide_scale;
    float scale = 255.0f / (float)(high - low), offset = -(float)low * scale;
    for (int l = 0; l < LEVELS; l++) {
        double wide = l * wide_scale + wide_offset;
        float narrow = (float)l * scale + offset;
        table[l] = clip_level((int64_t)(reference == AA_OPS_PILLOW ? wide : (double)narrow));
    }
}

void augment_auto_contrast(Picture *picture, int reference) {
    uint32_t counts[3][LEVELS];
    uint8_t tables[3][LEVELS];
    count_levels(picture, counts);
    for (int c = 0; c < 3; c++) auto_contrast_table(counts[c], reference, tables[c]);
    apply_tables(picture, tables);
}

/* Level l becomes (pixels below l + step / 2) / step in whole numbers, step = (pixels - those of the brightest level
 * there is) / 255; a channel whose step is 0 stays as it is. */
static void equalize_table(const uint32_t counts[LEVELS], size_t pixels, uint8_t table[LEVELS]) {
    int brightest = LEVELS - 1;
    while (brightest > 0 && !counts[brightest]) brightest--;
    int64_t step = ((int64_t)pixels - counts[brightest]) / 255, below = step / 2;
    for (int l = 0; l < LEVELS; l++) {
        table[l] = step ? clip_level(below / step) : (uint8_t)l;
        below += counts[l];
    }
}

void augment_equalize(Picture *picture) {
    uint32_t counts[3][LEVELS];
    uint8_t tables[3][LEVELS];
    count_levels(picture, counts);
    for (int c = 0; c < 3; c++) equalize_table(counts[c], pixel_count(picture), tables[c]);
    apply_tables(picture, tables);
}

void augment_invert(Picture *picture) {
    size_t levels = 3 * pixel_count(picture);
    for (size_t i = 0; i < levels; i++) picture->pixels[i] = (uint8_t)(255 - picture->pixels[i]);
}

/* Pillow's 0 bits are black. TensorFlow shifts right and left by 8 - bits as a byte, where -3 is 253, and its shifts
 * stop at 7: 0 bits are as 1 there, and so are 9 and more. */
void augment_posterize(Picture *picture, int bits, int reference) {
    int dropped = bits >= 8 ? 0 : 8 - bits;
    if (reference == AA_OPS_TENSORFLOW) {
        dropped = (8 - bits) & 255;
        if (dropped > 7) dropped = 7;
    }
    uint8_t mask = (uint8_t)(0xFFu << (dropped < 8 ? dropped : 8));
    size_t levels = 3 * pixel_count(picture);
    for (size_t i = 0; i < levels; i++) picture->pixels[i] &= mask;
}

/* TensorFlow's threshold becomes a byte before it is compared: NumPy 1, which all published runs used, took 256 for 0
 * and 384 for 128 (NumPy 2 refuses), so that policy v0's magnitude 10 inverts everything where timm's does nothing. */
void augment_solarize(Picture *picture, double threshold, int reference) {
    if (reference == AA_OPS_TENSORFLOW) threshold = (int)threshold & 255;
    uint8_t table[LEVELS];
    for (int l = 0; l < LEVELS; l++) table[l] = (uint8_t)(l < threshold ? l : 255 - l);
    size_t levels = 3 * pixel_count(picture);
    for (size_t i = 0; i < levels; i++) picture->pixels[i] = table[picture->pixels[i]];
}

void augment_solarize_add(Picture *picture, int addition) {
    uint8_t table[LEVELS];
    for (int l = 0; l < LEVELS; l++) table[l] = l < 128 ? clip_level(l + (int64_t)addition) : (uint8_t)l;
    size_t levels = 3 * pixel_count(picture);
    for (size_t i = 0; i < levels; i++) picture->pixels[i] = table[picture->pixels[i]];
}
