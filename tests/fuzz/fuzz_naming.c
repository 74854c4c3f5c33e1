/* fuzz_naming.c - any bytes as another program's weights: whose names they are is found, and every tensor of a small
 * network looked for in them and turned into timm's layout. */
#include "format/weight_names.h"
#include "fuzz_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Network network;
    effnet_error err = {0};
    if (!network.num_parameters) {
        ModelConfig config;
        if (model_config_by_name("efficientnet_b0", &config, &err) != EFFNET_OK) abort();
        if (network_build(&config, &network, &err) != EFFNET_OK) abort();
    }
    char path[64];
    int descriptor = fuzz_file(data, size, path);
    Safetensors *file;
    WeightNaming naming;
    if (safetensors_open(path, &file, &err) == EFFNET_OK) {
        if (naming_detect(file, &naming))
            for (int i = 0; i < network.num_parameters; i++) {
                int64_t shape[4];
                int found = naming_find(&naming, file, &network, false, i);
                if (found < -1 || found >= safetensors_count(file)) abort();
                naming_shape(naming.style, &network.parameters[i], shape);
            }
        for (int i = 0; i < safetensors_count(file); i++) {
            SafetensorsTensor tensor = safetensors_tensor(file, i);
            if (naming_detect(file, &naming)) (void)naming_ignores(&naming, tensor.name);
        }
        safetensors_close(file);
    }
    close(descriptor);
    return 0;
}
