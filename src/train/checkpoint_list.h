/* checkpoint_list.h - the folders OUT/checkpoints/00001234 by their names alone. Private to src/train. */
#ifndef EFFNET_TRAIN_CHECKPOINT_LIST_H
#define EFFNET_TRAIN_CHECKPOINT_LIST_H

#include "base/error.h"

enum { CHECKPOINT_PATH_BYTES = 1024, CHECKPOINT_NAME_BYTES = 40 };

/* "00001234" and `suffix`. */
void checkpoint_step_name(char out[CHECKPOINT_NAME_BYTES], int64_t step, const char *suffix);
/* The step of a folder's name, -1 where it is none: digits, at least 8 and at most 18 of them. */
int64_t checkpoint_step_of_name(const char *name);
/* A folder with all that is in it, or a link; links inside are removed, not followed. Nothing there: fine. */
effnet_status checkpoint_remove_tree(const char *path, effnet_error *err);

typedef struct CheckpointSteps {
    int64_t *values; /* descending; freed with free() */
    size_t count;
} CheckpointSteps;

/* The steps of the folders named by digits in `folder`, OUT/checkpoints; one that does not exist has none. Where
 * `remove_temporary`, what ends in .tmp goes. */
effnet_status checkpoint_list_steps(const char *folder, bool remove_temporary, CheckpointSteps *out, effnet_error *err);

#endif
