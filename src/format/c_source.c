/* c_source.c - see c_source.h. The .c file reads from top to bottom: weights, the layers' loops, how a picture is prepared,
 * and the network, a line a layer, on one static block of floats that c_source_arena.c laid out. Batch norm is folded into
 * the convolution before it (model/fold.h); kernels are turned so that the innermost loop, over the outputs, is
 * contiguous. */
#include "format/c_source.h"

#include "base/file.h"
#include "base/number_text.h"
#include "model/fold.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_A_LINE = 10, PREFIX = 64 };

typedef struct CWriter {
    FILE *stream;
    const Network *network;
    const float *parameters, *statistics;
    const CSourceOptions *options;
    char file[PREFIX]; /* "my-model", without folder and ending */
    char prefix[PREFIX], upper[PREFIX];
    CArena arena;
    bool not_finite; /* a weight */
} CWriter;

/* "folder/my-model.c" -> "my_model" */
static effnet_status name_prefix(CWriter *writer, const char *path, effnet_error *err) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t length = strlen(name);
    if (length < 3 || strcmp(name + length - 2, ".c") != 0 || length - 2 >= PREFIX || !isalpha((unsigned char)name[0]))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "cannot write '%s': the name must end with .c, begin with a letter and have at most %d, for the "
                    "functions are called by it",
                    path, PREFIX - 1);
    for (size_t i = 0; i < length - 2; i++) {
        const bool plain = isalnum((unsigned char)name[i]) && (unsigned char)name[i] < 0x80;
        if (name[i] == '"' || name[i] == '\\' || (unsigned char)name[i] < 0x20)
            return fail(err, EFFNET_ERROR_ARGUMENT, "cannot write '%s': no compiler includes a file of such a name",
                        path);
        writer->file[i] = name[i];
        writer->prefix[i] = plain ? name[i] : '_';
        writer->upper[i] = (char)toupper((unsigned char)writer->prefix[i]);
    }
    return EFFNET_OK;
}

/* ---- text ---- */

/* A string literal; what a compiler or a terminal could misread is written in octal. */
static void write_string(FILE *stream, const char *text) {
    fputc('"', stream);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\' || *c == '?' || *c < 0x20 || *c >= 0x7F)
            fprintf(stream, "\\%03o", *c);
        else
            fputc(*c, stream);
    }
    fputc('"', stream);
}

/* Inside a comment, which it must not end. */
static void write_comment(FILE *stream, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '\n')
            fputs("\n *   ", stream);
        else
            fputc(c < 0x20 || c == 0x7F || c == '*' || c == '\\' ? ' ' : c, stream);
    }
}

/* "blocks.1.0.conv_pw" -> "blocks_1_0_conv_pw" */
static const char *identifier(const char *name, char out[100]) {
    snprintf(out, 100, "%s", name);
    for (char *c = out; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    return out;
}

/* ---- weights ---- */

static void write_numbers(CWriter *writer, const float *values, size_t count) {
    char text[40];
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) writer->not_finite = true;
        number_print(text, sizeof text, "%.9g", (double)values[i]); /* 9 digits: the same bits again */
        fprintf(writer->stream, "%s%s", i % NUMBERS_A_LINE ? ", " : i ? ",\n    " : "    ", text);
    }
}

/* static const float NAME_WHAT[count] = {...}, and in a comment what it is. */
static void write_array(CWriter *writer, const char *name, const char *what, const char *shape, const float *values,
                        size_t count) {
    char plain[100];
    fprintf(writer->stream, "/* %s */\nstatic const float %s_%s[%zu] = {\n", shape, identifier(name, plain), what,
            count);
    write_numbers(writer, values, count);
    fputs("};\n\n", writer->stream);
}

/* (outputs, inputs) -> (inputs, outputs), where an input may be one of several taps. */
static void turn(const float *from, size_t outputs, size_t inputs, float *to) {
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < inputs; i++) to[i * outputs + o] = from[o * inputs + i];
}

static const float *values_of(const CWriter *writer, int parameter) {
    return writer->parameters + writer->network->parameters[parameter].offset;
}

