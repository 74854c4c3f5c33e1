/* decode.c - a file or a block of bytes to its pixels, by the format that its first bytes tell. */
#include "data/picture/decode.h"
#include "data/picture/decode_formats.h"
#include "base/file.h"
#include "base/file_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_FIRST = 64 << 10 }; /* first capacity where the length is unknown */

static effnet_status decode_by_kind(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                                    effnet_error *err) {
    switch (picture_kind(bytes, size)) {
    case PICTURE_JPEG:
        return decode_jpeg(decoder, bytes, size, name, out, err);
    case PICTURE_PNG:
        return decode_png(decoder, bytes, size, name, out, err);
    case PICTURE_WEBP:
        return decode_webp(decoder, bytes, size, name, out, err);
    case PICTURE_BMP:
        return decode_bmp(decoder, bytes, size, name, out, err);
    case PICTURE_GIF:
        return decode_gif(decoder, bytes, size, name, out, err);
    case PICTURE_TIFF:
        return decode_tiff(decoder, bytes, size, name, out, err);
    case PICTURE_HEIF:
        return decode_heif(decoder, bytes, size, name, out, err);
    case PICTURE_UNKNOWN:
        break;
    }
    if (size == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is empty; wanted a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture",
                    name);
    const char *kind = file_kind_of(bytes, size);
    if (kind)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture but %s",
                    name, kind);
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is not a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture (it begins with bytes %02x %02x)", name,
                bytes[0], size > 1 ? bytes[1] : 0);
}

effnet_status decoder_check_channels(const Decoder *decoder, int channels, const char *name, effnet_error *err) {
    const int wanted = decoder->channels ? decoder->channels : 3;
    if (channels == wanted) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is read as %d channels and in_chans is %d, which %s has: leave it out, or change in_chans", name,
                channels, wanted,
                wanted == 2   ? "a PNG of grey with alpha or a TIFF of 2 samples a pixel"
                : wanted == 4 ? "a PNG of red, green, blue and alpha or a TIFF of 4 samples a pixel"
                              : "a TIFF of so many samples a pixel");
}

effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err) {
    *out = (Picture){0};
    decoder->orientation = 0;
    TRY(decode_by_kind(decoder, bytes, size, name, out, err));
    TRY(decoder_check_channels(decoder, picture_channels(out), name, err));
    return decoder_turn(decoder, out, name, err);
}

/* Reads until the end, growing decoder->file; *size gets the length. */
static effnet_status read_descriptor(Decoder *decoder, int descriptor, const char *path, size_t *size,
                                     effnet_error *err) {
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': it is a folder; wanted a picture", path);
    if (status.st_size > PICTURE_FILE_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", path,
                    (int)PICTURE_FILE_LIMIT);
    size_t wanted = S_ISREG(status.st_mode) ? (size_t)status.st_size + 1 : FILE_FIRST;
    for (size_t used = 0;;) {
        if (wanted > decoder->file_capacity) {
            uint8_t *larger = realloc(decoder->file, wanted);
            if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu bytes of '%s'", wanted, path);
            decoder->file = larger;
            decoder->file_capacity = wanted;
        }
        ssize_t got = read(descriptor, decoder->file + used, decoder->file_capacity - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
        used += (size_t)got;
        if (got == 0) {
            *size = used;
            return EFFNET_OK;
        }
        if (used > PICTURE_FILE_LIMIT)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", path,
                        (int)PICTURE_FILE_LIMIT);
        if (used == decoder->file_capacity) wanted = 2 * decoder->file_capacity;
    }
}

bool file_begins_like_picture(const char *path) {
    uint8_t bytes[PICTURE_SIGNATURE];
    int descriptor;
    if (file_open(path, &descriptor, NULL, NULL) != EFFNET_OK) return false;
    ssize_t got = read(descriptor, bytes, sizeof bytes);
    close(descriptor);
    return got > 0 && picture_kind(bytes, (size_t)got) != PICTURE_UNKNOWN;
}

effnet_status decoder_load(Decoder *decoder, const char *path, size_t *size, effnet_error *err) {
    int descriptor;
    TRY(file_open(path, &descriptor, NULL, err));
    effnet_status status = read_descriptor(decoder, descriptor, path, size, err);
    close(descriptor);
    return status;
}

effnet_status decoder_read(Decoder *decoder, const char *path, Picture *out, effnet_error *err) {
    size_t size = 0;
    *out = (Picture){0};
    TRY(decoder_load(decoder, path, &size, err));
    return decoder_decode(decoder, decoder->file, size, path, out, err);
}

effnet_status picture_decode(const uint8_t *bytes, size_t size, const char *name, Picture *out, effnet_error *err) {
    Decoder decoder = {0};
    return decoder_hand_over(&decoder, decoder_decode(&decoder, bytes, size, name, out, err), out, err);
}

effnet_status picture_read(const char *path, Picture *out, effnet_error *err) {
    return picture_read_as(path, false, out, err);
}

effnet_status picture_read_as(const char *path, bool upright, Picture *out, effnet_error *err) {
    Decoder decoder = {.upright = upright};
    return decoder_hand_over(&decoder, decoder_read(&decoder, path, out, err), out, err);
}
