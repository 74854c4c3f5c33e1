/* api_bench.c - images a second of a training step or of a forward pass, on random pictures in memory. A training step
 * is all of it: forward, loss, backward, optimizer and EMA with the published recipe. The first steps warm caches and
 * pages and do not count. Of several workers each takes its part of the batch, and all together the steps. */
#include "api/handles.h"

#include "backend/cpu/limits.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/initialize.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WARM_UP_STEPS = 2, DEFAULT_STEPS = 10, DEFAULT_CHOSEN_BATCH = 32 };

typedef struct Bench {
    effnet_bench_options options;
    Dtype dtype;
    Recipe recipe;
    Network network;
    ThreadTeam *team;
    Workers *workers; /* NULL: alone */
    int pictures;     /* of a batch, this worker's */
    Trainer trainer;  /* training */
    bool has_trainer;
    Engine *engine;  /* inference */
    bool on_device;  /* trainer's executor is an accelerator's, and infers too */
    uint8_t *pixels; /* what it is given, as from files, anew for every step */
    float *parameters, *statistics, *images, *logits;
    int32_t *labels;
    double *seconds; /* a step */
    double total;    /* of them all */
} Bench;

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static effnet_status allocate(size_t count, size_t size, const char *what, void *out, effnet_error *err) {
    void *block;
    TRY(memory_allocate(count, size, what, &block, err));
    memcpy(out, &block, sizeof block);
    return EFFNET_OK;
}

static effnet_status check(effnet_bench_options *options, Dtype *dtype, effnet_error *err) {
    if (!options->model) options->model = "efficientnet_b0";
    if (!options->dtype) options->dtype = "fp32";
    if (options->batch == 0) options->batch = DEFAULT_CHOSEN_BATCH;
    if (options->steps == 0) options->steps = DEFAULT_STEPS;
    TRY(dtype_by_name(options->dtype, dtype, err));
    if (options->infer && options->dist && strcmp(options->dist, "none") != 0)
        return fail(err, EFFNET_ERROR_ARGUMENT, "several workers share a training step; inference is each one's own");
    if (dtype->int8 && !options->infer)
        return fail(err, EFFNET_ERROR_ARGUMENT, "dtype int8 is for inference; training takes fp32 or bf16");
    if (options->batch < 1 || options->batch > 65536)
        return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to 65536", options->batch);
    if (options->steps < 1 || options->steps > 1000000)
        return fail(err, EFFNET_ERROR_ARGUMENT, "steps is %d; allowed: 1 to 1000000", options->steps);
    TRY(input_choose(options->resolution, options->resolution_width, &(TensorShape){0}, err));
    if (options->fuse < FUSE_AUTO || options->fuse > FUSE_NONE)
        return fail(err, EFFNET_ERROR_ARGUMENT, "fuse is %d; allowed: 0 (where it pays), 1 (all), 2 (none)",
                    options->fuse);
    return EFFNET_OK;
}

static effnet_status prepare(Bench *bench, effnet_error *err) {
    const effnet_bench_options *options = &bench->options;
    const EngineVtable *vtable;
    ModelConfig config;
    TRY(engine_find(options->engine, &vtable, err));
    recipe_defaults(&bench->recipe);
    bench->recipe.batch_size = options->batch;
    bench->recipe.replicas = workers_count(bench->workers);
    bench->recipe.amp = bench->dtype.bf16 ? AMP_BF16 : AMP_NONE;
    if (options->engine) TRY(recipe_set(&bench->recipe, "engine", options->engine, err));
    if (options->device) TRY(recipe_set(&bench->recipe, "device", options->device, err));
    const ExecutorVtable *executor;
    TRY(executor_find(bench->recipe.device, &executor, err));
    bench->on_device = executor != &host_executor;
    bench->recipe.fuse = options->fuse;
    char file[1100] = "";
    if (model_is_file(options->model)) {
        ModelCard card;
        TRY(model_find_file(options->model, false, file, sizeof file, err));
        TRY(weights_read_card(file, &card, err));
        config = card.config;
        config.input = card.transform.input;
        recipe_from_card(&card, &bench->recipe);
        model_card_free(&card);
    } else {
        TRY(model_config_by_name(options->model, &config, err));
    }
    TRY(input_choose(options->resolution, options->resolution_width, &config.input, err));
    TRY(network_build(&config, &bench->network, err));
    TRY(thread_team_create(options->threads, &bench->team, err));
    const int workers = workers_count(bench->workers);
    bench->pictures = options->batch / workers;
    size_t batch = (size_t)bench->pictures, pixels = shape_floats(config.input), floats;
    if (!size_multiply(batch, pixels, &floats))
        return fail(err, EFFNET_ERROR_MEMORY, "a batch of %d pictures is too large", bench->pictures);
    if (bench->on_device)
        TRY(allocate(floats, 1, "a batch of pictures", &bench->pixels, err));
    else
        TRY(allocate(floats, sizeof(float), "a batch of pictures", &bench->images, err));
    TRY(allocate(batch, sizeof(int32_t), "the labels", &bench->labels, err));
    TRY(allocate(batch * (size_t)config.num_classes, sizeof(float), "the logits", &bench->logits, err));
    TRY(allocate((size_t)options->steps, sizeof(double), "the times of the steps", &bench->seconds, err));
    RandomKey key = random_key(42);
    const size_t first = (size_t)workers_rank(bench->workers) * batch; /* the same batch, whoever has which part */
    for (size_t i = 0; bench->images && i < floats; i++)
        bench->images[i] = 4 * random_uniform(key, first * pixels + i) - 2;
    for (size_t i = 0; bench->pixels && i < floats; i++) bench->pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < batch; i++)
        bench->labels[i] = (int32_t)random_below(random_fold_in(key, 1), first + i, (uint32_t)config.num_classes);
    if (!options->infer || bench->on_device) {
        TRY(trainer_create_among(bench->workers, &bench->recipe, &bench->network, bench->team, 1000, bench->pictures,
                                 &bench->trainer, err));
        bench->has_trainer = true;
        return trainer_start(&bench->trainer, err);
    }
    const EngineOptions engine = {.batch = options->batch,
                                  .fuse = bench->recipe.fuse,
                                  .bf16 = bench->dtype.bf16,
                                  .int8 = bench->dtype.int8,
                                  .team = bench->team};
    const InitializeOptions initialize = {.seed = 42};
    TRY(engine_create(vtable, &bench->network, &engine, &bench->engine, err));
    TRY(allocate(bench->network.parameter_floats, sizeof(float), "the parameters", &bench->parameters, err));
    TRY(allocate(bench->network.statistic_floats, sizeof(float), "the statistics", &bench->statistics, err));
    network_initialize(&bench->network, &initialize, bench->parameters, bench->statistics);
    if (file[0]) return weights_read(file, &bench->network, bench->parameters, bench->statistics, false, NULL, err);
    return EFFNET_OK;
}

