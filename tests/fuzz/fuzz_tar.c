/* fuzz_tar.c - any bytes as a tar of pictures. */
#include "fuzz_shard.h"

static effnet_status open_tar(const NameList *paths, Dataset **out, effnet_error *err) {
    static const char *const prefixes[] = {"train", NULL};
    return source_tar_open(paths, prefixes, "train", TAR_HOLD_LIMIT, &(bool){false}, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_shard(data, size, open_tar);
    return 0;
}
