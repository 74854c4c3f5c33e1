/* nvrtc.h - NVIDIA's run-time compiler of CUDA C, which comes with every plugin for NVIDIA GPUs: from a text to PTX. It
 * is loaded when it is wanted; nothing is linked and no GPU is needed. */
#ifndef EFFNET_BACKEND_XLA_NVRTC_H
#define EFFNET_BACKEND_XLA_NVRTC_H

#include "base/error.h"

typedef struct Nvrtc Nvrtc;

/* Loads the library: one that is in the process already (plugin_load_needs), of the system, or of /usr/local/cuda.
 * cache: folder where what was compiled is kept (some 0.2 s a kernel), or NULL; it must outlive the compiler. */
effnet_status nvrtc_open(const char *cache, Nvrtc **out, effnet_error *err);
void nvrtc_close(Nvrtc *nvrtc); /* NULL is allowed */

/* PTX of `source` compiled with macros "NAME=VALUE"; it is the compiler's, kept until the end and given out again for
 * the same source and macros. source: a text that outlives the compiler. */
effnet_status nvrtc_compile(Nvrtc *nvrtc, const char *source, const char *const *macros, int count, const char **ptx,
                            effnet_error *err);

#endif
