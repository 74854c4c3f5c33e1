/* pickle.c - see pickle.h. A pickle is a program for a machine with a stack, marks on it, and a memo of numbered values. */
#include "format/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Machine {
    Pickle *pickle;
    const char *name, *bytes;
    uint64_t offset;       /* of `bytes` in the file */
    size_t size, at, from; /* next byte; where the opcode began */
    PickleRef *stack;
    uint32_t depth, stack_room;
    uint32_t *marks; /* depths of the stack */
    uint32_t mark_count, mark_room;
    PickleRef *memo; /* UNSET where nothing was kept */
    uint32_t memo_count, memo_room;
    effnet_error *err;
} Machine;

#define UNSET UINT32_MAX

/* ---- errors ---- */

static effnet_status broken(const Machine *machine, const char *what) {
    char opcode[24] = "";
    if (machine->from < machine->size)
        snprintf(opcode, sizeof opcode, " (opcode 0x%02x)", (unsigned char)machine->bytes[machine->from]);
    return fail(machine->err, EFFNET_ERROR_FORMAT,
                "'%s': the pickle is damaged, or no pickle, at byte %llu%s: %s; download or save the file again",
                machine->name, (unsigned long long)(machine->offset + machine->from), opcode, what);
}

static effnet_status no_memory(const Machine *machine) {
    return fail(machine->err, EFFNET_ERROR_MEMORY, "no memory for the values of '%s'", machine->name);
}

/* ---- blocks that grow ---- */

/* Room for `wanted` elements of the block that the pointer at `place` points to, twice what there was at least. */
static effnet_status reserve(const Machine *machine, void *place, uint32_t *room, uint32_t wanted, size_t size) {
    if (wanted <= *room) return EFFNET_OK;
    if (wanted > PICKLE_MAX_VALUES) return broken(machine, "it has more values than any checkpoint (2,097,152)");
    uint32_t more = *room < 8 ? 8 : 2 * *room;
    if (more < wanted) more = wanted;
    void *block;
    memcpy(&block, place, sizeof block); /* of whatever type it is */
    block = realloc(block, more * size);
    if (!block) return no_memory(machine);
    memcpy(place, &block, sizeof block);
    *room = more;
    return EFFNET_OK;
}

static effnet_status push(Machine *machine, PickleRef reference) {
    TRY(reserve(machine, &machine->stack, &machine->stack_room, machine->depth + 1, sizeof *machine->stack));
    machine->stack[machine->depth++] = reference;
    return EFFNET_OK;
}

/* Values below a mark are not the top's to take. */
static effnet_status pop(Machine *machine, PickleRef *out) {
    uint32_t floor = machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
    if (machine->depth <= floor) return broken(machine, "it takes a value where there is none");
    *out = machine->stack[--machine->depth];
    return EFFNET_OK;
}

static effnet_status top(Machine *machine, PickleRef *out) {
    TRY(pop(machine, out));
    machine->depth++;
    return EFFNET_OK;
}

/* A value on the stack; the caller fills it in before the next one is made, which may move it. */
static effnet_status make(Machine *machine, PickleKind kind, PickleValue **out) {
    Pickle *pickle = machine->pickle;
    TRY(reserve(machine, &pickle->values, &pickle->room, pickle->count + 1, sizeof *pickle->values));
    TRY(push(machine, pickle->count));
    *out = &pickle->values[pickle->count++];
    **out = (PickleValue){.kind = kind};
    return EFFNET_OK;
}

static bool has_items(PickleKind kind) {
    return (kind >= PICKLE_TUPLE && kind <= PICKLE_DICT) || kind == PICKLE_GLOBAL || kind == PICKLE_OBJECT;
}

static effnet_status append(Machine *machine, PickleRef to, const PickleRef *items, uint32_t count) {
    PickleValue *value = &machine->pickle->values[to];
    if (count == 0) return EFFNET_OK;
    if (value->count > PICKLE_MAX_VALUES - count) return broken(machine, "a container has too many values");
    TRY(reserve(machine, &value->items, &value->room, value->count + count, sizeof *items));
    memcpy(value->items + value->count, items, count * sizeof *items);
    value->count += count;
    return EFFNET_OK;
}

