/* file_kind.h - what a file is by its first bytes, in words, for messages about one that is not what was
 * wanted. file_kind_at (file.h) looks at a file. */
#ifndef EFFNET_BASE_FILE_KIND_H
#define EFFNET_BASE_FILE_KIND_H

#include <stddef.h>

/* "a Git LFS pointer ('git lfs pull' fetches the file itself)"; NULL where the bytes tell nothing. Static. */
const char *file_kind_of(const void *bytes, size_t size);

#endif
