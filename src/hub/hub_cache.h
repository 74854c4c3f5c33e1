/* hub_cache.h - the cache of Hugging Face's programs, shared with them: CACHE/models--OWNER--NAME has refs/main (the commit
 * that a name means), blobs/CHECKSUM (the files) and snapshots/COMMIT/FILE (links to them). What comes in is written to
 * blobs/CHECKSUM.incomplete and renamed once it has been checked; CACHE/.locks has a lock for each, as theirs. */
#ifndef EFFNET_HUB_HUB_CACHE_H
#define EFFNET_HUB_HUB_CACHE_H

#include "base/error.h"

#include <stdint.h>

enum { HUB_PATH = 1024, HUB_WORD = 160 };

/* A name taken apart. */
typedef struct HubName {
    char owner[HUB_WORD], name[HUB_WORD], revision[HUB_WORD]; /* "main" where none is given */
} HubName;

bool hub_name_parse(const char *text, HubName *out);
/* Letters, digits, '-', '_' and '.', not '.' or '..' and not of dots alone: what may become a file's name. */
bool hub_word_is_safe(const char *word);
bool hub_is_commit(const char *text); /* 40 hexadecimal digits */

typedef struct HubCache {
    char root[HUB_PATH];   /* of the cache */
    char folder[HUB_PATH]; /* of the repository in it */
    char locks[HUB_PATH];
    char revision[HUB_WORD];
} HubCache;

effnet_status hub_cache_find(const HubName *name, HubCache *out, effnet_error *err);
/* The commit that the revision meant when it was asked for last; false: it never was. */
bool hub_cache_commit(const HubCache *cache, char commit[HUB_WORD]);
effnet_status hub_cache_note_commit(const HubCache *cache, const char *commit, effnet_error *err);
/* The file of a commit; false: it is not there, or its blob is gone. */
bool hub_cache_file(const HubCache *cache, const char *commit, const char *file, char *path, size_t size);
/* The blob of a checksum; `ending`: "" or ".incomplete". Makes the folder. */
effnet_status hub_cache_blob(const HubCache *cache, const char *checksum, const char *ending, char *path, size_t size,
                             effnet_error *err);
/* snapshots/COMMIT/FILE -> the blob. */
effnet_status hub_cache_link(const HubCache *cache, const char *commit, const char *file, const char *checksum,
                             effnet_error *err);
/* Waits where another process has it, and says so by `wait` (may be NULL) before. *descriptor is closed by close(). */
effnet_status hub_cache_lock(const HubCache *cache, const char *checksum, void (*wait)(void *context), void *context,
                             int *descriptor, effnet_error *err);

#endif
