/* pack_write.h - a whole data set into one file: what `effnet pack` does. */
#ifndef EFFNET_DATA_INSPECT_PACK_WRITE_H
#define EFFNET_DATA_INSPECT_PACK_WRITE_H

#include "base/error.h"

typedef struct PackOptions {
    const char *source, *path;
    int side;    /* shorter side of pictures that are larger; 0: never resized */
    int quality; /* of JPEGs, 1 to 100; 0: pixels */
    int workers; /* 0: one for each processor */
    /* Called about every half second and at the end; true stops, and another pack_write goes on from there. */
    bool (*progress)(void *context, int64_t done, int64_t all, int64_t bytes);
    /* Once for each picture that is not in the file, also those of before a stop; `where` and `why`. */
    void (*skipped)(void *context, const char *why);
    void (*remark)(void *context, const char *text); /* dataset_remark, before anything is written; may be NULL */
    void *context;
} PackOptions;

typedef struct PackResult {
    int64_t pictures, skipped, resumed, bytes; /* resumed: records found in a stopped file */
    int64_t kept;                              /* files taken over as they were */
    int classes;
} PackResult;

/* Writes `path`, by way of path.part, which stays when the writing is stopped or fails. */
effnet_status pack_write(const PackOptions *options, PackResult *out, effnet_error *err);

#endif
