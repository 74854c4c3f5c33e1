/* tar_reader.h - the files of a tar, in order, through libarchive: of a whole file, plain or compressed (gzip,
 * zstd, xz, bzip2), or of a stretch of one (a tar that stands in a tar). Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TAR_READER_H
#define EFFNET_DATA_SOURCES_TAR_READER_H

#include "data/sources/shard_file.h"

typedef struct TarReader TarReader;

/* `length` bytes from `offset` of the file, which must not have changed. */
effnet_status tar_reader_open(const ShardFile *file, int64_t offset, int64_t length, TarReader **out,
                              effnet_error *err);
void tar_reader_close(TarReader *reader);
bool tar_reader_compressed(const TarReader *reader);
/* The next file: its path (valid until the next call) and length; *path NULL at the end. Folders are passed over.
 * Damage and an end in the middle of a file are EFFNET_ERROR_FORMAT, after which the reader can only be closed. */
effnet_status tar_reader_next(TarReader *reader, const char **path, int64_t *size, effnet_error *err);
/* Its last file was given; an error of tar_reader_next is then one of the whole, a wrong checksum. */
bool tar_reader_at_end(const TarReader *reader);
/* Whether a tar that is not compressed ends as one should, in two blocks of zeros: one that was cut off between two files
 * does not. */
effnet_status tar_reader_ends_right(const TarReader *reader, bool *right, effnet_error *err);
/* The latest file is one whose content can't be read: a link, a device, or sparse (in pieces). */
bool tar_reader_strange(const TarReader *reader);
/* Where its content stands in the file; of a tar that is not compressed. */
int64_t tar_reader_offset(const TarReader *reader);
/* Its content, `size` bytes, once. */
effnet_status tar_reader_content(TarReader *reader, void *bytes, size_t size, effnet_error *err);

#endif
