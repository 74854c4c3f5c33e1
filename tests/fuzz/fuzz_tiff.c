/* fuzz_tiff.c - any bytes behind TIFF's signature, of the little-endian kind: as RGB, and as samples of several numbers. */
#include "fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int channels[] = {0, 2, 4, 5};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) fuzz_decode_as(channels[i], "II*\0", 4, data, size);
    return 0;
}
