/* fuzz_decode.h - any bytes behind the signature of one format, so that a search spends itself on that format: decoded
 * to a picture within the limits, every pixel readable, or an error that says why. */
#ifndef EFFNET_TESTS_FUZZ_DECODE_H
#define EFFNET_TESTS_FUZZ_DECODE_H

#include "data/picture/decode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A corpus file begins with the signature, which is then put there again. channels: the samples a pixel that are asked for,
 * 0 for RGB. */
static inline void fuzz_decode_as(int channels, const char *signature, size_t length, const uint8_t *data,
                                  size_t size) {
    if (size < length) return;
    uint8_t *bytes = malloc(size);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    memcpy(bytes, signature, length);
    Picture picture;
    Decoder decoder = {.channels = channels};
    effnet_error err = {0};
    effnet_status status = decoder_decode(&decoder, bytes, size, "fuzz", &picture, &err);
    status = decoder_hand_over(&decoder, status, &picture, &err);
    if ((status == EFFNET_OK) != (picture.pixels != NULL)) abort();
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    volatile uint8_t sum = 0;
    for (size_t i = 0; picture.pixels && i < picture_bytes(&picture); i += 97) sum = (uint8_t)(sum + picture.pixels[i]);
    (void)sum;
    picture_free(&picture);
    free(bytes);
}

static inline void fuzz_decode(const char *signature, size_t length, const uint8_t *data, size_t size) {
    fuzz_decode_as(0, signature, length, data, size);
}

#endif
