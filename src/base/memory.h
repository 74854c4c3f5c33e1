/* memory.h - checked sizes and aligned blocks. Sizes that come from a file or from a product of dimensions
 * are computed with size_multiply/size_add, which say when they overflow; large blocks come from
 * memory_allocate, aligned for the widest vectors and backed by huge pages where they help. memory_free frees nothing
 * else. */
#ifndef EFFNET_BASE_MEMORY_H
#define EFFNET_BASE_MEMORY_H

#include "base/error.h"

#include <stdint.h>

enum { MEMORY_ALIGNMENT = 64 };

/* *result = a*b or a+b; false on overflow. */
static inline bool size_multiply(size_t a, size_t b, size_t *result) {
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool size_add(size_t a, size_t b, size_t *result) {
    return !__builtin_add_overflow(a, b, result);
}
/* n rounded up to a multiple of `to`. */
static inline size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* `count` elements of `size` bytes, zeroed, aligned to MEMORY_ALIGNMENT; freed by memory_free. `what` names
 * the block in the error message. */
effnet_status memory_allocate(size_t count, size_t size, const char *what, void **out, effnet_error *err);
/* The same of rows * columns floats. */
effnet_status memory_allocate_floats(size_t rows, size_t columns, const char *what, float **out, effnet_error *err);
void memory_free(void *block);

#endif
