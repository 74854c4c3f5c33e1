/* fuzz_cifar.c - any bytes as CIFAR's binary files: the first byte says which of the two kinds, whose names decide. */
#include "fuzz_shard.h"
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[128];
    fuzz_make_folder();
    if (!size) return 0;
    snprintf(path, sizeof path, "%s/%s", fuzz_folder, data[0] & 1 ? "train.bin" : "data_batch_1.bin");
    fuzz_write(path, data + 1, size - 1);
    char *names[1] = {path};
    fuzz_shard_paths(&(NameList){.names = names, .count = 1}, source_cifar_open);
    unlink(path);
    return 0;
}
