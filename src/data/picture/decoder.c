/* decoder.c - the buffers of a Decoder, and the limits on a picture's size. */
#include "data/picture/decoder.h"
#include "data/picture/exif.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_CAPACITY = 64 << 20 }; /* a larger buffer is given back when a far smaller picture comes */

void decoder_release(Decoder *decoder) {
    free(decoder->file);
    free(decoder->pixels);
    free(decoder->turned);
    free(decoder->parts);
    memset(decoder, 0, sizeof *decoder);
}

effnet_status decoder_reserve(Decoder *decoder, int64_t height, int64_t width, int channels, const char *name,
                              effnet_error *err) {
    if (height < 1 || width < 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no pixels (width %lld, height %lld)", name, (long long)width,
                    (long long)height);
    const int64_t most = decoder->most_pixels ? decoder->most_pixels : PICTURE_MAX_PIXELS;
    /* of more than four channels fewer pixels: no picture takes more than four bytes for each of `most` */
    const bool many = channels > 4 && height > most * 4 / channels / width;
    if (height > PICTURE_MAX_SIDE || width > PICTURE_MAX_SIDE || height * width > most || many)
        return fail(
            err, EFFNET_ERROR_FORMAT,
            "'%s' says it is %lld pixels wide and %lld high; allowed are %d a side and %lld in all: make it smaller "
            "or leave it out",
            name, (long long)width, (long long)height, (int)PICTURE_MAX_SIDE, (long long)most);
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
    if (size > PICTURE_FILE_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes allowed for a picture", name,
                    (int)PICTURE_FILE_LIMIT);
    return reserve(&decoder->file, &decoder->file_capacity, size + 1, name, err);
}

effnet_status decoder_turn(Decoder *decoder, Picture *picture, const char *name, effnet_error *err) {
    int orientation = decoder->orientation;
    if (!decoder->upright || orientation < 2 || orientation > 8) return EFFNET_OK;
    const size_t size = picture_bytes(picture);
    const int channels = picture->channels;
    TRY(reserve(&decoder->turned, &decoder->turned_capacity, size, name, err));
    picture_turn(picture, orientation, decoder->turned);
    uint8_t *pixels = decoder->turned;
    size_t capacity = decoder->turned_capacity;
    decoder->turned = decoder->pixels;
    decoder->turned_capacity = decoder->pixel_capacity;
    decoder->pixels = pixels;
    decoder->pixel_capacity = capacity;
    *picture = (Picture){.height = orientation >= 5 ? picture->width : picture->height,
                         .width = orientation >= 5 ? picture->height : picture->width,
                         .pixels = pixels,
                         .channels = channels};
    decoder->orientation = 1;
    return EFFNET_OK;
}

effnet_status decoder_hand_over(Decoder *decoder, effnet_status status, Picture *picture, effnet_error *err) {
    if (status == EFFNET_OK && picture->pixels == decoder->pixels) {
        decoder->pixels = NULL;
    } else if (status == EFFNET_OK) {
        const size_t size = picture_bytes(picture);
        uint8_t *copy = malloc(size);
        if (copy) memcpy(copy, picture->pixels, size);
        if (!copy) status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu bytes of a picture", size);
        picture->pixels = copy;
    }
    if (status != EFFNET_OK) *picture = (Picture){0};
    decoder_release(decoder);
    return status;
}
