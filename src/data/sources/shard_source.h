/* shard_source.h - what the sources have in common that keep many pictures in few files: a list of places (file,
 * offset, length), a label and a name each. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_SHARD_SOURCE_H
#define EFFNET_DATA_SOURCES_SHARD_SOURCE_H

#include "data/sources/shard_file.h"
#include "data/sources/source.h"

typedef struct Member {
    int64_t offset; /* of the picture, or of the record it stands in; in a compressed shard its number in it */
    uint32_t size;
    int32_t file;
    int32_t label;
    uint32_t number; /* of the record in its file, from 0 */
    size_t name;     /* offset into names */
} Member;

typedef struct ShardSource {
    Dataset dataset;
    ShardFiles files;
    Member *members;
    size_t capacity;
    char *names; /* each ended by a zero byte */
    size_t names_used, names_capacity;
} ShardSource;

/* Allocates `size` bytes that begin with a ShardSource, and adds the files. */
effnet_status shard_source_create(const SourceMethods *methods, const NameList *paths, size_t size, ShardSource **out,
                                  effnet_error *err);
/* Keeps a copy of name (NULL: none) and the member, whose `name` need not be set. */
effnet_status shard_source_add(ShardSource *source, const Member *member, const char *name, effnet_error *err);
/* By label, and then by name. */
void shard_source_sort(ShardSource *source);
/* Takes the classes over from `set`, sorted bytewise, and renumbers the members. The set is empty afterwards. */
effnet_status shard_source_name_classes(ShardSource *source, NameSet *set, effnet_error *err);
/* Labels are numbers: names come from labels.txt or label.labels.txt beside the first file, or are the numbers. */
effnet_status shard_source_number_classes(ShardSource *source, effnet_error *err);
/* An error where no picture is left; and what is always checked. Last call of an open function. */
effnet_status shard_source_finish(ShardSource *source, effnet_error *err);
void shard_source_release(Dataset *dataset); /* methods->release */

int shard_source_label(const Dataset *dataset, int64_t index);
/* "FILE: NAME" */
void shard_source_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size);
/* "FILE#NUMBER", of members without a name */
void shard_source_describe_number(const Dataset *dataset, int64_t index, char *buffer, size_t size);
/* The member's bytes as an encoded picture. */
effnet_status shard_source_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err);

/* FOLDER/name beside a file. */
effnet_status path_beside(char *out, size_t size, const char *file, const char *name, effnet_error *err);

/* ---- the kinds; `paths` are their files in order -------------------------------------------------------- */

/* Which split of files that may hold several. */
typedef struct SplitWanted {
    const char *const *names;    /* that it may have, in the order of preference, ended by NULL; NULL: all there is */
    const char *const *known[2]; /* names of training, whose classes number those of every split, and of evaluation */
    bool *absent;                /* set where the error is that the files have splits and not this one */
    bool *whole;                 /* set where the files know of no splits: all of them was opened */
} SplitWanted;

effnet_status source_tfrecord_open(const NameList *paths, Dataset **out, effnet_error *err);
/* Splits are the top folders of class folders. */
/* Compressed tars whose pictures take no more than `hold_limit` bytes are held in memory, others streamed. */
enum { TAR_HOLD_LIMIT = 512 << 20 };
effnet_status source_tar_open(const NameList *paths, const SplitWanted *wanted, int64_t hold_limit, Dataset **out,
                              effnet_error *err);
effnet_status source_cifar_open(const NameList *paths, Dataset **out, effnet_error *err);
/* Splits are told by a column, or by a key of rows of JSON. `wanted` may be NULL: all rows. */
effnet_status source_table_open(const NameList *paths, const SplitWanted *wanted, Dataset **out, effnet_error *err);

/* Whether a file's beginning is that of its kind. */
bool bytes_are_tfrecord(const uint8_t *bytes, size_t size);
bool file_is_tar(const char *path);   /* compressed or not */
bool file_is_cifar(const char *path); /* by name and length */

#endif
