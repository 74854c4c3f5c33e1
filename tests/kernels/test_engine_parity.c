/* test_engine_parity.c - the CPU engine held to the reference engine, whole networks at a time.
 *
 * For a family of small, odd cases (models, resolutions, batches, both paddings, masks on) one training step and one
 * evaluation: logits, every gradient, running statistics. The reference computes in double from the same fp32
 * parameters, so the difference is the CPU engine's own rounding. And for 1, 2, 3 and 8 threads the CPU engine must
 * give the same bits. Everything for each instruction set that this machine has (EFFNET_ISA).
 *
 * Tolerance: 1e-4 of each tensor's largest value. Three things need a word.
 *  - The gradient of a batch norm's bias is compared at the scale of that batch norm's scale gradient, which sums the
 *    same terms: a projection's bias has gradient zero in theory (the next batch norm takes a constant away), and fp32
 *    leaves noise of the terms' size.
 *  - A batch norm over a handful of rows (4 at 33x33 with one image) magnifies every rounding before it. How much, the
 *    reference says itself: it runs again with every parameter moved to a neighbouring float, and the change of a
 *    tensor, times MAGNIFICATION, is allowed where that exceeds 1e-4. (A layer rounds its activations as well as its
 *    parameters; the worst ratio measured is printed.) No more than LOOSEST is ever allowed.
 *  - At the corners of ReLU6 a rounding turns a slope from 0 to 1, and a gradient jumps: with some 10^5 activations
 * that differ by some 1e-6, one run in several. So a ReLU6 case has ATTEMPTS draws of pictures and weights, of which
 * each instruction set must pass one; a wrong formula fails them all. */
#include "engine_case.h"

static const double TOLERANCE = 1e-4, MAGNIFICATION = 32, LOOSEST = 5e-3;
static const double ADDING = 2e-6; /* sums in fp32 that begin from another number; of the largest value */
enum { ATTEMPTS = 4 };
static const Variant variants[VARIANTS] = {{.name = "fused", .fuse = 1, .threads_step = 1},
                                           {.name = "unfused", .fuse = 2, .threads_step = 2}};

/* ---- comparing ------------------------------------------------------------------------------------------------- */

static double relative_worst(const float *got, const float *want, size_t count, double scale) {
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]) / (scale > 0 ? scale : 1);
        if (!(difference <= worst)) worst = difference;
    }
    return worst;
}

/* The worst over tensors: of the difference, and of its ratio to the reference's own change. */
typedef struct Worst {
    double difference, ratio;
} Worst;

static bool compare_tensor(const char *name, const Parameter *tensor, const float *got, const float *want,
                           const float *moved, double scale, Worst *worst) {
    double difference = relative_worst(got, want, tensor->count, scale);
    double change = relative_worst(moved, want, tensor->count, scale);
    double tolerance = fmin(fmax(TOLERANCE, MAGNIFICATION * change), LOOSEST);
    if (!(difference <= worst->difference)) worst->difference = difference;
    if (difference > TOLERANCE && !(difference / change <= worst->ratio)) worst->ratio = difference / change;
    return compare_floats_at_scale(name, got, want, tensor->count, tensor->shape, tensor->rank, tolerance, scale);
}

static bool compare_tensors(const Problem *problem, const char *isa, bool statistics, const float *got,
                            const float *want, const float *moved, Worst *worst) {
    const Network *network = &problem->network;
    const Parameter *tensors = statistics ? network->statistics : network->parameters;
    const int count = statistics ? network->num_statistics : network->num_parameters;
    bool same = true;
    for (int p = 0; p < count; p++) {
        const Parameter *tensor = &tensors[p];
        const size_t at = tensor->offset;
        double scale = compare_scale(want + at, false, tensor->count);
        if (tensor->role == ROLE_BN_BIAS) /* its batch norm's scale stands before it */
            scale = fmax(scale, compare_scale(want + tensors[p - 1].offset, false, tensors[p - 1].count));
        char name[320];
        snprintf(name, sizeof name, "%s, %s: %s of %s", problem->name, isa, statistics ? "new value" : "gradient",
                 tensor->name);
        same = compare_tensor(name, tensor, got + at, want + at, moved + at, scale, worst) && same;
    }
    return same;
}

