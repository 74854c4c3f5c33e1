/* executor_xla.c - a run on an accelerator: the whole step is one compiled program, and the state stays on the devices.
 *
 *   load      keeps the six vectors of the state; the first step or evaluation uploads them, once for each replica
 *   step      uploads pictures, labels, keys of the masks and five numbers, and queues the program: its state results
 *             become the next step's arguments. Nobody waits unless the caller asks for the loss; at most AHEAD steps are
 *             queued, so that pictures in flight do not fill the memory
 *   state     downloads replica 0's vectors; all replicas hold the same
 *   evaluate  a second program over the same parameters, one for raw and averaged weights; a batch that is not full is
 *             padded
 *
 * A step whose loss or norm is not finite leaves the state as it was (xla_optimizer.c), so the run can stop there with
 * what it had; that is noticed when a loss is asked for, or AHEAD steps later. */
#include "executor/executor.h"

#include "backend/xla/nvrtc.h"
#include "backend/xla/pjrt.h"
#include "backend/xla/pjrt_cache.h"
#include "backend/xla/plugins.h"
#include "base/clock.h"
#include "base/memory.h"
#include "step/mask_keys.h"
#include "step/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD = 2 };
_Static_assert(AHEAD + 1 <= STEP_RESULTS, "what lands in one call");

/* A step that is under way, with the numbers that it comes to: the last results of its program, in order. */
enum { LOSS, GRADIENT_NORM, WEIGHT_NORM, UPDATE_NORM, NUMBERS };
typedef struct Flight {
    int64_t step;
    PjrtBuffer *numbers[NUMBERS];
} Flight;

typedef struct XlaExecutor {
    Executor base;
    const Network *network;
    StepSpec spec;
    ExecutorOptions options;
    XlaStepOptions program_options;
    Pjrt *pjrt;
    PjrtInfo info;
    Nvrtc *kernels;            /* of depthwise convolutions, where the device is an NVIDIA GPU */
    effnet_error kernel_error; /* why there are none, or not all */
    char note[600];
    char cache[1024];
    XlaProgram step_program, inference_program;
    PjrtExecutable *step, *inference;
    PjrtBuffer **arguments, **results; /* (replicas, values of the step's program) */
    Flight flights[AHEAD];
    int in_flight;
    TrainState state;      /* in host memory; out of date where `newer` */
    bool resident;         /* the devices have it too */
    bool newer;            /* and are ahead of it */
    FlaxMaskChain *chains; /* (replicas) */
    uint32_t *keys;
    float *ones; /* (share of the batch): shares of pictures that are not mixed */
    double compile_seconds;
    int64_t step_upload; /* bytes that the last step sent */
} XlaExecutor;

static XlaExecutor *xla_of(Executor *executor) {
    return (XlaExecutor *)executor;
}

/* ---- the state's vectors ---- */

static float **host_vector(TrainState *state, XlaRole role) {
    switch (role) {
    case XLA_PARAMETERS:
        return &state->parameters;
    case XLA_STATISTICS:
        return &state->statistics;
    case XLA_SLOT_0:
        return &state->slots[0];
    case XLA_SLOT_1:
        return &state->slots[1];
    case XLA_AVERAGED_PARAMETERS:
        return &state->ema_parameters;
    case XLA_AVERAGED_STATISTICS:
        return &state->ema_statistics;
    default:
        return NULL;
    }
}

static int argument_of(const XlaProgram *program, XlaRole role) {
    for (int i = 0; i < program->num_arguments; i++)
        if (program->arguments[i].role == role) return i;
    return -1;
}

static PjrtBuffer **argument(XlaExecutor *xla, int replica, int index) {
    return &xla->arguments[(size_t)replica * (size_t)xla->step_program.num_arguments + (size_t)index];
}

static size_t value_bytes(const XlaValue *value) {
    size_t bytes = value->type == XLA_U8 ? 1 : sizeof(float);
    for (int d = 0; d < value->rank; d++) bytes *= (size_t)value->shape[d];
    return bytes;
}

