/* stablehlo.c - see stablehlo.h. */
#include "backend/xla/stablehlo.h"

#include "base/bfloat16.h"
#include "base/number_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Hlo {
    char *text;
    size_t used, room;
    bool failed;
    int next;     /* id */
    int loop;     /* id of the loop that is open */
    int channels; /* handed out to all_reduce */
};

/* What is not so is a fault of the caller's, and the text is not given out. */
static void expect(Hlo *hlo, bool met) {
    if (!met) hlo->failed = true;
}

static const char *type_name(XlaType type) {
    static const char *const names[] = {"f32", "bf16", "i32", "ui32", "ui8", "i1"};
    return names[type];
}

int xla_type_bytes(XlaType type) {
    static const int bytes[] = {4, 2, 4, 4, 1, 1};
    return bytes[type];
}

int64_t hlo_elements(HloValue a) {
    int64_t elements = 1;
    for (int i = 0; i < a.rank; i++) elements *= a.shape[i];
    return elements;
}

/* ---- text ---- */

static void put(Hlo *hlo, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(Hlo *hlo, const char *format, ...) {
    for (int attempt = 0; attempt < 2 && !hlo->failed; attempt++) {
        va_list arguments;
        va_start(arguments, format);
        int length = number_print_list(hlo->text + hlo->used, hlo->room - hlo->used, format, arguments);
        va_end(arguments);
        if (length < 0) {
            hlo->failed = true;
        } else if ((size_t)length < hlo->room - hlo->used) {
            hlo->used += (size_t)length;
            return;
        } else {
            size_t room = (hlo->room + (size_t)length) * 2;
            char *text = realloc(hlo->text, room);
            if (text) {
                hlo->text = text;
                hlo->room = room;
            } else
                hlo->failed = true;
        }
    }
}

Hlo *hlo_create(void) {
    Hlo *hlo = calloc(1, sizeof *hlo);
    char *text = malloc(1 << 16);
    if (!hlo || !text) {
        free(hlo);
        free(text);
        return NULL;
    }
    hlo->text = text;
    hlo->room = 1 << 16;
    return hlo;
}

char *hlo_finish(Hlo *hlo, size_t *bytes) {
    char *text = hlo->failed ? NULL : hlo->text;
    *bytes = text ? hlo->used : 0;
    if (!text) free(hlo->text);
    free(hlo);
    return text;
}

static void put_type(Hlo *hlo, HloValue a) {
    put(hlo, "tensor<");
    for (int i = 0; i < a.rank; i++) put(hlo, "%" PRId64 "x", a.shape[i]);
    put(hlo, "%s>", type_name(a.type));
}

static void put_name(Hlo *hlo, HloValue a) {
    put(hlo, "%%v%d", a.id);
    if (a.part >= 0) put(hlo, "#%d", a.part);
}

static void put_integers(Hlo *hlo, const int64_t *values, int count) {
    put(hlo, "[");
    for (int i = 0; i < count; i++) put(hlo, "%s%" PRId64, i ? ", " : "", values[i]);
    put(hlo, "]");
}

/* " : (A, B) -> C" and the end of the line. */
static void put_signature(Hlo *hlo, const HloValue *operands, int count, HloValue result) {
    put(hlo, " : (");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, operands[i]);
    }
    put(hlo, ") -> ");
    put_type(hlo, result);
    put(hlo, "\n");
}

static HloValue value_of(Hlo *hlo, XlaType type, int rank, const int64_t *shape) {
    HloValue made = {.id = hlo->next++, .part = -1, .type = type, .rank = rank};
    expect(hlo, rank <= HLO_RANK);
    for (int i = 0; i < rank; i++) made.shape[i] = shape[i];
    return made;
}

static HloValue value_like(Hlo *hlo, HloValue like) {
    return value_of(hlo, like.type, like.rank, like.shape);
}

static void begin(Hlo *hlo, HloValue made, const char *operation) {
    put(hlo, "    ");
    put_name(hlo, made);
    put(hlo, " = stablehlo.%s", operation);
}

static bool same_shape(HloValue a, HloValue b) {
    return a.rank == b.rank && memcmp(a.shape, b.shape, (size_t)a.rank * sizeof *a.shape) == 0;
}

/* ---- main ---- */

