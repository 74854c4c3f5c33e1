/* effpack.h - the file that `effnet pack` writes: pictures behind one another, each with a head and a checksum, and a
 * table of them at the end. docs/formats.md describes every byte; both sides of it include this. All numbers are
 * little-endian, as the machines that this runs on are.
 *
 *   EffpackHead | records | EffpackEntry of each picture | names, classes        (each part aligned to 64 bytes)
 *   record: EffpackRecord | name | zeros to 64 bytes | payload | zeros to 64 bytes
 *
 * Records alone say everything about their pictures: a file that was being written when it was stopped is read by
 * them, and goes on behind the last one that is whole. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_EFFPACK_H
#define EFFNET_DATA_SOURCES_EFFPACK_H

#include "data/sources/source.h"

#define EFFPACK_MAGIC "EFFPACK1"

enum { EFFPACK_ALIGNMENT = 64, EFFPACK_RECORD_MAGIC = 0x52504645, EFFPACK_NAME_LIMIT = 8192 };

typedef enum EffpackFormat {
    EFFPACK_ENCODED, /* a whole JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC */
    EFFPACK_RGB,     /* (height, width, 3) */
    EFFPACK_SKIPPED, /* no picture: the payload is the reason why */
} EffpackFormat;

enum { EFFPACK_TRAIN = 1, EFFPACK_VALIDATION = 2 }; /* splits, or'ed */

typedef struct EffpackHead { /* 128 bytes at 0 */
    char magic[8];
    uint32_t version;     /* 1 */
    uint32_t complete;    /* 1 once the table is there */
    uint64_t fingerprint; /* of the source and the options: what a stopped pack may go on with */
    int32_t side;         /* --size; 0: pictures as they are */
    int32_t quality;      /* of JPEGs made here; 0: --raw */
    uint64_t pictures, skipped;
    uint64_t table, texts, end; /* where EffpackEntry[pictures] begins, the names, and the file's length */
    uint32_t classes, classes_named;
    uint64_t class_texts; /* offset in the texts: names of the classes, each ended by a zero byte */
    uint32_t table_sum;   /* CRC-32C from `table` to `end` */
    uint8_t reserved[28];
    uint32_t sum; /* CRC-32C of the head before it */
} EffpackHead;

typedef struct EffpackRecord { /* 64 bytes */
    uint32_t magic;
    uint32_t splits;
    uint64_t number; /* of the picture in the source, from 0; those of the validation split follow those of training */
    uint32_t format; /* EffpackFormat */
    int32_t label;
    int32_t height, width; /* of EFFPACK_RGB */
    int32_t orientation;   /* EXIF's, 0 unknown */
    uint32_t name_size;    /* bytes of the name, no zero byte after it */
    uint32_t size;         /* bytes of the payload */
    uint32_t payload_sum;  /* CRC-32C of the payload */
    uint8_t reserved[12];
    uint32_t sum; /* CRC-32C of the record before it, then of the name */
} EffpackRecord;

typedef struct EffpackEntry { /* 64 bytes */
    uint64_t payload;         /* where it begins in the file */
    uint64_t name;            /* offset in the texts, ended by a zero byte */
    uint32_t size, payload_sum;
    uint32_t splits, format;
    int32_t label, height, width, orientation;
    uint8_t reserved[16];
} EffpackEntry;

_Static_assert(sizeof(EffpackHead) == 128 && sizeof(EffpackRecord) == 64 && sizeof(EffpackEntry) == 64,
               "the layout of docs/formats.md");

uint32_t effpack_head_sum(const EffpackHead *head);
uint32_t effpack_record_sum(const EffpackRecord *record, const char *name);

bool bytes_are_effpack(const uint8_t *bytes, size_t size);
/* The pictures of one split. *absent: it has none of the split; *whole: each picture is of both splits. */
effnet_status source_effpack_open(const char *path, DatasetSplit split, bool *absent, bool *whole, Dataset **out,
                                  effnet_error *err);

#endif