static effnet_status put(XlaExecutor *xla, int replica, int index, const void *data, effnet_error *err) {
    const XlaValue *value = &xla->step_program.arguments[index];
    PjrtBuffer **to = argument(xla, replica, index);
    pjrt_buffer_free(xla->pjrt, *to);
    *to = NULL;
    xla->step_upload += (int64_t)value_bytes(value);
    return pjrt_upload(xla->pjrt, replica, value->type, value->rank, value->shape, data, to, err);
}

/* A vector of the weights that is the same at every step: which decay, and how fast each is trained. */
static effnet_status upload_constants(XlaExecutor *xla, XlaRole role, effnet_error *err) {
    const Network *network = xla->network;
    const int index = argument_of(&xla->step_program, role);
    if (index < 0) return EFFNET_OK;
    void *block;
    TRY(memory_allocate(network->parameter_floats, sizeof(float), "what is told of each weight", &block, err));
    float *values = block;
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        const double value = role == XLA_DECAYS     ? step_decays(parameter->role, xla->spec.decay_mask)
                             : parameter->trainable ? parameter->lr_scale
                                                    : 0;
        for (size_t i = 0; i < parameter->count; i++) values[parameter->offset + i] = (float)value;
    }
    effnet_status status = EFFNET_OK;
    for (int r = 0; r < xla->spec.replicas && status == EFFNET_OK; r++) status = put(xla, r, index, values, err);
    memory_free(values);
    return status;
}

/* The numbers of the oldest step under way, to the others in `results`; NULL: nobody asks. */
static effnet_status land(XlaExecutor *xla, StepResults *results, effnet_error *err) {
    Flight flight = xla->flights[0];
    float numbers[NUMBERS] = {0};
    effnet_status status = EFFNET_OK;
    for (int i = 0; i < NUMBERS; i++) {
        if (status == EFFNET_OK)
            status = pjrt_download(xla->pjrt, flight.numbers[i], &numbers[i], sizeof numbers[i], err);
        pjrt_buffer_free(xla->pjrt, flight.numbers[i]);
    }
    xla->in_flight--;
    memmove(xla->flights, xla->flights + 1, sizeof *xla->flights * (size_t)xla->in_flight);
    if (status != EFFNET_OK) return status;
    if (results)
        results->list[results->count++] = (StepResult){.step = flight.step + 1,
                                                       .loss = numbers[LOSS],
                                                       .gradient_norm = numbers[GRADIENT_NORM],
                                                       .weight_norm = numbers[WEIGHT_NORM],
                                                       .update_norm = numbers[UPDATE_NORM]};
    if (isfinite(numbers[LOSS]) && isfinite(numbers[GRADIENT_NORM])) return EFFNET_OK;
    xla->state.step = flight.step; /* later steps, if any, were made of the state before this one */
    return fail(err, EFFNET_ERROR_NUMERIC,
                "the %s is not finite at step %lld; try a smaller lr, a longer warm-up or clip_grad",
                isfinite(numbers[LOSS]) ? "gradient" : "loss", (long long)flight.step + 1);
}

/* Everything that stays from step to step, where the devices do not have it yet. */
static effnet_status upload_state(XlaExecutor *xla, effnet_error *err) {
    if (xla->resident) return EFFNET_OK;
    for (int r = 0; r < xla->spec.replicas; r++)
        for (int i = 0; i < xla->step_program.num_arguments; i++) {
            float **vector = host_vector(&xla->state, xla->step_program.arguments[i].role);
            if (vector) TRY(put(xla, r, i, *vector, err));
        }
    TRY(upload_constants(xla, XLA_DECAYS, err));
    TRY(upload_constants(xla, XLA_SCALES, err));
    xla->resident = true;
    return EFFNET_OK;
}

static void drop_arguments(XlaExecutor *xla) {
    for (int i = 0; xla->arguments && i < xla->spec.replicas * XLA_MOST_VALUES; i++) {
        pjrt_buffer_free(xla->pjrt, xla->arguments[i]);
        xla->arguments[i] = NULL;
    }
    xla->resident = false;
}

static effnet_status xla_load(Executor *executor, TrainState *state, effnet_error *err) {
    XlaExecutor *xla = xla_of(executor);
    for (int i = 0; i < xla->step_program.num_arguments; i++) {
        float **vector = host_vector(state, xla->step_program.arguments[i].role);
        if (vector && !*vector) return fail(err, EFFNET_ERROR_ARGUMENT, "the state lacks a vector that a step needs");
    }
    while (xla->in_flight > 0) land(xla, NULL, NULL); /* of the state that goes */
    drop_arguments(xla);
    train_state_free(&xla->state);
    xla->state = *state;
    *state = (TrainState){0};
    xla->newer = false;
    return EFFNET_OK;
}

