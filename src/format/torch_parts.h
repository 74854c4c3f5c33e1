/* torch_parts.h - what torch_container.c and torch_zip.c share: an open file of torch.save, and its storages. */
#ifndef EFFNET_FORMAT_TORCH_PARTS_H
#define EFFNET_FORMAT_TORCH_PARTS_H

#include "format/torch_values.h"

enum { TORCH_MAX_PICKLE = 64 << 20, TORCH_MAX_ROOT = 256 };

/* A storage that tensors are taken from. */
typedef struct TorchStorage {
    char key[TORCH_KEY_BYTES];
    uint64_t needed, whole; /* bytes up to the last one that a tensor has; of the whole storage, as the pickle says */
    unsigned char *bytes;   /* the first `needed`, once loaded */
    uint64_t place;         /* in a file of the old form: offset of the bytes */
} TorchStorage;

typedef struct TorchContainer {
    int descriptor;
    int64_t size; /* of the file */
    char *path;
    bool zip, big_endian;
    char root[TORCH_MAX_ROOT]; /* "archive/" */
    char *bytes;               /* the pickle's, or those of an old file's beginning */
    Pickle pickle;             /* the checkpoint */
    Pickle keys;               /* of an old file: the list of storages, in their order */
    uint64_t storages_begin;   /* of an old file: where they do */
} TorchContainer;

/* By its key, of `count` in bytewise order; NULL: none. */
TorchStorage *torch_storage_find(TorchStorage *storages, int count, const char *key);

#endif
