/* pjrt.c - see pjrt.h; the interface itself is pjrt_abi.h's. */
#include "backend/xla/pjrt.h"

#include "backend/xla/pjrt_abi.h"
#include "backend/xla/pjrt_cache.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct Pjrt {
    const PjrtApi *api;
    PJRT_Client *client;
    PJRT_Device *const *devices;
    size_t num_devices;
    char plugin[PJRT_TEXT]; /* its file's name, for messages */
    char build[PJRT_TEXT];  /* which build of the plugin this is: a program compiled by another is not taken */
    char cuda[4096];        /* folder of CUDA's tools and bitcode, "" where none is needed */
};

struct PjrtExecutable {
    Pjrt *pjrt;
    PJRT_LoadedExecutable *loaded;
    int replicas, num_arguments, num_results;
};

#define CLEAN(type, ...)                                                                                               \
    (type) {                                                                                                           \
        .struct_size = sizeof(type), __VA_ARGS__                                                                       \
    }

/* ---- errors ---- */

/* The plugin's own words, which can be pages of a stack, up to the first line's end. */
static effnet_status explain(const Pjrt *pjrt, PJRT_Error *error, const char *doing, effnet_error *err) {
    PjrtErrorMessage message = CLEAN(PjrtErrorMessage, .error = error);
    PjrtErrorCode code = CLEAN(PjrtErrorCode, .error = error);
    pjrt->api->error_message(&message);
    PJRT_Error *failed = pjrt->api->error_code(&code);
    if (failed) pjrt->api->error_free(&CLEAN(PjrtErrorArguments, .error = failed));
    const char *end = message.message ? memchr(message.message, '\n', message.bytes) : NULL;
    size_t bytes = end ? (size_t)(end - message.message) : message.bytes;
    int shown = bytes > 300 ? 300 : (int)bytes;
    effnet_status status;
    if (code.code == PJRT_CODE_OUT_OF_MEMORY)
        status = fail(err, EFFNET_ERROR_MEMORY,
                      "the device has no memory left while %s: %.*s; use a smaller batch_size, or a larger accumulate",
                      doing, shown, message.message);
    else
        status = fail(err, EFFNET_ERROR_IO, "%s: the device failed while %s: %.*s", pjrt->plugin, doing, shown,
                      message.message ? message.message : "");
    pjrt->api->error_free(&CLEAN(PjrtErrorArguments, .error = error));
    return status;
}

#define ASK(pjrt, call, doing)                                                                                         \
    do {                                                                                                               \
        PJRT_Error *error_ = (pjrt)->api->call;                                                                        \
        if (error_) return explain(pjrt, error_, doing, err);                                                          \
    } while (0)

/* For calls that free: nothing can be done about their errors. */
static void drop(const Pjrt *pjrt, PJRT_Error *error) {
    if (error) pjrt->api->error_free(&CLEAN(PjrtErrorArguments, .error = error));
}

/* Waits for an event and frees it. */
static effnet_status await(Pjrt *pjrt, PJRT_Event *event, const char *doing, effnet_error *err) {
    PJRT_Error *error = pjrt->api->event_await(&CLEAN(PjrtEventArguments, .event = event));
    drop(pjrt, pjrt->api->event_free(&CLEAN(PjrtEventArguments, .event = event)));
    return error ? explain(pjrt, error, doing, err) : EFFNET_OK;
}

static void forget(const Pjrt *pjrt, PJRT_Event *event) {
    if (event) drop(pjrt, pjrt->api->event_free(&CLEAN(PjrtEventArguments, .event = event)));
}

/* ---- the plugin ---- */

