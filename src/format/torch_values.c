/* torch_values.c - see torch_values.h. The calls are those of torch/_utils.py and torch/_tensor.py (PyTorch 0.4 to 2.x). */
#include "format/torch_values.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MOST_WRAPPERS = 4 };

typedef struct StorageType {
    const char *name, *elements;
} StorageType;

static const StorageType storage_types[] = {
    {"FloatStorage", "F32"}, {"HalfStorage", "F16"},  {"BFloat16Storage", "BF16"},    {"DoubleStorage", "F64"},
    {"LongStorage", "I64"},  {"IntStorage", "I32"},   {"ByteStorage", "U8"},          {"CharStorage", "I8"},
    {"ShortStorage", "I16"}, {"BoolStorage", "BOOL"}, {"ComplexFloatStorage", "C64"},
};

/* ---- which call ---- */

static const PickleValue *argument(const Pickle *pickle, PickleRef tuple, uint32_t index) {
    const PickleValue *value = pickle_value(pickle, tuple);
    if (value->kind != PICKLE_TUPLE || index >= value->count) return NULL;
    return pickle_value(pickle, value->items[index]);
}

/* The tuple of arguments of the call that makes the tensor, under what wraps it; false where there is none. */
static bool find_call(const Pickle *pickle, PickleRef reference, PickleRef *arguments) {
    for (int i = 0; i < MOST_WRAPPERS; i++) {
        const PickleValue *value = pickle_value(pickle, reference);
        if (value->kind != PICKLE_OBJECT) return false;
        PickleRef callee = value->callee;
        *arguments = value->arguments;
        const PickleValue *given = pickle_value(pickle, value->arguments);
        if (pickle_is_global(pickle, callee, "torch._tensor", "_rebuild_from_type_v2")) {
            /* (function, type, its arguments, state) */
            if (given->kind != PICKLE_TUPLE || given->count < 3) return false;
            callee = given->items[0];
            *arguments = given->items[2];
            given = pickle_value(pickle, *arguments);
        }
        if (pickle_is_global(pickle, callee, "torch._utils", "_rebuild_tensor_v2") ||
            pickle_is_global(pickle, callee, "torch._utils", "_rebuild_tensor"))
            return true;
        if (!(pickle_is_global(pickle, callee, "torch._utils", "_rebuild_parameter") ||
              pickle_is_global(pickle, callee, "torch._utils", "_rebuild_parameter_with_state") ||
              pickle_is_global(pickle, callee, "torch.nn.parameter", "Parameter")) ||
            given->kind != PICKLE_TUPLE || given->count < 1)
            return false;
        reference = given->items[0];
    }
    return false;
}

bool torch_is_tensor(const Pickle *pickle, PickleRef reference) {
    PickleRef arguments;
    return find_call(pickle, reference, &arguments);
}

/* ---- storage ---- */

typedef struct Place {
    const char *path, *name;
    effnet_error *err;
} Place;

static effnet_status bad(const Place *place, const char *what) {
    return fail(place->err, EFFNET_ERROR_FORMAT,
                "'%s': tensor '%.80s' %s: the file is damaged or was not written by torch.save; take another copy",
                place->path, place->name, what);
}

static bool key_is_plain(const PickleValue *key) {
    return key && key->kind == PICKLE_TEXT && key->count > 0 && key->count < TORCH_KEY_BYTES &&
           !memchr(key->text, '/', key->count) && !memchr(key->text, 0, key->count);
}

static const ElementType *storage_type(const Pickle *pickle, PickleRef type) {
    static const char *const modules[] = {"torch", "torch.cuda", "torch.storage"};
    for (size_t i = 0; i < sizeof storage_types / sizeof *storage_types; i++)
        for (size_t m = 0; m < sizeof modules / sizeof *modules; m++)
            if (pickle_is_global(pickle, type, modules[m], storage_types[i].name))
                return element_type_find(storage_types[i].elements);
    return NULL;
}

size_t torch_storage_element(const Pickle *pickle, PickleRef stored, PickleRef *key) {
    const PickleValue *identity = pickle_value(pickle, pickle_value(pickle, stored)->arguments);
    if (identity->kind != PICKLE_TUPLE || identity->count < 5) return 0;
    const ElementType *type = storage_type(pickle, identity->items[1]);
    *key = identity->items[2];
    return type ? type->bytes : 0;
}