/* The convolution `op` with the batch norm behind it; kernel (taps, in, out), depthwise (taps, channels). */
static effnet_status write_convolution_weights(CWriter *writer, const Op *op, const Op *norm, effnet_error *err) {
    const Network *network = writer->network;
    const Parameter *kernel = &network->parameters[op->weight];
    const size_t out = (size_t)kernel->shape[0], in = (size_t)kernel->shape[1];
    const size_t taps = (size_t)kernel->shape[2] * (size_t)kernel->shape[3], each = in * taps;
    float *folded = malloc((2 * kernel->count + out) * sizeof *folded);
    if (!folded) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the weights of '%s'", op->name);
    float *weight = folded + kernel->count, *bias = weight + kernel->count;
    network_fold(network, op, norm, writer->parameters, writer->statistics, folded, bias);
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t k = 0; k < taps; k++) weight[(k * in + i) * out + o] = folded[o * each + i * taps + k];
    char shape[120];
    if (op->kind == OP_DEPTHWISE)
        snprintf(shape, sizeof shape, "(%d, %d, %zu)", op->kernel, op->kernel, out);
    else if (taps > 1)
        snprintf(shape, sizeof shape, "(%d, %d, %zu, %zu)", op->kernel, op->kernel, in, out);
    else
        snprintf(shape, sizeof shape, "(%zu, %zu)", in, out);
    write_array(writer, op->name, "weight", shape, weight, kernel->count);
    write_array(writer, op->name, "bias", "with batch norm's", bias, out);
    free(folded);
    return EFFNET_OK;
}

/* A dense layer's (outputs, inputs) and its bias. */
static effnet_status write_dense_weights(CWriter *writer, const char *name, const char *part, int weight, int bias,
                                         effnet_error *err) {
    const Parameter *parameter = &writer->network->parameters[weight];
    const size_t out = (size_t)parameter->shape[0], in = parameter->count / out;
    float *turned = malloc(parameter->count * sizeof *turned);
    if (!turned) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the weights of '%s'", name);
    turn(values_of(writer, weight), out, in, turned);
    char shape[60], what[40];
    snprintf(shape, sizeof shape, "(%zu, %zu)", in, out);
    snprintf(what, sizeof what, "%sweight", part);
    write_array(writer, name, what, shape, turned, parameter->count);
    snprintf(what, sizeof what, "%sbias", part);
    write_array(writer, name, what, part[0] ? "as above" : "of each class", values_of(writer, bias), out);
    free(turned);
    return EFFNET_OK;
}

static effnet_status write_weights(CWriter *writer, effnet_error *err) {
    const Network *network = writer->network;
    fputs("/* ---- weights ---------------------------------------------------------------------------------- */\n\n",
          writer->stream);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i], *next = i + 1 < network->num_ops ? &network->ops[i + 1] : NULL;
        if (op->kind == OP_CONV || op->kind == OP_DEPTHWISE) {
            if (!network_folds(op, next))
                return fail(err, EFFNET_ERROR_UNSUPPORTED, "C export: no batch norm follows '%s'", op->name);
            TRY(write_convolution_weights(writer, op, next, err));
        } else if (op->kind == OP_SQUEEZE_EXCITE) {
            TRY(write_dense_weights(writer, op->name, "reduce_", op->weight, op->bias, err));
            TRY(write_dense_weights(writer, op->name, "expand_", op->expand_weight, op->expand_bias, err));
        } else if (op->kind == OP_DENSE) {
            TRY(write_dense_weights(writer, op->name, "", op->weight, op->bias, err));
        }
    }
    return EFFNET_OK;
}

/* ---- the network ---- */

static size_t place_of(const CWriter *writer, int tensor) {
    return writer->arena.offsets[tensor];
}

static void write_window(CWriter *writer, const Op *op) {
    const TensorShape in = writer->network->tensors[op->input], out = writer->network->tensors[op->output];
    fprintf(writer->stream, "(Window){%d, %d, %d, %d, %d, %d, %d, %d}", in.height, in.width, out.height, out.width,
            op->kernel, op->stride, op->pad_top, op->pad_left);
}