/* ---- a step ---- */

static effnet_status upload_keys(XlaExecutor *xla, int replica, effnet_error *err) {
    const StepSpec *spec = &xla->spec;
    RandomKey keys[MOST_KEYS];
    if (spec->masks == STEP_MASKS_FLAX) {
        const FlaxMaskOptions options = {spec->seed, spec->threefry, replica, spec->replicas};
        mask_keys_flax(&xla->chains[replica], &options, xla->network, xla->state.step, keys);
    } else
        mask_keys(xla->network, spec->seed, xla->state.step, keys);
    const int count = xla->network->num_residuals + 1;
    for (int part = 0; part < spec->accumulate; part++)
        for (int k = 0; k < count; k++) {
            xla->keys[2 * (part * count + k)] = keys[k].high;
            xla->keys[2 * (part * count + k) + 1] = keys[k].low;
        }
    return put(xla, replica, argument_of(&xla->step_program, XLA_MASK_KEYS), xla->keys, err);
}

static effnet_status upload_batch(XlaExecutor *xla, int replica, const ExecutorBatch *batch, effnet_error *err) {
    const XlaProgram *program = &xla->step_program;
    const size_t share = (size_t)(xla->spec.batch / xla->spec.replicas), first = (size_t)replica * share;
    const size_t picture = shape_floats(xla->network->config.input);
    const void *pictures = batch->pixels ? (const void *)(batch->pixels + first * picture)
                                         : (const void *)(batch->images + first * picture);
    TRY(put(xla, replica, argument_of(program, XLA_PICTURES), pictures, err));
    if (batch->weights) TRY(put(xla, replica, argument_of(program, XLA_WEIGHTS), batch->weights + first, err));
    if (batch->targets) {
        const float *targets = batch->targets + first * (size_t)xla->network->config.num_classes;
        return put(xla, replica, argument_of(program, XLA_TARGETS), targets, err);
    }
    TRY(put(xla, replica, argument_of(program, XLA_LABELS), batch->labels + first, err));
    if (!xla->program_options.soft_targets) return EFFNET_OK;
    const int32_t *others = batch->others ? batch->others : batch->labels;
    TRY(put(xla, replica, argument_of(program, XLA_OTHERS), others + first, err));
    if (batch->others) return put(xla, replica, argument_of(program, XLA_SHARES), batch->shares + first, err);
    for (size_t i = 0; i < share; i++) xla->ones[i] = 1;
    return put(xla, replica, argument_of(program, XLA_SHARES), xla->ones, err);
}

/* Results become arguments; a replica's numbers are the same as every other's, and replica 0's are kept. */
static void take_results(XlaExecutor *xla, Flight *flight) {
    const XlaProgram *program = &xla->step_program;
    for (int r = 0; r < xla->spec.replicas; r++) {
        PjrtBuffer **results = xla->results + (size_t)r * (size_t)program->num_results;
        for (int i = 0; i < program->num_arguments; i++) {
            const int alias = program->arguments[i].alias;
            if (alias < 0) continue;
            pjrt_buffer_free(xla->pjrt, *argument(xla, r, i));
            *argument(xla, r, i) = results[alias];
        }
        for (int i = 0; i < NUMBERS; i++) {
            PjrtBuffer *number = results[program->num_results - NUMBERS + i];
            if (r == 0)
                flight->numbers[i] = number;
            else
                pjrt_buffer_free(xla->pjrt, number);
        }
    }
}

static effnet_status xla_state(Executor *executor, const TrainState **out, effnet_error *err) {
    XlaExecutor *xla = xla_of(executor);
    while (xla->in_flight > 0) TRY(land(xla, NULL, err));
    for (int i = 0; xla->newer && i < xla->step_program.num_arguments; i++) {
        const XlaValue *value = &xla->step_program.arguments[i];
        float **vector = host_vector(&xla->state, value->role);
        if (!vector) continue;
        TRY(pjrt_download(xla->pjrt, *argument(xla, 0, i), *vector, (size_t)value->shape[0] * sizeof(float), err));
    }
    xla->newer = false;
    *out = &xla->state;
    return EFFNET_OK;
}

