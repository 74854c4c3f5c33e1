/* fuzz_picture.c - any bytes as a picture file: decoded to a picture within the limits, every pixel readable, or an
 * error that says why; and the same asked for other channels than RGB, as many as the last byte says. */
#include "data/sources/dataset.h"
#include "data/picture/decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Picture picture;
    effnet_error err = {0};
    effnet_status status = picture_decode(data, size, "fuzz", &picture, &err);
    if ((status == EFFNET_OK) != (picture.pixels != NULL)) abort();
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    if (status == EFFNET_OK) {
        if (picture.height < 1 || picture.width < 1 || picture.height > PICTURE_MAX_SIDE ||
            picture.width > PICTURE_MAX_SIDE)
            abort();
        size_t last = 3 * (size_t)picture.height * (size_t)picture.width - 1;
        volatile uint8_t touched = (uint8_t)(picture.pixels[0] + picture.pixels[last]);
        (void)touched;
    }
    picture_free(&picture);
    if (size == 0) return 0;
    Decoder decoder = {.channels = 2 + data[size - 1] % 15};
    if (decoder_decode(&decoder, data, size, "fuzz", &picture, &err) == EFFNET_OK) {
        if (picture_channels(&picture) != decoder.channels) abort();
        volatile uint8_t touched = (uint8_t)(picture.pixels[0] + picture.pixels[picture_bytes(&picture) - 1]);
        (void)touched;
    }
    decoder_release(&decoder);
    return 0;
}
