/* picture_progress.h - how far a pass over pictures is that evaluates nothing, told about twice a second and at its end.
 * Internal to train/. */
#ifndef EFFNET_TRAIN_PICTURE_PROGRESS_H
#define EFFNET_TRAIN_PICTURE_PROGRESS_H

#include "data/feed/loader.h"
#include "effnet.h"

#include <stdint.h>

typedef struct PictureProgress {
    effnet_progress_function *tell; /* NULL: nobody listens */
    void *context;
    const char *phase, *message_phase; /* of numbers; of messages */
    int64_t pictures;                  /* to do */
    double began, reported;
} PictureProgress;

/* Sets the clock; everything else is the caller's. */
void picture_progress_begin(PictureProgress *progress);
/* True where the listener asks to stop. */
bool picture_progress_tell(PictureProgress *progress, int64_t done);
/* The loader's warnings; true as above. */
bool picture_progress_warn(PictureProgress *progress, int64_t done, Loader *loader);

#endif