/* *again: the plugin does not compile the program, and kernels of our own, of which an older plugin or an older GPU may
 * know nothing, have been given up, as the note will tell: it is to be written once more, without them. */
static effnet_status compile(XlaExecutor *xla, const XlaProgram *program, PjrtExecutable **out, bool *again,
                             effnet_error *err) {
    const double began = clock_seconds();
    effnet_error why = {0};
    const effnet_status status = pjrt_compile(xla->pjrt, program, xla->cache[0] ? xla->cache : NULL, out, NULL, &why);
    *again = status == EFFNET_ERROR_IO && xla->kernels;
    if (*again) {
        fail(&xla->kernel_error, EFFNET_ERROR_UNSUPPORTED, "with kernels of ours: %.300s", why.message);
        nvrtc_close(xla->kernels);
        xla->kernels = xla->program_options.kernels = NULL;
        return EFFNET_OK;
    }
    if (status != EFFNET_OK) return fail(err, status, "%s", why.message);
    xla->compile_seconds += clock_seconds() - began;
    return EFFNET_OK;
}

static effnet_status compile_step(XlaExecutor *xla, effnet_error *err) {
    bool again;
    XlaProgram program;
    TRY(compile(xla, &xla->step_program, &xla->step, &again, err));
    if (!again) return EFFNET_OK;
    TRY(xla_write_step(xla->network, &xla->spec, &xla->program_options, &program, err));
    xla_program_free(&xla->step_program);
    xla->step_program = program;
    return compile(xla, &xla->step_program, &xla->step, &again, err);
}

/* The program for pictures and targets of this kind, compiled when the first such batch comes. Another kind has other
 * arguments: the state comes home and goes out again. */
static effnet_status prepare_step(XlaExecutor *xla, const ExecutorBatch *batch, effnet_error *err) {
    XlaStepOptions *now = &xla->program_options, wanted = *now;
    wanted.bytes = batch->pixels != NULL;
    wanted.soft_targets |= batch->others != NULL;
    wanted.dense = batch->targets != NULL;
    wanted.weighted = batch->weights != NULL;
    if (wanted.bytes != now->bytes || wanted.soft_targets != now->soft_targets || wanted.dense != now->dense ||
        wanted.weighted != now->weighted) {
        const TrainState *state;
        XlaProgram program;
        TRY(xla_state(&xla->base, &state, err));
        TRY(xla_write_step(xla->network, &xla->spec, &wanted, &program, err));
        drop_arguments(xla);
        pjrt_executable_free(xla->step);
        xla_program_free(&xla->step_program);
        xla->step = NULL;
        xla->step_program = program;
        *now = wanted;
    }
    if (!xla->step) TRY(compile_step(xla, err));
    return upload_state(xla, err);
}

static effnet_status xla_step(Executor *executor, const ExecutorBatch *batch, double learning_rate,
                              StepResults *results, effnet_error *err) {
    XlaExecutor *xla = xla_of(executor);
    if (xla->options.evaluates_only)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a step of an executor that only evaluates");
    if (batch->size != xla->spec.batch)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "a batch of %d pictures; on an accelerator every batch has batch_size = %d", batch->size,
                    xla->spec.batch);
    TRY(executor_check_batch(batch, xla->spec.batch, xla->network->config.num_classes, err));
    const double compiled = xla->compile_seconds;
    TRY(prepare_step(xla, batch, err));
    results->compile_seconds = xla->compile_seconds - compiled;
    while (xla->in_flight >= AHEAD) TRY(land(xla, results, err));
    const StepRates rates = step_rates(&xla->spec, learning_rate, xla->state.step + 1);
    const float numbers[XLA_RATES_COUNT] = {[XLA_RATE_LEARNING] = rates.learning_rate,
                                            [XLA_RATE_AVERAGE] = rates.average,
                                            [XLA_RATE_ADAM] = rates.adam_lr,
                                            [XLA_RATE_ROOT] = rates.inverse_root_correction,
                                            [XLA_RATE_FIRST] = rates.first_correction};
    xla->step_upload = 0;
    for (int r = 0; r < xla->spec.replicas; r++) {
        TRY(upload_batch(xla, r, batch, err));
        TRY(upload_keys(xla, r, err));
        TRY(put(xla, r, argument_of(&xla->step_program, XLA_RATES), numbers, err));
    }
    TRY(pjrt_execute(xla->step, xla->arguments, xla->results, err));
    Flight flight = {.step = xla->state.step};
    take_results(xla, &flight);
    xla->flights[xla->in_flight++] = flight;
    xla->state.step++;
    xla->newer = true;
    while (batch->wait && xla->in_flight > 0) TRY(land(xla, results, err));
    return EFFNET_OK;
}

