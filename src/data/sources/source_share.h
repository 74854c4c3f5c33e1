/* source_share.h - a data set without an evaluation split parted into training and evaluation, picture by picture, by
 * what is in them. Internal to data/. */
#ifndef EFFNET_DATA_SOURCE_SHARE_H
#define EFFNET_DATA_SOURCE_SHARE_H

#include "data/sources/source.h"

/* *dataset becomes the part of it that is evaluated on, or trained on. A picture is evaluated on where a hash of its
 * stored bytes, as a number in 0 .. 1, is below `share`: it stays on its side when pictures are added or renamed, and
 * equal pictures stand on one side. Each class keeps about its share; one of two pictures or more (that differ) has at
 * least one on each side, by the least or greatest hash. A picture that cannot be read is trained on, which tells of
 * it. *dataset is unchanged after an error. */
effnet_status source_share(Dataset **dataset, bool evaluation, double share, effnet_error *err);
bool source_is_share(const Dataset *dataset);
/* "20%" -> .2, and "0.2" as well; false where the text is no share of 0 % to 100 %, or a number without a point. */
bool share_of_text(const char *text, double *share);

#endif
