/* engine_cpu.c - the CPU engine behind engine.h: compiles the plan, lays out its memory once (cpu_layout.c), runs its
 * passes. */
#include "backend/cpu/cpu_engine.h"

#include "backend/cpu/isa.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void cpu_free(Engine *base) {
    CpuEngine *engine = (CpuEngine *)base;
    plan_free(&engine->plan);
    free(engine->batch_norms);
    free(engine->gates);
    free(engine->grams);
    free(engine->packed);
    free(engine->packed_back);
    free(engine->times);
    free(engine->ready_from);
    memory_free(engine->arena);
    memory_free(engine->memory);
    free(engine);
}

/* The first parameter of an op, where it has any: they stand in the order of the ops. */
static size_t first_float(const Network *network, const Op *op) {
    size_t first = network->parameter_floats;
    const int parameters[] = {op->weight, op->bias, op->expand_weight, op->expand_bias};
    for (int i = 0; i < 4; i++) {
        const bool has = parameters[i] >= 0 && (i < 2 || op->kind == OP_SQUEEZE_EXCITE);
        if (has && network->parameters[parameters[i]].offset < first) first = network->parameters[parameters[i]].offset;
    }
    return first;
}

/* A backward pass writes gradients of its own op, of the batch norm behind it and of ops before. Where any parameter is
 * frozen nothing is told: its gradient is cleared at the very end. */
static effnet_status find_ready(CpuEngine *engine, effnet_error *err) {
    const Plan *plan = &engine->plan;
    const Network *network = engine->network;
    engine->ready_from = malloc((size_t)plan->num_passes * sizeof *engine->ready_from);
    if (!engine->ready_from)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for what %d passes finish", plan->num_passes);
    int written = -1; /* the last op that a later pass writes gradients of */
    size_t from = 0;
    bool frozen = false;
    for (int i = 0; i < network->num_parameters; i++) frozen |= !network->parameters[i].trainable;
    for (int i = plan->num_passes - 1; i >= 0; i--) {
        const Pass *pass = &plan->passes[i];
        engine->ready_from[i] = frozen ? network->parameter_floats : from;
        const int last = pass->batch_norm > pass->op + 1 ? pass->batch_norm : pass->op + 1;
        if (last <= written || pass->again) continue;
        written = last;
        from = network->parameter_floats;
        for (int k = written + 1; k < network->num_ops; k++) {
            const size_t first = first_float(network, &network->ops[k]);
            if (first < from) from = first;
        }
    }
    return EFFNET_OK;
}

static effnet_status make_times(CpuEngine *engine, effnet_error *err) {
    const Plan *plan = &engine->plan;
    engine->times = calloc((size_t)plan->num_passes, sizeof *engine->times);
    if (!engine->times) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the times of %d passes", plan->num_passes);
    for (int i = 0; i < plan->num_passes; i++) {
        EnginePassTime *time = &engine->times[i];
        time->pass = pass_name(&plan->passes[i]);
        time->op = plan->network->ops[plan->passes[i].op].name;
        pass_work(plan, &plan->passes[i], &time->operations, &time->bytes);
    }
    return EFFNET_OK;
}

/* Expand convolutions not stored from here on: larger than what caches keep for the pass that reads it, and made of so
 * few channels that their second moments cost little. Measured: docs/performance.md. */
enum { FUSE_BYTES = 16 << 20, FUSE_CHANNELS = 64 };

static effnet_status allocate(CpuEngine *engine, effnet_error *err) {
    size_t ops = (size_t)engine->network->num_ops;
    engine->batch_norms = calloc(ops, sizeof *engine->batch_norms);
    engine->gates = calloc(ops, sizeof *engine->gates);
    engine->grams = calloc(ops, sizeof *engine->grams);
    engine->packed = calloc(ops, sizeof *engine->packed);
    engine->packed_back = calloc(ops, sizeof *engine->packed_back);
    if (!engine->batch_norms || !engine->gates || !engine->grams || !engine->packed || !engine->packed_back)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for an engine of %s", engine->network->config.name);
    const PlanOptions options = {.batch = engine->options.batch,
                                 .fuse_bytes = FUSE_BYTES,
                                 .fuse_channels = FUSE_CHANNELS,
                                 .training = engine->options.training,
                                 .recompute = engine->options.recompute,
                                 .fuse = (PlanFuse)engine->options.fuse,
                                 .value_bytes = engine->kernels->value_bytes,
                                 .keep = engine->options.keep};
    TRY(plan_build(engine->network, &options, &engine->plan, err));
    TRY(make_times(engine, err));
    TRY(find_ready(engine, err));
    engine->memory_floats = cpu_lay_out(engine, NULL);
    void *block;
    TRY(memory_allocate(engine->memory_floats, sizeof(float), "the engine's weights and scratch", &block, err));
    engine->memory = block;
    cpu_lay_out(engine, engine->memory);
    TRY(memory_allocate(engine->plan.arena_bytes, 1, "activations", &block, err));
    engine->arena = block;
    return EFFNET_OK;
}

