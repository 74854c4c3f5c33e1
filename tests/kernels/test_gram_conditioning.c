/* test_gram_conditioning.c - expand convolutions that are never stored (cpu_gram.c, docs/maths.md) where their batch
 * norm's statistics are badly conditioned: a large mean with a tiny variance, dead channels, channels that are copies
 * of each other, filters that take the difference of nearly equal channels, scales far apart, first pixels unlike all
 * others. One training step of a small B0 whose first expand convolution reads such an input: logits, every gradient
 * and the running statistics against the reference engine, which computes batch norm directly and in double.
 *
 * Tolerance: TOLERANCE of each tensor's scale, or AS_DIRECT times what the same engine is off by when it stores the
 * convolution and takes its moments directly (fuse none): fp32 itself loses digits in some of these inputs before any
 * batch norm sees them. Cases that fp32 need not lose digits in say so with `exact`. */
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

static const double TOLERANCE = 1e-4, AS_DIRECT = 4;
enum { CLASSES = 10, RESOLUTION = 64, BATCH = 5, THREADS = 2, FUSE_ALL = 1, FUSE_NONE = 2 };
enum { FIRST_PIXELS = 96 }; /* whose mean cpu_gram.c takes for the shift */
static const char *const isa_names[] = {"scalar", "avx2", "avx512"};

/* What the first expand convolution reads, and its filters. */
typedef struct Problem {
    Network network;
    float *parameters, *images, *logits_gradient;
    float *project, *scale, *bias; /* of the block before: (channels, inputs); its batch norm */
    float *filters;                /* (expanded, channels) */
    int channels, inputs, expanded;
} Problem;

/* ---- conditions ------------------------------------------------------------------------------------------------ */

static void ordinary(Problem *problem) {
    (void)problem;
}

static void large_mean(Problem *problem) {
    for (int i = 0; i < problem->channels; i++) problem->scale[i] = 0.01f, problem->bias[i] = 1000;
}

static void dead_channels(Problem *problem) {
    for (int i = 0; i < problem->channels; i++)
        if (i % 3) problem->scale[i] = 0, problem->bias[i] = i % 3 == 1 ? 0.0f : 5.0f;
}

static void all_dead(Problem *problem) {
    for (int i = 0; i < problem->channels; i++) problem->scale[i] = 0, problem->bias[i] = 2;
}

/* Every channel the same but for its scale: the covariance has rank one. */
static void copies(Problem *problem) {
    for (int i = 1; i < problem->channels; i++)
        memcpy(problem->project + i * problem->inputs, problem->project, (size_t)problem->inputs * sizeof(float));
}

/* Pairs of channels that differ by `difference` of themselves, filters that take that difference. */
static void pairs(Problem *problem, float difference) {
    for (int i = 1; i < problem->channels; i += 2) {
        float *row = problem->project + i * problem->inputs;
        for (int j = 0; j < problem->inputs; j++) row[j] = row[j - problem->inputs] + difference * row[j];
        problem->scale[i] = problem->scale[i - 1] = 1000; /* so that what is left is not small beside eps */
    }
    for (int i = 0; i < problem->expanded * problem->channels; i += 2) problem->filters[i + 1] = -problem->filters[i];
}

static void near_pairs(Problem *problem) {
    pairs(problem, 1e-2f);
}

static void nearer_pairs(Problem *problem) {
    pairs(problem, 1e-3f);
}

static void equal_pairs(Problem *problem) {
    pairs(problem, 1e-5f);
}

static void mixed_scales(Problem *problem) {
    for (int i = 0; i < problem->channels; i++)
        problem->scale[i] = powf(10, -4 + 8 * (float)i / (float)(problem->channels - 1));
}

static void tiny_scale(Problem *problem) {
    for (int i = 0; i < problem->channels; i++) problem->scale[i] = 1e-5f, problem->bias[i] = 0;
}

/* The rows of the first picture that the first pixels are made of (their field of view is wider than themselves). */
static void odd_first_pixels(Problem *problem) {
    for (int i = 0; i < 2 * FIRST_PIXELS / RESOLUTION * 2 * RESOLUTION * 3; i++) problem->images[i] *= 1000;
}