/* ---- evaluation ---- */

static effnet_status prepare_inference(XlaExecutor *xla, bool bytes, effnet_error *err) {
    if (xla->inference && (xla->inference_program.arguments[2].type == XLA_U8) == bytes) return EFFNET_OK;
    pjrt_executable_free(xla->inference);
    xla->inference = NULL;
    xla_program_free(&xla->inference_program);
    const XlaStepOptions options = {.bytes = bytes,
                                    .shifts = xla->program_options.shifts & XLA_SHIFT_FORWARD,
                                    .kernels = xla->kernels,
                                    .kernel_error = &xla->kernel_error};
    bool again;
    TRY(xla_write_inference(xla->network, &xla->spec, xla->options.evaluation_batch, &options, &xla->inference_program,
                            err));
    TRY(compile(xla, &xla->inference_program, &xla->inference, &again, err));
    return again ? prepare_inference(xla, bytes, err) : EFFNET_OK;
}

static effnet_status run_inference(XlaExecutor *xla, PjrtBuffer *parameters, PjrtBuffer *statistics,
                                   const void *pictures, float *logits, effnet_error *err) {
    const XlaValue *value = &xla->inference_program.arguments[2];
    const size_t floats = (size_t)xla->options.evaluation_batch * (size_t)xla->network->config.num_classes;
    PjrtBuffer *arguments[3] = {parameters, statistics, NULL}, *result = NULL;
    TRY(pjrt_upload(xla->pjrt, 0, value->type, value->rank, value->shape, pictures, &arguments[2], err));
    effnet_status status = pjrt_execute(xla->inference, arguments, &result, err);
    if (status == EFFNET_OK) status = pjrt_download(xla->pjrt, result, logits, floats * sizeof(float), err);
    pjrt_buffer_free(xla->pjrt, arguments[2]);
    pjrt_buffer_free(xla->pjrt, result);
    return status;
}

static effnet_status xla_evaluate(Executor *executor, ExecutorWeights weights, const ExecutorBatch *batch,
                                  float *logits, effnet_error *err) {
    XlaExecutor *xla = xla_of(executor);
    const XlaProgram *program = &xla->step_program;
    const size_t most = (size_t)xla->options.evaluation_batch, classes = (size_t)xla->network->config.num_classes;
    const size_t picture = shape_floats(xla->network->config.input);
    const bool averaged = weights == EXECUTOR_AVERAGED;
    if (batch->size < 1 || (size_t)batch->size > most)
        return fail(err, EFFNET_ERROR_ARGUMENT, "an evaluation of %d pictures; at most %zu", batch->size, most);
    TRY(prepare_inference(xla, batch->pixels != NULL, err));
    TRY(upload_state(xla, err));
    int parameters = argument_of(program, averaged ? XLA_AVERAGED_PARAMETERS : XLA_PARAMETERS);
    int statistics = argument_of(program, averaged ? XLA_AVERAGED_STATISTICS : XLA_STATISTICS);
    if (parameters < 0) return fail(err, EFFNET_ERROR_ARGUMENT, "the run keeps no averaged weights");
    const size_t value_bytes = batch->pixels ? 1 : sizeof(float);
    const void *pictures = batch->pixels ? (const void *)batch->pixels : (const void *)batch->images;
    void *padded = NULL, *all = NULL;
    const bool full = (size_t)batch->size == most;
    effnet_status status = EFFNET_OK;
    if (!full) {
        status = memory_allocate(most * picture, value_bytes, "a batch of pictures", &padded, err);
        if (status == EFFNET_OK) status = memory_allocate(most * classes, sizeof(float), "the logits", &all, err);
        if (status == EFFNET_OK) memcpy(padded, pictures, (size_t)batch->size * picture * value_bytes);
    }
    if (status == EFFNET_OK)
        status = run_inference(xla, *argument(xla, 0, parameters), *argument(xla, 0, statistics),
                               full ? pictures : padded, full ? logits : all, err);
    if (status == EFFNET_OK && !full) memcpy(logits, all, (size_t)batch->size * classes * sizeof(float));
    memory_free(padded);
    memory_free(all);
    return status;
}

