/* bad_pictures.h - which pictures of a data set could not be read: counted once each, not tried again, and their
 * messages kept until somebody takes them. Thread-safe. Internal to data/. */
#ifndef EFFNET_DATA_FEED_BAD_PICTURES_H
#define EFFNET_DATA_FEED_BAD_PICTURES_H

#include "base/error.h"

typedef struct BadPictures BadPictures;

effnet_status bad_pictures_create(int64_t pictures, BadPictures **out, effnet_error *err);
void bad_pictures_free(BadPictures *bad);
bool bad_pictures_has(const BadPictures *bad, int64_t index);
void bad_pictures_add(BadPictures *bad, int64_t index, const char *message);
/* `count` more without a number, found before any picture was read; message may be NULL. */
void bad_pictures_note(BadPictures *bad, int64_t count, const char *message);
int64_t bad_pictures_count(BadPictures *bad);
/* The oldest message not yet taken; false where there is none. */
bool bad_pictures_take(BadPictures *bad, char *buffer, size_t size);

#endif