/* `next`: the batch norm whose activation follows. */
static effnet_status write_convolution(CWriter *writer, const Op *op, const Op *next, effnet_error *err) {
    const TensorShape in = writer->network->tensors[op->input], out = writer->network->tensors[op->output];
    const bool active = next->activation != ACTIVATION_NONE,
               plain = op->kind == OP_CONV && op->kernel == 1 && op->stride == 1;
    char name[100], from[40];
    identifier(op->name, name);
    snprintf(from, sizeof from, op->input ? "arena + %zu" : "input", place_of(writer, op->input));
    if (!active && !plain) return fail(err, EFFNET_ERROR_UNSUPPORTED, "C export: no activation follows '%s'", op->name);
    if (plain) {
        fprintf(writer->stream, "    pointwise(%s, %d, %d, %d, %s_weight, %s_bias, %d, arena + %zu);\n", from,
                in.height * in.width, in.channels, out.channels, name, name, active, place_of(writer, op->output));
        return EFFNET_OK;
    }
    fprintf(writer->stream, "    %s(%s, ", op->kind == OP_CONV ? "convolution" : "depthwise", from);
    write_window(writer, op);
    if (op->kind == OP_CONV) fprintf(writer->stream, ", %d", in.channels);
    fprintf(writer->stream, ", %d, %s_weight, %s_bias, arena + %zu);\n", out.channels, name, name,
            place_of(writer, op->output));
    return EFFNET_OK;
}

static effnet_status write_op(CWriter *writer, int i, effnet_error *err) {
    const Network *network = writer->network;
    const Op *op = &network->ops[i];
    const TensorShape in = network->tensors[op->input];
    FILE *stream = writer->stream;
    const size_t from = place_of(writer, op->input);
    char name[100];
    identifier(op->name, name);
    switch (op->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
        return write_convolution(writer, op, op + 1, err);
    case OP_BATCH_NORM:
    case OP_DROPOUT:
        return EFFNET_OK;
    case OP_SQUEEZE_EXCITE:
        fprintf(stream,
                "    squeeze_excite(arena + %zu, %d, %d, %d, %s_reduce_weight, %s_reduce_bias, %s_expand_weight,\n"
                "                   %s_expand_bias);\n",
                from, in.height * in.width, in.channels, op->squeezed, name, name, name, name);
        return EFFNET_OK;
    case OP_RESIDUAL:
        fprintf(stream, "    add(arena + %zu, arena + %zu, %d);\n", from, place_of(writer, op->residual),
                in.height * in.width * in.channels);
        return EFFNET_OK;
    case OP_GLOBAL_POOL:
        fprintf(stream, "    mean_of(arena + %zu, %d, %d, arena + %zu);\n", from, in.height * in.width, in.channels,
                place_of(writer, op->output));
        return EFFNET_OK;
    case OP_DENSE:
        fprintf(stream, "    pointwise(arena + %zu, 1, %d, %d, %s_weight, %s_bias, 0, logits);\n", from, in.channels,
                network->config.num_classes, name, name);
        return EFFNET_OK;
    }
    return fail(err, EFFNET_ERROR_UNSUPPORTED, "C export does not know the op '%s'", op->name);
}

static effnet_status write_network(CWriter *writer, effnet_error *err) {
    const Network *network = writer->network;
    FILE *stream = writer->stream;
    fprintf(stream,
            "/* ---- the network ------------------------------------------------------------------------------ */\n\n"
            "/* All that is between two layers; a layer's place is free again once nobody needs it. %zu KB. */\n"
            "static float arena[%zu];\n\n"
            "void %s_logits(const float *input, float *logits) {\n",
            (writer->arena.floats * 4 + 1023) / 1024, writer->arena.floats, writer->prefix);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (i == 0 || op->block != network->ops[i - 1].block) {
            const TensorShape in = network->tensors[op->input];
            const char *name = op->block < 0                      ? "stem"
                               : op->block >= network->num_blocks ? "head"
                                                                  : network->blocks[op->block].name;
            fprintf(stream, "    /* %s, from (%d, %d, %d) */\n", name, in.height, in.width, in.channels);
        }
        TRY(write_op(writer, i, err));
    }
    fputs("}\n\n", stream);
    return EFFNET_OK;
}