/* ---- operands ---- */

static effnet_status take(Machine *machine, size_t count, const unsigned char **out) {
    if (count > machine->size - machine->at) return broken(machine, "it ends in the middle, or a length is a lie");
    *out = (const unsigned char *)machine->bytes + machine->at;
    machine->at += count;
    return EFFNET_OK;
}

/* A little-endian number of 1 to 8 bytes. */
static effnet_status take_number(Machine *machine, int bytes, uint64_t *out) {
    const unsigned char *from = NULL;
    TRY(take(machine, (size_t)bytes, &from));
    *out = 0;
    for (int i = 0; i < bytes; i++) *out |= (uint64_t)from[i] << 8 * i;
    return EFFNET_OK;
}

/* A length of `bytes` bytes, then that many: a value that points at them. */
static effnet_status take_text(Machine *machine, int bytes, PickleKind kind) {
    uint64_t length = 0;
    const unsigned char *from = NULL;
    PickleValue *value = NULL;
    TRY(take_number(machine, bytes, &length));
    if (length > machine->size - machine->at || length > INT32_MAX)
        return broken(machine, "a text is longer than what is left of the file");
    TRY(take(machine, (size_t)length, &from));
    TRY(make(machine, kind, &value));
    value->text = (const char *)from;
    value->count = (uint32_t)length;
    return EFFNET_OK;
}

static effnet_status take_line(Machine *machine) {
    const char *from = machine->bytes + machine->at, *end = memchr(from, '\n', machine->size - machine->at);
    PickleValue *value = NULL;
    if (!end || end - from > 1000) return broken(machine, "a name has no end");
    TRY(make(machine, PICKLE_TEXT, &value));
    value->text = from;
    value->count = (uint32_t)(end - from);
    machine->at += (size_t)(end - from) + 1;
    return EFFNET_OK;
}

static effnet_status push_integer(Machine *machine, PickleKind kind, int64_t integer) {
    PickleValue *value = NULL;
    TRY(make(machine, kind, &value));
    value->integer = integer;
    return EFFNET_OK;
}

static effnet_status take_integer(Machine *machine, int bytes, bool is_signed) {
    uint64_t number = 0;
    TRY(take_number(machine, bytes, &number));
    return push_integer(machine, PICKLE_INT, is_signed ? (int64_t)(int32_t)(uint32_t)number : (int64_t)number);
}

/* LONG1, LONG4: two's complement of any length. */
static effnet_status take_long(Machine *machine, int bytes) {
    TRY(take_text(machine, bytes, PICKLE_LONG));
    PickleValue *value = &machine->pickle->values[machine->pickle->count - 1];
    if (value->count > 8) return EFFNET_OK;
    const unsigned char *from = (const unsigned char *)value->text;
    uint64_t number = value->count && from[value->count - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = value->count; i-- > 0;) number = number << 8 | from[i];
    *value = (PickleValue){.kind = PICKLE_INT, .integer = (int64_t)number};
    return EFFNET_OK;
}

static effnet_status take_float(Machine *machine) { /* big-endian */
    const unsigned char *from = NULL;
    PickleValue *value = NULL;
    uint64_t bits = 0;
    TRY(take(machine, 8, &from));
    for (int i = 0; i < 8; i++) bits = bits << 8 | from[i];
    TRY(make(machine, PICKLE_FLOAT, &value));
    memcpy(&value->real, &bits, sizeof bits);
    return EFFNET_OK;
}

/* ---- marks and containers ---- */

static effnet_status push_mark(Machine *machine) {
    TRY(reserve(machine, &machine->marks, &machine->mark_room, machine->mark_count + 1, sizeof *machine->marks));
    machine->marks[machine->mark_count++] = machine->depth;
    return EFFNET_OK;
}

