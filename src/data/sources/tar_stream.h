/* tar_stream.h - pictures out of compressed tars, which cannot be read but from their beginning. Any picture can be
 * asked for at any time and comes out right; pictures asked for nearly in the order of the shards come out fast.
 * Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TAR_STREAM_H
#define EFFNET_DATA_SOURCES_TAR_STREAM_H

#include "data/sources/shard_source.h"

typedef struct TarStream TarStream;

/* `source`: members sorted by file and, within, by offset, which is the member's number among the files of its tar.
 * Not owned, and not to change any more. */
effnet_status tar_stream_create(const ShardSource *source, TarStream **out, effnet_error *err);
void tar_stream_free(TarStream *stream);
/* Picture `index` into decoder->file. Thread-safe. */
effnet_status tar_stream_fetch(TarStream *stream, int64_t index, Decoder *decoder, effnet_error *err);
/* The order of an epoch that suits: shards shuffled, and within the row of their pictures blocks of TAR_STREAM_BLOCK
 * shuffled. */
enum { TAR_STREAM_BLOCK = 1024 };
void tar_stream_order(const ShardSource *source, RandomKey key, uint32_t *order);

#endif
