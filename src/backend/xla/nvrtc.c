/* nvrtc.c - see nvrtc.h. Functions and numbers: https://docs.nvidia.com/cuda/nvrtc */
#include "backend/xla/nvrtc.h"

#include "backend/xla/pjrt_cache.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The oldest that the newest compiler still knows, so that one text serves every GPU: the driver's assembler makes the
 * device's own code of it. */
#define ARCHITECTURE "--gpu-architecture=compute_75"

enum { MOST_MACROS = 24, MACRO_TEXT = 96 };

typedef void *NvrtcProgram;

typedef struct Compiled {
    struct Compiled *next;
    const char *source;
    char macros[MOST_MACROS * MACRO_TEXT];
    char *ptx;
} Compiled;

struct Nvrtc {
    void *library;
    const char *cache;
    int version[2];
    Compiled *compiled;
    int (*version_of)(int *, int *);
    int (*create)(NvrtcProgram *, const char *, const char *, int, const char *const *, const char *const *);
    int (*compile)(NvrtcProgram, int, const char *const *);
    int (*log_size)(NvrtcProgram, size_t *);
    int (*log)(NvrtcProgram, char *);
    int (*ptx_size)(NvrtcProgram, size_t *);
    int (*ptx)(NvrtcProgram, char *);
    int (*destroy)(NvrtcProgram *);
};

/* ISO C has no cast from an object's address to a function's; POSIX has dlsym. */
static bool find(const Nvrtc *nvrtc, const char *name, void *function) {
    void *address = dlsym(nvrtc->library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

effnet_status nvrtc_open(const char *cache, Nvrtc **out, effnet_error *err) {
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
                                        "/usr/local/cuda/lib64/libnvrtc.so"};
    *out = NULL;
    Nvrtc *nvrtc = calloc(1, sizeof *nvrtc);
    if (!nvrtc) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the compiler of GPU kernels");
    for (size_t i = 0; i < sizeof names / sizeof *names && !nvrtc->library; i++)
        nvrtc->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!nvrtc->library) {
        free(nvrtc);
        return fail(err, EFFNET_ERROR_IO,
                    "libnvrtc, the compiler of GPU kernels, is not installed: pip install nvidia-cuda-nvrtc");
    }
    nvrtc->cache = cache && *cache ? cache : NULL;
    if (find(nvrtc, "nvrtcVersion", &nvrtc->version_of) && find(nvrtc, "nvrtcCreateProgram", &nvrtc->create) &&
        find(nvrtc, "nvrtcCompileProgram", &nvrtc->compile) &&
        find(nvrtc, "nvrtcGetProgramLogSize", &nvrtc->log_size) && find(nvrtc, "nvrtcGetProgramLog", &nvrtc->log) &&
        find(nvrtc, "nvrtcGetPTXSize", &nvrtc->ptx_size) && find(nvrtc, "nvrtcGetPTX", &nvrtc->ptx) &&
        find(nvrtc, "nvrtcDestroyProgram", &nvrtc->destroy) &&
        nvrtc->version_of(&nvrtc->version[0], &nvrtc->version[1]) == 0) {
        *out = nvrtc;
        return EFFNET_OK;
    }
    nvrtc_close(nvrtc);
    return fail(err, EFFNET_ERROR_IO, "libnvrtc lacks a function that the compiler of GPU kernels has");
}

void nvrtc_close(Nvrtc *nvrtc) {
    if (!nvrtc) return;
    while (nvrtc->compiled) {
        Compiled *next = nvrtc->compiled->next;
        free(nvrtc->compiled->ptx);
        free(nvrtc->compiled);
        nvrtc->compiled = next;
    }
    free(nvrtc); /* the library stays: unloaded, it would leave what it has allocated behind */
}

static effnet_status take_ptx(const Nvrtc *nvrtc, NvrtcProgram program, char **out, effnet_error *err) {
    size_t size = 0;
    if (nvrtc->ptx_size(program, &size) != 0 || size == 0 || !(*out = malloc(size)))
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a GPU kernel");
    return nvrtc->ptx(program, *out) == 0 ? EFFNET_OK : fail(err, EFFNET_ERROR_IO, "libnvrtc gives no PTX out");
}

