/* fuzz_safetensors.c - any bytes as a safetensors file: opened, listed, every tensor read, the model card tried. The
 * bytes stand in a file without a name (memfd), since reading goes through files. */
#include "format/safetensors.h"
#include "train/card.h"
#include "train/model_card.h"
#include "train/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);

    effnet_error err = {0};
    Safetensors *file;
    effnet_status opened = safetensors_open(path, &file, &err);
    if ((opened == EFFNET_OK) != (file != NULL)) abort();
    if (opened != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    for (int i = 0; file && i < safetensors_count(file); i++) {
        SafetensorsTensor tensor = safetensors_tensor(file, i);
        if (safetensors_find(file, tensor.name) != i || tensor.count > size) abort();
        float *values = malloc((tensor.count + 1) * sizeof(float));
        if (!values) abort();
        safetensors_read(file, i, values, tensor.count, &err);
        free(values);
    }
    safetensors_close(file);

    ModelCard card;
    if (opened == EFFNET_OK && weights_read_card(path, &card, &err) == EFFNET_OK) model_card_free(&card);
    close(descriptor);
    return 0;
}
