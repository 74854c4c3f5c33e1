/* engine_case.h - whole networks for which the CPU engine is held to the reference engine: small, odd cases (models,
 * resolutions, batches, both paddings, masks on), what an engine makes of one (logits, every gradient, running
 * statistics, inference), and that any number of threads makes the same bits of it. test_engine_parity compares them in
 * fp32, test_engine_bf16 and test_engine_int8 in theirs: programs of their own, so that they run side by side. */
#ifndef EFFNET_TESTS_ENGINE_CASE_H
#define EFFNET_TESTS_ENGINE_CASE_H

#include "backend/cpu/isa.h"
#include "base/random.h"
#include "compare.h"
#include "engine/engine.h"
#include "model/initialize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* The last two have kernels of their own for bf16 alone. */
static const char *const isa_names[] = {"scalar", "avx2", "avx512", "avx512bf16", "amx"};
enum { ISAS = 3, BF16_ISAS = 5, MANY = 17, CLASSES = 37, VARIANTS = 2 };
static const int thread_counts[] = {1, 2, 3, 8};
enum { THREAD_COUNTS = 4 };

/* How an engine is made. Of the CPU engine's two, expand convolutions are never stored (fused), and always; the latter
 * run on fewer teams, since most of the passes are the same. */
typedef struct Variant {
    const char *name;
    int fuse, threads_step;
    bool bf16, int8;
} Variant;
static const Variant exact = {.name = "reference"};

typedef struct Case {
    const char *model;
    bool tiny; /* of width 0.35 and depth 0.5 */
    TensorShape input;
    int batch, padding;
    bool unbiased;
} Case;

