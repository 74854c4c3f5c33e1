/* source.h - what a kind of storage implements to be a Dataset: open, read, label, describe, free. A source embeds
 * struct Dataset as its first member and fills it in. TFRecord, tar and others join here later: an open function and a
 * SourceMethods. Internal to data/. */
#ifndef EFFNET_DATA_SOURCE_H
#define EFFNET_DATA_SOURCE_H

#include "data/decode.h"

typedef struct SourceMethods {
    /* The pixels belong to the decoder (out->pixels may be decoder->pixels) and last until its next call. Called by
     * several threads at once, each with its own decoder. */
    effnet_status (*read)(const Dataset *dataset, int64_t index, Decoder *decoder, Picture *out, effnet_error *err);
    int (*label)(const Dataset *dataset, int64_t index); /* in the source's own numbering */
    void (*describe)(const Dataset *dataset, int64_t index, char *buffer, size_t size);
    void (*release)(Dataset *dataset); /* what the source allocated besides the struct itself and its names */
} SourceMethods;

/* A list of names in one numbered array. */
typedef struct NameList {
    char **names;
    int count, capacity;
} NameList;

effnet_status name_list_add(NameList *list, const char *name, effnet_error *err);
void name_list_sort(NameList *list);                        /* bytewise */
int name_list_find(const NameList *list, const char *name); /* in a sorted list; -1 */
void name_list_free(NameList *list);

struct Dataset {
    const SourceMethods *methods;
    int64_t size;
    bool in_memory;         /* reading is copying: a cache would gain nothing */
    NameList own_classes;   /* one name a class, in the source's numbering */
    bool classes_named;     /* false: the names are only the numbers */
    NameList given_classes; /* of dataset_use_classes */
    int *renumbered;        /* for each own class its number among given_classes; NULL: not renumbered */
};

/* dataset_read into a decoder's memory: no allocation once it has seen the largest picture. */
effnet_status dataset_read_with(const Dataset *dataset, int64_t index, Decoder *decoder, Picture *out,
                                effnet_error *err);

/* `folder` holds one folder a class. `class_folder` (may be NULL or the same): whose subfolders name the classes. */
effnet_status source_folder_open(const char *folder, const char *class_folder, Dataset **out, effnet_error *err);

/* Looks for ROOT/PREFIX-images-idx3-ubyte[.gz]; *found false where there is none. */
effnet_status source_idx_find(const char *root, const char *prefix, char *images, char *labels, size_t size,
                              bool *found, effnet_error *err);
effnet_status source_idx_open(const char *root, const char *images, const char *labels, Dataset **out,
                              effnet_error *err);

#endif
