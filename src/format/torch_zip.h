/* torch_zip.h - the zip archive of torch.save, by libarchive. Internal to torch_container.c. */
#ifndef EFFNET_FORMAT_TORCH_ZIP_H
#define EFFNET_FORMAT_TORCH_ZIP_H

#include "format/torch_parts.h"

/* Finds root and byte order, and reads ROOT/data.pkl into container->bytes. */
effnet_status torch_zip_find(TorchContainer *container, size_t *size, effnet_error *err);
/* One pass over the archive; the storages' bytes are kept, and every checksum passed is checked. */
effnet_status torch_zip_load(const TorchContainer *container, TorchStorage *storages, int count, effnet_error *err);

#endif
