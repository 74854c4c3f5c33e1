/* imagenet_labels.h - which class each of ImageNet's validation pictures has: the tar of them holds pictures only.
 * Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_IMAGENET_LABELS_H
#define EFFNET_DATA_SOURCES_IMAGENET_LABELS_H

#include "data/sources/class_names.h"

typedef struct ImagenetLabels {
    char path[4096];  /* of the file the labels come from */
    NameList classes; /* of picture number i + 1 (the digits at its name's end), or of files[i] */
    NameList files;   /* empty, or names of pictures, sorted with their classes */
} ImagenetLabels;

/* Looks beside `tar` for one of
 *   imagenet_2012_validation_synset_labels.txt   a class (n01440764) a line
 *   ILSVRC2012_validation_ground_truth.txt       a number a line, into ILSVRC2012_synsets.txt: a class a line, in the
 *                                                order of the development kit's ILSVRC2012_ID, from 1
 *   val.txt                                      "NAME CLASS" or "NAME NUMBER" a line, the number from 0 into the
 *                                                sorted classes of synsets.txt
 * *found false where there is none of them. */
effnet_status imagenet_labels_read(const char *tar, ImagenetLabels *out, bool *found, effnet_error *err);
void imagenet_labels_free(ImagenetLabels *labels);
/* The class of the picture called `name`, or NULL. */
const char *imagenet_labels_find(const ImagenetLabels *labels, const char *name);

#endif
