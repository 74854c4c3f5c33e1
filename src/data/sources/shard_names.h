/* shard_names.h - what the names of shards tell: that train-00001-of-00003.tfrecord is missing beside the two others, or
 * train-0001.tar between train-0000.tar and train-0002.tar, and that a file beside them, empty, unreadable or damaged
 * at its head, was meant to be one. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_SHARD_NAMES_H
#define EFFNET_DATA_SOURCES_SHARD_NAMES_H

#include "data/sources/source.h"

/* "train-00001-of-00003.tfrecord": *begin and *end of the digits of its number in the path, *number and *count; false
 * where it is not called so. */
bool shard_number(const char *path, size_t *begin, size_t *end, int *number, int *count);
/* A loss of the data set for each number that no file of a series has. */
effnet_status shards_find_missing(Dataset *dataset, const NameList *files, effnet_error *err);
/* `path` is called like the file `shard`: in a series too, or with the same ending (.tfrecord, .tar, ...). */
bool shard_is_named_like(const char *path, const char *shard);
/* A loss for a file that is named like the data's shards and does not begin like one. */
void shard_lose(Dataset *dataset, const char *path);

#endif
