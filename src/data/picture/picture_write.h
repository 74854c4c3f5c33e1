/* picture_write.h - a picture into a file: PNG, or JPEG where the name ends with .jpg or .jpeg. Internal to data/. */
#ifndef EFFNET_DATA_PICTURE_PICTURE_WRITE_H
#define EFFNET_DATA_PICTURE_PICTURE_WRITE_H

#include "base/error.h"
#include "data/picture/picture.h"

#include <stdio.h>

/* The file is there whole or not at all. */
effnet_status picture_write(const Picture *picture, const char *path, effnet_error *err);
/* As PNG into an open stream; `path` names it in messages. */
effnet_status picture_write_png(const Picture *picture, const char *path, FILE *stream, effnet_error *err);

#endif
