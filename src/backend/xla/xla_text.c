/* xla_text.c - a program as a file for people and for other programs that run StableHLO: a heading of comments that
 * says what goes in and comes out, in order, and where each tensor lies in the run's vectors; then the module. */
#include "backend/xla/program.h"
#include "base/file.h"

#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *role_text(XlaRole role) {
    static const char *const texts[] = {
        [XLA_PARAMETERS] = "parameters: the vector below",
        [XLA_STATISTICS] = "running statistics: the vector below",
        [XLA_SLOT_0] = "the optimizer's first slot, in the order of the parameters",
        [XLA_SLOT_1] = "the optimizer's second slot, in the order of the parameters",
        [XLA_AVERAGED_PARAMETERS] = "averages (EMA) of the parameters",
        [XLA_AVERAGED_STATISTICS] = "averages (EMA) of the statistics",
        [XLA_PICTURES] = "pictures (N, H, W, 3)",
        [XLA_LABELS] = "labels (N)",
        [XLA_OTHERS] = "second labels (N) of mixed pictures",
        [XLA_SHARES] = "what the first label has of the target (N), 0 to 1",
        [XLA_TARGETS] = "targets of each class (N, classes), 0 to 1",
        [XLA_WEIGHTS] = "what each picture counts in the loss (N)",
        [XLA_MASK_KEYS] = "Threefry keys of the masks (part, residual block and, last, dropout; high and low word)",
        [XLA_RATES] = "learning rate; 1 - d of the averages; lr / (1 - b1^t), 1 / sqrt(1 - b2^t), 1 / (1 - b1^t)",
        [XLA_DECAYS] = "1 where weight decay takes hold of a parameter, else 0",
        [XLA_SCALES] = "what a parameter's learning rate is multiplied by, 0 where it is frozen",
        [XLA_LOSS] = "mean loss of the whole batch",
        [XLA_GRADIENT_NORM] = "L2 norm of the gradient before clipping",
        [XLA_WEIGHT_NORM] = "L2 norm of the new parameters that are trained",
        [XLA_UPDATE_NORM] = "L2 norm of what the step moved them by",
        [XLA_LOGITS] = "logits (N, classes)",
    };
    return texts[role];
}

static void write_shape(FILE *file, int rank, const int64_t *shape) {
    fputc('(', file);
    for (int i = 0; i < rank; i++) fprintf(file, "%s%" PRId64, i ? ", " : "", shape[i]);
    fputc(')', file);
}

static void write_values(FILE *file, const char *what, const XlaValue *values, int count) {
    static const char *const types[] = {[XLA_F32] = "f32",  [XLA_BF16] = "bf16", [XLA_I32] = "i32",
                                        [XLA_U32] = "ui32", [XLA_U8] = "ui8",    [XLA_BOOL] = "i1"};
    fprintf(file, "//\n// %s of main, in order:\n", what);
    for (int i = 0; i < count; i++) {
        const XlaValue *value = &values[i];
        fprintf(file, "//   %2d %s ", i, types[value->type]);
        write_shape(file, value->rank, value->shape);
        fprintf(file, " %s", role_text(value->role));
        if (value->role == XLA_PICTURES)
            fputs(value->type == XLA_U8 ? ", bytes 0 to 255, normalised by the program" : ", normalised", file);
        if (value->alias >= 0) fprintf(file, "; gives its memory to result %d", value->alias);
        fputc('\n', file);
    }
}

static void write_tensors(FILE *file, const char *what, const Parameter *tensors, int count) {
    fprintf(file, "//\n// %s, one behind the other: place of the first element, shape, name\n", what);
    for (int i = 0; i < count; i++) {
        int64_t shape[4] = {0};
        for (int d = 0; d < tensors[i].rank; d++) shape[d] = tensors[i].shape[d];
        fprintf(file, "//   %zu ", tensors[i].offset);
        write_shape(file, tensors[i].rank, shape);
        fprintf(file, " %s\n", tensors[i].name);
    }
}

effnet_status xla_program_write(const char *path, const Network *network, const XlaProgram *program, const char *what,
                                effnet_error *err) {
    AtomicFile out;
    TRY(atomic_file_open(&out, path, err));
    fprintf(out.stream, "// %s of %s, %dx%d, %d classes, as StableHLO (https://openxla.org/stablehlo).\n", what,
            network->config.name, network->config.input.height, network->config.input.width,
            network->config.num_classes);
    if (program->replicas > 1)
        fprintf(out.stream, "// %d replicas, each with arguments of its own; their sums go through all_reduce.\n",
                program->replicas);
    write_values(out.stream, "Arguments", program->arguments, program->num_arguments);
    write_values(out.stream, "Results", program->results, program->num_results);
    write_tensors(out.stream, "Parameters", network->parameters, network->num_parameters);
    write_tensors(out.stream, "Statistics", network->statistics, network->num_statistics);
    fputs("\n", out.stream);
    if (fwrite(program->text, 1, program->bytes, out.stream) == program->bytes) return atomic_file_commit(&out, err);
    const int reason = errno;
    atomic_file_abort(&out);
    return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", path, strerror(reason));
}