static void write_predict(CWriter *writer) {
    const char *prefix = writer->prefix, *upper = writer->upper;
    FILE *stream = writer->stream;
    if (writer->options->several)
        fprintf(stream,
                "void %s_probabilities(const float *logits, float *probabilities) { /* each class by itself */\n"
                "    for (int i = 0; i < %s_CLASSES; i++) probabilities[i] = 1 / (1 + expf(-logits[i]));\n"
                "}\n\n",
                prefix, upper);
    else
        fprintf(stream,
                "void %s_probabilities(const float *logits, float *probabilities) {\n"
                "    float largest = logits[0], sum = 0;\n"
                "    for (int i = 1; i < %s_CLASSES; i++) largest = fmaxf(largest, logits[i]);\n"
                "    for (int i = 0; i < %s_CLASSES; i++) sum += probabilities[i] = expf(logits[i] - largest);\n"
                "    for (int i = 0; i < %s_CLASSES; i++) probabilities[i] /= sum;\n"
                "}\n\n",
                prefix, upper, upper, upper);
    fprintf(stream,
            "int %s_predict(const unsigned char *pixels, int height, int width, float *probabilities) {\n"
            "    if (%s_prepare(pixels, height, width, arena + %zu) != 0) return -1;\n"
            "    %s_logits(arena + %zu, probabilities);\n"
            "    %s_probabilities(probabilities, probabilities);\n"
            "    return 0;\n"
            "}\n\n",
            prefix, prefix, place_of(writer, 0), prefix, place_of(writer, 0), prefix);
}

static void write_test(CWriter *writer) {
    const CSourceOptions *options = writer->options;
    const size_t channels = (size_t)writer->network->config.input.channels;
    const size_t count = (size_t)options->golden_height * (size_t)options->golden_width * channels;
    const int classes = writer->network->config.num_classes;
    FILE *stream = writer->stream;
    fprintf(stream,
            "/* ---- a test of itself -------------------------------------------------------------------------- */\n\n"
            "/* A picture (%d, %d, 3), and what effnet makes of it. */\n"
            "static const unsigned char golden_picture[%zu] = {",
            options->golden_height, options->golden_width, count);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "%s%d", i % 30 ? "," : i ? ",\n    " : "\n    ", options->golden[i]);
    fprintf(stream, "};\nstatic const float golden_logits[%d] = {\n", classes);
    write_numbers(writer, options->golden_logits, (size_t)classes);
    fprintf(
        stream,
        "};\n\n"
        "int %s_test(void) {\n"
        "    static float logits[%s_CLASSES];\n"
        "    float largest = 1;\n"
        "    int wrong = 0;\n"
        "    if (%s_prepare(golden_picture, %d, %d, arena + %zu) != 0) return -1;\n"
        "    %s_logits(arena + %zu, logits);\n"
        "    for (int i = 0; i < %s_CLASSES; i++) largest = fmaxf(largest, fabsf(golden_logits[i]));\n"
        "    for (int i = 0; i < %s_CLASSES; i++) wrong += !(fabsf(logits[i] - golden_logits[i]) <= 1e-4f * largest);\n"
        "    return wrong;\n"
        "}\n",
        writer->prefix, writer->upper, writer->prefix, options->golden_height, options->golden_width,
        place_of(writer, 0), writer->prefix, place_of(writer, 0), writer->upper, writer->upper);
}

/* ---- the files ---- */

static void write_heading(CWriter *writer, const char *ending, const char *text) {
    fprintf(writer->stream, "/* %s.%s - %s, %d classes, written by effnet %s. %s\n *\n * The weights:\n *   ",
            writer->file, ending, writer->network->config.name, writer->network->config.num_classes, EFFNET_VERSION,
            text);
    write_comment(writer->stream,
                  *writer->options->notes ? writer->options->notes : "nobody says where they come from");
    fputs(" */\n", writer->stream);
}