static const Case cases[] = {
    {"efficientnet_b0", true, {33, 33, 3}, 1, MODEL_PADDING_SAME, true},
    {"efficientnet_b0", true, {33, 33, 3}, 2, MODEL_PADDING_SYMMETRIC, false},
    {"efficientnet_b0", true, {47, 47, 3}, 3, MODEL_PADDING_SYMMETRIC, true},
    {"efficientnet_b0", true, {64, 64, 3}, 5, MODEL_PADDING_SAME, false},
    {"efficientnet_b0", false, {33, 33, 3}, 5, MODEL_PADDING_SYMMETRIC, true},
    {"efficientnet_b0", false, {47, 47, 3}, 2, MODEL_PADDING_SAME, true},
    {"efficientnet_b0", false, {64, 64, 3}, 3, MODEL_PADDING_SAME, false},
    {"efficientnet_b1", false, {33, 33, 3}, 5, MODEL_PADDING_SAME, true},
    {"efficientnet_b1", false, {47, 47, 3}, 3, MODEL_PADDING_SYMMETRIC, true},
    {"efficientnet_lite0", true, {47, 47, 3}, 5, MODEL_PADDING_SYMMETRIC, false},
    {"efficientnet_lite0", true, {64, 64, 3}, 3, MODEL_PADDING_SAME, true},
    {"efficientnet_lite0", false, {33, 33, 3}, 2, MODEL_PADDING_SAME, true},
    {"efficientnet_b0", true, {96, 96, 3}, 1, MODEL_PADDING_SAME, false},
    {"efficientnet_lite0", true, {64, 64, 3}, 1, MODEL_PADDING_SYMMETRIC, false},
    {"efficientnet_b0", true, {33, 71, 3}, 3, MODEL_PADDING_SAME, true},
    {"efficientnet_b0", true, {96, 40, 3}, 2, MODEL_PADDING_SYMMETRIC, false},
    {"efficientnet_lite0", true, {40, 64, 3}, 3, MODEL_PADDING_SAME, false},
    {"efficientnet_b0", true, {40, 47, 1}, 3, MODEL_PADDING_SAME, true},
    {"efficientnet_b0", true, {33, 40, 7}, 2, MODEL_PADDING_SYMMETRIC, true},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Under a sanitizer, ten times slower, a program takes some of them, and so does clang's, which is there for a compiler's
 * own roundings; a whole network's channels are in test_engine_bf16 and test_golden then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1, SAMPLED = 1 };
#elif defined(__clang__)
enum { SANITIZED = 0, SAMPLED = 1 };
#else
enum { SANITIZED = 0, SAMPLED = 0 };
#endif

/* ---- a case's inputs, and what an engine makes of them ---------------------------------------------------------- */

typedef struct Problem {
    char name[96];
    Network network;
    int batch;
    float *parameters, *statistics, *images, *logits_gradient, *drop_path_scale, *dropout_scale;
} Problem;

typedef struct Outcome {
    float *logits, *gradients, *statistics, *evaluated; /* evaluated: logits with the new running statistics */
    float *inferred; /* the same from two engines made for inference, for the batch and for MANY images */
} Outcome;

static inline float *floats(size_t count) {
    float *values = calloc(count ? count : 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static inline float *normal_floats(uint32_t key, size_t count) {
    float *values = floats(count);
    for (size_t i = 0; i < count; i++) values[i] = random_normal(random_key(key), i);
    return values;
}

/* Scales around 1, biases around 0 and running statistics off their first values, so that each of them counts. */
static inline void disturb_vectors(Problem *problem) {
    const Network *network = &problem->network;
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        float *values = problem->parameters + parameter->offset;
        for (size_t i = 0; parameter->rank == 1 && i < parameter->count; i++)
            values[i] += 0.2f * random_normal(random_key(100 + (uint64_t)p), i);
    }
    for (size_t i = 0; i < network->statistic_floats; i++)
        problem->statistics[i] += 0.3f * random_uniform(random_key(99), i);
}

static inline void problem_create(const Case *from, int attempt, Problem *problem) {
    effnet_error err;
    ModelConfig config;
    assert_int_equal(model_config_by_name(from->model, &config, &err), EFFNET_OK);
    if (from->tiny) config.width = 0.35, config.depth = 0.5;
    config.input = from->input;
    config.num_classes = CLASSES;
    config.padding = from->padding;
    config.bn_unbiased = from->unbiased;
    snprintf(problem->name, sizeof problem->name, "%s%s at %dx%dx%d, batch %d, %s padding", from->tiny ? "tiny " : "",
             from->model, from->input.height, from->input.width, from->input.channels, from->batch,
             from->padding == MODEL_PADDING_SAME ? "same" : "symmetric");
    assert_int_equal(network_build(&config, &problem->network, &err), EFFNET_OK);
    const Network *network = &problem->network;
    const int batch = problem->batch = from->batch;
    problem->parameters = floats(network->parameter_floats);
    problem->statistics = floats(network->statistic_floats);
    network_initialize(network, &(InitializeOptions){.seed = 42 + (uint64_t)attempt}, problem->parameters,
                       problem->statistics);
    disturb_vectors(problem);
    problem->images = normal_floats(1000 + (uint32_t)attempt, (size_t)batch * shape_floats(from->input));
    problem->logits_gradient = normal_floats(2, (size_t)batch * CLASSES);
    problem->drop_path_scale = floats((size_t)network->num_residuals * batch);
    problem->dropout_scale = floats((size_t)network->features * batch);
    for (size_t i = 0; i < (size_t)network->num_residuals * batch; i++)
        problem->drop_path_scale[i] = random_uniform(random_key(3), i) < 0.8f ? 1.25f : 0;
    for (size_t i = 0; i < (size_t)network->features * batch; i++)
        problem->dropout_scale[i] = random_uniform(random_key(4), i) < 0.8f ? 1.25f : 0;
}

static inline void problem_free(Problem *problem) {
    float *blocks[] = {problem->parameters,      problem->statistics,      problem->images,
                       problem->logits_gradient, problem->drop_path_scale, problem->dropout_scale};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    network_free(&problem->network);
}

static inline void outcome_free(Outcome *outcome) {
    free(outcome->logits), free(outcome->gradients), free(outcome->statistics), free(outcome->evaluated);
    free(outcome->inferred);
}

static inline EngineForward problem_call(const Problem *problem, float *statistics, float *logits, bool training) {
    return (EngineForward){.batch = problem->batch,
                           .images = problem->images,
                           .parameters = problem->parameters,
                           .statistics = statistics,
                           .training = training,
                           .drop_path_scale = problem->drop_path_scale,
                           .dropout_scale = problem->dropout_scale,
                           .logits = logits};
}

/* Every parameter moved to the float above or below it. */
static inline void move_parameters(Problem *problem) {
    for (size_t i = 0; i < problem->network.parameter_floats; i++)
        problem->parameters[i] = nextafterf(problem->parameters[i], random_bits(random_key(6), i) & 1 ? 1e9f : -1e9f);
}

/* Logits of an engine made for inference on `most` images: after other weights under another version, twice. */
static inline void infer(const Problem *problem, const EngineVtable *vtable, ThreadTeam *team, Variant variant,
                         int most, float *statistics, float *logits) {
    const size_t count = (size_t)problem->batch * CLASSES;
    effnet_error err = {0};
    Engine *engine;
    EngineOptions options = {
        .batch = most, .team = team, .fuse = variant.fuse, .bf16 = variant.bf16, .int8 = variant.int8};
    if (engine_create(vtable, &problem->network, &options, &engine, &err) != EFFNET_OK) fail_msg("%s", err.message);
    EngineForward call = problem_call(problem, statistics, logits, false);
    float *other = floats(problem->network.parameter_floats), *again = floats(count);
    for (size_t i = 0; i < problem->network.parameter_floats; i++) other[i] = 0.5f * problem->parameters[i];
    call.parameters = other;
    call.version = 1;
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    call.parameters = problem->parameters;
    call.version = 2;
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    call.logits = again;
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    assert_true(compare_bits("the second inference", again, logits, count, NULL, 0));
    free(other), free(again);
    engine_free(engine);
}

/* One engine, one size larger than the batch, or for one image (which goes ways of its own): a step's forward and backward,
 * onto gradients that are there (add) or over them, then evaluation. */
static inline void problem_train(const Problem *problem, const EngineVtable *vtable, ThreadTeam *team, Variant variant,
                                 bool add, Outcome *out) {
    const Network *network = &problem->network;
    effnet_error err = {0};
    Engine *engine;
    EngineOptions options = {.batch = problem->batch == 1 ? 1 : problem->batch + 1,
                             .training = true,
                             .team = team,
                             .fuse = variant.fuse,
                             .bf16 = variant.bf16};
    if (engine_create(vtable, network, &options, &engine, &err) != EFFNET_OK) fail_msg("%s", err.message);
    memcpy(out->statistics, problem->statistics, sizeof(float) * network->statistic_floats);
    EngineForward call = problem_call(problem, out->statistics, out->logits, true);
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    assert_null(engine_find_nonfinite(engine));
    assert_int_equal(engine_backward(engine, &call, problem->logits_gradient, out->gradients, add, &err), EFFNET_OK);
    if (out->evaluated) {
        call = problem_call(problem, out->statistics, out->evaluated, false);
        assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    }
    engine_free(engine);
}

/* A step, evaluation and inference. */
static inline Outcome problem_run(const Problem *problem, const EngineVtable *vtable, int threads, Variant variant) {
    const Network *network = &problem->network;
    effnet_error err = {0};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(threads, &team, &err), EFFNET_OK);
    Outcome out = {.logits = floats((size_t)problem->batch * CLASSES),
                   .gradients = floats(network->parameter_floats),
                   .statistics = floats(network->statistic_floats),
                   .evaluated = floats((size_t)problem->batch * CLASSES),
                   .inferred = floats(2 * (size_t)problem->batch * CLASSES)};
    for (size_t i = 0; i < network->parameter_floats; i++) out.gradients[i] = 5; /* to be overwritten */
    problem_train(problem, vtable, team, variant, false, &out);
    size_t logits = (size_t)problem->batch * CLASSES;
    if (vtable == &cpu_engine) {
        infer(problem, vtable, team, variant, problem->batch, out.statistics, out.inferred);
        infer(problem, vtable, team, variant, MANY, out.statistics, out.inferred + logits);
    } else { /* the specification has one way only */
        memcpy(out.inferred, out.evaluated, logits * sizeof(float));
        memcpy(out.inferred + logits, out.evaluated, logits * sizeof(float));
    }
    thread_team_free(team);
    return out;
}

/* Forces an instruction set for engines made from now on; false where this machine lacks it. */
static inline bool force_isa(const char *isa) {
    const CpuIsa *found;
    setenv("EFFNET_ISA", isa, 1);
    return cpu_isa_choose(&found, NULL) == EFFNET_OK;
}

/* A whole network, squeeze-excite and all channels, on one small image: what a sanitizer is to see of one. A single
 * image's last batch norms magnify a rounding beyond measure, so nothing is compared; the numbers are numbers. */
static inline void run_whole_network(const Variant *ways, int count, int isas) {
    static const Case whole = {"efficientnet_b0", false, {33, 33, 3}, 1, MODEL_PADDING_SAME, true};
    Problem problem;
    ThreadTeam *team;
    problem_create(&whole, 0, &problem);
    assert_int_equal(thread_team_create(2, &team, NULL), EFFNET_OK);
    Outcome out = {.logits = floats(CLASSES),
                   .gradients = floats(problem.network.parameter_floats),
                   .statistics = floats(problem.network.statistic_floats),
                   .evaluated = floats(CLASSES),
                   .inferred = floats(CLASSES)};
    memcpy(out.statistics, problem.statistics, sizeof(float) * problem.network.statistic_floats);
    for (int isa = 0; isa < isas; isa++)
        for (int way = 0; way < count && force_isa(isa_names[isa]); way++) {
            if (!ways[way].int8) problem_train(&problem, &cpu_engine, team, ways[way], false, &out);
            infer(&problem, &cpu_engine, team, ways[way], 1, out.statistics, out.inferred);
            for (int c = 0; c < CLASSES; c++) assert_true(isfinite(out.logits[c]) && isfinite(out.inferred[c]));
            for (size_t i = 0; i < problem.network.parameter_floats; i++) assert_true(isfinite(out.gradients[i]));
        }
    thread_team_free(team);
    outcome_free(&out);
    problem_free(&problem);
}

/* ---- threads and instruction sets ------------------------------------------------------------------------------------ */

static inline bool same_bits(const Problem *problem, const char *isa, int threads, const Outcome *got,
                             const Outcome *want) {
    const size_t logits = (size_t)problem->batch * CLASSES;
    char name[320];
    snprintf(name, sizeof name, "%s, %s, %d threads against 1", problem->name, isa, threads);
    return compare_bits(name, got->logits, want->logits, logits, NULL, 0) &&
           compare_bits(name, got->gradients, want->gradients, problem->network.parameter_floats, NULL, 0) &&
           compare_bits(name, got->statistics, want->statistics, problem->network.statistic_floats, NULL, 0) &&
           compare_bits(name, got->inferred, want->inferred, 2 * logits, NULL, 0) &&
           compare_bits(name, got->evaluated, want->evaluated, logits, NULL, 0);
}

/* The same bits for every number of threads. How a pass is split into tasks is every instruction set's alike, its tiles
 * aside: so each case tries it on one of the `sets`, in turn. */
static inline bool threads_are_tried(const Case *from, int isa, int sets) {
    int available[BF16_ISAS], count = 0;
    for (int i = 0; i < sets; i++)
        if (force_isa(isa_names[i])) available[count++] = i;
    (void)force_isa(isa_names[isa]);
    const int index = (int)(from - cases);
    return available[(index + index / 3) % count] == isa;
}

/* The same bits for every number of threads. */
static inline void check_threads(const Problem *problem, const char *name, Variant variant, const Outcome *first) {
    for (int t = 1; t < THREAD_COUNTS; t += variant.threads_step) {
        Outcome other = problem_run(problem, &cpu_engine, thread_counts[t], variant);
        assert_true(same_bits(problem, name, thread_counts[t], &other, first));
        outcome_free(&other);
    }
}

/* Root mean square of a difference. */
static inline double rms_difference(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum / (double)(count ? count : 1));
}

#endif
