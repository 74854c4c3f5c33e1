/* linked.h - whether a function of another library is there. In the static libraries the names of libtiff, giflib and
 * utf8proc are weak (cmake/library.cmake), so that a program whose link line is older than their use still links, and
 * lacks what they do: TIFF, GIF and the hint about Unicode normalisation. The static program (cmake/inference_program.cmake)
 * may lack libspng. */
#ifndef EFFNET_BASE_LINKED_H
#define EFFNET_BASE_LINKED_H

#include <stdbool.h>
#include <stddef.h>

/* The compiler takes it that a function's address is never NULL; it may not about a volatile. */
static inline bool is_linked(void (*function)(void)) {
    void (*volatile kept)(void) = function;
    return kept != NULL;
}

#endif
