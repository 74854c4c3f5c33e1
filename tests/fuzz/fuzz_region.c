/* fuzz_region.c - any bytes as a JPEG of which a part is wanted: the first two bytes say which part and whether it may be
 * scaled. Where the part is decoded at all, the whole is decodable too; every pixel of it is readable. */
#include "data/picture/decode.h"
#include "data/picture/decode_region.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A box inside of the picture, by a byte: from sixteenths of its sides on. */
static PictureCrop choose(const void *context, int height, int width) {
    const int byte = *(const uint8_t *)context;
    Box box = {.top = height * (byte & 15) / 17, .left = width * (byte >> 4) / 17};
    box.height = (height - box.top + 1) / 2;
    box.width = (width - box.left + 1) / 2;
    return (PictureCrop){.box = box};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Decoder decoder; /* kept, as a worker keeps it */
    if (size < 2) return 0;
    const RegionRequest request = {
        .choose = choose, .context = data, .least_height = data[1] & 1 ? 8 : 0, .least_width = data[1] & 1 ? 8 : 0};
    Region region = {0};
    bool done = false;
    effnet_error err = {0};
    effnet_status status = decode_jpeg_region(&decoder, data + 2, size - 2, "fuzz", &request, &region, &done, &err);
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    if (status != EFFNET_OK || !done) return 0;
    const Picture *part = &region.picture;
    if (part->height < 1 || part->width < 1 || region.top < 0 || region.left < 0 || region.eighths < 1) abort();
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < 3 * (size_t)part->height * (size_t)part->width; i += 97)
        sum = (uint8_t)(sum + part->pixels[i]);
    (void)sum;
    return 0;
}