/* A device's steps are queued: `wait` for the last one. */
static effnet_status run_step(Bench *bench, bool wait, effnet_error *err) {
    int batch = bench->pictures;
    const ExecutorBatch pictures = {
        .size = batch, .images = bench->images, .pixels = bench->pixels, .labels = bench->labels};
    StepResult result;
    if (!bench->options.infer) return trainer_step(&bench->trainer, &pictures, wait ? &result : NULL, NULL, err);
    if (bench->on_device)
        return executor_evaluate(bench->trainer.executor, EXECUTOR_RAW, &pictures, bench->logits, err);
    const EngineForward call = {
        .batch = batch,
        .images = bench->images,
        .parameters = bench->parameters,
        .statistics = bench->statistics,
        .logits = bench->logits,
        .version = 1,
    };
    return engine_forward(bench->engine, &call, err);
}

static void summarize(Bench *bench, effnet_bench_result *out) {
    const effnet_bench_options *options = &bench->options;
    ExecutorInfo info = {0};
    if (bench->engine) {
        EngineInfo engine = engine_info(bench->engine);
        info = (ExecutorInfo){.isa = engine.isa, .activation_bytes = engine.activation_bytes};
    } else
        info = executor_info(bench->trainer.executor);
    int steps = options->steps;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(bench->seconds, (size_t)steps, sizeof *bench->seconds, compare_doubles);
    double median = (bench->seconds[(steps - 1) / 2] + bench->seconds[steps / 2]) / 2;
    if (bench->on_device && !options->infer) median = bench->seconds[0] = bench->total / steps; /* they overlap */
    snprintf(out->model, sizeof out->model, "%s", bench->network.config.name);
    snprintf(out->dtype, sizeof out->dtype, "%s", options->dtype);
    snprintf(out->isa, sizeof out->isa, "%s", info.isa);
    out->resolution = bench->network.config.input.height;
    out->resolution_width = bench->network.config.input.width;
    out->batch = options->batch;
    out->threads = thread_team_size(bench->team);
    out->steps = steps;
    out->images_per_s = options->batch / median;
    out->images_per_s_best = options->batch / bench->seconds[0];
    out->ms_per_step = median * 1e3;
    out->peak_rss_mb = (double)usage.ru_maxrss * 1024 / 1e6;
    out->activation_mb = (double)info.activation_bytes / 1e6;
    out->compile_seconds = info.compile_seconds;
    out->upload_bytes = info.step_upload;
}

static const EnginePassTime *pass_times(const Bench *bench, bool clear, int *count) {
    return bench->engine ? engine_profile(bench->engine, clear, count)
                         : executor_profile(bench->trainer.executor, clear, count);
}

