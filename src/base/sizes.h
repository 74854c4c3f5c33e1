/* sizes.h - sizes that say when they overflow: those that come from a file or from a product of dimensions. */
#ifndef EFFNET_BASE_SIZES_H
#define EFFNET_BASE_SIZES_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
