/* plugins.h - where plugins are: by path, by PJRT_PLUGIN_LIBRARY_PATH, or in the Python packages that bring them. No
 * Python is run: the packages' folders are looked for beside the python3 of PATH, in VIRTUAL_ENV, the user's and the
 * system's places. */
#ifndef EFFNET_BACKEND_XLA_PLUGINS_H
#define EFFNET_BACKEND_XLA_PLUGINS_H

#include "base/error.h"

#include <stdbool.h>

enum { PLUGIN_PATH = 4096 };

typedef struct KnownPlugin {
    const char *name;    /* "tpu", "cuda", "rocm", "cpu" */
    const char *package; /* how to get it: "pip install jax-cuda13-pjrt" */
    const char *needs;   /* what it wants besides */
    const char *pattern; /* below a folder of Python packages; a pattern of glob(7) */
} KnownPlugin;

/* The index-th known one, the best first; NULL past the last. */
const KnownPlugin *plugin_known(int index);
/* Where it is installed; false: nowhere. */
bool plugin_installed(const KnownPlugin *plugin, char path[PLUGIN_PATH]);

/* What may stand behind a device, "xla:cuda,memory_fraction=0.5,preallocate=false": the plugin's client is created so.
 * Those of plugins for GPUs, by the plugin's own names; zero and NULL are its own choice. */
typedef struct PluginOptions {
    double memory_fraction;             /* of the device's memory, at most, 0 to 1 */
    bool sets_preallocate, preallocate; /* all of that at once, at the beginning */
    const char *allocator;              /* "default", "bfc", "platform", "cuda_async"; a literal */
} PluginOptions;

/* device: "xla" (PJRT_PLUGIN_LIBRARY_PATH, else the first known one that is installed), "xla:NAME" (a known one) or
 * "xla:/PATH.so"; then options, each behind a comma. */
effnet_status plugin_find(const char *device, char path[PLUGIN_PATH], PluginOptions *options, effnet_error *err);

/* What a plugin wants in memory before it is loaded: NVIDIA's libraries from the packages beside it. What is missing is
 * found out by the plugin. */
void plugin_load_needs(const char *path);
/* The folder with CUDA's tools and bitcode for a CUDA plugin; "" where there is none. */
void plugin_cuda_folder(const char *path, char *out, size_t size);

#endif
