/* fake_plugin.c - a PJRT plugin that computes nothing: what a client and a run do when a device fails can be seen with it
 * in a second, on any machine. A program's results that take over an argument are copies of it, all others hold ones;
 * so the weights of a run stay as they are and its loss is 1.
 *
 * FAKE_PJRT in the environment is CALL:N:CODE, say execute:7:14: the N-th (from 1) call of that kind (compile, upload,
 * execute, download, await) fails with an error of this code (8: out of memory, 14: unavailable), and so does every
 * later one, as those of a device that is gone. FAKE_PJRT_DEVICES: how many devices there are, 8;
 * FAKE_PJRT_MEMORY: the bytes of each, 1 GiB. FAKE_PJRT_COMPILE: seconds that compiling takes, 0. FAKE_PJRT_PLATFORM: what
 * it says it is, "fake"; as "cuda" it is an older plugin, which compiles no program that calls kernels, and takes those
 * options of a client that plugins for GPUs take: memory_fraction makes its devices' memory smaller. */
#include "backend/xla/pjrt_abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 32, DEVICES = 8 };

struct PJRT_Error {
    uint32_t code;
    char message[200];
};
struct PJRT_Event {
    PJRT_Error *error; /* told by await */
};
struct PJRT_Client {
    PJRT_Device *devices[DEVICES];
    size_t count;
};
struct PJRT_Device {
    int number;
};
struct PJRT_Buffer {
    size_t bytes;
    char *data;
};
struct PJRT_LoadedExecutable {
    int results, alias[MOST]; /* of a result: the argument that it is a copy of, or -1 */
    size_t bytes[MOST];
};

static float memory_fraction = 1; /* an option of the client */
static PJRT_Device devices[DEVICES];
static PJRT_Client client;

/* ---- faults ---- */

static PJRT_Error *error_of(unsigned code, const char *text) {
    PJRT_Error *error = malloc(sizeof *error);
    if (!error) abort();
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s", text);
    return error;
}