static const struct Condition {
    const char *name;
    void (*apply)(Problem *problem);
    bool exact; /* TOLERANCE alone */
} conditions[] = {
    {"an ordinary input", ordinary, true},
    {"mean 1000, deviation 0.01", large_mean, true},
    {"two channels of three dead", dead_channels, true},
    {"every channel dead", all_dead, false},
    {"channels copies of one", copies, true},
    {"differences of channels alike to 1e-2", near_pairs, false},
    {"differences of channels alike to 1e-3", nearer_pairs, false},
    {"differences of channels alike to 1e-5", equal_pairs, false},
    {"scales from 1e-4 to 1e4", mixed_scales, true},
    {"scale 1e-5", tiny_scale, false},
    {"first pixels a thousand times the others", odd_first_pixels, false},
};
enum { CONDITIONS = sizeof conditions / sizeof *conditions };

/* ---- one step --------------------------------------------------------------------------------------------------- */

typedef struct Outcome {
    float *logits, *gradients, *statistics;
} Outcome;

static float *floats(size_t count) {
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

static float *normal_floats(uint32_t key, size_t count) {
    float *values = floats(count);
    for (size_t i = 0; i < count; i++) values[i] = random_normal(random_key(key), i);
    return values;
}

static float *named(const Problem *problem, const char *name, int shape[2]) {
    bool statistic;
    const Parameter *parameter = network_find(&problem->network, name, &statistic);
    assert_true(parameter && !statistic);
    if (shape) shape[0] = parameter->shape[0], shape[1] = parameter->shape[1];
    return problem->parameters + parameter->offset;
}

static void problem_create(const struct Condition *condition, Problem *problem) {
    effnet_error err;
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.depth = 0.5;
    config.input = (TensorShape){RESOLUTION, RESOLUTION, 3};
    config.num_classes = CLASSES;
    *problem = (Problem){0};
    Network *network = &problem->network;
    assert_int_equal(network_build(&config, network, &err), EFFNET_OK);
    problem->parameters = floats(network->parameter_floats);
    float *statistics = floats(network->statistic_floats);
    network_initialize(network, &(InitializeOptions){.seed = 7}, problem->parameters, statistics);
    free(statistics);
    for (int p = 0; p < network->num_parameters; p++) /* scales off 1 and biases off 0 */
        for (size_t i = 0; network->parameters[p].rank == 1 && i < network->parameters[p].count; i++)
            problem->parameters[network->parameters[p].offset + i] +=
                0.2f * random_normal(random_key(100 + (uint64_t)p), i);
    problem->images = normal_floats(5, (size_t)BATCH * RESOLUTION * RESOLUTION * 3);
    problem->logits_gradient = normal_floats(6, (size_t)BATCH * CLASSES);
    int project[2], expand[2];
    problem->project = named(problem, "blocks.0.0.conv_pw.weight", project);
    problem->scale = named(problem, "blocks.0.0.bn2.weight", NULL);
    problem->bias = named(problem, "blocks.0.0.bn2.bias", NULL);
    problem->filters = named(problem, "blocks.1.0.conv_pw.weight", expand);
    problem->channels = project[0], problem->inputs = project[1], problem->expanded = expand[0];
    assert_int_equal(expand[1], project[0]);
    condition->apply(problem);
}

static void problem_free(Problem *problem) {
    free(problem->parameters), free(problem->images), free(problem->logits_gradient);
    network_free(&problem->network);
}

static Outcome step(const Problem *problem, const EngineVtable *vtable, int fuse) {
    effnet_error err = {0};
    ThreadTeam *team;
    Engine *engine;
    assert_int_equal(thread_team_create(THREADS, &team, &err), EFFNET_OK);
    EngineOptions options = {.batch = BATCH, .training = true, .team = team, .fuse = fuse};
    if (engine_create(vtable, &problem->network, &options, &engine, &err) != EFFNET_OK) fail_msg("%s", err.message);
    Outcome out = {floats(BATCH * CLASSES), floats(problem->network.parameter_floats),
                   floats(problem->network.statistic_floats)};
    EngineForward call = {.batch = BATCH,
                          .images = problem->images,
                          .parameters = problem->parameters,
                          .statistics = out.statistics,
                          .training = true,
                          .logits = out.logits};
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    assert_int_equal(engine_backward(engine, &call, problem->logits_gradient, out.gradients, false, &err), EFFNET_OK);
    engine_free(engine);
    thread_team_free(team);
    return out;
}

static void outcome_free(Outcome *outcome) {
    free(outcome->logits), free(outcome->gradients), free(outcome->statistics);
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

typedef struct Trio {
    const float *fused, *direct, *want;
} Trio;

static double largest_difference(const float *got, const float *want, size_t count) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        if (!(difference <= worst)) worst = difference;
    }
    return worst;
}

