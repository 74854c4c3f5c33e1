/* shared_pictures.h - are pictures evaluated on that were trained on? Copies, by the bytes that are stored; what differs
 * in as much as a comment is another picture here (data check looks at the pixels). */
#ifndef EFFNET_DATA_SOURCES_SHARED_PICTURES_H
#define EFFNET_DATA_SOURCES_SHARED_PICTURES_H

#include "data/sources/dataset.h"

/* How many pictures of `evaluation` stand in `training` too. Looks at no more than the first SHARED_PICTURES pictures and
 * SHARED_BYTES of each; *all tells whether those were all. */
enum { SHARED_PICTURES = 100000, SHARED_BYTES = 1 << 28 };
effnet_status datasets_shared(const Dataset *training, const Dataset *evaluation, int64_t *count, bool *all,
                              effnet_error *err);

#endif
