/* decode.h - from the bytes of a JPEG or PNG to RGB pixels, with the buffers and the codec's state kept from one
 * picture to the next, so that a loader thread that owns a Decoder allocates nothing once it has seen its largest
 * picture. Internal to data/; others call picture_decode and picture_read of dataset.h. */
#ifndef EFFNET_DATA_DECODE_H
#define EFFNET_DATA_DECODE_H

#include "data/dataset.h"

/* {0} is a new decoder. One thread at a time. */
typedef struct Decoder {
    void *jpeg;    /* tjhandle, made at the first JPEG */
    uint8_t *file; /* bytes of the file being decoded */
    size_t file_capacity;
    uint8_t *pixels; /* of the latest picture */
    size_t pixel_capacity;
} Decoder;

void decoder_release(Decoder *decoder);

/* The pixels of `out` belong to the decoder and last until its next call. */
effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err);
effnet_status decoder_read(Decoder *decoder, const char *path, Picture *out, effnet_error *err);

/* decoder->pixels gets room for height * width pixels of `channels` bytes, after the limits of dataset.h were checked:
 * what a header says is never believed before this. */
effnet_status decoder_reserve(Decoder *decoder, int64_t height, int64_t width, int channels, const char *name,
                              effnet_error *err);

/* Whether the first bytes are those of a JPEG or PNG; PICTURE_SIGNATURE bytes suffice. */
enum { PICTURE_SIGNATURE = 8 };
bool bytes_are_jpeg(const uint8_t *bytes, size_t size);
bool bytes_are_png(const uint8_t *bytes, size_t size);

effnet_status decode_jpeg(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_png(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);

#endif