void hlo_begin_main(Hlo *hlo, const XlaProgram *program, HloValue *arguments) {
    put(hlo,
        "module @effnet attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = %d : i32} {\n"
        "  func.func public @main(",
        program->replicas);
    for (int i = 0; i < program->num_arguments; i++) {
        const XlaValue *from = &program->arguments[i];
        arguments[i] = value_of(hlo, from->type, from->rank, from->shape);
        if (i) put(hlo, ", ");
        put_name(hlo, arguments[i]);
        put(hlo, ": ");
        put_type(hlo, arguments[i]);
        if (from->alias >= 0) put(hlo, " {tf.aliasing_output = %d : i32}", from->alias);
    }
    put(hlo, ") -> (");
    for (int i = 0; i < program->num_results; i++) {
        const XlaValue *from = &program->results[i];
        HloValue result = {.type = from->type, .rank = from->rank};
        memcpy(result.shape, from->shape, sizeof result.shape);
        if (i) put(hlo, ", ");
        put_type(hlo, result);
    }
    put(hlo, ") {\n");
}

static void put_return(Hlo *hlo, const char *operation, const HloValue *values, int count) {
    put(hlo, "    %s ", operation);
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_name(hlo, values[i]);
    }
    put(hlo, " : ");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, values[i]);
    }
    put(hlo, "\n");
}

void hlo_end_main(Hlo *hlo, const HloValue *results, int count) {
    put_return(hlo, "return", results, count);
    put(hlo, "  }\n}\n");
}

/* ---- constants ---- */

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

