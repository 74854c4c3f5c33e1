/* label_sets.h - any number of labels a picture, of sources that have them (tables): one list, cut at each picture.
 * Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_LABEL_SETS_H
#define EFFNET_DATA_SOURCES_LABEL_SETS_H

#include "base/error.h"

#include <stdint.h>

enum { LABELS_LIMIT = 1000 }; /* of one picture */

typedef struct LabelSets {
    int32_t *labels; /* of all pictures, one behind the other */
    int64_t *begins; /* (pictures) where each one's begin */
    int64_t pictures, used, label_room, picture_room;
    bool several; /* a picture was given a list, not one label alone */
} LabelSets;

/* The labels of the next picture. */
effnet_status label_sets_add(LabelSets *sets, const int32_t *labels, int count, effnet_error *err);
/* Those of a picture; returns how many. */
int label_sets_of(const LabelSets *sets, int64_t picture, const int32_t **labels);
/* Label l becomes map[l]. */
void label_sets_renumber(LabelSets *sets, const int *map);
void label_sets_free(LabelSets *sets);

#endif