/* ---- creation ---- */

/* Which depthwise convolutions are written as shifts: none; on an H100 cuDNN's grouped convolutions of JAX's form were
 * faster than every mixture (docs/accelerators.md). EFFNET_XLA_SHIFTS, a sum of XLA_SHIFT_..., is there to measure it
 * elsewhere. */
static unsigned choose_shifts(void) {
    const char *forced = getenv("EFFNET_XLA_SHIFTS");
    return forced && *forced ? (unsigned)strtoul(forced, NULL, 10) & 15 : 0;
}

/* Depthwise convolutions of our own (depthwise.cu) on NVIDIA GPUs, unless others are asked for by EFFNET_XLA_SHIFTS or
 * they are turned off, to measure without them, by EFFNET_XLA_KERNELS=0. */
static bool wants_kernels(const XlaExecutor *xla) {
    const char *off = getenv("EFFNET_XLA_KERNELS"), *shifts = getenv("EFFNET_XLA_SHIFTS");
    return strcmp(xla->info.platform, "cuda") == 0 && !(off && strcmp(off, "0") == 0) && !(shifts && *shifts);
}

static effnet_status check_environment(effnet_error *err) {
    const char *off = getenv("EFFNET_XLA_KERNELS"), *shifts = getenv("EFFNET_XLA_SHIFTS");
    if (off && *off && strcmp(off, "0") != 0 && strcmp(off, "1") != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the environment variable EFFNET_XLA_KERNELS is '%.40s'; allowed: 0, 1",
                    off);
    if (shifts && *shifts && (shifts[strspn(shifts, "0123456789")] || strtoul(shifts, NULL, 10) > 15))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the environment variable EFFNET_XLA_SHIFTS is '%.40s'; allowed: 0 to 15", shifts);
    return EFFNET_OK;
}

static void xla_free(Executor *executor) {
    XlaExecutor *xla = xla_of(executor);
    while (xla->in_flight > 0) land(xla, NULL, NULL);
    drop_arguments(xla);
    pjrt_executable_free(xla->step);
    pjrt_executable_free(xla->inference);
    xla_program_free(&xla->step_program);
    xla_program_free(&xla->inference_program);
    nvrtc_close(xla->kernels);
    pjrt_close(xla->pjrt);
    train_state_free(&xla->state);
    free(xla->arguments);
    free(xla->results);
    free(xla->chains);
    free(xla->keys);
    free(xla->ones);
    free(xla);
}

static effnet_status check_spec(const StepSpec *spec, effnet_error *err) {
    if (spec->masks == STEP_MASKS_FLAX && spec->accumulate > 1)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "masks: flax with accumulate %d: the original draws one mask a device; set accumulate: 1",
                    spec->accumulate);
    if (spec->recompute)
        return fail(
            err, EFFNET_ERROR_UNSUPPORTED,
            "accumulate_bn: full makes tensors again to save memory, which is the processor's engine's work; on "
            "a device leave accumulate_bn: part, or set accumulate: 1");
    return EFFNET_OK;
}

