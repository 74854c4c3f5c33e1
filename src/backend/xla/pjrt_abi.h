/* pjrt_abi.h - the part of PJRT's C interface that a client of compiled programs needs, as of API 0.114.
 *
 * A plugin exports GetPjrtApi, which returns a struct of function pointers. Each function takes one struct of arguments
 * that begins with its size and a chain of extensions (NULL here), and what it gives back is written into the same
 * struct (`out`). The layout is a fact that both sides must share, so it is declared here in our own words;
 * test_pjrt_abi.c holds sizes and places against what other clients publish. A plugin that is older reads less of a
 * struct; one that is newer refuses a struct that it finds too small, with both sizes in its message. */
#ifndef EFFNET_BACKEND_XLA_PJRT_ABI_H
#define EFFNET_BACKEND_XLA_PJRT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PJRT_MAJOR = 0, PJRT_LEAST_MINOR = 40 };

/* What the plugin alone looks into. */
typedef struct PJRT_Error PJRT_Error;
typedef struct PJRT_Event PJRT_Event;
typedef struct PJRT_Client PJRT_Client;
typedef struct PJRT_Device PJRT_Device;
typedef struct PJRT_DeviceDescription PJRT_DeviceDescription;
typedef struct PJRT_Buffer PJRT_Buffer;
typedef struct PJRT_Executable PJRT_Executable;
typedef struct PJRT_LoadedExecutable PJRT_LoadedExecutable;
typedef struct PJRT_SerializedExecutable PJRT_SerializedExecutable;

/* The head of every struct of arguments. */
#define PJRT_HEAD                                                                                                      \
    size_t struct_size;                                                                                                \
    void *extensions

enum {
    PJRT_TYPE_BOOL = 1,
    PJRT_TYPE_S32 = 4,
    PJRT_TYPE_U8 = 6,
    PJRT_TYPE_U32 = 8,
    PJRT_TYPE_F32 = 11,
    PJRT_TYPE_BF16 = 13
};
enum { PJRT_COPY_DURING_CALL = 0 }; /* the caller's memory is read before the call returns */
enum { PJRT_OPTION_STRING, PJRT_OPTION_INTEGER, PJRT_OPTION_INTEGERS, PJRT_OPTION_FLOAT, PJRT_OPTION_BOOL };
/* Of the error codes: INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED. */
enum { PJRT_CODE_INVALID_ARGUMENT = 3, PJRT_CODE_OUT_OF_MEMORY = 8, PJRT_CODE_UNIMPLEMENTED = 12 };

typedef struct PjrtOption {
    PJRT_HEAD;
    const char *name;
    size_t name_bytes;
    uint32_t type; /* PJRT_OPTION_... */
    union {
        const char *string;
        int64_t integer;
        const int64_t *integers;
        float number;
        bool yes;
    } value;
    size_t count; /* of a string's bytes or of integers; else 1 */
} PjrtOption;

typedef struct PjrtErrorArguments {
    PJRT_HEAD;
    PJRT_Error *error;
} PjrtErrorArguments;
typedef struct PjrtErrorMessage {
    PJRT_HEAD;
    const PJRT_Error *error;
    const char *message; /* out */
    size_t bytes;        /* out */
} PjrtErrorMessage;
typedef struct PjrtErrorCode {
    PJRT_HEAD;
    const PJRT_Error *error;
    uint32_t code; /* out */
} PjrtErrorCode;
typedef struct PjrtNothing {
    PJRT_HEAD;
} PjrtNothing;
typedef struct PjrtEventArguments {
    PJRT_HEAD;
    PJRT_Event *event;
} PjrtEventArguments;

typedef struct PjrtClientCreate {
    PJRT_HEAD;
    const PjrtOption *options;
    size_t num_options;
    void *kv_get, *kv_get_argument, *kv_put, *kv_put_argument; /* for runs of several processes: none */
    PJRT_Client *client;                                       /* out */
    void *kv_try_get, *kv_try_get_argument;
} PjrtClientCreate;
typedef struct PjrtClientArguments {
    PJRT_HEAD;
    PJRT_Client *client;
} PjrtClientArguments;
typedef struct PjrtClientText {
    PJRT_HEAD;
    PJRT_Client *client;
    const char *text; /* out */
    size_t bytes;     /* out */
} PjrtClientText;
typedef struct PjrtClientDevices {
    PJRT_HEAD;
    PJRT_Client *client;
    PJRT_Device *const *devices; /* out */
    size_t count;                /* out */
} PjrtClientDevices;

