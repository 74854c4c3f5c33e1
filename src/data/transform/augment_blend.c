/* augment_blend.c - operations that mix a picture with a degenerate of itself (Haeberli and Voorhies, "Image processing
 * by interpolation and extrapolation", 1994): degenerate + factor * (level - degenerate) in float, clipped to 0..255,
 * the rest behind the point cut off, in Pillow (libImaging/Blend.c) as in TensorFlow. What differs is the degenerate:
 * the weights of grey, and for contrast the mean grey (Pillow) or a 256th of the number of pixels, at most 255
 * (TensorFlow, whose code sums the histogram's counts without the levels). */
#include "data/transform/augment.h"
#include "recipe/recipe.h"

#include <string.h>

static inline uint8_t blend_level(float degenerate, float level, float factor) {
    float mixed = degenerate + factor * (level - degenerate);
    mixed = mixed > 0 ? mixed : 0;
    mixed = mixed < 255 ? mixed : 255;
    return (uint8_t)(int)mixed;
}

static void blend_with_one(uint8_t *restrict levels, size_t count, float degenerate, float factor) {
    for (size_t i = 0; i < count; i++) levels[i] = blend_level(degenerate, levels[i], factor);
}

/* ITU-R 601 luma. Pillow: 16-bit fixed point, rounded (Convert.c). TensorFlow: rgb_to_grayscale in floats of 0..1, then
 * times 255.5, cut off. */
static inline uint8_t grey_pillow(const uint8_t *rgb) {
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static inline uint8_t grey_tensorflow(const uint8_t *rgb) {
    const float unit = 1.0f / 255.0f;
    float grey = (float)rgb[0] * unit * 0.2989f + (float)rgb[1] * unit * 0.587f + (float)rgb[2] * unit * 0.114f;
    return (uint8_t)(int)(grey * 255.5f);
}

void augment_color(Picture *picture, float factor, int reference) {
    if (factor == 1) return;
    size_t pixels = (size_t)picture->height * (size_t)picture->width;
    uint8_t *rgb = picture->pixels;
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        float grey = reference == AA_OPS_PILLOW ? grey_pillow(rgb) : grey_tensorflow(rgb);
        for (int c = 0; c < 3; c++) rgb[c] = blend_level(grey, rgb[c], factor);
    }
}

static int mean_grey(const Picture *picture) {
    size_t pixels = (size_t)picture->height * (size_t)picture->width;
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += grey_pillow(picture->pixels + 3 * i);
    return (int)((double)sum / (double)pixels + 0.5);
}

void augment_contrast(Picture *picture, float factor, int reference) {
    if (factor == 1) return;
    size_t pixels = (size_t)picture->height * (size_t)picture->width;
    int grey = reference == AA_OPS_PILLOW ? mean_grey(picture) : (int)(pixels / 256 < 255 ? pixels / 256 : 255);
    blend_with_one(picture->pixels, 3 * pixels, (float)grey, factor);
}

void augment_brightness(Picture *picture, float factor) {
    if (factor == 1) return;
    blend_with_one(picture->pixels, 3 * (size_t)picture->height * (size_t)picture->width, 0, factor);
}

/* Nine levels' sum, the middle one five times, over 13. Pillow rounds it: (sum + 6) / 13 in whole numbers is that, and
 * the multiplication that division for sums below 2^12. TensorFlow cuts off a sum of floats, whose order decides what
 * becomes of whole results: row by row. */
static inline uint8_t smooth_pillow(const uint8_t *above, const uint8_t *row, const uint8_t *below) {
    unsigned sum = 4u * row[0];
    sum += (unsigned)above[-3] + above[0] + above[3];
    sum += (unsigned)row[-3] + row[0] + row[3];
    sum += (unsigned)below[-3] + below[0] + below[3];
    return (uint8_t)((sum + 6) * 20165u >> 18);
}

/* One step of the sum as a fused multiply-add, which TensorFlow's processors have: the product is exact in double. */
static inline float add_tap(float sum, uint8_t level, float weight) {
    return (float)((double)sum + (double)level * (double)weight);
}

static inline uint8_t smooth_tensorflow(const uint8_t *above, const uint8_t *row, const uint8_t *below) {
    const float one = 1.0f / 13.0f, five = 5.0f / 13.0f;
    float sum = (float)above[-3] * one;
    sum = add_tap(sum, above[0], one);
    sum = add_tap(sum, above[3], one);
    sum = add_tap(sum, row[-3], one);
    sum = add_tap(sum, row[0], five);
    sum = add_tap(sum, row[3], one);
    sum = add_tap(sum, below[-3], one);
    sum = add_tap(sum, below[0], one);
    sum = add_tap(sum, below[3], one);
    return (uint8_t)(int)sum;
}

/* The degenerate is the smoothed picture; the edges stay as they are. */
void augment_sharpness(const Picture *picture, float factor, int reference, uint8_t *out) {
    size_t stride = 3 * (size_t)picture->width, height = (size_t)picture->height;
    memcpy(out, picture->pixels, stride * height);
    if (factor == 1 || picture->width < 3 || picture->height < 3) return;
    for (size_t y = 1; y + 1 < height; y++) {
        const uint8_t *restrict row = picture->pixels + y * stride, *restrict above = row - stride,
                                *restrict below = row + stride;
        uint8_t *restrict to = out + y * stride;
        if (reference == AA_OPS_PILLOW)
            for (size_t i = 3; i + 3 < stride; i++)
                to[i] = blend_level(smooth_pillow(above + i, row + i, below + i), row[i], factor);
        else
            for (size_t i = 3; i + 3 < stride; i++)
                to[i] = blend_level(smooth_tensorflow(above + i, row + i, below + i), row[i], factor);
    }
}
