/* tar_unpack.h - the bytes that a compressed tar was made of, front to back, every checksum looked at: gzip's through
 * zlib (libarchive passes over them), zstd's, xz's and bzip2's through libarchive. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TAR_UNPACK_H
#define EFFNET_DATA_SOURCES_TAR_UNPACK_H

#include "data/sources/shard_file.h"

typedef struct TarUnpack TarUnpack;

/* `length` bytes from `begin` of an open file, called `path` in messages; the descriptor must last. *out NULL: they are
 * not compressed. */
effnet_status tar_unpack_open(int descriptor, const char *path, int64_t begin, int64_t length, TarUnpack **out,
                              effnet_error *err);
void tar_unpack_close(TarUnpack *unpack);
/* The next bytes, valid until the next call; *size 0 at the end, when all that was given has been found right. What is
 * cut off or has a wrong checksum is EFFNET_ERROR_FORMAT. */
effnet_status tar_unpack_next(TarUnpack *unpack, const void **bytes, size_t *size, effnet_error *err);

#endif
