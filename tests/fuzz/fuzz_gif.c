/* fuzz_gif.c - any bytes behind GIF's signature: a picture within the limits, or an error that says why. */
#include "fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_decode("GIF89a", 6, data, size);
    return 0;
}