static effnet_status begin(XlaExecutor *xla, effnet_error *err) {
    char path[PLUGIN_PATH];
    const size_t replicas = (size_t)xla->spec.replicas, values = replicas * XLA_MOST_VALUES;
    TRY(check_spec(&xla->spec, err));
    PluginOptions options;
    TRY(plugin_find(xla->options.device, path, &options, err));
    TRY(pjrt_open(path, xla->spec.replicas, &options, &xla->pjrt, err));
    xla->info = pjrt_info(xla->pjrt);
    if (xla->options.cache)
        snprintf(xla->cache, sizeof xla->cache, "%s", xla->options.cache);
    else
        pjrt_cache_folder(xla->cache, sizeof xla->cache);
    xla->program_options.shifts = choose_shifts();
    if (wants_kernels(xla) && nvrtc_open(xla->cache, &xla->kernels, &xla->kernel_error) == EFFNET_OK) {
        xla->program_options.kernels = xla->kernels;
        xla->program_options.kernel_error = &xla->kernel_error;
    }
    if (xla->options.evaluation_batch < 1) xla->options.evaluation_batch = xla->spec.batch / xla->spec.replicas;
    xla->arguments = calloc(values, sizeof *xla->arguments);
    xla->results = calloc(values, sizeof *xla->results);
    xla->chains = calloc(replicas, sizeof *xla->chains);
    xla->keys = calloc((size_t)xla->spec.accumulate * MOST_KEYS * 2, sizeof *xla->keys);
    xla->ones = calloc((size_t)xla->spec.batch, sizeof *xla->ones);
    if (!xla->arguments || !xla->results || !xla->chains || !xla->keys || !xla->ones)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the arguments of a step");
    if (!xla->options.evaluates_only)
        return xla_write_step(xla->network, &xla->spec, &xla->program_options, &xla->step_program, err);
    xla_describe_weights(xla->network, &xla->step_program);
    return EFFNET_OK;
}

static effnet_status xla_create(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                                Executor **out, effnet_error *err) {
    *out = NULL;
    TRY(check_environment(err));
    XlaExecutor *xla = calloc(1, sizeof *xla);
    if (!xla) return fail(err, EFFNET_ERROR_MEMORY, "no memory for an executor");
    xla->base.vtable = &xla_executor;
    xla->network = network;
    xla->spec = *spec;
    xla->options = *options;
    effnet_status status = begin(xla, err);
    if (status != EFFNET_OK)
        xla_free(&xla->base);
    else
        *out = &xla->base;
    return status;
}

/* Of a step on one device: the state's vectors, gradient and constants, the pictures, and every tensor of a part once,
 * as it is stored: what the backward pass reads. XLA's own figure for B0 at 224, 256 pictures in bf16 on an H100 is
 * 8.0 GB, this one's 8.6. */
static size_t step_bytes(const XlaExecutor *xla) {
    const Network *network = xla->network;
    const size_t share = (size_t)(xla->spec.batch / xla->spec.replicas), part = share / (size_t)xla->spec.accumulate;
    size_t elements = 0, bytes = network->parameter_floats * sizeof(float); /* the gradient */
    if (xla->options.evaluates_only) return 0;
    for (int i = 0; i < network->num_ops; i++) {
        elements += shape_floats(network->tensors[network->ops[i].output]);
    }
    for (int i = 0; i < xla->step_program.num_arguments; i++) {
        bytes += value_bytes(&xla->step_program.arguments[i]);
    }
    return bytes + part * elements * (xla->spec.bf16 ? sizeof(uint16_t) : sizeof(float));
}

static ExecutorInfo xla_info(Executor *executor) {
    XlaExecutor *xla = xla_of(executor);
    xla->info = pjrt_info(xla->pjrt);
    xla->note[0] = 0;
    if (xla->kernel_error.message[0])
        snprintf(xla->note, sizeof xla->note, "depthwise convolutions are cuDNN's, which take a third longer: %s",
                 xla->kernel_error.message);
    return (ExecutorInfo){.name = "xla",
                          .engine = xla->info.platform,
                          .isa = xla->info.kind,
                          .note = xla->note,
                          .workers = 1,
                          .devices = xla->spec.replicas,
                          .takes_bytes = true,
                          .step_upload = xla->step_upload,
                          .activation_bytes = (size_t)xla->info.peak_bytes,
                          .device_bytes = step_bytes(xla),
                          .device_memory = (size_t)xla->info.memory_bytes,
                          .compile_seconds = xla->compile_seconds};
}

const ExecutorVtable xla_executor = {.create = xla_create,
                                     .load = xla_load,
                                     .step = xla_step,
                                     .evaluate = xla_evaluate,
                                     .state = xla_state,
                                     .info = xla_info,
                                     .free = xla_free};
