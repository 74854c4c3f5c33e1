/* memory.c - see memory.h. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

effnet_status memory_allocate(size_t count, size_t size, const char *what, void **out, effnet_error *err) {
    *out = NULL;
    size_t bytes;
    if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE)
        return fail(err, EFFNET_ERROR_MEMORY, "the size of %s overflows: %zu elements of %zu bytes", what, count, size);
    size_t alignment = bytes >= 4 * (size_t)HUGE_PAGE ? (size_t)HUGE_PAGE : (size_t)MEMORY_ALIGNMENT;
    size_t padded = round_up(bytes ? bytes : 1, alignment);
    void *block = aligned_alloc(alignment, padded);
    if (!block)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for %s (%.1f MB); use a smaller batch_size", what,
                    (double)bytes / 1e6);
    if (alignment == HUGE_PAGE) madvise(block, padded, MADV_HUGEPAGE); /* advice only: may be refused */
    memset(block, 0, padded);
    *out = block;
    return EFFNET_OK;
}

void memory_free(void *block) {
    free(block);
}
