/* torch_container.h - the two forms of a file that torch.save writes: since PyTorch 1.6 a zip archive, in which
 * ROOT/data.pkl has the pickle, ROOT/data/KEY a storage's bytes and ROOT/byteorder their order; before that, or when
 * asked for, pickles one after the other and the storages behind them. Sizes are held against the file's own before
 * anything is allocated, and blocks grow only as bytes arrive. */
#ifndef EFFNET_FORMAT_TORCH_CONTAINER_H
#define EFFNET_FORMAT_TORCH_CONTAINER_H

#include "format/torch_parts.h"

/* A file that begins so may be one of PyTorch's. */
bool torch_container_begins(const void *bytes, size_t size);
/* Reads the pickle. Closed by torch_container_close, after an error too. */
effnet_status torch_container_open(const char *path, TorchContainer *out, effnet_error *err);
/* Finds the storages, which are in bytewise order of their keys, in an old file; while the pickle is still there. */
effnet_status torch_container_place(const TorchContainer *container, TorchStorage *storages, int count,
                                    effnet_error *err);
/* Frees the pickle and its bytes. */
void torch_container_forget(TorchContainer *container);
/* Reads all storages; checksums of a zip archive are checked. */
effnet_status torch_container_load(const TorchContainer *container, TorchStorage *storages, int count,
                                   effnet_error *err);
void torch_container_close(TorchContainer *container);

#endif
