/* fuzz_names.c - any bytes as the labels.txt beside shards: the names of two classes, with TF-Slim's numbers or
 * without, or an error. */
#include "data/sources/class_names.h"
#include "fuzz_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int descriptor = fuzz_file(data, size, path);
    NameList list = {0};
    effnet_error err = {0};
    effnet_status status = name_list_read(path, &list, &err);
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    for (int i = 0; status == EFFNET_OK && i < list.count; i++)
        if (strchr(list.names[i], '\n') || strlen(list.names[i]) > 3 * size) abort();
    if (status == EFFNET_OK) (void)name_list_check_unique(&list, path, &err);
    name_list_free(&list);
    close(descriptor);
    return 0;
}