static bool compare(const char *name, Trio trio, size_t at, size_t count, const int *shape, int rank, double scale,
                    bool exact, double *worst) {
    if (!(scale > 0)) scale = 1;
    double direct = largest_difference(trio.direct + at, trio.want + at, count) / scale;
    double fused = largest_difference(trio.fused + at, trio.want + at, count) / scale;
    if (!(fused <= *worst)) *worst = fused;
    double tolerance = exact || AS_DIRECT * direct < TOLERANCE ? TOLERANCE : AS_DIRECT * direct;
    return compare_floats_at_scale(name, trio.fused + at, trio.want + at, count, shape, rank, tolerance, scale);
}

/* A batch norm's bias at the scale of its weight, which sums the same terms; a running mean at that of the running
 * deviation; a running variance with eps, which is added wherever it is used. */
static double scale_of(const Network *network, const Parameter *tensor, const float *want) {
    const double kept = 1 - network->config.bn_momentum; /* the statistics began at zero */
    double scale = compare_scale(want + tensor->offset, false, tensor->count);
    if (tensor->role == ROLE_BN_BIAS)
        scale = fmax(scale, compare_scale(want + tensor[-1].offset, false, tensor->count));
    if (tensor->role == ROLE_RUNNING_MEAN)
        scale = fmax(scale, sqrt(kept * (compare_scale(want + tensor[1].offset, false, tensor->count) +
                                         kept * network->config.bn_eps)));
    if (tensor->role == ROLE_RUNNING_VARIANCE) scale += kept * network->config.bn_eps;
    return scale;
}

static bool compare_all(const Problem *problem, const char *isa, const struct Condition *condition,
                        const Outcome *fused, const Outcome *direct, const Outcome *want) {
    const Network *network = &problem->network;
    double worst[3] = {0};
    char name[256];
    snprintf(name, sizeof name, "%s, %s: logits", condition->name, isa);
    bool same =
        compare(name, (Trio){fused->logits, direct->logits, want->logits}, 0, BATCH * CLASSES, (int[]){BATCH, CLASSES},
                2, compare_scale(want->logits, false, BATCH * CLASSES), condition->exact, &worst[0]);
    for (int statistics = 0; statistics < 2; statistics++) {
        const Trio trio = statistics ? (Trio){fused->statistics, direct->statistics, want->statistics}
                                     : (Trio){fused->gradients, direct->gradients, want->gradients};
        const Parameter *tensors = statistics ? network->statistics : network->parameters;
        for (int p = 0; p < (statistics ? network->num_statistics : network->num_parameters); p++) {
            snprintf(name, sizeof name, "%s, %s: %s%s", condition->name, isa, statistics ? "" : "gradient of ",
                     tensors[p].name);
            same = compare(name, trio, tensors[p].offset, tensors[p].count, tensors[p].shape, tensors[p].rank,
                           scale_of(network, &tensors[p], trio.want), condition->exact, &worst[1 + statistics]) &&
                   same;
        }
    }
    printf("%s, %s: worst of logits %.1e, gradients %.1e, statistics %.1e\n", condition->name, isa, worst[0], worst[1],
           worst[2]);
    return same;
}

static void condition_holds(void **state) {
    const struct Condition *condition = *state;
    Problem problem;
    problem_create(condition, &problem);
    Outcome want = step(&problem, &reference_engine, 0);
    bool all = true;
    for (size_t i = 0; i < sizeof isa_names / sizeof *isa_names; i++) {
        const CpuIsa *isa;
        setenv("EFFNET_ISA", isa_names[i], 1);
        if (cpu_isa_choose(&isa, NULL) != EFFNET_OK) {
            printf("this machine has no %s\n", isa_names[i]);
            continue;
        }
        Outcome fused = step(&problem, &cpu_engine, FUSE_ALL), direct = step(&problem, &cpu_engine, FUSE_NONE);
        all = compare_all(&problem, isa_names[i], condition, &fused, &direct, &want) && all;
        outcome_free(&fused), outcome_free(&direct);
    }
    outcome_free(&want);
    problem_free(&problem);
    assert_true(all);
}

int main(void) {
    struct CMUnitTest tests[CONDITIONS];
    for (size_t i = 0; i < CONDITIONS; i++)
        tests[i] = (struct CMUnitTest){conditions[i].name, condition_holds, NULL, NULL, (void *)&conditions[i]};
    return _cmocka_run_group_tests("conditioning of the second moments", tests, CONDITIONS, NULL, NULL);
}
