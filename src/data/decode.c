/* decode.c - what JPEG and PNG have in common: telling them apart by their first bytes (a file's name says little:
 * ImageNet has a PNG called .JPEG), the limits on a picture's size, and the buffers of a Decoder. */
#include "data/decode.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
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
    free(decoder->file);
    free(decoder->pixels);
    memset(decoder, 0, sizeof *decoder);
}

bool bytes_are_jpeg(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

bool bytes_are_png(const uint8_t *bytes, size_t size) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    return size >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
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

effnet_status decoder_decode(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                             effnet_error *err) {
    *out = (Picture){0};
    if (bytes_are_jpeg(bytes, size)) return decode_jpeg(decoder, bytes, size, name, out, err);
    if (bytes_are_png(bytes, size)) return decode_png(decoder, bytes, size, name, out, err);
    if (size == 0) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is empty; wanted a JPEG or PNG picture", name);
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a JPEG or PNG picture (it begins with bytes %02x %02x)", name,
                bytes[0], size > 1 ? bytes[1] : 0);
}

/* Reads until the end, growing decoder->file; *size gets the length. */
static effnet_status read_descriptor(Decoder *decoder, int descriptor, const char *path, size_t *size,
                                     effnet_error *err) {
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': it is a folder; wanted a JPEG or PNG picture", path);
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

effnet_status decoder_read(Decoder *decoder, const char *path, Picture *out, effnet_error *err) {
    *out = (Picture){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return fail(err, EFFNET_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    size_t size = 0;
    effnet_status status = read_descriptor(decoder, descriptor, path, &size, err);
    close(descriptor);
    if (status != EFFNET_OK) return status;
    return decoder_decode(decoder, decoder->file, size, path, out, err);
}

/* The caller of picture_decode and picture_read keeps the pixels: the rest of the decoder goes. */
static effnet_status hand_over(Decoder *decoder, effnet_status status, Picture *out) {
    if (status == EFFNET_OK)
        decoder->pixels = NULL;
    else
        *out = (Picture){0};
    decoder_release(decoder);
    return status;
}

effnet_status picture_decode(const uint8_t *bytes, size_t size, const char *name, Picture *out, effnet_error *err) {
    Decoder decoder = {0};
    return hand_over(&decoder, decoder_decode(&decoder, bytes, size, name, out, err), out);
}

effnet_status picture_read(const char *path, Picture *out, effnet_error *err) {
    Decoder decoder = {0};
    return hand_over(&decoder, decoder_read(&decoder, path, out, err), out);
}

void picture_free(Picture *picture) {
    if (!picture) return;
    free(picture->pixels);
    *picture = (Picture){0};
}