/* Two releases may tell the same platform version, so the interface's version and the file's size and time count too. */
static void name_build(const void *entry, Pjrt *pjrt) {
    struct stat file = {0};
    Dl_info where;
    if (!dladdr(entry, &where) || stat(where.dli_fname, &file) != 0) file = (struct stat){0};
    snprintf(pjrt->build, sizeof pjrt->build, "%d.%d %lld %lld.%09ld", pjrt->api->version.major,
             pjrt->api->version.minor, (long long)file.st_size, (long long)file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

/* The plugin stays loaded for the life of the process: it has threads of its own and cannot be begun twice. */
static effnet_status load(const char *path, Pjrt *pjrt, effnet_error *err) {
    const char *slash = strrchr(path, '/');
    snprintf(pjrt->plugin, sizeof pjrt->plugin, "%.120s", slash ? slash + 1 : path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        return fail(err, EFFNET_ERROR_IO, "cannot load the plugin '%s': %s", path, why ? why : "unknown reason");
    }
    void *symbol = dlsym(library, PJRT_ENTRY);
    PjrtEntry *entry;
    *(void **)&entry = symbol;
    if (!entry) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is no PJRT plugin: it does not export " PJRT_ENTRY, path);
    pjrt->api = entry();
    if (!pjrt->api || pjrt->api->struct_size < offsetof(PjrtApi, buffer_ready) + sizeof(void *) ||
        pjrt->api->version.major != PJRT_MAJOR || pjrt->api->version.minor < PJRT_LEAST_MINOR)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "the plugin '%s' speaks PJRT %d.%d; at least %d.%d is needed: install a newer one", path,
                    pjrt->api ? pjrt->api->version.major : 0, pjrt->api ? pjrt->api->version.minor : 0, PJRT_MAJOR,
                    PJRT_LEAST_MINOR);
    name_build(symbol, pjrt);
    ASK(pjrt, initialize(&CLEAN(PjrtNothing, .extensions = NULL)), "its own beginning");
    return EFFNET_OK;
}

static PjrtOption integer_option(const char *name, int64_t value) {
    return CLEAN(PjrtOption, .name = name, .name_bytes = strlen(name), .type = PJRT_OPTION_INTEGER,
                 .value.integer = value, .count = 1);
}

static PjrtOption string_option(const char *name, const char *value) {
    return CLEAN(PjrtOption, .name = name, .name_bytes = strlen(name), .type = PJRT_OPTION_STRING,
                 .value.string = value, .count = strlen(value));
}

static PjrtOption float_option(const char *name, double value) {
    return CLEAN(PjrtOption, .name = name, .name_bytes = strlen(name), .type = PJRT_OPTION_FLOAT,
                 .value.number = (float)value, .count = 1);
}

static PjrtOption bool_option(const char *name, bool value) {
    return CLEAN(PjrtOption, .name = name, .name_bytes = strlen(name), .type = PJRT_OPTION_BOOL, .value.yes = value,
                 .count = 1);
}

/* Names and types as XLA's plugins for GPUs have them (xla/pjrt/c/pjrt_c_api_gpu_internal.cc). `names` tells which. */
static size_t memory_options(const PluginOptions *wanted, PjrtOption *out, char names[80]) {
    size_t count = 0;
    names[0] = 0;
    if (!wanted) return 0;
    if (wanted->memory_fraction > 0) out[count++] = float_option("memory_fraction", wanted->memory_fraction);
    if (wanted->sets_preallocate) out[count++] = bool_option("preallocate", wanted->preallocate);
    if (wanted->allocator) out[count++] = string_option("allocator", wanted->allocator);
    for (size_t i = 0, used = 0; i < count; i++)
        used += (size_t)snprintf(names + used, 80 - used, "%s%s", i ? ", " : "", out[i].name);
    return count;
}

static effnet_status no_such_options(const Pjrt *pjrt, const char *names, const char *why, effnet_error *err) {
    return fail(err, EFFNET_ERROR_UNSUPPORTED,
                "the plugin '%s' does not know %s, which plugins for GPUs do: leave it out of the device%s%s%s",
                pjrt->plugin, names, *why ? " (" : "", why, *why ? ")" : "");
}

/* Who knows no such option answers that an argument is invalid. */
static effnet_status explain_create(const Pjrt *pjrt, PJRT_Error *error, const char *names, effnet_error *err) {
    PjrtErrorCode code = CLEAN(PjrtErrorCode, .error = error);
    drop(pjrt, pjrt->api->error_code(&code));
    if (!names[0] || (code.code != PJRT_CODE_INVALID_ARGUMENT && code.code != PJRT_CODE_UNIMPLEMENTED))
        return explain(pjrt, error, "looking for devices", err);
    effnet_error why = {0};
    explain(pjrt, error, "looking for devices", &why);
    return no_such_options(pjrt, names, why.message, err);
}

static effnet_status begin_client(Pjrt *pjrt, const char *path, int devices, const PluginOptions *wanted,
                                  effnet_error *err) {
    PjrtOption options[5];
    char names[80];
    size_t count = memory_options(wanted, options, names);
    if (count > 0 && (strstr(pjrt->plugin, "cpu") || strstr(pjrt->plugin, "tpu")))
        return no_such_options(pjrt, names, "", err);
    if (strstr(pjrt->plugin, "cpu")) {
        if (devices > 0) options[count++] = integer_option("cpu_device_count", devices);
    } else if (strstr(pjrt->plugin, "cuda")) {
        options[count++] = string_option("platform_name", "cuda");
        plugin_cuda_folder(path, pjrt->cuda, sizeof pjrt->cuda);
    }
    PjrtClientCreate create = CLEAN(PjrtClientCreate, .options = options, .num_options = count);
    PJRT_Error *error = pjrt->api->client_create(&create);
    if (error) return explain_create(pjrt, error, names, err);
    pjrt->client = create.client;
    PjrtClientDevices found = CLEAN(PjrtClientDevices, .client = pjrt->client);
    ASK(pjrt, client_devices(&found), "listing devices");
    pjrt->devices = found.devices;
    pjrt->num_devices = found.count;
    if (found.count == 0) return fail(err, EFFNET_ERROR_UNSUPPORTED, "%s found no device", pjrt->plugin);
    return EFFNET_OK;
}

effnet_status pjrt_open(const char *path, int devices, const PluginOptions *options, Pjrt **out, effnet_error *err) {
    *out = NULL;
    Pjrt *pjrt = calloc(1, sizeof *pjrt);
    if (!pjrt) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a plugin");
    plugin_load_needs(path);
    effnet_status status = load(path, pjrt, err);
    if (status == EFFNET_OK) status = begin_client(pjrt, path, devices, options, err);
    if (status != EFFNET_OK)
        pjrt_close(pjrt);
    else
        *out = pjrt;
    return status;
}

void pjrt_close(Pjrt *pjrt) {
    if (!pjrt) return;
    if (pjrt->client) drop(pjrt, pjrt->api->client_free(&CLEAN(PjrtClientArguments, .client = pjrt->client)));
    free(pjrt);
}

static void copy_text(char *out, const char *text, size_t bytes) {
    snprintf(out, PJRT_TEXT, "%.*s", bytes < PJRT_TEXT ? (int)bytes : PJRT_TEXT - 1, text ? text : "");
}

PjrtInfo pjrt_info(Pjrt *pjrt) {
    const PjrtApi *api = pjrt->api;
    PjrtInfo info = {
        .api_major = api->version.major, .api_minor = api->version.minor, .devices = (int)pjrt->num_devices};
    PjrtClientText text = CLEAN(PjrtClientText, .client = pjrt->client);
    PJRT_Error *error = api->client_platform(&text);
    if (!error) copy_text(info.platform, text.text, text.bytes);
    drop(pjrt, error);
    error = api->client_version(&text);
    if (!error) copy_text(info.version, text.text, text.bytes);
    for (char *c = info.version; *c; c++)
        if (*c == '\n') *c = ' ';
    drop(pjrt, error);
    PjrtDeviceDescriptionOf of = CLEAN(PjrtDeviceDescriptionOf, .device = pjrt->devices[0]);
    error = api->device_description(&of);
    if (!error) {
        PjrtDeviceText kind = CLEAN(PjrtDeviceText, .description = of.description);
        drop(pjrt, error = api->device_kind(&kind));
        if (!error) copy_text(info.kind, kind.text, kind.bytes);
    } else
        drop(pjrt, error);
    PjrtMemoryStats memory = CLEAN(PjrtMemoryStats, .device = pjrt->devices[0]);
    error = api->device_memory(&memory);
    if (!error) {
        info.used_bytes = memory.in_use;
        info.peak_bytes = memory.has_peak ? memory.peak : 0;
        info.memory_bytes = memory.has_limit ? memory.limit : 0;
    }
    drop(pjrt, error);
    return info;
}

/* ---- programs ---- */

/* Protocol buffers by hand, for the dozen bytes of a CompileOptionsProto: a field's number and kind, then its value. */
typedef struct Proto {
    char bytes[8192];
    size_t used;
} Proto;

static void put_varint(Proto *proto, uint64_t value) {
    do {
        char low = (char)(value & 0x7f);
        value >>= 7;
        if (proto->used < sizeof proto->bytes) proto->bytes[proto->used++] = (char)(low | (value ? 0x80 : 0));
    } while (value);
}

static void put_number(Proto *proto, int field, uint64_t value) {
    put_varint(proto, (uint64_t)field << 3);
    put_varint(proto, value);
}

static void put_bytes(Proto *proto, int field, const void *bytes, size_t count) {
    put_varint(proto, (uint64_t)field << 3 | 2);
    put_varint(proto, count);
    if (proto->used + count <= sizeof proto->bytes) memcpy(proto->bytes + proto->used, bytes, count);
    proto->used += count;
}

/* xla/pjrt/proto/compile_options.proto: executable_build_options 3 { num_replicas 4, num_partitions 5 },
 * env_option_overrides 7 { key 1, value 2 { string_field 1 } }. */
static effnet_status compile_options(const Pjrt *pjrt, int replicas, Proto *out, effnet_error *err) {
    Proto build = {.used = 0};
    put_number(&build, 4, (uint64_t)replicas);
    put_number(&build, 5, 1);
    out->used = 0;
    put_bytes(out, 3, build.bytes, build.used);
    if (pjrt->cuda[0]) {
        static const char key[] = "xla_gpu_cuda_data_dir";
        Proto value = {.used = 0}, entry = {.used = 0};
        put_bytes(&value, 1, pjrt->cuda, strlen(pjrt->cuda));
        put_bytes(&entry, 1, key, sizeof key - 1);
        put_bytes(&entry, 2, value.bytes, value.used);
        put_bytes(out, 7, entry.bytes, entry.used);
    }
    return out->used <= sizeof out->bytes ? EFFNET_OK
                                          : fail(err, EFFNET_ERROR_ARGUMENT, "the options of a program are too long");
}

static effnet_status compile(Pjrt *pjrt, const XlaProgram *program, const Proto *options, PJRT_LoadedExecutable **out,
                             effnet_error *err) {
    static const char format[] = "mlir";
    PjrtProgramText text = CLEAN(PjrtProgramText, .code = program->text, .code_bytes = program->bytes, .format = format,
                                 .format_bytes = sizeof format - 1);
    PjrtCompile call = CLEAN(PjrtCompile, .client = pjrt->client, .program = &text, .options = options->bytes,
                             .options_bytes = options->used);
    ASK(pjrt, compile(&call), "compiling the program");
    *out = call.executable;
    return EFFNET_OK;
}

/* From the cache; false: it is not there, or the plugin does not want it. */
static bool load_compiled(Pjrt *pjrt, const char *file, PJRT_LoadedExecutable **out) {
    char *data;
    size_t bytes;
    if (!pjrt_cache_read(file, &data, &bytes)) return false;
    PjrtDeserialize call = CLEAN(PjrtDeserialize, .client = pjrt->client, .data = data, .bytes = bytes);
    PJRT_Error *error = pjrt->api->deserialize(&call);
    if (!error) *out = call.executable;
    drop(pjrt, error);
    free(data);
    return !error;
}

/* Into the cache; a plugin that cannot serialise, or a disk that is full, costs a compilation next time and nothing
 * else. */
static void store_compiled(Pjrt *pjrt, const char *file, PJRT_LoadedExecutable *loaded) {
    PjrtExecutableOf of = CLEAN(PjrtExecutableOf, .loaded = loaded);
    PJRT_Error *error = pjrt->api->executable_of(&of);
    if (error) {
        drop(pjrt, error);
        return;
    }
    PjrtSerialize call = CLEAN(PjrtSerialize, .executable = of.executable);
    error = pjrt->api->serialize(&call);
    if (!error) {
        pjrt_cache_write(file, call.data, call.bytes);
        if (call.free_holder) call.free_holder(call.holder);
    }
    drop(pjrt, error);
    drop(pjrt, pjrt->api->executable_free(&CLEAN(PjrtExecutableArguments, .executable = of.executable)));
}

effnet_status pjrt_compile(Pjrt *pjrt, const XlaProgram *program, const char *cache, PjrtExecutable **out, bool *cached,
                           effnet_error *err) {
    *out = NULL;
    if ((size_t)program->replicas > pjrt->num_devices)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "%d replicas and %zu devices; lower replicas, or use a machine with more devices",
                    program->replicas, pjrt->num_devices);
    Proto options;
    TRY(compile_options(pjrt, program->replicas, &options, err));
    char file[4096] = "";
    const PjrtInfo info = pjrt_info(pjrt);
    const CachePart parts[] = {{program->text, program->bytes},
                               {options.bytes, options.used},
                               {info.version, strlen(info.version)},
                               {pjrt->build, strlen(pjrt->build)},
                               {info.kind, strlen(info.kind)}};
    if (cache) pjrt_cache_name(cache, parts, sizeof parts / sizeof *parts, "xla", file, sizeof file);
    PJRT_LoadedExecutable *loaded = NULL;
    bool found = file[0] && load_compiled(pjrt, file, &loaded);
    if (!found) {
        TRY(compile(pjrt, program, &options, &loaded, err));
        if (file[0]) store_compiled(pjrt, file, loaded);
    }
    if (cached) *cached = found;
    PjrtExecutable *made = malloc(sizeof *made);
    if (!made) {
        drop(pjrt, pjrt->api->loaded_free(&CLEAN(PjrtLoadedArguments, .executable = loaded)));
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a program");
    }
    *made = (PjrtExecutable){pjrt, loaded, program->replicas, program->num_arguments, program->num_results};
    *out = made;
    return EFFNET_OK;
}

