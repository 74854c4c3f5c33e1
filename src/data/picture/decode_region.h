/* decode_region.h - the part of a JPEG that a crop needs, instead of the whole: the cheap way for training, where a
 * random crop throws most pixels away. Internal to data/.
 *
 * What is decoded equals the whole decode's pixels bit for bit at full scale. Scaled (the recipe's decode: scaled), a
 * large crop is decoded at a half, a quarter or an eighth by the inverse DCT itself, as long as it stays twice as large
 * as the network's input; docs/data.md has the distance.
 *
 * Whatever is not plain - another format, CMYK, a warning of wrong pixels, a file that does not end as it should - is
 * left to decoder_decode, whose word on a bad picture counts: *done false then. A file that is damaged behind the part
 * that was needed passes. */
#ifndef EFFNET_DATA_PICTURE_DECODE_REGION_H
#define EFFNET_DATA_PICTURE_DECODE_REGION_H

#include "data/picture/crop.h"
#include "data/picture/decoder.h"

#include <stdbool.h>

/* Pixels of a part of a picture, and which crop of it is wanted. A whole picture is a region too: region_of_picture. */
typedef struct Region {
    Picture picture;   /* the part */
    int height, width; /* of the whole, at full scale */
    int top, left;     /* of the part's first pixel, in pixels of the scaled whole */
    int eighths;       /* scale: 8 is full */
    PictureCrop crop;  /* in the whole's pixels at full scale */
} Region;

static inline Region region_of_picture(const Picture *picture, PictureCrop crop) {
    return (Region){
        .picture = *picture, .height = picture->height, .width = picture->width, .eighths = 8, .crop = crop};
}

/* Says which crop of a picture of this size is needed; its box must lie inside. */
typedef PictureCrop RegionChooser(const void *context, int height, int width);

typedef struct RegionRequest {
    RegionChooser *choose;
    const void *context;
    int least_height, least_width; /* scaled, the box has at least so many pixels a side; 0, 0: full scale always */
} RegionRequest;

/* The pixels of `out` belong to the decoder and last until its next call. */
effnet_status decode_jpeg_region(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name,
                                 const RegionRequest *request, Region *out, bool *done, effnet_error *err);

#endif
