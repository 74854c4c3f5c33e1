/* decode.h - from the bytes of a JPEG, PNG, WebP or BMP to RGB pixels, with the buffers and the codec's state kept from
 * one picture to the next, so that a loader thread that owns a Decoder allocates nothing once it has seen its largest
 * picture. Internal to data/; others call picture_decode and picture_read of dataset.h. */
#ifndef EFFNET_DATA_DECODE_H
#define EFFNET_DATA_DECODE_H

#include "data/dataset.h"

/* {0} is a new decoder. One thread at a time. */
typedef struct Decoder {
    bool upright;    /* turn pictures as their EXIF orientation says */
    int orientation; /* EXIF's of the latest picture: 2 to 8 where it is still to be turned, else 0 or 1 */
    void *jpeg;      /* tjhandle, made at the first JPEG */
    void *region;    /* decode_region.c's, made at the first region */
    uint8_t *file;   /* bytes of the file being decoded */
    size_t file_capacity;
    uint8_t *pixels; /* of the latest picture */
    size_t pixel_capacity;
    uint8_t *turned; /* a picture while it is turned */
    size_t turned_capacity;
    uint8_t *parts; /* memory of a record that is taken apart */
    size_t parts_capacity;
} Decoder;

void decoder_release(Decoder *decoder);

/* The pixels of `out` belong to the decoder and last until its next call. */
effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err);
effnet_status decoder_read(Decoder *decoder, const char *path, Picture *out, effnet_error *err);
/* The whole file into decoder->file; *size gets its length. */
effnet_status decoder_load(Decoder *decoder, const char *path, size_t *size, effnet_error *err);
/* decoder->file gets room for `size` bytes. `name` stands for the picture in the message. */
effnet_status decoder_reserve_file(Decoder *decoder, size_t size, const char *name, effnet_error *err);
/* Where decoder->upright and decoder->orientation is 2 to 8: picture->pixels, which may be anybody's, turned into the
 * decoder's memory; decoder->orientation is 1 afterwards. */
effnet_status decoder_turn(Decoder *decoder, Picture *picture, const char *name, effnet_error *err);
/* Makes picture->pixels the caller's, a copy where they were not the decoder's; then releases the decoder. */
effnet_status decoder_hand_over(Decoder *decoder, effnet_status status, Picture *picture, effnet_error *err);

/* decoder->pixels gets room for height * width pixels of `channels` bytes, after the limits of dataset.h were checked:
 * what a header says is never believed before this. */
effnet_status decoder_reserve(Decoder *decoder, int64_t height, int64_t width, int channels, const char *name,
                              effnet_error *err);

/* The kind of picture that the first bytes promise; PICTURE_SIGNATURE bytes suffice. */
typedef enum PictureKind { PICTURE_UNKNOWN, PICTURE_JPEG, PICTURE_PNG, PICTURE_WEBP, PICTURE_BMP } PictureKind;
enum { PICTURE_SIGNATURE = 18 };
PictureKind picture_kind(const uint8_t *bytes, size_t size);
/* Whether a file of this name is taken for a picture without a look: .jpg .jpeg .jpe .jfif .png .webp .bmp. */
bool name_is_picture(const char *name);

effnet_status decode_jpeg(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_png(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);
effnet_status decode_webp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_bmp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);

#endif