void pjrt_executable_free(PjrtExecutable *executable) {
    if (!executable) return;
    Pjrt *pjrt = executable->pjrt;
    drop(pjrt, pjrt->api->loaded_free(&CLEAN(PjrtLoadedArguments, .executable = executable->loaded)));
    free(executable);
}

/* ---- vectors ---- */

effnet_status pjrt_upload(Pjrt *pjrt, int device, XlaType type, int rank, const int64_t *shape, const void *data,
                          PjrtBuffer **out, effnet_error *err) {
    static const uint32_t types[] = {PJRT_TYPE_F32, PJRT_TYPE_BF16, PJRT_TYPE_S32,
                                     PJRT_TYPE_U32, PJRT_TYPE_U8,   PJRT_TYPE_BOOL};
    *out = NULL;
    PjrtFromHost call =
        CLEAN(PjrtFromHost, .client = pjrt->client, .data = data, .type = types[type], .dims = shape,
              .num_dims = (size_t)rank, .semantics = PJRT_COPY_DURING_CALL, .device = pjrt->devices[device]);
    ASK(pjrt, from_host(&call), "copying to the device");
    forget(pjrt, call.done);
    *out = (PjrtBuffer *)call.buffer;
    return EFFNET_OK;
}

effnet_status pjrt_download(Pjrt *pjrt, PjrtBuffer *buffer, void *data, size_t bytes, effnet_error *err) {
    PjrtToHost call = CLEAN(PjrtToHost, .buffer = (PJRT_Buffer *)buffer, .data = data, .bytes = bytes);
    ASK(pjrt, to_host(&call), "copying from the device");
    return await(pjrt, call.done, "waiting for it", err);
}