static effnet_status check_int8(const CpuEngine *engine, effnet_error *err) {
    if (!engine->options.int8) return EFFNET_OK;
    if (engine->options.training) return fail(err, EFFNET_ERROR_ARGUMENT, "int8 is for inference, not for training");
    for (int i = 0; i < engine->network->num_ops; i++) {
        const Op *op = &engine->network->ops[i];
        int depth = engine->network->tensors[op->input].channels;
        if (engine_multiplies_bytes(engine->network, op) && depth > INT8_DEPTH)
            return fail(err, EFFNET_ERROR_UNSUPPORTED, "%s takes %d channels; int8 allows %d: use fp32 or bf16",
                        op->name, depth, INT8_DEPTH);
    }
    return EFFNET_OK;
}

static effnet_status cpu_create(const Network *network, const EngineOptions *options, Engine **out, effnet_error *err) {
    CpuEngine *engine = calloc(1, sizeof *engine);
    if (!engine) return fail(err, EFFNET_ERROR_MEMORY, "no memory for an engine of %s", network->config.name);
    engine->base.vtable = &cpu_engine;
    engine->network = network;
    engine->options = *options;
    engine->folded = !options->training;
    engine->team = options->team;
    const CpuIsa *isa;
    effnet_status status = cpu_isa_choose(&isa, err);
    if (status == EFFNET_OK) {
        engine->kernels = options->bf16 ? isa->bf16 : isa->fp32;
        engine->exact = isa->fp32;
        engine->int8 = cpu_kernels_with_int8(engine->kernels);
        status = check_int8(engine, err);
    }
    if (status == EFFNET_OK) status = allocate(engine, err);
    if (status != EFFNET_OK) {
        cpu_free(&engine->base);
        return status;
    }
    *out = &engine->base;
    return EFFNET_OK;
}

_Static_assert(PLAN_FUSE_AUTO == 0 && PLAN_FUSE_ALL == 1 && PLAN_FUSE_NONE == 2, "EngineOptions.fuse counts so");

/* ---- running ------------------------------------------------------------------------------------------------- */

void run_split(PassRun *run, int units, int most, int multiple) {
    int per_task = (units + most - 1) / most;
    run->units = units;
    run->per_task = (int)round_up((size_t)per_task, (size_t)multiple);
    run->tasks = (units + run->per_task - 1) / run->per_task;
}

static effnet_status run_pass(PassRun *run, EnginePassTime *time) {
    double began = clock_seconds();
    pass_rows[run->pass->kind].run(run);
    double seconds = clock_seconds() - began;
    time->seconds += seconds;
    if (time->runs++ == 0 || seconds < time->best) time->best = seconds;
    return run->status;
}

static effnet_status check_call(const CpuEngine *engine, const EngineForward *call, effnet_error *err) {
    if (call->batch < 1 || call->batch > engine->options.batch)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a batch of %d images; this engine takes 1 to %d", call->batch,
                    engine->options.batch);
    if (call->training && !engine->options.training)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a training step on an engine made for inference");
    if (call->exchange && !call->training)
        return fail(err, EFFNET_ERROR_ARGUMENT, "batch norm's exchange is for training");
    return engine_check_outputs(&engine->options, call, err);
}

static void prepare_weights(CpuEngine *engine, const EngineForward *call) {
    for (int i = 0; i < engine->network->num_ops; i++) {
        const Op *op = &engine->network->ops[i];
        if (op->kind == OP_BATCH_NORM && (!call->training || op->frozen)) batch_norm_from_running(engine, call, i);
    }
    pack_all(engine, call, false);
    engine->version = call->training ? 0 : call->version;
}