static effnet_status write_header(CWriter *writer, effnet_error *err) {
    const Network *network = writer->network;
    const char *prefix = writer->prefix, *upper = writer->upper;
    (void)err;
    write_heading(writer, "h",
                  "Plain C (C99) and expf; no other library, no heap, no files. Not for two threads at once.");
    fprintf(
        writer->stream,
        "#ifndef %s_H\n#define %s_H\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "enum { %s_HEIGHT = %d, %s_WIDTH = %d, %s_CHANNELS = %d, %s_CLASSES = %d };\n"
        "extern const char *const %s_labels[%s_CLASSES];\n\n"
        "/* The probabilities (%s_CLASSES) of a picture (height, width, %s_CHANNELS) of bytes%s, of any size up to\n"
        " * 30,000 a side, which is cropped and resized as in training. 0; -1 where the size is not allowed. */\n"
        "int %s_predict(const unsigned char *pixels, int height, int width, float *probabilities);\n\n"
        "/* The same in steps: a picture becomes the input (%s_HEIGHT, %s_WIDTH, %s_CHANNELS), normalised; that\n"
        " * becomes logits; those probabilities, in place if you like. */\n"
        "int %s_prepare(const unsigned char *pixels, int height, int width, float *input);\n"
        "void %s_logits(const float *input, float *logits);\n"
        "void %s_probabilities(const float *logits, float *probabilities);\n\n"
        "/* Runs on a picture whose logits it knows; how many of them are wrong: 0, or this compiler or device breaks "
        "it. */\n"
        "int %s_test(void);\n\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n",
        upper, upper, upper, network->config.input.height, upper, network->config.input.width, upper,
        network->config.input.channels, upper, network->config.num_classes, prefix, upper, upper, upper,
        network->config.input.channels == 3   ? ", red green blue"
        : network->config.input.channels == 1 ? ", grey"
                                              : "",
        prefix, upper, upper, upper, prefix, prefix, prefix, prefix);
    return EFFNET_OK;
}

static effnet_status write_source(CWriter *writer, effnet_error *err) {
    FILE *stream = writer->stream;
    write_heading(writer, "c",
                  "From top to bottom: weights, layers, how a picture is prepared, the network, its test.");
    fprintf(stream, "#include \"%s.h\"\n\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n",
            writer->file);
    fprintf(stream, "const char *const %s_labels[%s_CLASSES] = {\n", writer->prefix, writer->upper);
    for (int i = 0; i < writer->network->config.num_classes; i++) {
        fputs("    ", stream);
        write_string(stream, writer->options->labels[i]);
        fputs(",\n", stream);
    }
    fputs("};\n\n", stream);
    TRY(write_weights(writer, err));
    c_source_layers(stream, writer->network);
    c_source_prepare(stream, writer->prefix, writer->options->pictures);
    TRY(write_network(writer, err));
    write_predict(writer);
    write_test(writer);
    return EFFNET_OK;
}

static effnet_status write_file(CWriter *writer, const char *path,
                                effnet_status (*write)(CWriter *writer, effnet_error *err), effnet_error *err) {
    AtomicFile file = {0};
    TRY(atomic_file_open(&file, path, err));
    writer->stream = file.stream;
    effnet_status status = write(writer, err);
    if (status == EFFNET_OK && writer->not_finite)
        status = fail(err, EFFNET_ERROR_NUMERIC, "cannot write '%s': not all weights are finite numbers", path);
    if (status == EFFNET_OK) status = atomic_file_commit(&file, err);
    atomic_file_abort(&file);
    return status;
}

effnet_status c_source_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                             const CSourceOptions *options, effnet_error *err) {
    CWriter writer = {.network = network, .parameters = parameters, .statistics = statistics, .options = options};
    char header[1024];
    TRY(name_prefix(&writer, path, err));
    if (strlen(path) >= sizeof header) return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
    snprintf(header, sizeof header, "%s", path);
    header[strlen(header) - 1] = 'h';
    TRY(c_arena_plan(network, &writer.arena, err));
    effnet_status status = write_file(&writer, path, write_source, err);
    if (status == EFFNET_OK) status = write_file(&writer, header, write_header, err);
    c_arena_free(&writer.arena);
    return status;
}
