/* drawn_photographs.h - stand-ins for the photographs of ../shared/data, which are not ours to ship: pictures that a
 * test draws where those are missing. As a photograph has them: structure at every size, with less contrast the smaller
 * it is (noise of one over the frequency), one channel much like the next, and one thing before a background: a dark
 * thing of three parts or a striped one, somewhere, turned somehow. The same seed is the same picture. */
#ifndef EFFNET_TESTS_DRAWN_PHOTOGRAPHS_H
#define EFFNET_TESTS_DRAWN_PHOTOGRAPHS_H

#include "data/picture/picture_write.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DRAWN_LEVELS = 8 }; /* sizes of structure, from a pixel to 128 */

/* -1 to 1, by number. */
static inline float drawn_number(uint32_t seed, uint32_t index) {
    uint32_t hash = seed * 2654435761u ^ index * 2246822519u;
    hash = (hash ^ hash >> 15) * 3266489917u;
    hash = (hash ^ hash >> 13) * 668265263u;
    return (float)((hash ^ hash >> 16) >> 8) / (float)(1 << 23) - 1;
}

/* A field (height, width) of structure at every size, about -1 to 1: from the coarsest on, each level is the one before
 * it at twice the size with finer noise on top. NULL: no memory. */
static inline float *drawn_field(uint32_t seed, int height, int width) {
    const size_t room = (size_t)(height + 4) * (size_t)(width + 4);
    float *coarse = calloc(room, sizeof *coarse), *fine = calloc(room, sizeof *fine), contrast = 1;
    for (int level = DRAWN_LEVELS - 1; coarse && fine && level >= 0; level--, contrast *= 0.68f) {
        const int rows = (height >> level) + 2, columns = (width >> level) + 2, coarser = (width >> (level + 1)) + 2;
        const bool first = level == DRAWN_LEVELS - 1;
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < columns; x++) {
                const float *above = coarse + (size_t)(y / 2) * (size_t)coarser + x / 2;
                const float *below = above + (y % 2 ? coarser : 0);
                const float mean = first ? 0 : (above[0] + above[x % 2] + below[0] + below[x % 2]) / 4;
                const uint32_t place = (uint32_t)((level * 8192 + y) * 8192 + x);
                fine[(size_t)y * (size_t)columns + (size_t)x] = mean + 0.5f * contrast * drawn_number(seed, place);
            }
        float *swap = coarse;
        coarse = fine;
        fine = swap;
    }
    free(fine);
    return coarse;
}

/* How much of the thing is at (y, x), 0 to 1, and where along it, -1 to 1. */
static inline float drawn_thing(uint32_t seed, float y, float x, float *along) {
    const float turn = 3.1416f * drawn_number(seed, 3), size = 0.3f + 0.1f * drawn_number(seed, 4);
    const float dy = y - 0.5f - 0.15f * drawn_number(seed, 5), dx = x - 0.5f - 0.15f * drawn_number(seed, 6);
    const float u = (dx * cosf(turn) + dy * sinf(turn)) / size, v = (dy * cosf(turn) - dx * sinf(turn)) / size;
    float nearest = 9;
    for (int part = -1; part <= 1; part++) {
        const float wide = part == 0 ? 0.22f : 0.34f, from = u - 0.62f * (float)part;
        nearest = fminf(nearest, (from * from + 1.6f * v * v) / (wide * wide));
    }
    *along = u;
    return fminf(1, fmaxf(0, 4 * (1.12f - nearest)));
}

/* `kind` 0: the dark thing, 1: the striped one. picture_free() frees the pixels. False: no memory. */
static inline bool drawn_photograph(uint32_t seed, int kind, int height, int width, bool grey, Picture *out) {
    *out = (Picture){.height = height, .width = width, .pixels = malloc(3 * (size_t)height * (size_t)width)};
    float *light = drawn_field(seed, height, width), *colour = drawn_field(seed + 7919, height, width);
    const int stride = width + 2, shorter = height < width ? height : width;
    for (int y = 0; out->pixels && light && colour && y < height; y++)
        for (int x = 0; x < width; x++) {
            const size_t at = (size_t)y * (size_t)stride + (size_t)x;
            float along;
            const float thing = drawn_thing(seed, 0.5f + ((float)y - 0.5f * (float)height) / (float)shorter,
                                            0.5f + ((float)x - 0.5f * (float)width) / (float)shorter, &along);
            const bool dark = kind == 0 || sinf(14 * along) > 0;
            for (int c = 0; c < 3; c++) {
                const float tint =
                    grey ? 0 : 25 * drawn_number(seed, 10 + (uint32_t)c) + (float)(c - 1) * 40 * colour[at];
                const float behind = 122 - 6 * (float)c + 35 * drawn_number(seed, 2) + 165 * light[at] + tint;
                const float before = (dark ? 30 : grey ? 190 : 225 - 80 * (float)c) + 40 * light[at];
                const float value = behind + thing * (before - behind);
                out->pixels[3 * ((size_t)y * (size_t)width + (size_t)x) + (size_t)c] =
                    (uint8_t)fminf(255, fmaxf(0, value + 0.5f));
            }
        }
    const bool drawn = out->pixels && light && colour;
    free(light);
    free(colour);
    if (!drawn) picture_free(out);
    return drawn;
}

/* FOLDER/NAME, whose folder is made; a JPEG. */
static inline bool drawn_write(const char *folder, const char *name, uint32_t seed, int kind, int height, int width,
                               bool grey) {
    char path[1000];
    Picture picture;
    effnet_error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    if (!drawn_photograph(seed, kind, height, width, grey, &picture)) return false;
    const bool written = picture_write(&picture, path, &err) == EFFNET_OK;
    if (!written) fprintf(stderr, "%s\n", err.message);
    picture_free(&picture);
    return written;
}

/* FOLDER/{train,val}/{ants,bees}/NN.jpg, so many of a class, each of a size of its own around 340 x 240, as
 * hymenoptera.tar has them. */
static inline bool drawn_two_classes(const char *folder, int train, int val) {
    static const char *const classes[] = {"ants", "bees"};
    bool written = true;
    for (int i = 0; i < 2 * (train + val) && written; i++) {
        const bool training = i < 2 * train;
        const uint32_t seed = 100 + (uint32_t)i;
        char name[60];
        snprintf(name, sizeof name, "%s/%s/%03d.jpg", training ? "train" : "val", classes[i % 2], i / 2);
        const int height = 240 + (int)(40 * drawn_number(seed, 0)), width = 340 + (int)(40 * drawn_number(seed, 1));
        written = drawn_write(folder, name, seed, i % 2, height, width, false);
    }
    return written;
}

#endif