/* Its first lines: what the compiler finds wrong. */
static effnet_status tell_log(const Nvrtc *nvrtc, NvrtcProgram program, effnet_error *err) {
    size_t size = 0;
    char *text = nvrtc->log_size(program, &size) == 0 && size > 0 ? calloc(size + 1, 1) : NULL;
    if (text && nvrtc->log(program, text) != 0) *text = 0;
    effnet_status status =
        fail(err, EFFNET_ERROR_IO, "libnvrtc does not compile a GPU kernel: %.400s", text ? text : "");
    free(text);
    return status;
}

static effnet_status compile(const Nvrtc *nvrtc, Compiled *made, const char *const *options, int count,
                             effnet_error *err) {
    NvrtcProgram program = NULL;
    if (nvrtc->create(&program, made->source, "effnet.cu", 0, NULL, NULL) != 0)
        return fail(err, EFFNET_ERROR_IO, "libnvrtc takes no program");
    effnet_status status = nvrtc->compile(program, count, options) == 0 ? take_ptx(nvrtc, program, &made->ptx, err)
                                                                        : tell_log(nvrtc, program, err);
    nvrtc->destroy(&program);
    return status;
}

/* Where it is kept between runs; "" where nothing is. */
static void cache_file(const Nvrtc *nvrtc, const Compiled *made, char *out, size_t size) {
    const CachePart parts[] = {{made->source, strlen(made->source)},
                               {made->macros, strlen(made->macros)},
                               {nvrtc->version, sizeof nvrtc->version},
                               {ARCHITECTURE, sizeof ARCHITECTURE}};
    out[0] = 0;
    if (nvrtc->cache) pjrt_cache_name(nvrtc->cache, parts, sizeof parts / sizeof *parts, "ptx", out, size);
}

static effnet_status fetch(const Nvrtc *nvrtc, Compiled *made, const char *const *options, int count,
                           effnet_error *err) {
    char file[4096];
    size_t bytes = 0;
    cache_file(nvrtc, made, file, sizeof file);
    if (file[0] && pjrt_cache_read(file, &made->ptx, &bytes)) {
        if (made->ptx[bytes - 1] == 0) return EFFNET_OK; /* with its end, as it was written */
        free(made->ptx);
        made->ptx = NULL;
    }
    TRY(compile(nvrtc, made, options, count, err));
    if (file[0]) pjrt_cache_write(file, made->ptx, strlen(made->ptx) + 1);
    return EFFNET_OK;
}

effnet_status nvrtc_compile(Nvrtc *nvrtc, const char *source, const char *const *macros, int count, const char **ptx,
                            effnet_error *err) {
    char texts[MOST_MACROS][MACRO_TEXT], whole[MOST_MACROS * MACRO_TEXT] = "";
    const char *options[MOST_MACROS + 1] = {ARCHITECTURE};
    size_t used = 0;
    *ptx = NULL;
    for (int i = 0; i < count; i++) {
        if (i >= MOST_MACROS || snprintf(texts[i], sizeof *texts, "-D%s", macros[i]) >= MACRO_TEXT)
            return fail(err, EFFNET_ERROR_ARGUMENT, "a GPU kernel has too many macros, or one is too long");
        used += (size_t)snprintf(whole + used, sizeof whole - used, "%s ", macros[i]);
        options[i + 1] = texts[i];
    }
    for (const Compiled *had = nvrtc->compiled; had; had = had->next)
        if (had->source == source && strcmp(had->macros, whole) == 0) {
            *ptx = had->ptx;
            return EFFNET_OK;
        }
    Compiled *made = calloc(1, sizeof *made);
    if (!made) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a GPU kernel");
    made->source = source;
    memcpy(made->macros, whole, sizeof whole);
    effnet_status status = fetch(nvrtc, made, options, count + 1, err);
    if (status != EFFNET_OK) {
        free(made->ptx);
        free(made);
        return status;
    }
    made->next = nvrtc->compiled;
    nvrtc->compiled = made;
    *ptx = made->ptx;
    return EFFNET_OK;
}
