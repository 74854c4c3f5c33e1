/* transport_load.c - see transport_load.h. The program itself is not linked with MPI, so that it runs where none is
 * installed; the module is, and fails to load there with the dynamic linker's own words. */
#include "dist/transport_load.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE "libeffnet_mpi.so"

/* The folder of a file, with the slash; "" where it has none. */
static void folder_of(const char *file, char *out, size_t size) {
    const char *slash = strrchr(file, '/');
    int length = slash ? (int)(slash - file) + 1 : 0;
    if (snprintf(out, size, "%.*s", length, file) >= (int)size) out[0] = 0;
}

/* RTLD_GLOBAL: some MPIs load parts of their own, which look for MPI's symbols among everybody's. */
static void *try_module(const char *folder, const char *below) {
    char path[PATH_MAX + 64];
    if (!*folder) return NULL;
    snprintf(path, sizeof path, "%s%s" MODULE, folder, below);
    return access(path, R_OK) == 0 ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
}

static void *find_module(void) {
    const char *named = getenv("EFFNET_MPI_MODULE");
    if (named && *named) return dlopen(named, RTLD_NOW | RTLD_GLOBAL);
    char program[PATH_MAX] = "", folder[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0) program[0] = 0;
    folder_of(program, folder, sizeof folder);
    void *module = try_module(folder, "");
    if (!module) module = try_module(folder, "../lib/");
    Dl_info library;
    if (!module && dladdr((void *)&transport_load, &library) && library.dli_fname) {
        folder_of(library.dli_fname, folder, sizeof folder);
        module = try_module(folder, "");
    }
    return module ? module : dlopen(MODULE, RTLD_NOW | RTLD_GLOBAL);
}

effnet_status transport_load(const char *kind, Transport **out, effnet_error *err) {
    *out = NULL;
    if (strcmp(kind, "mpi") != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "workers over '%.40s' are not known; allowed: none, mpi", kind);
    void *module = find_module();
    if (!module) {
        const char *why = dlerror();
        return fail(err, EFFNET_ERROR_IO,
                    "cannot load " MODULE " (%s); it is built where an MPI is installed (Debian: libopenmpi-dev or "
                    "libmpich-dev) and wants that MPI at run time; EFFNET_MPI_MODULE names another place",
                    why ? why : "not found");
    }
    TransportOpen *open;
    *(void **)&open = dlsym(module, TRANSPORT_SYMBOL);
    if (!open) return fail(err, EFFNET_ERROR_FORMAT, MODULE " is not a module of effnet: it has no " TRANSPORT_SYMBOL);
    char message[TRANSPORT_MESSAGE] = "";
    *out = open(TRANSPORT_VERSION, message);
    return *out ? EFFNET_OK : fail(err, EFFNET_ERROR_IO, "MPI: %s", message);
}
