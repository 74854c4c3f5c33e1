/* fuzz_tar.c - any bytes as a tar of pictures. */
#include "fuzz_shard.h"

static effnet_status open_tar(const NameList *paths, Dataset **out, effnet_error *err) {
    return fuzz_open_tar(paths, TAR_HOLD_LIMIT, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_shard(data, size, open_tar);
    return 0;
}