/* The kept tensor, whose batch norm is folded into the convolution before it, as floats. */
static void copy_kept(const CpuEngine *engine, const EngineForward *call) {
    const Buffer *buffer = &engine->plan.buffers[engine->plan.kept.buffer];
    const size_t count = shape_floats(buffer->shape) * (size_t)call->batch;
    const void *from = engine->arena + buffer->offset;
    if (buffer->value_bytes == (int)sizeof(float))
        memcpy(call->kept, from, count * sizeof(float));
    else
        for (size_t i = 0; i < count; i++) call->kept[i] = float_from_bfloat16(((const uint16_t *)from)[i]);
}

/* What the pass has stored, to who looks at the tensors. */
static void show_stored(const CpuEngine *engine, const Pass *pass, const EngineForward *call) {
    if (pass->raw < 0) return;
    const int op = pass->batch_norm >= 0 ? pass->batch_norm : pass->op;
    const size_t count = shape_floats(buffer_shape(engine, pass->raw)) * (size_t)call->batch;
    call->stored->look(call->stored->context, engine->network->ops[op].output, exact_buffer(engine, pass->raw), count);
}

static effnet_status cpu_forward(Engine *base, const EngineForward *call, effnet_error *err) {
    CpuEngine *engine = (CpuEngine *)base;
    TRY(check_call(engine, call, err));
    if (call->training || !call->version || call->version != engine->version) prepare_weights(engine, call);
    const int passes = call->logits ? engine->plan.num_forward : engine->plan.kept_pass + 1;
    for (int i = 0; i < passes; i++) {
        PassRun run = {.engine = engine, .pass = &engine->plan.passes[i], .call = call, .err = err};
        TRY(run_pass(&run, &engine->times[i]));
        if (call->stored) show_stored(engine, run.pass, call);
    }
    if (call->kept) copy_kept(engine, call);
    return EFFNET_OK;
}

static effnet_status cpu_backward(Engine *base, const EngineForward *call, const float *logits_gradient,
                                  float *gradients, bool accumulate, effnet_error *err) {
    CpuEngine *engine = (CpuEngine *)base;
    TRY(check_call(engine, call, err));
    if (!engine->options.training) return fail(err, EFFNET_ERROR_ARGUMENT, "backward on an engine made for inference");
    const Network *network = engine->network;
    pack_all(engine, call, true);
    for (int i = engine->plan.num_forward; i < engine->plan.num_passes; i++) {
        PassRun run = {.engine = engine,
                       .pass = &engine->plan.passes[i],
                       .call = call,
                       .logits_gradient = logits_gradient,
                       .gradients = gradients,
                       .accumulate = accumulate,
                       .err = err};
        TRY(run_pass(&run, &engine->times[i]));
        if (call->ready && engine->ready_from[i] < network->parameter_floats)
            TRY(call->ready->ready(call->ready->context, engine->ready_from[i], err));
    }
    engine_clear_frozen(engine->network, gradients);
    return EFFNET_OK;
}

/* A value that is not finite makes its channel's mean or variance so, and the batch norm's vectors remember them. */
static const char *cpu_find_nonfinite(Engine *base) {
    const CpuEngine *engine = (const CpuEngine *)base;
    for (int i = 0; i < engine->plan.num_forward; i++) {
        const Pass *pass = &engine->plan.passes[i];
        if (pass->batch_norm < 0) continue;
        const BnState *state = &engine->batch_norms[pass->batch_norm];
        for (int c = 0; c < state->channels; c++) {
            if (!isfinite(state->mean[c]) || !isfinite(state->inverse[c]) || state->inverse[c] == 0)
                return engine->network->ops[pass->op].name;
            if (!isfinite(state->scale[c]) || !isfinite(state->bias[c]))
                return engine->network->ops[pass->batch_norm].name;
        }
    }
    return NULL;
}

static EngineInfo cpu_info(const Engine *base) {
    const CpuEngine *engine = (const CpuEngine *)base;
    return (EngineInfo){.name = "cpu", .isa = engine->kernels->isa, .activation_bytes = engine->plan.arena_bytes};
}

static const EnginePassTime *cpu_profile(Engine *base, bool clear, int *count) {
    CpuEngine *engine = (CpuEngine *)base;
    *count = engine->plan.num_passes;
    if (clear)
        for (int i = 0; i < *count; i++) engine->times[i].runs = 0, engine->times[i].seconds = 0;
    return engine->times;
}

const EngineVtable cpu_engine = {cpu_create, cpu_forward, cpu_backward, cpu_find_nonfinite,
                                 cpu_info,   cpu_profile, cpu_free};
