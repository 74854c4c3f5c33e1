/* thumbnail.h - a picture of a data set, upright and small, as the bytes of a JPEG; and a matrix as a picture. */
#ifndef EFFNET_REPORT_THUMBNAIL_H
#define EFFNET_REPORT_THUMBNAIL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct Dataset;

typedef struct Thumbnail {
    int height, width;
    uint8_t *jpeg; /* the caller's, freed with free() */
    size_t size;   /* bytes */
} Thumbnail;

/* At most `side` pixels along the longer side; smaller pictures stay as they are. */
effnet_status thumbnail_make(const struct Dataset *dataset, int64_t index, int side, Thumbnail *out, effnet_error *err);
/* confusion (classes, classes), rows are labels: a field a pair, green on the diagonal, red beside it, as strong as its
 * share of the row. */
effnet_status thumbnail_of_confusion(const int64_t *confusion, int classes, Thumbnail *out, effnet_error *err);

#endif