/* The values above the last mark leave the stack; they stay readable there until something is pushed. */
static effnet_status pop_mark(Machine *machine, const PickleRef **items, uint32_t *count) {
    if (!machine->mark_count) return broken(machine, "it asks for a mark, and none was set");
    uint32_t mark = machine->marks[--machine->mark_count];
    *items = machine->stack + mark;
    *count = machine->depth - mark;
    machine->depth = mark;
    return EFFNET_OK;
}

/* A container of the `count` values on top of the stack, or of those above the mark. */
static effnet_status make_container(Machine *machine, PickleKind kind, int count) {
    PickleRef few[3] = {0};
    const PickleRef *items = few;
    uint32_t number = (uint32_t)count;
    PickleValue *value = NULL;
    for (int i = count; i-- > 0;) TRY(pop(machine, &few[i]));
    if (count < 0) TRY(pop_mark(machine, &items, &number));
    if (kind == PICKLE_DICT && number % 2) return broken(machine, "a dict has a key without a value");
    PickleRef first = number && count < 0 ? items[0] : 0;
    TRY(make(machine, kind, &value)); /* which takes the place of items[0] on the stack, and may move the stack */
    PickleRef made = machine->pickle->count - 1;
    if (count >= 0) return append(machine, made, few, number);
    if (number) TRY(append(machine, made, &first, 1));
    return number > 1 ? append(machine, made, machine->stack + machine->depth, number - 1) : EFFNET_OK;
}

/* APPEND(S), SETITEM(S), ADDITEMS: values into the container below them. `pairs`: as a dict takes them. */
static effnet_status extend(Machine *machine, int count, bool pairs) {
    PickleRef few[2] = {0}, to = 0;
    const PickleRef *items = few;
    uint32_t number = (uint32_t)count;
    for (int i = count; i-- > 0;) TRY(pop(machine, &few[i]));
    if (count < 0) TRY(pop_mark(machine, &items, &number));
    TRY(top(machine, &to));
    PickleKind kind = machine->pickle->values[to].kind;
    if (pairs && number % 2) return broken(machine, "a dict has a key without a value");
    if (kind == PICKLE_OBJECT && !pairs) return EFFNET_OK; /* a list of a class of its own: nothing we look into */
    if (pairs ? kind != PICKLE_DICT && kind != PICKLE_OBJECT : kind != PICKLE_LIST && kind != PICKLE_SET)
        return broken(machine, "it adds to what is no list, set or dict");
    return append(machine, to, items, number);
}

/* ---- names, calls ---- */

static effnet_status make_global(Machine *machine) {
    TRY(make_container(machine, PICKLE_GLOBAL, 2));
    const PickleValue *values = machine->pickle->values, *made = &values[machine->pickle->count - 1];
    if (values[made->items[0]].kind == PICKLE_TEXT && values[made->items[1]].kind == PICKLE_TEXT) return EFFNET_OK;
    return broken(machine, "a name is no text");
}

/* callee(arguments): what comes of it is an object that says so. */
static effnet_status make_call(Machine *machine, bool keywords) {
    PickleRef callee = 0, arguments = 0, ignored = 0;
    PickleValue *value = NULL;
    if (keywords) TRY(pop(machine, &ignored));
    TRY(pop(machine, &arguments));
    TRY(pop(machine, &callee));
    TRY(make(machine, PICKLE_OBJECT, &value));
    value->callee = callee;
    value->arguments = arguments;
    return EFFNET_OK;
}

static effnet_status make_stored(Machine *machine) {
    PickleRef identity = 0;
    PickleValue *value = NULL;
    TRY(pop(machine, &identity));
    TRY(make(machine, PICKLE_STORED, &value));
    value->arguments = identity;
    return EFFNET_OK;
}

static effnet_status build(Machine *machine) {
    PickleRef state = 0, object = 0;
    TRY(pop(machine, &state));
    TRY(top(machine, &object));
    machine->pickle->values[object].state = state;
    return EFFNET_OK;
}

/* ---- the memo ---- */

