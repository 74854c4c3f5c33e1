/* pack_picture.h - one picture as it goes into an effpack. Internal to data/. */
#ifndef EFFNET_DATA_INSPECT_PACK_PICTURE_H
#define EFFNET_DATA_INSPECT_PACK_PICTURE_H

#include "data/picture/decoder.h"
#include "data/sources/effpack.h"
#include "data/transform/resize.h"

/* A thread's buffers; {0} is a new one. */
typedef struct Packer {
    Decoder decoder;
    Resizer resizer;
    float *levels; /* of a resized picture */
    uint8_t *pixels;
    size_t capacity; /* levels and pixels, in elements */
    uint8_t *jpeg;   /* of an encoded picture */
    size_t jpeg_capacity;
} Packer;

void packer_release(Packer *packer);

/* Picture `index` decoded, which finds out whether it is whole; made smaller where its shorter side is beyond
 * `side` (0: never); encoded with JPEG's `quality` (0: pixels). What need not be changed stays as it was stored, byte
 * for byte, unless pixels are wanted. Fills in format, height, width, orientation and size; *payload is the packer's or
 * the source's until the next call. *kept: the stored bytes were taken over. */
effnet_status pack_picture(Packer *packer, const Dataset *dataset, int64_t index, int side, int quality,
                           EffpackRecord *record, const uint8_t **payload, bool *kept, effnet_error *err);

#endif
