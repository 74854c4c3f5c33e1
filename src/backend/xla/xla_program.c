/* xla_program.c - main: what goes in, the parts of a batch, the sum over replicas, the optimizer, what comes out. */
#include "backend/xla/xla_network.h"

#include <stdlib.h>
#include <string.h>

/* ---- what goes in and comes out ---- */

bool xla_has_scales(const Network *network) {
    for (int p = 0; p < network->num_parameters; p++)
        if (!network->parameters[p].trainable || network->parameters[p].lr_scale != 1) return true;
    return false;
}

static int add_value(XlaValue *values, int *count, XlaRole role, XlaType type, int rank, const int64_t *shape) {
    XlaValue *value = &values[*count];
    *value = (XlaValue){.role = role, .type = type, .rank = rank, .alias = -1};
    for (int i = 0; i < rank; i++) value->shape[i] = shape[i];
    return (*count)++;
}

static int add_argument(XlaProgram *program, XlaRole role, XlaType type, int rank, const int64_t *shape) {
    return add_value(program->arguments, &program->num_arguments, role, type, rank, shape);
}

/* State: an argument, and the result that takes over its memory. */
static void add_state(XlaProgram *program, XlaRole role, size_t floats) {
    const int64_t count = (int64_t)floats;
    int argument = add_argument(program, role, XLA_F32, 1, &count);
    program->arguments[argument].alias = add_value(program->results, &program->num_results, role, XLA_F32, 1, &count);
}

static void describe_step(const Network *network, const StepSpec *spec, const XlaStepOptions *options,
                          XlaProgram *program) {
    const int64_t share = spec->batch / spec->replicas, parameters = (int64_t)network->parameter_floats;
    const int64_t pictures[4] = {share, network->config.input.height, network->config.input.width,
                                 network->config.input.channels};
    const int64_t targets[2] = {share, network->config.num_classes};
    const int64_t keys[3] = {spec->accumulate, network->num_residuals + 1, 2}, rates = XLA_RATES_COUNT;
    add_state(program, XLA_PARAMETERS, network->parameter_floats);
    add_state(program, XLA_STATISTICS, network->statistic_floats);
    add_state(program, XLA_SLOT_0, network->parameter_floats);
    if (spec->optimizer != STEP_SGD && spec->optimizer != STEP_LARS)
        add_state(program, XLA_SLOT_1, network->parameter_floats);
    if (spec->average) {
        add_state(program, XLA_AVERAGED_PARAMETERS, network->parameter_floats);
        add_state(program, XLA_AVERAGED_STATISTICS, network->statistic_floats);
    }
    add_argument(program, XLA_DECAYS, XLA_F32, 1, &parameters);
    if (xla_has_scales(network)) add_argument(program, XLA_SCALES, XLA_F32, 1, &parameters);
    add_argument(program, XLA_PICTURES, options->bytes ? XLA_U8 : XLA_F32, 4, pictures);
    if (options->dense)
        add_argument(program, XLA_TARGETS, XLA_F32, 2, targets);
    else
        add_argument(program, XLA_LABELS, XLA_I32, 1, &share);
    if (options->soft_targets && !options->dense) {
        add_argument(program, XLA_OTHERS, XLA_I32, 1, &share);
        add_argument(program, XLA_SHARES, XLA_F32, 1, &share);
    }
    if (options->weighted) add_argument(program, XLA_WEIGHTS, XLA_F32, 1, &share);
    add_argument(program, XLA_MASK_KEYS, XLA_U32, 3, keys);
    add_argument(program, XLA_RATES, XLA_F32, 1, &rates);
    add_value(program->results, &program->num_results, XLA_LOSS, XLA_F32, 0, NULL);
    add_value(program->results, &program->num_results, XLA_GRADIENT_NORM, XLA_F32, 0, NULL);
    add_value(program->results, &program->num_results, XLA_WEIGHT_NORM, XLA_F32, 0, NULL);
    add_value(program->results, &program->num_results, XLA_UPDATE_NORM, XLA_F32, 0, NULL);
}

static HloValue argument(const XlaProgram *program, const HloValue *values, XlaRole role) {
    for (int i = 0; i < program->num_arguments; i++)
        if (program->arguments[i].role == role) return values[i];
    return xla_none();
}

/* ---- a step ---- */

typedef struct Writer {
    Hlo *hlo;
    const Network *network;
    const StepSpec *spec;
    const XlaStepOptions *options;
    const XlaProgram *program;
    HloValue arguments[XLA_MOST_VALUES];
} Writer;

static HloValue input(const Writer *writer, XlaRole role) {
    return argument(writer->program, writer->arguments, role);
}

/* `count` pictures of an argument, from `first` on; all of them where there is one part. */
static HloValue part_of(const Writer *writer, XlaRole role, HloValue first, int64_t count) {
    HloValue whole = input(writer, role);
    return !xla_there(whole) || writer->spec->accumulate == 1 ? whole
                                                              : hlo_dynamic_slice(writer->hlo, whole, first, count);
}

