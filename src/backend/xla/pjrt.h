/* pjrt.h - a plugin at work: loads it, compiles programs for its devices, moves vectors there and back, runs.
 *
 * Everything is asynchronous but pjrt_download and pjrt_wait: uploads and executions return as soon as they are queued,
 * and what has gone wrong on a device comes out where a result is waited for. Not for several threads at once. */
#ifndef EFFNET_BACKEND_XLA_PJRT_H
#define EFFNET_BACKEND_XLA_PJRT_H

#include "backend/xla/plugins.h"
#include "backend/xla/program.h"

typedef struct Pjrt Pjrt;
typedef struct PjrtExecutable PjrtExecutable;
typedef struct PjrtBuffer PjrtBuffer; /* a vector on a device */

enum { PJRT_TEXT = 128, PJRT_MOST_DEVICES = 1024 };

typedef struct PjrtInfo {
    char platform[PJRT_TEXT]; /* "cuda", "tpu", "cpu" */
    char version[PJRT_TEXT];
    char kind[PJRT_TEXT]; /* of the first device: "NVIDIA H100 80GB HBM3" */
    int api_major, api_minor;
    int devices;
    int64_t memory_bytes, used_bytes, peak_bytes; /* of the first device; 0 where the plugin does not tell */
} PjrtInfo;

/* path: the plugin's file. devices: how many a plugin that makes its devices up is to make (cpu); 0: its own choice.
 * options: NULL, all its own choice. EFFNET_ERROR_UNSUPPORTED where the plugin has no such options. */
effnet_status pjrt_open(const char *path, int devices, const PluginOptions *options, Pjrt **out, effnet_error *err);
void pjrt_close(Pjrt *pjrt);
PjrtInfo pjrt_info(Pjrt *pjrt);

/* Compiled for devices 0 .. program->replicas - 1. cache: folder where what was compiled is kept, or NULL; *cached (may
 * be NULL): it was there. */
effnet_status pjrt_compile(Pjrt *pjrt, const XlaProgram *program, const char *cache, PjrtExecutable **out, bool *cached,
                           effnet_error *err);
void pjrt_executable_free(PjrtExecutable *executable);

/* A copy of `data` (dense, the last dimension varying fastest) on a device; `data` may change after the call. */
effnet_status pjrt_upload(Pjrt *pjrt, int device, XlaType type, int rank, const int64_t *shape, const void *data,
                          PjrtBuffer **out, effnet_error *err);
/* Waits for the vector and copies it to `data`. */
effnet_status pjrt_download(Pjrt *pjrt, PjrtBuffer *buffer, void *data, size_t bytes, effnet_error *err);
effnet_status pjrt_wait(Pjrt *pjrt, PjrtBuffer *buffer, effnet_error *err);
void pjrt_buffer_free(Pjrt *pjrt, PjrtBuffer *buffer); /* NULL is allowed */

/* arguments (replicas, num_arguments), results (replicas, num_results) of the program. An argument that gives its
 * memory away is no longer good; it is still the caller's to free. */
effnet_status pjrt_execute(PjrtExecutable *executable, PjrtBuffer *const *arguments, PjrtBuffer **results,
                           effnet_error *err);

#endif
