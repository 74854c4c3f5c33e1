/* plugins.c - see plugins.h. */
#include "backend/xla/plugins.h"

#include "base/file.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const KnownPlugin known[] = {
    {"tpu", "pip install libtpu", "a TPU of this machine", "libtpu/libtpu.so"},
    {"cuda", "pip install 'jax-cuda13-plugin[with-cuda]'", "an NVIDIA GPU and its driver",
     "jax_plugins/xla_cuda1[0-9]/xla_cuda_plugin.so"},
    {"rocm", "pip install jax-rocm7-pjrt", "an AMD GPU and ROCm", "jax_plugins/xla_rocm*/xla_rocm_plugin.so"},
    {"cpu", "pip install fastatomstruct-xla-cpu", "nothing", "fastatomstruct_xla_cpu/libpjrt_cpu.so"},
};

const KnownPlugin *plugin_known(int index) {
    return index >= 0 && (size_t)index < sizeof known / sizeof *known ? &known[index] : NULL;
}

/* The last match of a pattern in the sorted list: the newest version where the name has one. */
static bool match(const char *pattern, char path[PLUGIN_PATH]) {
    glob_t found = {0};
    bool there = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0 &&
                 (size_t)snprintf(path, PLUGIN_PATH, "%s", found.gl_pathv[found.gl_pathc - 1]) < PLUGIN_PATH;
    globfree(&found);
    return there;
}

static bool match_below(const char *folder, const char *packages, const char *pattern, char path[PLUGIN_PATH]) {
    char whole[PLUGIN_PATH];
    if (!folder || !*folder) return false;
    if ((size_t)snprintf(whole, sizeof whole, "%s/%s/%s", folder, packages, pattern) >= sizeof whole) return false;
    return match(whole, path);
}

/* Beside the first python3 of PATH: BIN/python3 has BIN/../lib/python3.N/site-packages. */
static bool match_beside_python(const char *pattern, char path[PLUGIN_PATH]) {
    const char *at = getenv("PATH");
    char folder[PLUGIN_PATH - 64], program[PLUGIN_PATH];
    while (at && *at) {
        size_t length = strcspn(at, ":");
        if (length > 0 && length < sizeof folder) {
            snprintf(folder, sizeof folder, "%.*s", (int)length, at);
            snprintf(program, sizeof program, "%s/python3", folder);
            if (access(program, X_OK) == 0) {
                if (match_below(folder, "../lib/python3*/site-packages", pattern, path)) return true;
            }
        }
        at += length + (at[length] == ':');
    }
    return false;
}

bool plugin_installed(const KnownPlugin *plugin, char path[PLUGIN_PATH]) {
    const char *pattern = plugin->pattern;
    return match_below(getenv("EFFNET_PLUGINS"), ".", pattern, path) ||
           match_below(getenv("VIRTUAL_ENV"), "lib/python3*/site-packages", pattern, path) ||
           match_beside_python(pattern, path) ||
           match_below(getenv("HOME"), ".local/lib/python3*/site-packages", pattern, path) ||
           match_below("/usr/local/lib", "python3*/dist-packages", pattern, path) ||
           match_below("/usr/lib", "python3/dist-packages", pattern, path);
}

static effnet_status find_known(const char *name, char path[PLUGIN_PATH], effnet_error *err) {
    for (int i = 0; plugin_known(i); i++) {
        if (strcmp(plugin_known(i)->name, name) != 0) continue;
        if (plugin_installed(plugin_known(i), path)) return EFFNET_OK;
        return fail(err, EFFNET_ERROR_IO,
                    "the plugin for '%s' is not installed: %s, or name its file: xla:/path/to/plugin.so", name,
                    plugin_known(i)->package);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "device 'xla:%.40s': neither a file nor a known plugin (tpu, cuda, rocm, cpu)", name);
}

/* named: "", a known one or a file. */
static effnet_status find_named(const char *named, char path[PLUGIN_PATH], effnet_error *err) {
    const char *set = getenv("PJRT_PLUGIN_LIBRARY_PATH");
    if (!*named && set && *set) named = set;
    if (*named) {
        if (!strchr(named, '/') && !strstr(named, ".so")) return find_known(named, path, err);
        if (access(named, R_OK) != 0)
            return fail(err, EFFNET_ERROR_IO, "there is no plugin '%s' that can be read", named);
        if ((size_t)snprintf(path, PLUGIN_PATH, "%s", named) < PLUGIN_PATH) return EFFNET_OK;
        return fail(err, EFFNET_ERROR_ARGUMENT, "the plugin's path is too long: '%.80s...'", named);
    }
    for (int i = 0; plugin_known(i); i++)
        if (plugin_installed(plugin_known(i), path)) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO,
                "no plugin is installed; for an NVIDIA GPU: %s; for a TPU: %s; 'effnet devices' tells where was looked",
                known[1].package, known[0].package);
}

/* ---- options behind a device ---- */

/* Where they begin: at the first comma with a name and '=' behind it, as a path may have commas too; else the end. */
static const char *options_at(const char *device) {
    const char *at = device;
    while ((at = strchr(at, ','))) {
        const size_t name = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (name > 0 && at[1 + name] == '=') return at;
        at++;
    }
    return device + strlen(device);
}

