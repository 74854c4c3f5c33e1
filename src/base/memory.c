/* memory.c - see memory.h. A header of 64 bytes before each block says how to give it back. Large blocks are mapped and
 * not written here: the system hands out their pages, zeroed, to whichever thread writes first, so that on a machine of
 * several memory nodes a page lies with the processor that uses it (threads.c gives each thread the same part of every
 * pass). Under sanitizers every block comes from malloc, whose ends they watch. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, MAPPED_FROM = 4 * HUGE_PAGE };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MAY_MAP = 0 };
#elif defined(__has_feature)
enum { MAY_MAP = !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)) };
#else
enum { MAY_MAP = 1 };
#endif

typedef struct Header {
    void *base;
    size_t mapped; /* bytes from base; 0: from malloc */
} Header;
_Static_assert(sizeof(Header) <= MEMORY_ALIGNMENT, "the header must fit before the block");

static void *place(char *base, size_t alignment, size_t mapped) {
    char *block = (char *)round_up((uintptr_t)base + MEMORY_ALIGNMENT, alignment);
    *(Header *)(void *)(block - MEMORY_ALIGNMENT) = (Header){base, mapped};
    return block;
}

static void *map_block(size_t bytes) {
    size_t padded = round_up(bytes, HUGE_PAGE), all = padded + 2 * (size_t)HUGE_PAGE;
    char *base = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    char *block = place(base, HUGE_PAGE, all);
    madvise(block, padded, MADV_HUGEPAGE); /* advice only: may be refused */
    return block;
}

effnet_status memory_allocate(size_t count, size_t size, const char *what, void **out, effnet_error *err) {
    *out = NULL;
    size_t bytes;
    if (!size_multiply(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return fail(err, EFFNET_ERROR_MEMORY, "the size of %s overflows: %zu elements of %zu bytes", what, count, size);
    void *block = NULL;
    if (MAY_MAP && bytes >= (size_t)MAPPED_FROM) {
        block = map_block(bytes);
    } else {
        size_t padded = round_up(bytes, MEMORY_ALIGNMENT) + MEMORY_ALIGNMENT;
        char *base = aligned_alloc(MEMORY_ALIGNMENT, padded);
        if (base) block = memset(place(base, MEMORY_ALIGNMENT, 0), 0, padded - MEMORY_ALIGNMENT);
    }
    if (!block)
        return fail(err, EFFNET_ERROR_MEMORY,
                    "no memory for %s (%.1f MB); a smaller batch_size or a larger accumulate needs less", what,
                    (double)bytes / 1e6);
    *out = block;
    return EFFNET_OK;
}

effnet_status memory_allocate_floats(size_t rows, size_t columns, const char *what, float **out, effnet_error *err) {
    void *block = NULL;
    size_t count;
    *out = NULL;
    if (!size_multiply(rows, columns, &count)) return fail(err, EFFNET_ERROR_MEMORY, "the size of %s overflows", what);
    TRY(memory_allocate(count, sizeof(float), what, &block, err));
    *out = block;
    return EFFNET_OK;
}

void memory_free(void *block) {
    if (!block) return;
    Header header = *(Header *)(void *)((char *)block - MEMORY_ALIGNMENT);
    if (header.mapped)
        munmap(header.base, header.mapped);
    else
        free(header.base);
}