static PJRT_Error *fault(const char *call) {
    static struct {
        char call[20];
        int count;
    } calls[8];
    const char *spec = getenv("FAKE_PJRT");
    int i = 0, at;
    unsigned code;
    char wanted[20];
    while (calls[i].call[0] && strcmp(calls[i].call, call) != 0) i++;
    snprintf(calls[i].call, sizeof calls[i].call, "%s", call);
    calls[i].count++;
    if (!spec || sscanf(spec, "%19[a-z]:%d:%u", wanted, &at, &code) != 3 || strcmp(wanted, call) != 0 ||
        calls[i].count < at)
        return NULL;
    char text[100];
    snprintf(text, sizeof text, "%s: the fake device fails at call %d of %s\nand a stack of calls",
             code == PJRT_CODE_OUT_OF_MEMORY ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE", calls[i].count, call);
    return error_of(code, text);
}

static void error_free(PjrtErrorArguments *in) {
    free(in->error);
}
static void error_message(PjrtErrorMessage *in) {
    in->message = in->error->message;
    in->bytes = strlen(in->error->message);
}
static PJRT_Error *error_code(PjrtErrorCode *in) {
    in->code = in->error->code;
    return NULL;
}
static PJRT_Error *initialize(PjrtNothing *in) {
    (void)in;
    return NULL;
}

/* ---- events ---- */

static PJRT_Event *event(PJRT_Error *error) {
    PJRT_Event *made = malloc(sizeof *made);
    if (!made) abort();
    made->error = error;
    return made;
}
static PJRT_Error *event_free(PjrtEventArguments *in) {
    free(in->event->error);
    free(in->event);
    return NULL;
}
static PJRT_Error *event_await(PjrtEventArguments *in) {
    PJRT_Error *error = in->event->error;
    in->event->error = NULL;
    return error;
}

/* ---- client and devices ---- */

/* Names, types and the answer to others are XLA's. */
static PJRT_Error *take_option(const PjrtOption *option) {
    static const struct {
        const char *name;
        uint32_t type;
    } known[] = {
        {"memory_fraction", PJRT_OPTION_FLOAT}, {"preallocate", PJRT_OPTION_BOOL}, {"allocator", PJRT_OPTION_STRING}};
    const char *platform = getenv("FAKE_PJRT_PLATFORM");
    char text[160];
    for (int i = 0; platform && strcmp(platform, "cuda") == 0 && i < 3; i++) {
        if (strlen(known[i].name) != option->name_bytes || memcmp(known[i].name, option->name, option->name_bytes) != 0)
            continue;
        if (option->type != known[i].type || option->struct_size != sizeof *option) abort();
        if (i == 0) memory_fraction = option->value.number;
        if (i == 2 && option->count != strlen(option->value.string)) abort();
        return NULL;
    }
    snprintf(text, sizeof text, "INVALID_ARGUMENT: Unexpected option name passed to PJRT_Client_Create: %.*s",
             (int)option->name_bytes, option->name);
    return error_of(PJRT_CODE_INVALID_ARGUMENT, text);
}

static PJRT_Error *client_create(PjrtClientCreate *in) {
    for (size_t i = 0; i < in->num_options; i++) {
        PJRT_Error *error = take_option(&in->options[i]);
        if (error) return error;
    }
    const char *wanted = getenv("FAKE_PJRT_DEVICES");
    client.count = wanted ? (size_t)atoi(wanted) : DEVICES;
    for (int i = 0; i < DEVICES; i++) client.devices[i] = &devices[i];
    in->client = &client;
    return NULL;
}
static PJRT_Error *client_free(PjrtClientArguments *in) {
    (void)in;
    return NULL;
}
static PJRT_Error *client_text(PjrtClientText *in) {
    const char *platform = getenv("FAKE_PJRT_PLATFORM");
    in->text = platform ? platform : "fake";
    in->bytes = strlen(in->text);
    return NULL;
}
static PJRT_Error *client_devices(PjrtClientDevices *in) {
    in->devices = in->client->devices;
    in->count = in->client->count;
    return NULL;
}
static PJRT_Error *device_description(PjrtDeviceDescriptionOf *in) {
    in->description = (PJRT_DeviceDescription *)in->device;
    return NULL;
}
static PJRT_Error *device_kind(PjrtDeviceText *in) {
    in->text = "fake device";
    in->bytes = strlen(in->text);
    return NULL;
}
static PJRT_Error *device_memory(PjrtMemoryStats *in) {
    in->in_use = 1 << 20;
    in->has_limit = true;
    const char *limit = getenv("FAKE_PJRT_MEMORY");
    in->limit = (int64_t)(memory_fraction * (double)(limit ? atoll(limit) : (int64_t)1 << 30));
    return NULL;
}

/* ---- programs: only the head of main is read ---- */

/* The bytes of "8x3xf32" and its like. */
static size_t type_bytes(const char *text) {
    size_t elements = 1;
    char *end;
    for (; *text >= '0' && *text <= '9'; text = end + 1) elements *= strtoul(text, &end, 10);
    const char *digits = strpbrk(text, "0123456789");
    return elements * ((strtoul(digits, NULL, 10) + 7) / 8);
}

static PJRT_Error *compile(PjrtCompile *in) {
    PJRT_Error *error = fault("compile");
    if (error) return error;
    const char *seconds = getenv("FAKE_PJRT_COMPILE");
    if (seconds) sleep((unsigned)atoi(seconds));
    if (strstr(in->program->code, "__gpu$xla.gpu.ptx")) return error_of(12, "UNIMPLEMENTED: no such custom call");
    PJRT_LoadedExecutable *made = calloc(1, sizeof *made);
    const char *main_at = strstr(in->program->code, "@main("), *results = main_at ? strstr(main_at, ") -> ") : NULL;
    if (!made || !results) abort();
    for (int i = 0; i < MOST; i++) made->alias[i] = -1;
    int argument = 0;
    for (const char *at = main_at; (at = strstr(at, "%v")) && at < results; argument++) {
        const char *next = strstr(at + 2, "%v"), *alias = strstr(at, "tf.aliasing_output = ");
        const char *end = next && next < results ? next : results;
        if (alias && alias < end) made->alias[atoi(alias + strlen("tf.aliasing_output = "))] = argument;
        at += 2;
    }
    const char *line_end = strchr(results, '\n');
    for (const char *at = results; (at = strstr(at, "tensor<")) && at < line_end && made->results < MOST;) {
        at += strlen("tensor<");
        made->bytes[made->results] = type_bytes(at);
        made->results++;
    }
    in->executable = made;
    return NULL;
}
static PJRT_Error *loaded_free(PjrtLoadedArguments *in) {
    free(in->executable);
    return NULL;
}
static PJRT_Error *unable(void) {
    PJRT_Error *error = calloc(1, sizeof *error);
    if (!error) abort();
    error->code = 12; /* UNIMPLEMENTED */
    return error;
}
static PJRT_Error *executable_of(PjrtExecutableOf *in) {
    (void)in;
    return unable();
}
static PJRT_Error *executable_free(PjrtExecutableArguments *in) {
    (void)in;
    return NULL;
}
static PJRT_Error *serialize(PjrtSerialize *in) {
    (void)in;
    return unable();
}
static PJRT_Error *deserialize(PjrtDeserialize *in) {
    (void)in;
    return unable();
}

/* ---- buffers ---- */

static PJRT_Buffer *buffer(size_t bytes, const void *data) {
    PJRT_Buffer *made = malloc(sizeof *made);
    if (!made) abort();
    made->bytes = bytes;
    made->data = malloc(bytes ? bytes : 1);
    if (!made->data) abort();
    if (data) memcpy(made->data, data, bytes);
    return made;
}

static PJRT_Error *from_host(PjrtFromHost *in) {
    PJRT_Error *error = fault("upload");
    if (error) return error;
    size_t bytes = in->type == PJRT_TYPE_BOOL || in->type == PJRT_TYPE_U8 ? 1 : in->type == PJRT_TYPE_BF16 ? 2 : 4;
    for (size_t i = 0; i < in->num_dims; i++) bytes *= (size_t)in->dims[i];
    in->buffer = buffer(bytes, in->data);
    in->done = event(NULL);
    return NULL;
}
static PJRT_Error *to_host(PjrtToHost *in) {
    PJRT_Error *error = fault("download");
    if (error) return error;
    if (in->bytes != in->buffer->bytes) abort();
    memcpy(in->data, in->buffer->data, in->bytes);
    in->done = event(fault("await"));
    return NULL;
}
static PJRT_Error *buffer_ready(PjrtBufferReady *in) {
    in->event = event(fault("await"));
    return NULL;
}
static PJRT_Error *buffer_free(PjrtBufferArguments *in) {
    free(in->buffer->data);
    free(in->buffer);
    return NULL;
}

static PJRT_Error *execute(PjrtExecute *in) {
    PJRT_Error *error = fault("execute");
    if (error) return error;
    const PJRT_LoadedExecutable *program = in->executable;
    for (size_t d = 0; d < in->num_devices; d++)
        for (int r = 0; r < program->results; r++) {
            const int alias = program->alias[r];
            const PJRT_Buffer *from = alias >= 0 ? in->arguments[d][alias] : NULL;
            if (from && from->bytes != program->bytes[r]) abort();
            PJRT_Buffer *made = buffer(program->bytes[r], from ? from->data : NULL);
            for (size_t i = 0; !from && i < made->bytes / sizeof(float); i++) ((float *)(void *)made->data)[i] = 1;
            in->results[d][r] = made;
        }
    return NULL;
}

__attribute__((visibility("default"))) const PjrtApi *GetPjrtApi(void);

const PjrtApi *GetPjrtApi(void) {
    static const PjrtApi api = {.struct_size = sizeof api,
                                .version = {.struct_size = sizeof api.version, .major = 0, .minor = 114},
                                .error_free = error_free,
                                .error_message = error_message,
                                .error_code = error_code,
                                .initialize = initialize,
                                .event_free = event_free,
                                .event_await = event_await,
                                .client_create = client_create,
                                .client_free = client_free,
                                .client_platform = client_text,
                                .client_version = client_text,
                                .client_devices = client_devices,
                                .compile = compile,
                                .from_host = from_host,
                                .device_kind = device_kind,
                                .device_description = device_description,
                                .device_memory = device_memory,
                                .executable_free = executable_free,
                                .serialize = serialize,
                                .loaded_free = loaded_free,
                                .executable_of = executable_of,
                                .execute = execute,
                                .deserialize = deserialize,
                                .buffer_free = buffer_free,
                                .to_host = to_host,
                                .buffer_ready = buffer_ready};
    return &api;
}
