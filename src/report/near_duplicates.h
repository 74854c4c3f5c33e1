/* near_duplicates.h - pictures that look the same though their bytes differ: made smaller, saved again, a little cropped,
 * mirrored. */
#ifndef EFFNET_REPORT_NEAR_DUPLICATES_H
#define EFFNET_REPORT_NEAR_DUPLICATES_H

#include "base/error.h"
#include "base/tensor_shape.h"

#include <stdbool.h>
#include <stdint.h>

enum { HASH_WORDS = 4, HASH_GREY = 16 };

/* What is kept of a picture. */
typedef struct PictureHash {
    uint32_t picture;              /* of its data set */
    float deviation;               /* of those levels */
    bool flat;                     /* of nearly one grey: tells nothing, and is equal to nothing */
    uint64_t bits[HASH_WORDS];     /* 256: whether a field of 16 x 17 is brighter than its left neighbour (dHash) */
    uint64_t mirrored[HASH_WORDS]; /* the same of the picture seen in a mirror */
    uint8_t grey[HASH_GREY][HASH_GREY]; /* levels of a 16 x 16 picture */
} PictureHash;

/* Of a picture (shape) of floats, each channel normalised: level = value * std + mean, 0 to 1. */
void picture_hash(const float *image, TensorShape shape, const double *mean, const double *std, PictureHash *out);

typedef struct NearPair {
    int64_t first, second; /* places in the two lists */
    int distance;          /* bits that differ, 0 to HASH_FARTHEST */
    bool mirrored;
} NearPair;

enum { HASH_FARTHEST = 24 }; /* of 256; strangers differ in about 128 with a deviation of 8 to 20 */

/* Every pair with one in each list, the nearest first. *list is freed with free(). */
effnet_status near_pairs(const PictureHash *first, int64_t first_count, const PictureHash *second, int64_t second_count,
                         NearPair **list, int64_t *count, effnet_error *err);

#endif
