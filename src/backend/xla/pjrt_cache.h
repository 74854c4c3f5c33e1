/* pjrt_cache.h - compiled programs kept on disk: a file for each program, plugin version, device kind and options. */
#ifndef EFFNET_BACKEND_XLA_PJRT_CACHE_H
#define EFFNET_BACKEND_XLA_PJRT_CACHE_H

#include "backend/xla/program.h"

/* FOLDER/<40 digits>.xla, a SHA-1 of all that the result depends on; "" where the path is too long. */
void pjrt_cache_name(const char *folder, const XlaProgram *program, const char *options, size_t options_bytes,
                     const char *version, const char *kind, char *out, size_t size);
/* The file's content, whose checksum is right; the caller frees it. False: there is none, or it is damaged. */
bool pjrt_cache_read(const char *file, char **out, size_t *bytes);
/* Written beside and renamed, with a checksum behind; folders are made. Failure is silence: a cache may be missing. */
void pjrt_cache_write(const char *file, const char *data, size_t bytes);
/* EFFNET_CACHE, or XDG_CACHE_HOME/effnet, or HOME/.cache/effnet; "" where none is set. */
void pjrt_cache_folder(char *out, size_t size);

#endif
