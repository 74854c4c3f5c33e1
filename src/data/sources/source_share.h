/* source_share.h - a data set without an evaluation split parted into training and evaluation, picture by picture, by
 * what is in them. Internal to data/. */
#ifndef EFFNET_DATA_SOURCE_SHARE_H
#define EFFNET_DATA_SOURCE_SHARE_H

#include "data/sources/source.h"

/* What is evaluated on: a share of each class, or one of several equal parts of it. */
typedef struct SourcePart {
    double share;    /* 0 to 1; of a fold 1 / folds */
    int fold, folds; /* fold counts from 1; folds 0: a share */
} SourcePart;

/* *dataset becomes the part of it that is evaluated on, or trained on, by a hash of each picture's stored bytes, as a
 * number in 0 .. 1. Of a share, a picture is evaluated on where it is below it: it stays on its side when pictures are
 * added or renamed, and equal pictures stand on one side. Each class keeps about its share; one of two pictures or more
 * (that differ) has at least one on each side, by the least or greatest hash. Of folds, each class's pictures in the
 * order of their hashes are cut into parts of equal size, within one; equal pictures stand in one part, and the only
 * picture of a class is in none. A picture that cannot be read is trained on, which tells of it. After an error
 * *dataset is still the caller's to free, and of no other use. */
effnet_status source_share(Dataset **dataset, bool evaluation, const SourcePart *part, effnet_error *err);
bool source_is_share(const Dataset *dataset);
/* "20%", "0.2" as well, or "fold 2/5"; false where the text is no share of 0 % to 100 %, a number without a point, nor one of 2 to 1,000 folds. */
bool source_part_of_text(const char *text, SourcePart *out);
/* Is it meant as one of these, rather than as a name? */
bool source_part_is_meant(const char *text);

#endif
