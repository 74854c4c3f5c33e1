/* fuzz_tiff.c - any bytes behind TIFF's signature, of the little-endian kind. */
#include "fuzz_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_decode("II*\0", 4, data, size);
    return 0;
}
