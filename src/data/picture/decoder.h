/* decoder.h - what decoding keeps from one picture to the next: buffers, so that a loader thread that owns a
 * Decoder asks for no pixels' memory once it has seen its largest picture. Internal to data/. */
#ifndef EFFNET_DATA_PICTURE_DECODER_H
#define EFFNET_DATA_PICTURE_DECODER_H

#include "base/error.h"
#include "data/picture/picture.h"

/* {0} is a new decoder. One thread at a time. */
typedef struct Decoder {
    int channels; /* 0: RGB, whatever the file has. Else as many samples a pixel as they are stored, 8 bits each; a
                            picture of another number of them is refused */
    bool upright; /* turn pictures as their EXIF orientation says */
    int64_t most_pixels; /* of a picture; 0: PICTURE_MAX_PIXELS */
    int orientation;     /* EXIF's of the latest picture: 2 to 8 where it is still to be turned, else 0 or 1 */
    uint8_t *file;       /* bytes of the file being decoded */
    size_t file_capacity;
    uint8_t *pixels; /* of the latest picture */
    size_t pixel_capacity;
    uint8_t *turned; /* a picture while it is turned */
    size_t turned_capacity;
    uint8_t *parts; /* memory of a record that is taken apart */
    size_t parts_capacity;
} Decoder;

enum { PICTURE_FILE_LIMIT = 1 << 30 }; /* bytes of a picture's file */

void decoder_release(Decoder *decoder);

/* decoder->file gets room for `size` bytes. `name` stands for the picture in the message. */
effnet_status decoder_reserve_file(Decoder *decoder, size_t size, const char *name, effnet_error *err);
/* Where decoder->upright and decoder->orientation is 2 to 8: picture->pixels, which may be anybody's, turned into the
 * decoder's memory; decoder->orientation is 1 afterwards. */
effnet_status decoder_turn(Decoder *decoder, Picture *picture, const char *name, effnet_error *err);
/* Makes picture->pixels the caller's, a copy where they were not the decoder's; then releases the decoder. */
effnet_status decoder_hand_over(Decoder *decoder, effnet_status status, Picture *picture, effnet_error *err);

/* decoder->pixels gets room for height * width pixels of `channels` bytes, after the limits of picture.h were checked:
 * what a header says is never believed before this. */
effnet_status decoder_reserve(Decoder *decoder, int64_t height, int64_t width, int channels, const char *name,
                              effnet_error *err);

#endif
