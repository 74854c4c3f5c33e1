/* picture.h - a decoded picture: what decoders make, transforms take and writers write. */
#ifndef EFFNET_DATA_PICTURE_PICTURE_H
#define EFFNET_DATA_PICTURE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

/* (height, width, channels) bytes; pixels are the caller's, freed with picture_free, unless a function says otherwise. */
typedef struct Picture {
    int height, width;
    uint8_t *pixels;
    int channels; /* 0 or 3: RGB; else samples of no known colour, 1 to 16 */
} Picture;

enum { PICTURE_MAX_SIDE = 30000, PICTURE_MAX_PIXELS = 200 * 1000 * 1000 };

static inline int picture_channels(const Picture *picture) {
    return picture->channels ? picture->channels : 3;
}

static inline size_t picture_bytes(const Picture *picture) {
    return (size_t)picture_channels(picture) * (size_t)picture->height * (size_t)picture->width;
}

void picture_free(Picture *picture); /* NULL is harmless */

#endif
