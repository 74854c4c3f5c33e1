/* torch_parts.c - see torch_parts.h. */
#include "format/torch_parts.h"

#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *key, const void *storage) {
    return strcmp(key, ((const TorchStorage *)storage)->key);
}

TorchStorage *torch_storage_find(TorchStorage *storages, int count, const char *key) {
    return count ? bsearch(key, storages, (size_t)count, sizeof *storages, compare_keys) : NULL;
}
