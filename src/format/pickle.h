/* pickle.h - Python's pickles (protocols 2 to 5) as plain values, and nothing else: a pickle is a program that names
 * functions and has them called, and here no name is looked up and nothing is called. A name stays a name, a call an
 * object that keeps what would have been called with what. Which of them mean something (PyTorch's tensors do) is
 * decided by who reads the values (format/torch_values.h). Opcodes: cpython's Lib/pickletools.py.
 *
 * The bytes may come from anywhere: every length is held against what is left of them, values, stack and memo have
 * limits, and nothing here recurses. Values may contain themselves, as Python's may. */
#ifndef EFFNET_FORMAT_PICKLE_H
#define EFFNET_FORMAT_PICKLE_H

#include "base/error.h"

#include <stdint.h>

/* A checkpoint of B7 with averages and optimizer has about 200,000 values. */
enum { PICKLE_MAX_VALUES = 1 << 21 };

typedef enum PickleKind {
    PICKLE_NONE,
    PICKLE_BOOL,   /* integer */
    PICKLE_INT,    /* integer */
    PICKLE_LONG,   /* text: little-endian, two's complement, longer than 8 bytes */
    PICKLE_FLOAT,  /* real */
    PICKLE_TEXT,   /* text, UTF-8 */
    PICKLE_BYTES,  /* text */
    PICKLE_TUPLE,  /* items */
    PICKLE_LIST,   /* items */
    PICKLE_SET,    /* items */
    PICKLE_DICT,   /* items: key, value, key, value, ...; a later key replaces an earlier one that is equal */
    PICKLE_GLOBAL, /* items: module, name */
    PICKLE_OBJECT, /* what a call or a class would have made; `callee`, `arguments`, `state`, and as a dict's: items */
    PICKLE_STORED, /* a value that the pickle's program keeps elsewhere ("persistent"); arguments: its identity */
} PickleKind;

/* The index of a value. Those that a value refers to are there, whatever the pickle was. */
typedef uint32_t PickleRef;

typedef struct PickleValue {
    PickleKind kind;
    uint32_t count, room; /* of items */
    union {
        int64_t integer;
        double real;
        const char *text; /* not ended by a zero; in the pickle's bytes; `count` of them */
        PickleRef *items;
    };
    PickleRef callee, arguments, state; /* 0, which is None: there is none */
} PickleValue;

typedef struct Pickle {
    PickleValue *values; /* values[0] is None */
    uint32_t count, room;
    PickleRef result;
    size_t size; /* bytes read: where the next pickle begins */
} Pickle;

/* Reads the pickle that begins at `bytes`, of which `size` may be looked at; the bytes must stay while the values are
 * used. `name` is the file in messages, and `offset` where in it the bytes are. Freed by pickle_free, after an error
 * too. */
effnet_status pickle_read(const char *name, uint64_t offset, const char *bytes, size_t size, Pickle *out,
                          effnet_error *err);
void pickle_free(Pickle *pickle);

const PickleValue *pickle_value(const Pickle *pickle, PickleRef reference);
bool pickle_is_text(const Pickle *pickle, PickleRef reference, const char *text);
bool pickle_is_global(const Pickle *pickle, PickleRef reference, const char *module, const char *name);
/* The value under a text key of a dict, or of what an object has as a dict has it; false: there is none. */
bool pickle_find(const Pickle *pickle, PickleRef dict, const char *key, PickleRef *out);
/* "a dict", "an object of argparse.Namespace": for messages. */
void pickle_describe(const Pickle *pickle, PickleRef reference, char *out, size_t size);

#endif
