/* series_curve.h - the accuracies of several runs of a recipe, epoch by epoch, as a reference for others of it. */
#ifndef EFFNET_TRAIN_SERIES_CURVE_H
#define EFFNET_TRAIN_SERIES_CURVE_H

#include "base/error.h"

/* Out of the logs in the run folders, for every epoch that all of them evaluated: its number, the mean (of averaged weights
 * where there are any) and the standard deviation between the runs (by n - 1), as reference_curve.h reads them. Nothing is
 * written where there is no such epoch. */
effnet_status series_curve_write(const char *path, const char *const *folders, int count, effnet_error *err);

#endif