static bool compare_outcomes(const Problem *problem, const char *isa, const Outcome *got, const Outcome *want,
                             const Outcome *moved) {
    const Parameter logits = {.rank = 2, .shape = {problem->batch, CLASSES}, .count = (size_t)problem->batch * CLASSES};
    Worst worst[4] = {{0, 0}};
    char name[320];
    snprintf(name, sizeof name, "%s, %s: logits in training", problem->name, isa);
    bool same = compare_tensor(name, &logits, got->logits, want->logits, moved->logits,
                               compare_scale(want->logits, false, logits.count), &worst[0]);
    snprintf(name, sizeof name, "%s, %s: logits in evaluation", problem->name, isa);
    same = compare_tensor(name, &logits, got->evaluated, want->evaluated, moved->evaluated,
                          compare_scale(want->evaluated, false, logits.count), &worst[1]) &&
           same;
    for (int many = 0; many < 2; many++) {
        const size_t at = (size_t)many * logits.count;
        snprintf(name, sizeof name, "%s, %s: logits of an engine made for inference on %s images", problem->name, isa,
                 many ? "many" : "a few");
        same = compare_tensor(name, &logits, got->inferred + at, want->inferred + at, moved->inferred + at,
                              compare_scale(want->evaluated, false, logits.count), &worst[1]) &&
               same;
    }
    same = compare_tensors(problem, isa, false, got->gradients, want->gradients, moved->gradients, &worst[2]) && same;
    same = compare_tensors(problem, isa, true, got->statistics, want->statistics, moved->statistics, &worst[3]) && same;
    printf("%s, %s: worst of logits %.1e, evaluation %.1e, gradients %.1e (%.1f times the reference's change), "
           "statistics %.1e\n",
           problem->name, isa, worst[0].difference, worst[1].difference, worst[2].difference, worst[2].ratio,
           worst[3].difference);
    return same;
}

/* ---- tests ----------------------------------------------------------------------------------------------------------- */

/* Sets passed[isa] of the sets that pass; those that had passed already are left out. */
static void try_case(const Case *from, int attempt, bool passed[ISAS]) {
    Problem problem, neighbour;
    problem_create(from, attempt, &problem);
    problem_create(from, attempt, &neighbour);
    move_parameters(&neighbour);
    Outcome reference = problem_run(&problem, &reference_engine, 2, exact);
    Outcome moved = problem_run(&neighbour, &reference_engine, 2, exact);
    for (int isa = 0; isa < ISAS; isa++) {
        if (passed[isa]) continue;
        if (!force_isa(isa_names[isa])) {
            printf("%s: this machine has no %s\n", problem.name, isa_names[isa]);
            passed[isa] = true;
            continue;
        }
        passed[isa] = true;
        for (int v = 0; v < VARIANTS; v++) {
            char name[64];
            snprintf(name, sizeof name, "%s, %s", isa_names[isa], variants[v].name);
            Outcome first = problem_run(&problem, &cpu_engine, thread_counts[0], variants[v]);
            if (!compare_outcomes(&problem, name, &first, &reference, &moved)) passed[isa] = false;
            if (threads_are_tried(from, isa, ISAS)) check_threads(&problem, name, variants[v], &first);
            outcome_free(&first);
        }
    }
    outcome_free(&reference);
    outcome_free(&moved);
    problem_free(&problem);
    problem_free(&neighbour);
}

static void check_case(const Case *from) {
    const int attempts = strstr(from->model, "lite") ? ATTEMPTS : 1;
    bool passed[ISAS] = {false}, all = false;
    for (int attempt = 0; attempt < attempts && !all; attempt++) {
        if (attempt) fprintf(stderr, "%s: a ReLU6 slope may have turned; attempt %d\n", from->model, attempt + 1);
        try_case(from, attempt, passed);
        all = true;
        for (int isa = 0; isa < ISAS; isa++) all = all && passed[isa];
    }
    assert_true(all);
}

/* Backward that adds to what is there, as parts of a batch do: onto numbers of the gradients' own size, tensor by tensor.
 * Every place that writes a gradient has this choice of its own. */
