/* decode.h - from the bytes of a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC to RGB pixels: greyscale, CMYK, 16-bit and palettes
 * become 8-bit RGB; or, where the decoder is asked for other channels, to the samples of a PNG or TIFF as they are. */
#ifndef EFFNET_DATA_PICTURE_DECODE_H
#define EFFNET_DATA_PICTURE_DECODE_H

#include "data/picture/decoder.h"

/* Decode one file or block of bytes (JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC by its first bytes): greyscale, CMYK, 16-bit and
 * palettes become 8-bit RGB. `name` stands for it in messages. */
effnet_status picture_decode(const uint8_t *bytes, size_t size, const char *name, Picture *out, effnet_error *err);
/* Whether a file's first bytes are a picture's; false where it can't be read. */
bool file_begins_like_picture(const char *path);
effnet_status picture_read(const char *path, Picture *out, effnet_error *err);
/* The same, turned as its EXIF orientation says where `upright`. */
effnet_status picture_read_as(const char *path, bool upright, Picture *out, effnet_error *err);

/* ---- with a decoder that is kept; internal to data/ ---- */

/* The pixels of `out` belong to the decoder and last until its next call. */
effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err);
/* An error, a bad picture's, where these are not the channels that the decoder is asked for. */
effnet_status decoder_check_channels(const Decoder *decoder, int channels, const char *name, effnet_error *err);
effnet_status decoder_read(Decoder *decoder, const char *path, Picture *out, effnet_error *err);
/* The whole file into decoder->file; *size gets its length. */
effnet_status decoder_load(Decoder *decoder, const char *path, size_t *size, effnet_error *err);

#endif