static effnet_status memo_put(Machine *machine, uint64_t index) {
    PickleRef value = 0;
    TRY(top(machine, &value));
    if (index >= PICKLE_MAX_VALUES) return broken(machine, "a number of its memo is beyond any checkpoint's");
    TRY(reserve(machine, &machine->memo, &machine->memo_room, (uint32_t)index + 1, sizeof *machine->memo));
    while (machine->memo_count <= index) machine->memo[machine->memo_count++] = UNSET;
    machine->memo[index] = value;
    return EFFNET_OK;
}

static effnet_status memo_get(Machine *machine, uint64_t index) {
    if (index >= machine->memo_count || machine->memo[index] == UNSET)
        return broken(machine, "it asks for a value that it has not kept");
    return push(machine, machine->memo[index]);
}

static effnet_status memo_number(Machine *machine, int bytes, bool put) {
    uint64_t index = 0;
    TRY(take_number(machine, bytes, &index));
    return put ? memo_put(machine, index) : memo_get(machine, index);
}

/* ---- the machine ---- */

static effnet_status step(Machine *machine, unsigned char opcode) {
    uint64_t number = 0;
    PickleRef value = 0;
    PickleValue *made;
    const PickleRef *items;
    uint32_t count;
    switch (opcode) {
    case 0x80: /* PROTO */
        TRY(take_number(machine, 1, &number));
        return number >= 2 && number <= 5 ? EFFNET_OK : broken(machine, "protocols 2 to 5 are read");
    case 0x95: /* FRAME */
        return take_number(machine, 8, &number);
    case '(':
        return push_mark(machine);
    case '0': /* POP, which takes a mark where one is on top */
        if (machine->mark_count && machine->marks[machine->mark_count - 1] == machine->depth)
            return pop_mark(machine, &items, &count);
        return pop(machine, &value);
    case '1':
        return pop_mark(machine, &items, &count);
    case '2': /* DUP */
        TRY(top(machine, &value));
        return push(machine, value);
    case 'N':
        return push(machine, 0);
    case 0x88:
    case 0x89:
        return push_integer(machine, PICKLE_BOOL, opcode == 0x88);
    case 'J':
        return take_integer(machine, 4, true);
    case 'K':
        return take_integer(machine, 1, false);
    case 'M':
        return take_integer(machine, 2, false);
    case 0x8a:
        return take_long(machine, 1);
    case 0x8b:
        return take_long(machine, 4);
    case 'G':
        return take_float(machine);
    case 'U': /* SHORT_BINSTRING, BINSTRING: Python 2's texts */
    case 0x8c:
        return take_text(machine, 1, PICKLE_TEXT);
    case 'T':
    case 'X':
        return take_text(machine, 4, PICKLE_TEXT);
    case 0x8d:
        return take_text(machine, 8, PICKLE_TEXT);
    case 'C':
        return take_text(machine, 1, PICKLE_BYTES);
    case 'B':
        return take_text(machine, 4, PICKLE_BYTES);
    case 0x8e:
    case 0x96: /* BYTEARRAY8 */
        return take_text(machine, 8, PICKLE_BYTES);
    case '}':
        return make(machine, PICKLE_DICT, &made);
    case ']':
        return make(machine, PICKLE_LIST, &made);
    case ')':
        return make(machine, PICKLE_TUPLE, &made);
    case 0x8f:
        return make(machine, PICKLE_SET, &made);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_container(machine, PICKLE_TUPLE, opcode - 0x84);
    case 't':
        return make_container(machine, PICKLE_TUPLE, -1);
    case 'l':
        return make_container(machine, PICKLE_LIST, -1);
    case 'd':
        return make_container(machine, PICKLE_DICT, -1);
    case 0x91: /* FROZENSET */
        return make_container(machine, PICKLE_SET, -1);
    case 'a':
        return extend(machine, 1, false);
    case 'e':
    case 0x90: /* ADDITEMS */
        return extend(machine, -1, false);
    case 's':
        return extend(machine, 2, true);
    case 'u':
        return extend(machine, -1, true);
    case 'h':
        return memo_number(machine, 1, false);
    case 'j':
        return memo_number(machine, 4, false);
    case 'q':
        return memo_number(machine, 1, true);
    case 'r':
        return memo_number(machine, 4, true);
    case 0x94: /* MEMOIZE */
        return memo_put(machine, machine->memo_count);
    case 'c':
        TRY(take_line(machine));
        TRY(take_line(machine));
        return make_global(machine);
    case 0x93: /* STACK_GLOBAL */
        return make_global(machine);
    case 'R':  /* REDUCE */
    case 0x81: /* NEWOBJ */
        return make_call(machine, false);
    case 0x92: /* NEWOBJ_EX */
        return make_call(machine, true);
    case 'b':
        return build(machine);
    case 'Q':
        return make_stored(machine);
    }
    return broken(machine, "this opcode is not read: protocols 2 to 5 without extensions are");
}

