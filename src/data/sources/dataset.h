/* dataset.h - labelled pictures by index, whatever they are stored in: class folders, IDX, TFRecord, tar, CIFAR's
 * binary files, CSV. dataset_open looks and tells which. Thread-safe after opening: several loader threads read at
 * once. */
#ifndef EFFNET_DATA_SOURCES_DATASET_H
#define EFFNET_DATA_SOURCES_DATASET_H

#include "base/error.h"
#include "data/picture/picture.h"

typedef struct Dataset Dataset;

/* SPLIT_EVALUATION: SPLIT_VALIDATION, but all of what has no splits. */
typedef enum DatasetSplit { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_EVALUATION } DatasetSplit;

/* `root`: a folder, a file, a pattern or "@FILE", a list of files; docs/data.md has every kind. A folder holds train/
 * and val/ (or validation/, test/) with one folder a class (names sorted bytewise give the class indices), or IDX files
 * or shards whose names tell their split. What has no splits, a folder of class folders or a table or tar alone, is parted:
 * a fifth of each class is kept for evaluation (source_share.h). split_name NULL or "": the usual names. */
effnet_status dataset_open(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                           effnet_error *err);
/* The same by the recipe's two keys. val_split may be a share, "20%": that much of the training pictures is evaluated
 * on instead, and the rest trained on; "100%": all are both. */
effnet_status dataset_open_with(const char *root, DatasetSplit split, const char *train_split, const char *val_split,
                                Dataset **out, effnet_error *err);
/* Both list the same pictures. */
bool datasets_are_same(const Dataset *a, const Dataset *b);
/* The same where the split may be absent: then EFFNET_OK, *out NULL, and `err` says what was looked for. Any other
 * failure (a folder that cannot be read, labels that are missing) is an error. */
effnet_status dataset_open_if_there(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                                    effnet_error *err);
/* Training and evaluation of one source, by their usual names; one of them may be absent (NULL), both not. The caller
 * frees what is there, after an error too. */
effnet_status datasets_open(const char *root, Dataset *splits[2], effnet_error *err);
void dataset_free(Dataset *dataset);
int64_t dataset_size(const Dataset *dataset);
int dataset_num_classes(const Dataset *dataset);
const char *dataset_class_name(const Dataset *dataset, int class_index); /* "7" where the data names none */
/* Pictures and rests of files that were found unusable while opening, and messages about the first of them: `which`
 * counts from 0; NULL beyond the last kept. */
int64_t dataset_lost(const Dataset *dataset);
const char *dataset_loss(const Dataset *dataset, int which);
/* What was chosen while opening and what was passed over, in sentences: which folder or files became the split, which
 * classes in which order, which columns of a table, how many files of which endings were not read. `which` counts from
 * 0; NULL beyond the last. */
const char *dataset_remark(const Dataset *dataset, int which);
/* How many files were passed over that are no pictures and belong to none; *first (may be NULL) one of them. */
int64_t dataset_strays(const Dataset *dataset, const char **first);
int dataset_label(const Dataset *dataset, int64_t index);
/* May a picture have any number of labels? Then dataset_label is the first of them, or class 0 where it has none. */
bool dataset_has_sets(const Dataset *dataset);
/* row (classes) becomes 1 where the picture has that class, else 0; of data sets of either kind. */
void dataset_targets(const Dataset *dataset, int64_t index, float *row, int classes);
/* counts (classes): pictures that have each. */
void dataset_count(const Dataset *dataset, int64_t *counts, int classes);
/* An error where a picture may have several labels: `who` cannot work with them. */
effnet_status dataset_need_single(const Dataset *dataset, const char *who, effnet_error *err);
/* Numbers the classes as `names` does (those of a model or of the training data): labels follow by name, or stay as
 * they are where the data has no names. A class that is not among `names` is an error. Before any loader reads. */
effnet_status dataset_use_classes(Dataset *dataset, const char *const *names, int count, effnet_error *err);
/* Path, or "FILE#INDEX", for messages; valid as long as the dataset. Writes into buffer. */
void dataset_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size);

/* out->pixels are the caller's. */
effnet_status dataset_read(const Dataset *dataset, int64_t index, Picture *out, effnet_error *err);

#endif