typedef struct PartResult {
    HloValue statistics, gradient, loss; /* vectors, and the sum of the pictures' losses */
} PartResult;

/* Forward, loss and backward of part `index` (i32 scalar) of this replica's share. False: no memory. */
static bool write_part(const Writer *writer, HloValue index, HloValue statistics, PartResult *out) {
    Hlo *hlo = writer->hlo;
    const StepSpec *spec = writer->spec;
    const Network *network = writer->network;
    const int64_t share = spec->batch / spec->replicas, part = share / spec->accumulate;
    const int64_t rows[2] = {network->num_residuals + 1, 2};
    XlaNetwork net = {
        .hlo = hlo, .network = network, .spec = spec, .options = writer->options, .training = true, .images = part};
    bool fine = xla_network_begin(&net, input(writer, XLA_PARAMETERS), statistics);
    if (fine) {
        HloValue first = MULTIPLY(index, hlo_scalar(hlo, XLA_I32, (double)part));
        HloValue keys = part_of(writer, XLA_MASK_KEYS, index, 1);
        HloValue place = hlo_convert(hlo, XLA_U32, first);
        if (spec->replicas > 1) place = ADD(place, MULTIPLY(hlo_replica(hlo), hlo_scalar(hlo, XLA_U32, (double)share)));
        xla_masks(&net, hlo_reshape(hlo, keys, 2, rows), place);
        HloValue logits = xla_forward(&net, part_of(writer, XLA_PICTURES, first, part)), gradient;
        const XlaTargets given = {.labels = part_of(writer, XLA_LABELS, first, part),
                                  .others = part_of(writer, XLA_OTHERS, first, part),
                                  .shares = part_of(writer, XLA_SHARES, first, part),
                                  .dense = part_of(writer, XLA_TARGETS, first, part),
                                  .weights = part_of(writer, XLA_WEIGHTS, first, part)};
        out->loss = xla_loss(&net, logits, &given, 1.0 / spec->batch, &gradient);
        xla_backward(&net, gradient);
        out->gradient = xla_join(hlo, net.parameter_gradients, network->num_parameters);
        out->statistics = xla_join(hlo, net.new_statistics, network->num_statistics);
    }
    xla_network_free(&net);
    return fine;
}

static bool write_parts(const Writer *writer, PartResult *out) {
    Hlo *hlo = writer->hlo;
    HloValue zero = hlo_scalar(hlo, XLA_I32, 0), statistics = input(writer, XLA_STATISTICS);
    if (writer->spec->accumulate == 1) return write_part(writer, zero, statistics, out);
    enum { INDEX, STATISTICS, GRADIENT, LOSS, STATE };
    HloValue parameters = input(writer, XLA_PARAMETERS);
    HloValue state[STATE] = {zero, statistics, hlo_fill(hlo, XLA_F32, 1, parameters.shape, 0),
                             hlo_scalar(hlo, XLA_F32, 0)};
    hlo_begin_loop(hlo, state, STATE, writer->spec->accumulate);
    PartResult part;
    if (!write_part(writer, state[INDEX], state[STATISTICS], &part)) return false;
    const HloValue next[STATE - 1] = {part.statistics, ADD(state[GRADIENT], part.gradient),
                                      ADD(state[LOSS], part.loss)};
    hlo_end_loop(hlo, next, state, STATE);
    *out = (PartResult){state[STATISTICS], state[GRADIENT], state[LOSS]};
    return true;
}

static bool write_step(Writer *writer) {
    Hlo *hlo = writer->hlo;
    const StepSpec *spec = writer->spec;
    const XlaProgram *program = writer->program;
    const int replicas = spec->replicas;
    hlo_begin_main(hlo, program, writer->arguments);
    PartResult part;
    if (!write_parts(writer, &part)) return false;
    HloValue statistics = part.statistics;
    if (spec->bn_sync == STEP_BN_RUNNING_AVERAGE)
        statistics = xla_times(hlo, hlo_all_reduce(hlo, statistics, replicas, replicas), 1.0 / replicas);
    HloValue loss = xla_times(hlo, hlo_all_reduce(hlo, part.loss, replicas, replicas), 1.0 / spec->batch);
    XlaUpdate update = {.parameters = input(writer, XLA_PARAMETERS),
                        .slots = {input(writer, XLA_SLOT_0), input(writer, XLA_SLOT_1)},
                        .averaged_parameters = input(writer, XLA_AVERAGED_PARAMETERS),
                        .averaged_statistics = input(writer, XLA_AVERAGED_STATISTICS),
                        .statistics = statistics,
                        .statistics_before = input(writer, XLA_STATISTICS),
                        .gradient = hlo_all_reduce(hlo, part.gradient, replicas, replicas),
                        .decays = input(writer, XLA_DECAYS),
                        .scales = input(writer, XLA_SCALES),
                        .rates = input(writer, XLA_RATES)};
    xla_optimizer(hlo, writer->network, spec, hlo_is_finite(hlo, loss), &update);
    HloValue results[XLA_MOST_VALUES];
    for (int i = 0; i < program->num_results; i++) {
        switch (program->results[i].role) {
        case XLA_PARAMETERS:
            results[i] = update.parameters;
            break;
        case XLA_STATISTICS:
            results[i] = update.statistics;
            break;
        case XLA_SLOT_0:
            results[i] = update.slots[0];
            break;
        case XLA_SLOT_1:
            results[i] = update.slots[1];
            break;
        case XLA_AVERAGED_PARAMETERS:
            results[i] = update.averaged_parameters;
            break;
        case XLA_AVERAGED_STATISTICS:
            results[i] = update.averaged_statistics;
            break;
        case XLA_GRADIENT_NORM:
            results[i] = update.norm;
            break;
        case XLA_WEIGHT_NORM:
            results[i] = update.weight_norm;
            break;
        case XLA_UPDATE_NORM:
            results[i] = update.update_norm;
            break;
        default:
            results[i] = loss;
            break;
        }
    }
    hlo_end_main(hlo, results, program->num_results);
    return true;
}

