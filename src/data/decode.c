/* decode.c - what the kinds of pictures have in common: telling them apart by their first bytes (a file's name says
 * little: ImageNet has a PNG called .JPEG), the limits on a picture's size, and the buffers of a Decoder. */
#include "data/decode.h"
#include "data/decode_region.h"
#include "data/exif.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

enum {
    FILE_LIMIT = 1 << 30,     /* bytes of a picture's file */
    FILE_FIRST = 64 << 10,    /* first capacity where the length is unknown */
    KEPT_CAPACITY = 64 << 20, /* a larger pixel buffer is given back when a far smaller picture comes */
};

void decoder_release(Decoder *decoder) {
    if (decoder->jpeg) tjDestroy(decoder->jpeg);
    region_decoder_free(decoder->region);
    free(decoder->file);
    free(decoder->pixels);
    free(decoder->turned);
    free(decoder->parts);
    memset(decoder, 0, sizeof *decoder);
}

PictureKind picture_kind(const uint8_t *bytes, size_t size) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (size >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) return PICTURE_JPEG;
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return PICTURE_PNG;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return PICTURE_WEBP;
    /* "BM" alone is too little to go by: the length of the second header must be one there is. */
    if (size >= 18 && memcmp(bytes, "BM", 2) == 0 && bytes[15] < 4 && !bytes[16] && !bytes[17]) {
        static const int headers[] = {12, 40, 52, 56, 64, 108, 124};
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
            if ((bytes[14] | bytes[15] << 8) == headers[i]) return PICTURE_BMP;
    }
    return PICTURE_UNKNOWN;
}

bool name_is_picture(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".jpe", ".jfif", ".webp", ".bmp"};
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

effnet_status decoder_reserve(Decoder *decoder, int64_t height, int64_t width, int channels, const char *name,
                              effnet_error *err) {
    if (height < 1 || width < 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no pixels (width %lld, height %lld)", name, (long long)width,
                    (long long)height);
    if (height > PICTURE_MAX_SIDE || width > PICTURE_MAX_SIDE || height * width > PICTURE_MAX_PIXELS)
        return fail(
            err, EFFNET_ERROR_FORMAT,
            "'%s' says it is %lld pixels wide and %lld high; allowed are %d a side and %d in all: make it smaller "
            "or leave it out",
            name, (long long)width, (long long)height, (int)PICTURE_MAX_SIDE, (int)PICTURE_MAX_PIXELS);
    size_t needed = (size_t)height * (size_t)width * (size_t)channels; /* at most 800 MB after the checks */
    bool oversized = decoder->pixel_capacity > KEPT_CAPACITY && needed < decoder->pixel_capacity / 4;
    if (needed <= decoder->pixel_capacity && !oversized) return EFFNET_OK;
    free(decoder->pixels);
    decoder->pixel_capacity = 0;
    decoder->pixels = malloc(needed);
    if (!decoder->pixels)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %lld x %lld pixels of '%s'", (long long)width,
                    (long long)height, name);
    decoder->pixel_capacity = needed;
    return EFFNET_OK;
}

/* *block gets room for `needed` bytes; a far too large one is given back first. Its content is lost. */
static effnet_status reserve(uint8_t **block, size_t *capacity, size_t needed, const char *name, effnet_error *err) {
    bool oversized = *capacity > KEPT_CAPACITY && needed < *capacity / 4;
    if (needed <= *capacity && !oversized) return EFFNET_OK;
    free(*block);
    *capacity = 0;
    *block = malloc(needed);
    if (!*block) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu bytes of '%s'", needed, name);
    *capacity = needed;
    return EFFNET_OK;
}

effnet_status decoder_reserve_file(Decoder *decoder, size_t size, const char *name, effnet_error *err) {
    if (size > FILE_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", name,
                    (int)FILE_LIMIT);
    return reserve(&decoder->file, &decoder->file_capacity, size + 1, name, err);
}

effnet_status decoder_turn(Decoder *decoder, Picture *picture, const char *name, effnet_error *err) {
    int orientation = decoder->orientation;
    if (!decoder->upright || orientation < 2 || orientation > 8) return EFFNET_OK;
    size_t size = 3 * (size_t)picture->height * (size_t)picture->width;
    TRY(reserve(&decoder->turned, &decoder->turned_capacity, size, name, err));
    picture_turn(picture->pixels, picture->height, picture->width, orientation, decoder->turned);
    uint8_t *pixels = decoder->turned;
    size_t capacity = decoder->turned_capacity;
    decoder->turned = decoder->pixels;
    decoder->turned_capacity = decoder->pixel_capacity;
    decoder->pixels = pixels;
    decoder->pixel_capacity = capacity;
    *picture = (Picture){.height = orientation >= 5 ? picture->width : picture->height,
                         .width = orientation >= 5 ? picture->height : picture->width,
                         .pixels = pixels};
    decoder->orientation = 1;
    return EFFNET_OK;
}

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
    case PICTURE_UNKNOWN:
        break;
    }
    if (size == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is empty; wanted a JPEG, PNG, WebP or BMP picture", name);
    const char *kind = file_kind_of(bytes, size);
    if (kind) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a JPEG, PNG, WebP or BMP picture but %s", name, kind);
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is not a JPEG, PNG, WebP or BMP picture (it begins with bytes %02x %02x)", name, bytes[0],
                size > 1 ? bytes[1] : 0);
}

effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err) {
    *out = (Picture){0};
    decoder->orientation = 0;
    TRY(decode_by_kind(decoder, bytes, size, name, out, err));
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
    if (status.st_size > FILE_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", path,
                    (int)FILE_LIMIT);
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
        if (used > FILE_LIMIT)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", path,
                        (int)FILE_LIMIT);
        if (used == decoder->file_capacity) wanted = 2 * decoder->file_capacity;
    }
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

effnet_status decoder_hand_over(Decoder *decoder, effnet_status status, Picture *picture, effnet_error *err) {
    if (status == EFFNET_OK && picture->pixels == decoder->pixels) {
        decoder->pixels = NULL;
    } else if (status == EFFNET_OK) {
        size_t size = 3 * (size_t)picture->height * (size_t)picture->width;
        uint8_t *copy = malloc(size);
        if (copy) memcpy(copy, picture->pixels, size);
        if (!copy) status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu bytes of a picture", size);
        picture->pixels = copy;
    }
    if (status != EFFNET_OK) *picture = (Picture){0};
    decoder_release(decoder);
    return status;
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

void picture_free(Picture *picture) {
    if (!picture) return;
    free(picture->pixels);
    *picture = (Picture){0};
}
