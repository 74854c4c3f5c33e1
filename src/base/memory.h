/* memory.h - aligned blocks of checked sizes (sizes.h). Large blocks come from memory_allocate, aligned for the widest
 * vectors and backed by huge pages where they help. memory_free frees nothing else. */
#ifndef EFFNET_BASE_MEMORY_H
#define EFFNET_BASE_MEMORY_H

#include "base/error.h"
#include "base/sizes.h"

#include <stdint.h>

enum { MEMORY_ALIGNMENT = 64 };

/* `count` elements of `size` bytes, zeroed, aligned to MEMORY_ALIGNMENT; freed by memory_free. `what` names
 * the block in the error message. */
effnet_status memory_allocate(size_t count, size_t size, const char *what, void **out, effnet_error *err);
/* The same of rows * columns floats. */
effnet_status memory_allocate_floats(size_t rows, size_t columns, const char *what, float **out, effnet_error *err);
void memory_free(void *block);

#endif