typedef struct PjrtProgramText {
    PJRT_HEAD;
    char *code;
    size_t code_bytes;
    const char *format; /* "mlir" */
    size_t format_bytes;
} PjrtProgramText;
typedef struct PjrtCompile {
    PJRT_HEAD;
    PJRT_Client *client;
    const PjrtProgramText *program;
    const char *options; /* a CompileOptionsProto */
    size_t options_bytes;
    PJRT_LoadedExecutable *executable; /* out */
} PjrtCompile;

typedef struct PjrtFromHost {
    PJRT_HEAD;
    PJRT_Client *client;
    const void *data;
    uint32_t type; /* PJRT_TYPE_... */
    const int64_t *dims;
    size_t num_dims;
    const int64_t *strides; /* NULL: the last dimension is the densest */
    size_t num_strides;
    uint32_t semantics; /* PJRT_COPY_DURING_CALL */
    PJRT_Device *device;
    void *memory, *layout; /* NULL: the device's own */
    PJRT_Event *done;      /* out: `data` is no longer needed */
    PJRT_Buffer *buffer;   /* out */
} PjrtFromHost;

typedef struct PjrtDeviceDescriptionOf {
    PJRT_HEAD;
    PJRT_Device *device;
    PJRT_DeviceDescription *description; /* out */
} PjrtDeviceDescriptionOf;
typedef struct PjrtDeviceText {
    PJRT_HEAD;
    PJRT_DeviceDescription *description;
    const char *text; /* out */
    size_t bytes;     /* out */
} PjrtDeviceText;
/* All but `device` are out; a number counts where its flag is set. */
typedef struct PjrtMemoryStats {
    PJRT_HEAD;
    PJRT_Device *device;
    int64_t in_use, peak;
    bool has_peak;
    int64_t allocations;
    bool has_allocations;
    int64_t largest;
    bool has_largest;
    int64_t limit;
    bool has_limit;
    int64_t reserved;
    bool has_reserved;
    int64_t peak_reserved;
    bool has_peak_reserved;
    int64_t reservable;
    bool has_reservable;
    int64_t largest_free;
    bool has_largest_free;
    int64_t pool;
    bool has_pool;
    int64_t peak_pool;
    bool has_peak_pool;
    int64_t peak_allocated;
    bool has_peak_allocated;
} PjrtMemoryStats;

typedef struct PjrtExecutableOf {
    PJRT_HEAD;
    PJRT_LoadedExecutable *loaded;
    PJRT_Executable *executable; /* out */
} PjrtExecutableOf;
typedef struct PjrtLoadedArguments {
    PJRT_HEAD;
    PJRT_LoadedExecutable *executable;
} PjrtLoadedArguments;
typedef struct PjrtExecutableArguments {
    PJRT_HEAD;
    PJRT_Executable *executable;
} PjrtExecutableArguments;
typedef struct PjrtSerialize {
    PJRT_HEAD;
    const PJRT_Executable *executable;
    const char *data;                                   /* out */
    size_t bytes;                                       /* out */
    PJRT_SerializedExecutable *holder;                  /* out: owns data */
    void (*free_holder)(PJRT_SerializedExecutable *it); /* out */
} PjrtSerialize;
typedef struct PjrtDeserialize {
    PJRT_HEAD;
    PJRT_Client *client;
    const char *data;
    size_t bytes;
    PJRT_LoadedExecutable *executable; /* out */
    const char *options;               /* NULL: those it was compiled with */
    size_t options_bytes;
    void *load_options;
} PjrtDeserialize;

