/* decode_formats.h - the formats: telling them apart by a file's first bytes, and one decoder each. Internal to
 * picture/. */
#ifndef EFFNET_DATA_PICTURE_DECODE_FORMATS_H
#define EFFNET_DATA_PICTURE_DECODE_FORMATS_H

#include "data/picture/decoder.h"

#include <stdbool.h>

/* The kind of picture that the first bytes promise; PICTURE_SIGNATURE bytes suffice. */
typedef enum PictureKind {
    PICTURE_UNKNOWN,
    PICTURE_JPEG,
    PICTURE_PNG,
    PICTURE_WEBP,
    PICTURE_BMP,
    PICTURE_GIF,
    PICTURE_TIFF,
    PICTURE_HEIF
} PictureKind;
enum { PICTURE_SIGNATURE = 18 };
PictureKind picture_kind(const uint8_t *bytes, size_t size);
/* Whether a file of this name is taken for a picture without a look: .jpg .jpeg .jpe .jfif .png .webp .bmp .gif
 * .tif .tiff .heic .heif .avif. */
bool name_is_picture(const char *name);

/* Each from `bytes` of its kind into decoder->pixels; sets decoder->orientation. */
effnet_status decode_jpeg(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_png(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);
effnet_status decode_webp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_bmp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);
effnet_status decode_gif(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err);
effnet_status decode_tiff(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);
effnet_status decode_heif(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err);

#endif