effnet_status pjrt_wait(Pjrt *pjrt, PjrtBuffer *buffer, effnet_error *err) {
    PjrtBufferReady call = CLEAN(PjrtBufferReady, .buffer = (PJRT_Buffer *)buffer);
    ASK(pjrt, buffer_ready(&call), "waiting for the device");
    return await(pjrt, call.event, "waiting for it", err);
}

void pjrt_buffer_free(Pjrt *pjrt, PjrtBuffer *buffer) {
    if (buffer) drop(pjrt, pjrt->api->buffer_free(&CLEAN(PjrtBufferArguments, .buffer = (PJRT_Buffer *)buffer)));
}

effnet_status pjrt_execute(PjrtExecutable *executable, PjrtBuffer *const *arguments, PjrtBuffer **results,
                           effnet_error *err) {
    Pjrt *pjrt = executable->pjrt;
    const int replicas = executable->replicas;
    PJRT_Buffer *const **argument_lists = malloc((size_t)replicas * sizeof *argument_lists);
    PJRT_Buffer ***result_lists = malloc((size_t)replicas * sizeof *result_lists);
    if (!argument_lists || !result_lists) {
        free(argument_lists);
        free(result_lists);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the arguments of %d replicas", replicas);
    }
    for (int r = 0; r < replicas; r++) {
        argument_lists[r] = (PJRT_Buffer *const *)arguments + (size_t)r * (size_t)executable->num_arguments;
        result_lists[r] = (PJRT_Buffer **)results + (size_t)r * (size_t)executable->num_results;
    }
    PjrtExecuteOptions options = CLEAN(PjrtExecuteOptions, .launch = 0);
    PjrtExecute call = CLEAN(PjrtExecute, .executable = executable->loaded, .options = &options,
                             .arguments = argument_lists, .num_devices = (size_t)replicas,
                             .num_arguments = (size_t)executable->num_arguments, .results = result_lists);
    PJRT_Error *error = pjrt->api->execute(&call);
    free(argument_lists);
    free(result_lists);
    return error ? explain(pjrt, error, "running the program", err) : EFFNET_OK;
}