typedef struct PjrtExecuteOptions {
    PJRT_HEAD;
    void *send_callbacks, *receive_callbacks;
    size_t num_sends, num_receives;
    int launch;
    const int64_t *not_donated; /* arguments that keep their memory although the program would take it */
    size_t num_not_donated;
    void *context;
    const char *call_location;
    size_t num_tasks;
    int *tasks;
    int64_t *incarnations;
    void *slices;
    bool dense_layouts_for_callbacks;
    void *output_callbacks;
    size_t num_output_callbacks;
} PjrtExecuteOptions;
typedef struct PjrtExecute {
    PJRT_HEAD;
    PJRT_LoadedExecutable *executable;
    PjrtExecuteOptions *options;
    PJRT_Buffer *const *const *arguments; /* (devices, num_arguments) */
    size_t num_devices, num_arguments;
    PJRT_Buffer **const *results; /* (devices, results), out */
    PJRT_Event **done;            /* (devices), out; NULL: nobody asks */
    PJRT_Device *device;          /* NULL: those of the program */
} PjrtExecute;

typedef struct PjrtBufferArguments {
    PJRT_HEAD;
    PJRT_Buffer *buffer;
} PjrtBufferArguments;
typedef struct PjrtToHost {
    PJRT_HEAD;
    PJRT_Buffer *buffer;
    void *layout; /* NULL: the last dimension is the densest */
    void *data;
    size_t bytes;
    PJRT_Event *done; /* out */
} PjrtToHost;
typedef struct PjrtBufferReady {
    PJRT_HEAD;
    PJRT_Buffer *buffer;
    PJRT_Event *event; /* out */
} PjrtBufferReady;

/* The table; places between those that are used are left nameless. */
#define PJRT_CALL(name, arguments) PJRT_Error *(*name)(arguments * in)
typedef struct PjrtApi {
    PJRT_HEAD;
    struct {
        PJRT_HEAD;
        int major, minor;
    } version;
    void (*error_free)(PjrtErrorArguments *in);
    void (*error_message)(PjrtErrorMessage *in);
    PJRT_CALL(error_code, PjrtErrorCode);
    PJRT_CALL(initialize, PjrtNothing);
    void *unused_plugin_attributes;
    PJRT_CALL(event_free, PjrtEventArguments);
    void *unused_event[2]; /* IsReady, Error */
    PJRT_CALL(event_await, PjrtEventArguments);
    void *unused_on_ready;
    PJRT_CALL(client_create, PjrtClientCreate);
    PJRT_CALL(client_free, PjrtClientArguments);
    PJRT_CALL(client_platform, PjrtClientText);
    void *unused_process_index;
    PJRT_CALL(client_version, PjrtClientText);
    void *unused_devices;
    PJRT_CALL(client_devices, PjrtClientDevices); /* those of this process */
    void *unused_lookup[3];
    PJRT_CALL(compile, PjrtCompile);
    void *unused_assignment;
    PJRT_CALL(from_host, PjrtFromHost);
    void *unused_description[3];
    PJRT_CALL(device_kind, PjrtDeviceText);
    void *unused_description_texts[2];
    PJRT_CALL(device_description, PjrtDeviceDescriptionOf);
    void *unused_device[4];
    PJRT_CALL(device_memory, PjrtMemoryStats);
    void *unused_memory[5];
    PJRT_CALL(executable_free, PjrtExecutableArguments);
    void *unused_executable[8];
    PJRT_CALL(serialize, PjrtSerialize);
    PJRT_CALL(loaded_free, PjrtLoadedArguments);
    PJRT_CALL(executable_of, PjrtExecutableOf);
    void *unused_loaded[3];
    PJRT_CALL(execute, PjrtExecute);
    PJRT_CALL(deserialize, PjrtDeserialize);
    void *unused_fingerprint;
    PJRT_CALL(buffer_free, PjrtBufferArguments);
    void *unused_buffer[11];
    PJRT_CALL(to_host, PjrtToHost);
    void *unused_on_cpu;
    PJRT_CALL(buffer_ready, PjrtBufferReady);
} PjrtApi;

#define PJRT_ENTRY "GetPjrtApi"
typedef const PjrtApi *PjrtEntry(void);

#endif