static void gradients_add_up(void **state) {
    (void)state;
    static const int of_cases[] = {SANITIZED ? 1 : 3, SANITIZED ? 9 : 10}; /* B0, Lite */
    static const Variant ways[] = {{.name = "fused", .fuse = 1},
                                   {.name = "unfused", .fuse = 2},
                                   {.name = "fused, bf16", .fuse = 1, .bf16 = true},
                                   {.name = "unfused, bf16", .fuse = 2, .bf16 = true}};
    bool same = true;
    for (size_t at = 0; at < sizeof of_cases / sizeof *of_cases; at++) {
        Problem problem;
        problem_create(&cases[of_cases[at]], 0, &problem);
        const Network *network = &problem.network;
        const size_t count = network->parameter_floats;
        Outcome alone = {.logits = floats((size_t)problem.batch * CLASSES),
                         .gradients = floats(count),
                         .statistics = floats(network->statistic_floats)};
        float *sums = floats(count), *given = alone.gradients;
        ThreadTeam *team;
        assert_int_equal(thread_team_create(2, &team, NULL), EFFNET_OK);
        for (size_t i = 0; i < (size_t)BF16_ISAS * (sizeof ways / sizeof *ways); i++) {
            const Variant *way = &ways[i / BF16_ISAS];
            const char *isa = isa_names[i % BF16_ISAS];
            if (!force_isa(isa)) continue;
            problem_train(&problem, &cpu_engine, team, *way, false, &alone);
            for (size_t g = 0; g < count; g++) sums[g] = 0.5f * given[g], given[g] *= 1.5f;
            alone.gradients = sums;
            problem_train(&problem, &cpu_engine, team, *way, true, &alone);
            alone.gradients = given;
            for (int p = 0; p < network->num_parameters; p++) {
                const Parameter *tensor = &network->parameters[p];
                const float *want = given + tensor->offset;
                char name[320];
                snprintf(name, sizeof name, "%s, %s, %s: %s, added to", problem.name, isa, way->name, tensor->name);
                same = compare_floats_at_scale(name, sums + tensor->offset, want, tensor->count, tensor->shape,
                                               tensor->rank, ADDING, compare_scale(want, false, tensor->count)) &&
                       same;
            }
        }
        thread_team_free(team);
        free(sums);
        outcome_free(&alone);
        problem_free(&problem);
    }
    assert_true(same);
}

/* Of width 0.2 the first block has as many channels as the stem, so it adds the stem's activation to its branch. */
static void refuses_a_residual_of_an_activation(void **state) {
    (void)state;
    unsetenv("EFFNET_ISA");
    ModelConfig config;
    Network network;
    effnet_error err = {0};
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.width = 0.2;
    config.depth = 0.1;
    config.input = (TensorShape){32, 32, 3};
    assert_int_equal(network_build(&config, &network, &err), EFFNET_OK);
    const EngineOptions options = {.batch = 1};
    Engine *engine;
    assert_int_equal(engine_create(&cpu_engine, &network, &options, &engine, &err), EFFNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "blocks.0.0"));
    assert_int_equal(engine_create(&reference_engine, &network, &options, &engine, &err), EFFNET_OK);
    engine_free(engine);
    network_free(&network);
}

static void training_and_evaluation(void **state) {
    check_case(*state);
}

int main(void) {
    static const int sample[] = {0, 2, 9, 12};
    struct CMUnitTest tests[CASES + 2];
    size_t count = 0, most = SAMPLED ? sizeof sample / sizeof *sample : CASES;
    for (size_t at = 0; at < most; at++) {
        const size_t i = SAMPLED ? (size_t)sample[at] : at;
        tests[count++] = (struct CMUnitTest){cases[i].model, training_and_evaluation, NULL, NULL, (void *)&cases[i]};
    }
    tests[count++] = (struct CMUnitTest){"gradients add up", gradients_add_up, NULL, NULL, NULL};
    tests[count++] = (struct CMUnitTest){"refuses a residual of an activation", refuses_a_residual_of_an_activation,
                                         NULL, NULL, NULL};
    return _cmocka_run_group_tests("engine parity, fp32", tests, count, NULL, NULL);
}
