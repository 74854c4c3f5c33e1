/* picture.h - a decoded picture: what decoders make, transforms take and writers write. */
#ifndef EFFNET_DATA_PICTURE_PICTURE_H
#define EFFNET_DATA_PICTURE_PICTURE_H

#include <stdint.h>

/* (height, width, 3) bytes, RGB; pixels are the caller's, freed with picture_free, unless a function says otherwise. */
typedef struct Picture {
    int height, width;
    uint8_t *pixels;
} Picture;

enum { PICTURE_MAX_SIDE = 30000, PICTURE_MAX_PIXELS = 200 * 1000 * 1000 };

void picture_free(Picture *picture); /* NULL is harmless */

#endif