HloValue hlo_fill(Hlo *hlo, XlaType type, int rank, const int64_t *shape, double value) {
    HloValue made = value_of(hlo, type, rank, shape);
    begin(hlo, made, "constant dense<");
    if (type == XLA_F32)
        put(hlo, "0x%08" PRIX32, float_bits((float)value));
    else if (type == XLA_BF16)
        put(hlo, "0x%04X", (unsigned)bfloat16_from_float((float)value));
    else if (type == XLA_BOOL)
        put(hlo, "%s", value != 0 ? "true" : "false");
    else
        put(hlo, "%" PRId64, (int64_t)value);
    put(hlo, "> : ");
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_scalar(Hlo *hlo, XlaType type, double value) {
    return hlo_fill(hlo, type, 0, NULL, value);
}

HloValue hlo_floats(Hlo *hlo, const float *values, int64_t count) {
    HloValue made = value_of(hlo, XLA_F32, 1, &count);
    begin(hlo, made, "constant dense<\"0x");
    for (int64_t i = 0; i < count; i++) { /* bytes in memory's order, the lowest first */
        uint32_t bits = float_bits(values[i]);
        put(hlo, "%02X%02X%02X%02X", bits & 0xff, bits >> 8 & 0xff, bits >> 16 & 0xff, bits >> 24);
    }
    put(hlo, "\"> : ");
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_iota(Hlo *hlo, XlaType type, int rank, const int64_t *shape, int dimension) {
    HloValue made = value_of(hlo, type, rank, shape);
    begin(hlo, made, "iota");
    put(hlo, " dim = %d : ", dimension);
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_replica(Hlo *hlo) {
    HloValue made = value_of(hlo, XLA_U32, 0, NULL);
    begin(hlo, made, "replica_id : tensor<ui32>\n");
    return made;
}

/* ---- element by element ---- */

static HloValue elementwise(Hlo *hlo, const char *operation, HloValue made, const HloValue *operands, int count) {
    begin(hlo, made, operation);
    for (int i = 0; i < count; i++) {
        put(hlo, i ? ", " : " ");
        put_name(hlo, operands[i]);
    }
    return made;
}

HloValue hlo_binary(Hlo *hlo, HloBinary kind, HloValue a, HloValue b) {
    static const char *const names[] = {
        "add", "subtract",   "multiply",           "divide", "maximum", "minimum", "and", "or",
        "xor", "shift_left", "shift_right_logical"};
    expect(hlo, same_shape(a, b) && a.type == b.type);
    HloValue made = elementwise(hlo, names[kind], value_like(hlo, a), (HloValue[]){a, b}, 2);
    put(hlo, " : ");
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_unary(Hlo *hlo, HloUnary kind, HloValue a) {
    static const char *const names[] = {"negate", "exponential", "log", "sqrt", "rsqrt", "logistic"};
    HloValue made = elementwise(hlo, names[kind], value_like(hlo, a), &a, 1);
    put(hlo, " : ");
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_compare(Hlo *hlo, HloCompare kind, HloValue a, HloValue b) {
    static const char *const names[] = {"compare LT,", "compare GT,", "compare EQ,", "compare GE,"};
    expect(hlo, same_shape(a, b) && a.type == b.type);
    HloValue made = elementwise(hlo, names[kind], value_of(hlo, XLA_BOOL, a.rank, a.shape), (HloValue[]){a, b}, 2);
    bool floats = a.type == XLA_F32 || a.type == XLA_BF16;
    put(hlo, ", %s", floats ? "FLOAT" : a.type == XLA_I32 ? "SIGNED" : "UNSIGNED");
    put_signature(hlo, (HloValue[]){a, b}, 2, made);
    return made;
}

HloValue hlo_is_finite(Hlo *hlo, HloValue a) {
    HloValue made = elementwise(hlo, "is_finite", value_of(hlo, XLA_BOOL, a.rank, a.shape), &a, 1);
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_select(Hlo *hlo, HloValue condition, HloValue yes, HloValue no) {
    expect(hlo, same_shape(yes, no) && yes.type == no.type && condition.type == XLA_BOOL);
    HloValue made = elementwise(hlo, "select", value_like(hlo, yes), (HloValue[]){condition, yes, no}, 3);
    put(hlo, " : ");
    put_type(hlo, condition);
    put(hlo, ", ");
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

static HloValue retyped(Hlo *hlo, const char *operation, XlaType type, HloValue a) {
    HloValue made = elementwise(hlo, operation, value_of(hlo, type, a.rank, a.shape), &a, 1);
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_convert(Hlo *hlo, XlaType type, HloValue a) {
    return a.type == type ? a : retyped(hlo, "convert", type, a);
}

HloValue hlo_bitcast(Hlo *hlo, XlaType type, HloValue a) {
    return retyped(hlo, "bitcast_convert", type, a);
}

/* ---- shapes ---- */

HloValue hlo_reshape(Hlo *hlo, HloValue a, int rank, const int64_t *shape) {
    HloValue made = elementwise(hlo, "reshape", value_of(hlo, a.type, rank, shape), &a, 1);
    expect(hlo, hlo_elements(a) == hlo_elements(made));
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_broadcast(Hlo *hlo, HloValue a, int rank, const int64_t *shape, const int *dimensions) {
    HloValue made = elementwise(hlo, "broadcast_in_dim", value_of(hlo, a.type, rank, shape), &a, 1);
    int64_t dims[HLO_RANK] = {0};
    for (int i = 0; i < a.rank; i++) dims[i] = dimensions[i];
    put(hlo, ", dims = ");
    put_integers(hlo, dims, a.rank);
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_broadcast_scalar(Hlo *hlo, HloValue scalar, HloValue like) {
    expect(hlo, scalar.rank == 0);
    return like.rank == 0 ? scalar : hlo_broadcast(hlo, scalar, like.rank, like.shape, NULL);
}

HloValue hlo_transpose(Hlo *hlo, HloValue a, const int *order) {
    int64_t shape[HLO_RANK] = {0}, dims[HLO_RANK] = {0};
    for (int i = 0; i < a.rank; i++) {
        dims[i] = order[i];
        shape[i] = a.shape[order[i]];
    }
    HloValue made = elementwise(hlo, "transpose", value_of(hlo, a.type, a.rank, shape), &a, 1);
    put(hlo, ", dims = ");
    put_integers(hlo, dims, a.rank);
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_reverse(Hlo *hlo, HloValue a, int first, int second) {
    HloValue made = elementwise(hlo, "reverse", value_like(hlo, a), &a, 1);
    put(hlo, ", dims = [%d, %d] : ", first, second);
    put_type(hlo, made);
    put(hlo, "\n");
    return made;
}

HloValue hlo_slice(Hlo *hlo, HloValue a, const int64_t *first, const int64_t *end, const int64_t *step) {
    int64_t shape[HLO_RANK] = {0};
    for (int i = 0; i < a.rank; i++) shape[i] = (end[i] - first[i] + step[i] - 1) / step[i];
    HloValue made = elementwise(hlo, "slice", value_of(hlo, a.type, a.rank, shape), &a, 1);
    put(hlo, " [");
    for (int i = 0; i < a.rank; i++) {
        put(hlo, "%s%" PRId64 ":%" PRId64, i ? ", " : "", first[i], end[i]);
        if (step[i] != 1) put(hlo, ":%" PRId64, step[i]);
    }
    put(hlo, "]");
    put_signature(hlo, &a, 1, made);
    return made;
}

HloValue hlo_dynamic_slice(Hlo *hlo, HloValue a, HloValue first, int64_t count) {
    HloValue operands[1 + HLO_RANK] = {a, first}, zero = hlo_scalar(hlo, first.type, 0);
    int64_t shape[HLO_RANK] = {0};
    for (int i = 0; i < a.rank; i++) shape[i] = i ? a.shape[i] : count;
    for (int i = 1; i < a.rank; i++) operands[1 + i] = zero;
    HloValue made = elementwise(hlo, "dynamic_slice", value_of(hlo, a.type, a.rank, shape), operands, 1 + a.rank);
    put(hlo, ", sizes = ");
    put_integers(hlo, shape, a.rank);
    put_signature(hlo, operands, 1 + a.rank, made);
    return made;
}

HloValue hlo_pad(Hlo *hlo, HloValue a, const int64_t *low, const int64_t *high, const int64_t *interior) {
    HloValue operands[2] = {a, hlo_scalar(hlo, a.type, 0)};
    int64_t shape[HLO_RANK] = {0};
    for (int i = 0; i < a.rank; i++) shape[i] = low[i] + a.shape[i] + (a.shape[i] - 1) * interior[i] + high[i];
    HloValue made = elementwise(hlo, "pad", value_of(hlo, a.type, a.rank, shape), operands, 2);
    put(hlo, ", low = ");
    put_integers(hlo, low, a.rank);
    put(hlo, ", high = ");
    put_integers(hlo, high, a.rank);
    put(hlo, ", interior = ");
    put_integers(hlo, interior, a.rank);
    put_signature(hlo, operands, 2, made);
    return made;
}

HloValue hlo_concatenate(Hlo *hlo, const HloValue *values, int count, int dimension) {
    int64_t shape[HLO_RANK] = {0};
    memcpy(shape, values[0].shape, sizeof shape);
    for (int i = 1; i < count; i++) shape[dimension] += values[i].shape[dimension];
    HloValue made =
        elementwise(hlo, "concatenate", value_of(hlo, values[0].type, values[0].rank, shape), values, count);
    put(hlo, ", dim = %d", dimension);
    put_signature(hlo, values, count, made);
    return made;
}

/* ---- sums and products ---- */

static int kept_shape(HloValue a, unsigned dimensions, int64_t *shape) {
    int rank = 0;
    for (int i = 0; i < a.rank; i++)
        if (!(dimensions >> i & 1)) shape[rank++] = a.shape[i];
    return rank;
}

static void put_dimensions(Hlo *hlo, HloValue a, unsigned dimensions) {
    bool first = true;
    put(hlo, "[");
    for (int i = 0; i < a.rank; i++) {
        if (!(dimensions >> i & 1)) continue;
        put(hlo, "%s%d", first ? "" : ", ", i);
        first = false;
    }
    put(hlo, "]");
}

static HloValue reduce(Hlo *hlo, HloValue a, HloValue start, const char *operation, unsigned dimensions) {
    int64_t shape[HLO_RANK] = {0};
    int rank = kept_shape(a, dimensions, shape);
    HloValue made = value_of(hlo, a.type, rank, shape);
    begin(hlo, made, "reduce(");
    put_name(hlo, a);
    put(hlo, " init: ");
    put_name(hlo, start);
    put(hlo, ") applies stablehlo.%s across dimensions = ", operation);
    put_dimensions(hlo, a, dimensions);
    put_signature(hlo, (HloValue[]){a, start}, 2, made);
    return made;
}

HloValue hlo_sum(Hlo *hlo, HloValue a, unsigned dimensions) {
    return reduce(hlo, a, hlo_scalar(hlo, a.type, 0), "add", dimensions);
}

HloValue hlo_largest(Hlo *hlo, HloValue a, unsigned dimensions) {
    return reduce(hlo, a, hlo_scalar(hlo, a.type, -__builtin_inf()), "maximum", dimensions);
}

void hlo_sums(Hlo *hlo, const HloValue *values, int count, unsigned dimensions, HloValue *out) {
    if (count == 1) {
        *out = hlo_sum(hlo, values[0], dimensions);
        return;
    }
    int64_t shape[HLO_RANK] = {0};
    int rank = kept_shape(values[0], dimensions, shape);
    HloValue zero = hlo_scalar(hlo, values[0].type, 0), made = value_of(hlo, values[0].type, rank, shape);
    HloValue scalar = {.type = made.type};
    int inside = hlo->next;
    hlo->next += 3 * count;
    put(hlo, "    %%v%d:%d = stablehlo.reduce", made.id, count);
    for (int i = 0; i < count; i++) {
        put(hlo, "%s(", i ? ", " : "");
        put_name(hlo, values[i]);
        put(hlo, " init: ");
        put_name(hlo, zero);
        put(hlo, ")");
    }
    put(hlo, " across dimensions = ");
    put_dimensions(hlo, values[0], dimensions);
    put(hlo, " : (");
    for (int i = 0; i < 2 * count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, i < count ? values[i] : zero);
    }
    put(hlo, ") -> (");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, made);
    }
    put(hlo, ")\n     reducer");
    for (int i = 0; i < count; i++) {
        put(hlo, "(%%v%d: ", inside + 2 * i);
        put_type(hlo, scalar);
        put(hlo, ", %%v%d: ", inside + 2 * i + 1);
        put_type(hlo, scalar);
        put(hlo, ") ");
    }
    put(hlo, "{\n");
    for (int i = 0; i < count; i++) {
        put(hlo, "      %%v%d = stablehlo.add %%v%d, %%v%d : ", inside + 2 * count + i, inside + 2 * i,
            inside + 2 * i + 1);
        put_type(hlo, scalar);
        put(hlo, "\n");
        out[i] = made;
        out[i].part = i;
    }
    put(hlo, "      stablehlo.return ");
    for (int i = 0; i < count; i++) put(hlo, "%s%%v%d", i ? ", " : "", inside + 2 * count + i);
    put(hlo, " : ");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, scalar);
    }
    put(hlo, "\n    }\n");
}

HloValue hlo_dot(Hlo *hlo, HloValue a, int a_along, HloValue b, int b_along, XlaType type, bool exact) {
    expect(hlo, a.rank == 2 && b.rank == 2 && a.shape[a_along] == b.shape[b_along]);
    const int64_t shape[2] = {a.shape[1 - a_along], b.shape[1 - b_along]};
    HloValue made = elementwise(hlo, "dot_general", value_of(hlo, type, 2, shape), (HloValue[]){a, b}, 2);
    const char *precision = exact ? "HIGHEST" : "DEFAULT";
    put(hlo, ", contracting_dims = [%d] x [%d], precision = [%s, %s]", a_along, b_along, precision, precision);
    put_signature(hlo, (HloValue[]){a, b}, 2, made);
    return made;
}

HloValue hlo_convolution(Hlo *hlo, HloValue x, HloValue kernel, const HloConvolution *c, bool exact) {
    HloValue made = value_of(hlo, c->type, 4, c->result);
    const char *precision = exact ? "HIGHEST" : "DEFAULT";
    begin(hlo, made, "convolution(");
    put_name(hlo, x);
    put(hlo, ", ");
    put_name(hlo, kernel);
    put(hlo,
        ") dim_numbers = %s, window = {stride = [%d, %d], pad = [[%d, %d], [%d, %d]], lhs_dilate = [%d, %d], "
        "rhs_dilate "
        "= [%d, %d], reverse = [false, false]} {batch_group_count = %" PRId64 " : i64, feature_group_count = %" PRId64
        " : i64, precision_config = [#stablehlo<precision %s>, #stablehlo<precision %s>]}",
        c->dimensions, c->stride[0], c->stride[1], c->pad[0][0], c->pad[0][1], c->pad[1][0], c->pad[1][1],
        c->lhs_dilate[0], c->lhs_dilate[1], c->rhs_dilate[0], c->rhs_dilate[1], c->batch_groups, c->feature_groups,
        precision, precision);
    put_signature(hlo, (HloValue[]){x, kernel}, 2, made);
    return made;
}

/* ---- a kernel of our own ---- */

/* In quotes, as MLIR escapes: two digits of 16 behind a backslash. */
static void put_string(Hlo *hlo, const char *text) {
    put(hlo, "\"");
    while (*text) {
        const size_t plain = strcspn(text, "\"\\\n\t\r");
        put(hlo, "%.*s", (int)plain, text);
        text += plain;
        if (*text) put(hlo, "\\%02X", (unsigned)(unsigned char)*text++);
    }
    put(hlo, "\"");
}

/* dense<[3, 2, 1, 0]>: the last dimension varies fastest. */
static void put_dense_layout(Hlo *hlo, HloValue a) {
    put(hlo, "dense<[");
    for (int i = a.rank - 1; i >= 0; i--) put(hlo, "%d%s", i, i ? ", " : "");
    put(hlo, "]> : tensor<%dxindex>", a.rank);
}

HloValue hlo_kernel(Hlo *hlo, const HloKernel *kernel, const HloValue *operands, int count, XlaType type, int rank,
                    const int64_t *shape) {
    HloValue made = value_of(hlo, type, rank, shape);
    expect(hlo, kernel->blocks > 0 && kernel->blocks <= INT32_MAX);
    begin(hlo, made, "custom_call @\"__gpu$xla.gpu.ptx\"(");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_name(hlo, operands[i]);
    }
    put(hlo, ") {backend_config = \"\", mhlo.backend_config = {name = ");
    put_string(hlo, kernel->name);
    put(hlo, ", kernel_type = \"ptx\", kernel_data = ");
    put_string(hlo, kernel->ptx);
    put(hlo,
        ", grid_x = %" PRId64 " : i32, grid_y = 1 : i32, grid_z = 1 : i32, block_x = %d : i32, block_y = 1 : i32, "
        "block_z = 1 : i32, shared_mem_bytes = 0 : i32}, operand_layouts = [",
        kernel->blocks, kernel->threads);
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_dense_layout(hlo, operands[i]);
    }
    put(hlo, "], result_layouts = [");
    put_dense_layout(hlo, made);
    put(hlo, "]}");
    put_signature(hlo, operands, count, made);
    return made;
}

/* ---- between replicas ---- */

HloValue hlo_all_reduce(Hlo *hlo, HloValue a, int replicas, int group) {
    if (replicas == 1 || group == 1) return a;
    HloValue made = value_like(hlo, a), scalar = {.type = a.type};
    int inside = hlo->next;
    hlo->next += 3;
    put(hlo, "    ");
    put_name(hlo, made);
    put(hlo, " = \"stablehlo.all_reduce\"(");
    put_name(hlo, a);
    put(hlo, ") <{channel_handle = #stablehlo.channel_handle<handle = %d, type = 1>, replica_groups = dense<[",
        ++hlo->channels);
    for (int g = 0; g < replicas / group; g++) {
        put(hlo, "%s[", g ? ", " : "");
        for (int i = 0; i < group; i++) put(hlo, "%s%d", i ? ", " : "", g * group + i);
        put(hlo, "]");
    }
    put(hlo, "]> : tensor<%dx%dxi64>}> ({\n    ^bb0(%%v%d: ", replicas / group, group, inside);
    put_type(hlo, scalar);
    put(hlo, ", %%v%d: ", inside + 1);
    put_type(hlo, scalar);
    put(hlo, "):\n      %%v%d = stablehlo.add %%v%d, %%v%d : ", inside + 2, inside, inside + 1);
    put_type(hlo, scalar);
    put(hlo, "\n      stablehlo.return %%v%d : ", inside + 2);
    put_type(hlo, scalar);
    put(hlo, "\n    })");
    put_signature(hlo, &a, 1, made);
    return made;
}

/* ---- a loop ---- */

void hlo_begin_loop(Hlo *hlo, HloValue *state, int count, int64_t rounds) {
    hlo->loop = hlo->next++;
    int inside = hlo->next, limit = inside + count;
    hlo->next += count + 2;
    put(hlo, "    %%v%d:%d = stablehlo.while(", hlo->loop, count);
    for (int i = 0; i < count; i++) {
        put(hlo, "%s%%v%d = ", i ? ", " : "", inside + i);
        put_name(hlo, state[i]);
    }
    put(hlo, ") : ");
    for (int i = 0; i < count; i++) {
        if (i) put(hlo, ", ");
        put_type(hlo, state[i]);
        state[i].id = inside + i;
        state[i].part = -1;
    }
    put(hlo,
        "\n    cond {\n      %%v%d = stablehlo.constant dense<%" PRId64
        "> : tensor<i32>\n      %%v%d = stablehlo.compare LT, %%v%d, %%v%d, SIGNED : (tensor<i32>, tensor<i32>) -> "
        "tensor<i1>\n      stablehlo.return %%v%d : tensor<i1>\n    } do {\n",
        limit, rounds, limit + 1, inside, limit, limit + 1);
}

void hlo_end_loop(Hlo *hlo, const HloValue *next, HloValue *state, int count) {
    HloValue all[HLO_LOOP_VALUES] = {hlo_binary(hlo, HLO_ADD, state[0], hlo_scalar(hlo, XLA_I32, 1))};
    expect(hlo, count <= HLO_LOOP_VALUES);
    for (int i = 1; i < count; i++) all[i] = next[i - 1];
    put_return(hlo, "stablehlo.return", all, count);
    put(hlo, "    }\n");
    for (int i = 0; i < count; i++) {
        state[i].id = hlo->loop;
        state[i].part = i;
    }
}