static effnet_status run(Machine *machine) {
    PickleValue *none = NULL;
    PickleRef ignored = 0;
    TRY(make(machine, PICKLE_NONE, &none));
    TRY(pop(machine, &ignored));
    for (;;) {
        machine->from = machine->at;
        if (machine->at == machine->size) return broken(machine, "it ends without its last opcode");
        unsigned char opcode = (unsigned char)machine->bytes[machine->at++];
        if (opcode == '.') break;
        TRY(step(machine, opcode));
    }
    machine->pickle->size = machine->at;
    return pop(machine, &machine->pickle->result);
}

effnet_status pickle_read(const char *name, uint64_t offset, const char *bytes, size_t size, Pickle *out,
                          effnet_error *err) {
    Machine machine = {
        .pickle = out, .name = name, .bytes = size ? bytes : "", .offset = offset, .size = size, .err = err};
    *out = (Pickle){0};
    effnet_status status = run(&machine);
    free(machine.stack);
    free(machine.marks);
    free(machine.memo);
    return status;
}

void pickle_free(Pickle *pickle) {
    for (uint32_t i = 0; i < pickle->count; i++)
        if (has_items(pickle->values[i].kind)) free(pickle->values[i].items);
    free(pickle->values);
    *pickle = (Pickle){0};
}

/* ---- reading ---- */

const PickleValue *pickle_value(const Pickle *pickle, PickleRef reference) {
    return &pickle->values[reference];
}

bool pickle_is_text(const Pickle *pickle, PickleRef reference, const char *text) {
    const PickleValue *value = &pickle->values[reference];
    return value->kind == PICKLE_TEXT && value->count == strlen(text) && memcmp(value->text, text, value->count) == 0;
}

bool pickle_is_global(const Pickle *pickle, PickleRef reference, const char *module, const char *name) {
    const PickleValue *value = &pickle->values[reference];
    return value->kind == PICKLE_GLOBAL && pickle_is_text(pickle, value->items[0], module) &&
           pickle_is_text(pickle, value->items[1], name);
}

bool pickle_find(const Pickle *pickle, PickleRef dict, const char *key, PickleRef *out) {
    const PickleValue *value = &pickle->values[dict];
    if (value->kind != PICKLE_DICT && value->kind != PICKLE_OBJECT) return false;
    for (uint32_t i = value->count; i >= 2; i -= 2)
        if (pickle_is_text(pickle, value->items[i - 2], key)) {
            *out = value->items[i - 1];
            return true;
        }
    return false;
}

void pickle_describe(const Pickle *pickle, PickleRef reference, char *out, size_t size) {
    static const char *const names[] = {"None",    "a bool", "an int", "an int", "a float", "a text",    "bytes",
                                        "a tuple", "a list", "a set",  "a dict", "a name",  "an object", "a storage"};
    const PickleValue *value = &pickle->values[reference];
    const PickleValue *callee = &pickle->values[value->callee];
    if (value->kind == PICKLE_OBJECT && callee->kind == PICKLE_GLOBAL) {
        const PickleValue *module = &pickle->values[callee->items[0]], *name = &pickle->values[callee->items[1]];
        snprintf(out, size, "an object of %.*s.%.*s", (int)(module->count < 60 ? module->count : 60), module->text,
                 (int)(name->count < 60 ? name->count : 60), name->text);
    } else
        snprintf(out, size, "%s", names[value->kind]);
}
