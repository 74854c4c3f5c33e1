/* fuzz_torch.c - any bytes as a file of torch.save: opened, listed, every tensor read. The bytes stand in a file without a
 * name (memfd), since reading goes through files. Bytes that begin like no such file are a pickle. */
#include "format/pickle.h"
#include "format/torch_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const Safetensors *file, size_t size) {
    effnet_error err = {0};
    for (int i = 0; i < safetensors_count(file); i++) {
        SafetensorsTensor tensor = safetensors_tensor(file, i);
        if (safetensors_find(file, tensor.name) != i) abort();
        if (tensor.count > 64 * size) continue; /* one element many times; who reads it brings the room */
        float *values = malloc((tensor.count + 1) * sizeof(float));
        if (!values) abort();
        if (safetensors_read(file, i, values, tensor.count, &err) != EFFNET_OK && !err.message[0]) abort();
        free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    effnet_error err = {0};
    Safetensors *file;
    effnet_status opened = torch_file_open(path, &file, &err);
    if ((opened == EFFNET_OK) != (file != NULL)) abort();
    if (opened != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    if (file) read_all(file, size);
    safetensors_close(file);
    close(descriptor);

    Pickle pickle;
    err.message[0] = 0;
    if (pickle_read("fuzz", 0, (const char *)data, size, &pickle, &err) != EFFNET_OK && !err.message[0]) abort();
    pickle_free(&pickle);
    return 0;
}