/* ---- inference ---- */

static bool write_inference(Writer *writer, int batch) {
    Hlo *hlo = writer->hlo;
    hlo_begin_main(hlo, writer->program, writer->arguments);
    XlaNetwork net = {
        .hlo = hlo, .network = writer->network, .spec = writer->spec, .options = writer->options, .images = batch};
    bool fine = xla_network_begin(&net, input(writer, XLA_PARAMETERS), input(writer, XLA_STATISTICS));
    if (fine) {
        HloValue logits = xla_forward(&net, input(writer, XLA_PICTURES));
        hlo_end_main(hlo, &logits, 1);
    }
    xla_network_free(&net);
    return fine;
}

/* ---- both ---- */

static effnet_status finish(Writer *writer, bool fine, XlaProgram *program, effnet_error *err) {
    program->text = hlo_finish(writer->hlo, &program->bytes);
    if (fine && program->text) return EFFNET_OK;
    xla_program_free(program);
    return fail(err, EFFNET_ERROR_MEMORY, "no memory for the text of a program, or its shapes do not fit");
}

static effnet_status check_step(const StepSpec *spec, effnet_error *err) {
    enum { MOST_REPLICAS = 1024 };
    const int64_t parts = (int64_t)spec->replicas * spec->accumulate;
    if (spec->replicas < 1 || spec->replicas > MOST_REPLICAS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%d replicas; a program has 1 to %d", spec->replicas, MOST_REPLICAS);
    if (spec->accumulate < 1 || spec->batch < 1 || spec->batch % parts != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "batch_size %d is no multiple of replicas %d times accumulate %d; a device computes equal parts",
                    spec->batch, spec->replicas, spec->accumulate);
    if (spec->bn_sync == STEP_BN_GROUPS && (spec->bn_group < 1 || spec->replicas % spec->bn_group != 0))
        return fail(err, EFFNET_ERROR_ARGUMENT, "groups of %d among %d replicas: they do not divide", spec->bn_group,
                    spec->replicas);
    return EFFNET_OK;
}

effnet_status xla_write_step(const Network *network, const StepSpec *spec, const XlaStepOptions *options,
                             XlaProgram *out, effnet_error *err) {
    *out = (XlaProgram){.replicas = spec->replicas};
    TRY(check_step(spec, err));
    describe_step(network, spec, options, out);
    Writer writer = {.hlo = hlo_create(), .network = network, .spec = spec, .options = options, .program = out};
    if (!writer.hlo) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the program of a training step");
    return finish(&writer, write_step(&writer), out, err);
}

void xla_describe_weights(const Network *network, XlaProgram *out) {
    const int64_t parameters = (int64_t)network->parameter_floats, statistics = (int64_t)network->statistic_floats;
    *out = (XlaProgram){.replicas = 1};
    add_argument(out, XLA_PARAMETERS, XLA_F32, 1, &parameters);
    add_argument(out, XLA_STATISTICS, XLA_F32, 1, &statistics);
}

effnet_status xla_write_inference(const Network *network, const StepSpec *spec, int batch,
                                  const XlaStepOptions *options, XlaProgram *out, effnet_error *err) {
    const int64_t pictures[4] = {batch, network->config.input.height, network->config.input.width,
                                 network->config.input.channels};
    const int64_t logits[2] = {batch, network->config.num_classes};
    xla_describe_weights(network, out);
    add_argument(out, XLA_PICTURES, options->bytes ? XLA_U8 : XLA_F32, 4, pictures);
    add_value(out->results, &out->num_results, XLA_LOGITS, XLA_F32, 2, logits);
    Writer writer = {.hlo = hlo_create(), .network = network, .spec = spec, .options = options, .program = out};
    if (!writer.hlo) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the program of inference");
    return finish(&writer, write_inference(&writer, batch), out, err);
}

void xla_program_free(XlaProgram *program) {
    free(program->text);
    *program = (XlaProgram){0};
}
