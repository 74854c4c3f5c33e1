/* checkpoint_marker.h - OUT/checkpoints/last and best: each names one of the checkpoints beside it. A relative symbolic
 * link where the file system has such; else a text file whose one line is the checkpoint's name. Whoever reads one
 * understands both. Private to src/train and src/api. */
#ifndef EFFNET_TRAIN_CHECKPOINT_MARKER_H
#define EFFNET_TRAIN_CHECKPOINT_MARKER_H

#include "base/error.h"

/* folder/name -> the checkpoint of `step`, put in the place of the one before by rename. */
effnet_status checkpoint_marker_write(const char *folder, const char *name, int64_t step, effnet_error *err);
/* The step of the checkpoint that it names, -1 where there is no such marker or it names none. */
int64_t checkpoint_marker_step(const char *folder, const char *name);
/* out = the folder that `path` means: where it is a marker as text, the checkpoint beside it; else path itself. */
effnet_status checkpoint_marker_follow(const char *path, char *out, size_t size, effnet_error *err);

#endif
