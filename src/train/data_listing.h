/* data_listing.h - which pictures a run was trained on, as a number. Internal to train/. */
#ifndef EFFNET_TRAIN_DATA_LISTING_H
#define EFFNET_TRAIN_DATA_LISTING_H

#include "data/sources/dataset.h"

enum { DATA_LISTING_BYTES = 41 };

/* The SHA-1 of every picture's name and label in order, as 40 hexadecimal digits. `root`, which the names begin with,
 * is left out, so that a folder that was moved as it is stays the same. What is in the pictures is not looked at. */
effnet_status data_listing(const Dataset *dataset, const char *root, char out[DATA_LISTING_BYTES], effnet_error *err);

#endif
