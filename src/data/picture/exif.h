/* exif.h - the one thing of EXIF that changes what a picture shows: which way up it is. */
#ifndef EFFNET_DATA_PICTURE_EXIF_H
#define EFFNET_DATA_PICTURE_EXIF_H

#include "data/picture/picture.h"

/* `tiff`: an EXIF block without "Exif\0\0" before it. 1 (upright) to 8 of tag 0x0112 in the first directory; 0 where it
 * has none, or is damaged: a broken block of remarks is no reason to refuse a picture. */
int exif_orientation(const uint8_t *tiff, size_t size);
/* The same of a whole file, by its kind. PNG's chunk is found by decode_png. */
int exif_orientation_of_jpeg(const uint8_t *bytes, size_t size);
int exif_orientation_of_webp(const uint8_t *bytes, size_t size);

/* What is wanted of a picture so that it stands upright: written to `out`, (height, width, channels), or for orientations
 * 5 to 8 (width, height, channels). */
void picture_turn(const Picture *picture, int orientation, uint8_t *out);

#endif