/* Tells options.on_pass of every pass, and of what the passes do not account for. */
static void tell_profile(const Bench *bench) {
    const effnet_bench_options *options = &bench->options;
    int count;
    const EnginePassTime *times = pass_times(bench, false, &count);
    double in_passes = 0, best = 0;
    for (int i = 0; i < count; i++) {
        const EnginePassTime *time = &times[i];
        const effnet_pass_profile pass = {.struct_size = sizeof pass,
                                          .pass = time->pass,
                                          .op = time->op,
                                          .ms = time->seconds / options->steps * 1e3,
                                          .ms_best = time->best * 1e3,
                                          .operations = time->operations,
                                          .bytes = time->bytes};
        in_passes += time->seconds;
        best += time->best;
        options->on_pass(options->context, &pass);
    }
    double left = bench->seconds[0] - best;
    const effnet_pass_profile other = {.struct_size = sizeof other,
                                       .pass = "other",
                                       .op = "pack, loss, optimizer, average",
                                       .ms = (bench->total - in_passes) / options->steps * 1e3,
                                       .ms_best = left > 0 ? left * 1e3 : 0};
    options->on_pass(options->context, &other);
}

/* What exchange took of the measured steps, from all workers' own figures. */
static effnet_status summarize_traffic(Bench *bench, effnet_bench_result *out, effnet_error *err) {
    const int workers = workers_count(bench->workers);
    const WorkersTraffic mine = workers_traffic(bench->workers, true);
    WorkersTraffic *all;
    if (workers == 1) return EFFNET_OK;
    TRY(allocate((size_t)workers, sizeof *all, "the workers' figures", &all, err));
    effnet_status status = workers_gather(bench->workers, &mine, sizeof mine, all, "the workers' figures", err);
    for (int w = 0; w < workers && status == EFFNET_OK; w++) {
        const int64_t bytes = all[w].bytes / bench->options.steps;
        out->exchange_share += all[w].seconds / bench->total / workers;
        if (bytes > out->bytes_per_step) out->bytes_per_step = bytes;
    }
    memory_free(all);
    return status;
}

static effnet_status measure(Bench *bench, effnet_bench_result *out, effnet_error *err) {
    TRY(workers_agree(bench->workers, prepare(bench, err), err));
    for (int i = 0; i < WARM_UP_STEPS; i++) TRY(run_step(bench, true, err));
    int passes;
    pass_times(bench, true, &passes);
    workers_traffic(bench->workers, true);
    for (int i = 0; i < bench->options.steps; i++) {
        double began = clock_seconds();
        TRY(run_step(bench, i == bench->options.steps - 1, err));
        bench->seconds[i] = clock_seconds() - began;
        bench->total += bench->seconds[i];
    }
    summarize(bench, out);
    TRY(summarize_traffic(bench, out, err));
    if (bench->options.on_pass && !bench->on_device) tell_profile(bench);
    return EFFNET_OK;
}

effnet_status effnet_bench(const effnet_bench_options *options, effnet_bench_result *out, effnet_error *error) {
    Bench bench = {0};
    NEED(out);
    TRY(result_clear(out, "effnet_bench_result", error));
    TRY(options_copy(options, &bench.options, sizeof bench.options, "effnet_bench_options", error));
    TRY(check(&bench.options, &bench.dtype, error));
    const WorkersOptions workers = {.kind = bench.options.dist, .timeout_seconds = bench.options.dist_timeout};
    TRY(workers_open(&workers, &bench.workers, error));
    effnet_bench_result result = {.worker = workers_rank(bench.workers), .workers = workers_count(bench.workers)};
    effnet_status status = measure(&bench, &result, error);
    result.told_elsewhere = status != EFFNET_OK && result.worker > 0 && !workers_are_broken(bench.workers);
    result_write(out, &result, sizeof result);
    if (bench.has_trainer) trainer_free(&bench.trainer);
    engine_free(bench.engine);
    thread_team_free(bench.team);
    memory_free(bench.parameters);
    memory_free(bench.statistics);
    memory_free(bench.images);
    memory_free(bench.pixels);
    memory_free(bench.logits);
    memory_free(bench.labels);
    memory_free(bench.seconds);
    network_free(&bench.network);
    workers_close(bench.workers);
    return status;
}

effnet_status effnet_measure_limits(int threads, effnet_limits *out, effnet_error *error) {
    ThreadTeam *team;
    CpuLimits limits;
    NEED(out);
    TRY(result_clear(out, "effnet_limits", error));
    TRY(thread_team_create(threads, &team, error));
    effnet_status status = cpu_limits_measure(team, &limits, error);
    thread_team_free(team);
    if (status != EFFNET_OK) return status;
    effnet_limits found = {.threads = limits.threads,
                           .gflops = limits.gflops,
                           .bf16_gflops = limits.bf16_gflops,
                           .int8_gops = limits.int8_gops,
                           .amx_gflops = limits.amx_gflops,
                           .read_gbps = limits.read_gbps,
                           .copy_gbps = limits.copy_gbps};
    snprintf(found.isa, sizeof found.isa, "%s", limits.isa);
    result_write(out, &found, sizeof found);
    return EFFNET_OK;
}
