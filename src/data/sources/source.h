/* source.h - what a kind of storage implements to be a Dataset. A source embeds struct Dataset as its first member,
 * fills it in when it opens, and from then on delivers bytes: decoding, turning and renumbering are the same for all
 * and stand in source.c. A new kind is an open function, a SourceMethods and a line in source_find.c. Internal to
 * data/. */
#ifndef EFFNET_DATA_SOURCES_SOURCE_H
#define EFFNET_DATA_SOURCES_SOURCE_H

#include "base/random.h"
#include "data/sources/class_names.h"
#include "data/picture/decode_region.h"
#include "data/sources/dataset.h"

enum { CLASSES_LIMIT = 100000, SOURCE_PATH_BYTES = 4096 };

typedef enum BlobFormat {
    BLOB_ENCODED, /* a whole JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC file */
    BLOB_RGB,     /* (height, width, 3) */
    BLOB_GREY,    /* (height, width) */
    BLOB_PLANES,  /* (3, height, width): all reds, all greens, all blues */
} BlobFormat;

/* One picture as it is stored. */
typedef struct Blob {
    BlobFormat format;
    const uint8_t *bytes; /* the source's or the decoder's; never written to */
    size_t size;
    int height, width; /* of the three kinds that are not encoded */
    int orientation;   /* EXIF's 1 to 8 where the storage tells it; 0: look into the bytes */
} Blob;

typedef struct SourceMethods {
    /* The bytes last until the decoder's next use. Called by several threads at once, each with its own decoder. */
    effnet_status (*fetch)(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err);
    int (*label)(const Dataset *dataset, int64_t index); /* in the source's own numbering */
    /* All labels of a picture, in the same numbering; asked for where dataset.sets. Returns how many. */
    int (*labels)(const Dataset *dataset, int64_t index, const int32_t **labels);
    void (*describe)(const Dataset *dataset, int64_t index, char *buffer, size_t size);
    void (*release)(Dataset *dataset); /* what the source allocated besides the struct itself and its names */
    /* NULL: any permutation reads equally fast. Else the order of an epoch, a permutation of the pictures that is a
     * function of `key` alone. */
    void (*order)(const Dataset *dataset, RandomKey key, uint32_t *order);
    /* Forgets every picture i but those that are kept[i], before any is read for use; wanted where `order` is. After an
     * error the data set can only be freed. */
    effnet_status (*keep)(Dataset *dataset, const bool *kept, effnet_error *err);
} SourceMethods;

enum { LOSSES_KEPT = 32 };

struct Dataset {
    const SourceMethods *methods;
    int64_t size;
    bool in_memory;         /* reading is copying: a cache would gain nothing */
    bool parted;            /* by source_share */
    NameList own_classes;   /* one name a class, in the source's numbering */
    bool sets;              /* a picture may have any number of labels (methods->labels) */
    bool classes_named;     /* false: the names are only the numbers */
    NameList given_classes; /* of dataset_use_classes */
    int *renumbered;        /* for each own class its number among given_classes; NULL: not renumbered */
    int64_t lost;           /* pictures, or rests of files, found unusable while opening */
    NameList losses;        /* the messages of the first LOSSES_KEPT of them */
    NameList remarks;       /* dataset_remark */
    NameSet passed_over;    /* endings of files that are no pictures: ".txt" */
    int64_t *passed_counts; /* of each of them */
    int64_t strays;         /* those of them that belong to no picture that is read */
    char stray[300];        /* the first's name */
};

/* dataset_read into a decoder's memory: no allocation once it has seen the largest picture. */
effnet_status dataset_read_with(const Dataset *dataset, int64_t index, Decoder *decoder, Picture *out,
                                effnet_error *err);
/* The same where only a crop is needed: decodes a part of the picture if its format allows it. */
effnet_status dataset_read_region(const Dataset *dataset, int64_t index, Decoder *decoder, const RegionRequest *request,
                                  Region *out, effnet_error *err);
/* The stored bytes, not decoded. */
effnet_status dataset_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err);
/* The first 64 bits of the SHA-1 of those bytes, *size of them; false where they cannot be read, which a reader tells of. */
bool dataset_hash(const Dataset *dataset, int64_t index, Decoder *decoder, uint64_t *hash, size_t *size);
/* The order of an epoch: order (size of the data set), a function of the key alone. */
void dataset_order(const Dataset *dataset, RandomKey key, uint32_t *order);
/* Something that cannot be used was passed over while opening: counted, and told of later. */
void dataset_lose(Dataset *dataset, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One more sentence of dataset_remark. */
void dataset_tell(Dataset *dataset, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A file that is not read, by its name: counted by ending, or as hidden where it begins with a point. `beside`: it says more about a picture that is read (a .json
 * in a WebDataset sample), which is nothing to stop at. */
effnet_status dataset_pass_over(Dataset *dataset, const char *name, bool beside, effnet_error *err);
/* Remarks on what the opened data set holds; `origin` says where from. Called once, last. */
void dataset_describe_whole(Dataset *dataset, const char *split, const char *origin);

/* `folder` holds one folder a class. `class_folder` (may be NULL or the same): whose subfolders name the classes. */
effnet_status source_folder_open(const char *folder, const char *class_folder, Dataset **out, effnet_error *err);

/* Looks for ROOT/PREFIX-images-idx3-ubyte[.gz]; *found false where there is none. */
effnet_status source_idx_find(const char *root, const char *prefix, char *images, char *labels, size_t size,
                              bool *found, effnet_error *err);
effnet_status source_idx_open(const char *root, const char *images, const char *labels, Dataset **out,
                              effnet_error *err);

#endif
