/* pjrt_cache.h - what took long to compile, kept on disk: programs, a file for each program, build of the plugin, device
 * kind and options, and kernels, a file for each source, macros and compiler. */
#ifndef EFFNET_BACKEND_XLA_PJRT_CACHE_H
#define EFFNET_BACKEND_XLA_PJRT_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* Something that the result depends on. */
typedef struct CachePart {
    const void *data;
    size_t bytes;
} CachePart;

enum { CACHE_PARTS = 5 };

/* FOLDER/<40 digits>.ENDING, a SHA-1 of at most CACHE_PARTS parts; "" where the path is too long. */
void pjrt_cache_name(const char *folder, const CachePart *parts, int count, const char *ending, char *out, size_t size);
/* The file's content, whose checksum is right; the caller frees it. False: there is none, or it is damaged. */
bool pjrt_cache_read(const char *file, char **out, size_t *bytes);
/* Written beside and renamed, with a checksum behind; folders are made. Failure is silence: a cache may be missing. */
void pjrt_cache_write(const char *file, const char *data, size_t bytes);
/* EFFNET_CACHE, or XDG_CACHE_HOME/effnet, or HOME/.cache/effnet; "" where none is set. */
void pjrt_cache_folder(char *out, size_t size);

#endif