/* ('storage', torch.FloatStorage, key, location, elements) */
static effnet_status read_storage(const Pickle *pickle, const PickleValue *stored, const Place *place,
                                  TorchTensor *out) {
    if (!stored || stored->kind != PICKLE_STORED) return bad(place, "has no storage");
    const PickleValue *kind = argument(pickle, stored->arguments, 0), *key = argument(pickle, stored->arguments, 2),
                      *elements = argument(pickle, stored->arguments, 4);
    if (!kind || kind->kind != PICKLE_TEXT || kind->count != 7 || memcmp(kind->text, "storage", 7) != 0 ||
        !key_is_plain(key) || !elements || elements->kind != PICKLE_INT || elements->integer < 0)
        return bad(place, "has a storage without key or size");
    PickleRef type = pickle_value(pickle, stored->arguments)->items[1];
    out->type = storage_type(pickle, type);
    if (!out->type) {
        char found[140];
        pickle_describe(pickle, type, found, sizeof found);
        const PickleValue *name = pickle_value(pickle, type);
        if (name->kind == PICKLE_GLOBAL) {
            name = pickle_value(pickle, name->items[1]);
            snprintf(found, sizeof found, "%.*s", (int)(name->count < 60 ? name->count : 60), name->text);
        }
        return fail(
            place->err, EFFNET_ERROR_UNSUPPORTED,
            "'%s': tensor '%.80s' is of type %s; read are float32, float16, bfloat16, float64 and whole numbers: "
            "save it as float32",
            place->path, place->name, found);
    }
    /* Before PyTorch 1.6 a sixth entry makes it a view of a storage: (key, offset, elements) */
    const PickleValue *view = argument(pickle, stored->arguments, 5);
    if (view && view->kind == PICKLE_TUPLE) {
        const PickleValue *begin = view->count == 3 ? pickle_value(pickle, view->items[1]) : NULL;
        if (!begin || begin->kind != PICKLE_INT || begin->integer < 0) return bad(place, "is a view of nothing");
        out->offset = (uint64_t)begin->integer;
    }
    memcpy(out->key, key->text, key->count);
    out->key[key->count] = 0;
    out->storage_elements = (uint64_t)elements->integer;
    return EFFNET_OK;
}

/* ---- size and strides ---- */

/* A tuple of up to TORCH_MAX_RANK whole numbers of at least 0, or torch.Size of one. */
static effnet_status read_sides(const Pickle *pickle, const PickleValue *value, const Place *place, int64_t *sides,
                                int *rank) {
    if (value && value->kind == PICKLE_OBJECT && pickle_is_global(pickle, value->callee, "torch", "Size"))
        value = argument(pickle, value->arguments, 0);
    if (!value || value->kind != PICKLE_TUPLE || value->count > TORCH_MAX_RANK)
        return bad(place, "has no size or strides of at most 8 dimensions");
    *rank = (int)value->count;
    for (uint32_t i = 0; i < value->count; i++) {
        const PickleValue *side = pickle_value(pickle, value->items[i]);
        if (side->kind != PICKLE_INT || side->integer < 0)
            return bad(place, "has a size or stride that is not a whole number of at least 0");
        sides[i] = side->integer;
    }
    return EFFNET_OK;
}

/* Elements, and how far into the storage they go. */
static effnet_status measure(const Place *place, TorchTensor *out) {
    uint64_t last = out->offset;
    out->count = 1;
    for (int d = 0; d < out->rank; d++)
        if (!size_multiply(out->count, (size_t)out->shape[d], &out->count))
            return bad(place, "has a size that multiplies to more than 64 bits");
    if (out->count == 0) return EFFNET_OK;
    for (int d = 0; d < out->rank; d++) {
        uint64_t step;
        if (__builtin_mul_overflow((uint64_t)out->shape[d] - 1, (uint64_t)out->stride[d], &step) ||
            __builtin_add_overflow(last, step, &last))
            return bad(place, "has strides beyond 64 bits");
    }
    if (last >= out->storage_elements)
        return fail(
            place->err, EFFNET_ERROR_FORMAT,
            "'%s': tensor '%.80s' reaches element %llu of its storage '%s', which has %llu: the file is damaged; "
            "take another copy",
            place->path, place->name, (unsigned long long)last, out->key, (unsigned long long)out->storage_elements);
    out->extent = last + 1;
    return EFFNET_OK;
}

effnet_status torch_tensor_read(const Pickle *pickle, PickleRef reference, const char *path, const char *name,
                                TorchTensor *out, effnet_error *err) {
    const Place place = {path, name, err};
    PickleRef arguments;
    int strides;
    *out = (TorchTensor){0};
    if (!find_call(pickle, reference, &arguments)) return bad(&place, "is none");
    const PickleValue *offset = argument(pickle, arguments, 1);
    TRY(read_storage(pickle, argument(pickle, arguments, 0), &place, out));
    if (!offset || offset->kind != PICKLE_INT || offset->integer < 0)
        return bad(&place, "has no offset in its storage");
    out->offset += (uint64_t)offset->integer; /* two that are below 2^63 */
    TRY(read_sides(pickle, argument(pickle, arguments, 2), &place, out->shape, &out->rank));
    TRY(read_sides(pickle, argument(pickle, arguments, 3), &place, out->stride, &strides));
    if (strides != out->rank) return bad(&place, "has more or fewer strides than dimensions");
    return measure(&place, out);
}
