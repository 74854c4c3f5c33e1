/* jpeg_encode.h - a picture to the bytes of a JPEG. Internal to data/. */
#ifndef EFFNET_DATA_PICTURE_JPEG_ENCODE_H
#define EFFNET_DATA_PICTURE_JPEG_ENCODE_H

#include "base/error.h"
#include "data/picture/picture.h"

/* 4:2:0, accurate DCT, `quality` 1 to 100. *block, of *capacity bytes, is the caller's, NULL at first: made larger as
 * needed, freed with free(). The JPEG is its first *size bytes. */
effnet_status jpeg_encode(const Picture *picture, int quality, uint8_t **block, size_t *capacity, size_t *size,
                          effnet_error *err);

#endif