static effnet_status take_option(const char *name, const char *value, PluginOptions *out, effnet_error *err) {
    static const char *const allocators[] = {"default", "bfc", "platform", "cuda_async"};
    if (strcmp(name, "memory_fraction") == 0) {
        char *end;
        out->memory_fraction = strtod(value, &end);
        if (end != value && !*end && out->memory_fraction > 0 && out->memory_fraction <= 1) return EFFNET_OK;
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "device: memory_fraction is '%.40s'; wanted a share of the device's memory, above 0, at most 1",
                    value);
    }
    if (strcmp(name, "preallocate") == 0) {
        out->sets_preallocate = true;
        out->preallocate = strcmp(value, "true") == 0;
        if (out->preallocate || strcmp(value, "false") == 0) return EFFNET_OK;
        return fail(err, EFFNET_ERROR_ARGUMENT, "device: preallocate is '%.40s'; allowed: true, false", value);
    }
    if (strcmp(name, "allocator") != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "device: unknown option '%.40s'; there is: memory_fraction, preallocate, allocator", name);
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
        if (strcmp(value, allocators[i]) == 0) {
            out->allocator = allocators[i];
            return EFFNET_OK;
        }
    return fail(err, EFFNET_ERROR_ARGUMENT, "device: allocator is '%.40s'; allowed: default, bfc, platform, cuda_async",
                value);
}

/* text: "" or ",NAME=VALUE,NAME=VALUE". */
static effnet_status take_options(const char *text, PluginOptions *out, effnet_error *err) {
    *out = (PluginOptions){0};
    while (*text) {
        char name[80], value[80];
        const size_t length = strcspn(++text, ","), equals = strcspn(text, "=,");
        if (text[equals] != '=' || length >= sizeof name)
            return fail(err, EFFNET_ERROR_ARGUMENT, "device: '%.40s' is no option; wanted NAME=VALUE", text);
        snprintf(name, sizeof name, "%.*s", (int)equals, text);
        snprintf(value, sizeof value, "%.*s", (int)(length - equals - 1), text + equals + 1);
        TRY(take_option(name, value, out, err));
        text += length;
    }
    return EFFNET_OK;
}

effnet_status plugin_find(const char *device, char path[PLUGIN_PATH], PluginOptions *options, effnet_error *err) {
    char named[PLUGIN_PATH] = "";
    const char *end = options_at(device);
    TRY(take_options(end, options, err));
    if (strncmp(device, "xla:", 4) == 0) {
        if (end - device - 4 >= PLUGIN_PATH)
            return fail(err, EFFNET_ERROR_ARGUMENT, "the plugin's path is too long: '%.80s...'", device + 4);
        snprintf(named, sizeof named, "%.*s", (int)(end - device - 4), device + 4);
    }
    return find_named(named, path, err);
}

/* ---- what CUDA wants ---- */

/* The folder of Python packages that a plugin stands in: PACKAGES/jax_plugins/xla_cuda13/xla_cuda_plugin.so. */
static bool packages_of(const char *path, char *out, size_t size) {
    const char *inside = strstr(path, "/jax_plugins/");
    return inside && (size_t)snprintf(out, size, "%.*s", (int)(inside - path), path) < size;
}

void plugin_load_needs(const char *path) {
    static const char *const libraries[] = {"libcudart.so.1[0-9]",    "libnvrtc.so.1[0-9]",    "libcublasLt.so.1[0-9]",
                                            "libcublas.so.1[0-9]",    "libnccl.so.2",          "libcupti.so.1[0-9]",
                                            "libnvJitLink.so.1[0-9]", "libcusparse.so.1[0-9]", "libcusolver.so.1[0-9]",
                                            "libcufft.so.1[0-9]",     "libnvshmem_host.so.3",  "libcudnn.so.9"};
    char packages[PLUGIN_PATH - 64], file[PLUGIN_PATH];
    if (!strstr(path, "cuda") || !packages_of(path, packages, sizeof packages)) return;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (match_below(packages, "nvidia/*/lib", libraries[i], file)) dlopen(file, RTLD_NOW | RTLD_GLOBAL);
}

void plugin_cuda_folder(const char *path, char *out, size_t size) {
    static const char *const places[] = {"nvidia/cu13/nvvm/libdevice", "nvidia/cuda_nvcc/nvvm/libdevice"};
    char packages[PLUGIN_PATH - 64], found[PLUGIN_PATH];
    out[0] = 0;
    for (size_t i = 0; packages_of(path, packages, sizeof packages) && i < sizeof places / sizeof *places; i++)
        if (match_below(packages, ".", places[i], found)) {
            char *tail = strstr(found, "/nvvm/");
            if (tail && (size_t)(tail - found) < size) snprintf(out, size, "%.*s", (int)(tail - found), found);
            return;
        }
    if (path_is_folder("/usr/local/cuda/nvvm/libdevice")) snprintf(out, size, "/usr/local/cuda");
}
