/* test_engine_bf16.c - the CPU engine in bf16 held to the reference engine, whole networks at a time; cases and threads:
 * engine_case.h.
 *
 * In bf16 every stored number is off by up to 2^-9 of itself, and two right programs differ by that, magnified by the
 * network. What the reference's bf16 is off by from its exact result, in root mean square over each tensor, says how
 * much that is (twice: once from neighbouring parameters); the CPU engine's bf16 may be off by NOISE times as much, or
 * by BF16_FLOOR of the largest value. */
#include "engine_case.h"

static const double NOISE = 4, BF16_FLOOR = 6e-3;
static const Variant bf16_variants[VARIANTS] = {{.name = "fused, bf16", .fuse = 1, .threads_step = 2, .bf16 = true},
                                                {.name = "unfused, bf16", .fuse = 2, .threads_step = 3, .bf16 = true}};
static const Variant rounded = {.name = "reference, bf16", .bf16 = true};

/* How far the CPU engine's bf16 is from the exact result, in units of how far the reference's bf16 is. */
static bool as_close(const char *name, const float *got, const float *want, const float *noisy[2], size_t count,
                     double scale, double *worst) {
    double error = rms_difference(got, want, count);
    double noise = fmax(rms_difference(noisy[0], want, count), rms_difference(noisy[1], want, count));
    double allowed = fmax(NOISE * noise, BF16_FLOOR * scale);
    if (!(error / allowed <= *worst)) *worst = error / allowed;
    if (error <= allowed) return true;
    fprintf(stderr, "FAIL %s: off by %.3e (rms), allowed %.3e: the reference in bf16 is off by %.3e, scale %.3e\n",
            name, error, allowed, noise, scale);
    return false;
}

static bool compare_bf16(const Problem *problem, const char *isa, const Outcome *got, const Outcome *want,
                         const Outcome noisy[2]) {
    const Network *network = &problem->network;
    const size_t logits = (size_t)problem->batch * CLASSES;
    double worst[3] = {0};
    bool same = true;
    const struct {
        const char *what;
        const float *got, *want, *noisy[2];
        size_t count;
    } results[] = {
        {"in training", got->logits, want->logits, {noisy[0].logits, noisy[1].logits}, logits},
        {"in evaluation", got->evaluated, want->evaluated, {noisy[0].evaluated, noisy[1].evaluated}, logits},
        {"of inference", got->inferred, want->inferred, {noisy[0].inferred, noisy[1].inferred}, 2 * logits},
    };
    char name[320];
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        const float *off[2] = {results[i].noisy[0], results[i].noisy[1]};
        snprintf(name, sizeof name, "%s, %s: logits %s", problem->name, isa, results[i].what);
        same = as_close(name, results[i].got, results[i].want, off, results[i].count,
                        compare_scale(results[i].want, false, results[i].count), &worst[0]) &&
               same;
    }
    for (int kind = 0; kind < 2; kind++) {
        const Parameter *tensors = kind ? network->statistics : network->parameters;
        const int count = kind ? network->num_statistics : network->num_parameters;
        const float *made = kind ? got->statistics : got->gradients;
        const float *right = kind ? want->statistics : want->gradients;
        for (int p = 0; p < count; p++) {
            const Parameter *tensor = &tensors[p];
            const size_t at = tensor->offset;
            const float *off[2];
            for (int i = 0; i < 2; i++) off[i] = (kind ? noisy[i].statistics : noisy[i].gradients) + at;
            snprintf(name, sizeof name, "%s, %s: %s of %s", problem->name, isa, kind ? "new value" : "gradient",
                     tensor->name);
            double scale = compare_scale(right + at, false, tensor->count);
            if (tensor->role == ROLE_BN_BIAS) /* as in compare_tensors; zero in theory, and left over from sums that are
                                                 rounded in another order where a convolution is not stored */
                scale = 3 * fmax(scale, compare_scale(right + tensors[p - 1].offset, false, tensors[p - 1].count));
            same = as_close(name, made + at, right + at, off, tensor->count, scale, &worst[1 + kind]) && same;
        }
    }
    printf("%s, %s: worst share of what is allowed: logits %.2f, gradients %.2f, statistics %.2f\n", problem->name, isa,
           worst[0], worst[1], worst[2]);
    return same;
}

static void bf16_training_and_evaluation(void **state) {
    const Case *from = *state;
    Problem problem, neighbour;
    problem_create(from, 0, &problem);
    problem_create(from, 0, &neighbour);
    move_parameters(&neighbour);
    Outcome want = problem_run(&problem, &reference_engine, 2, exact);
    Outcome noisy[2] = {problem_run(&problem, &reference_engine, 2, rounded),
                        problem_run(&neighbour, &reference_engine, 2, rounded)};
    bool all = true;
    for (int isa = 0; isa < BF16_ISAS; isa++) {
        if (!force_isa(isa_names[isa])) continue;
        for (int v = 0; v < VARIANTS; v++) {
            char name[64];
            snprintf(name, sizeof name, "%s, %s", isa_names[isa], bf16_variants[v].name);
            Outcome first = problem_run(&problem, &cpu_engine, thread_counts[0], bf16_variants[v]);
            all = compare_bf16(&problem, name, &first, &want, noisy) && all;
            if (threads_are_tried(from, isa, BF16_ISAS)) check_threads(&problem, name, bf16_variants[v], &first);
            outcome_free(&first);
        }
    }
    outcome_free(&want);
    outcome_free(&noisy[0]);
    outcome_free(&noisy[1]);
    problem_free(&problem);
    problem_free(&neighbour);
    assert_true(all);
}

static void whole_network(void **state) {
    (void)state;
    run_whole_network(bf16_variants, VARIANTS, BF16_ISAS);
}

int main(void) {
    /* The first case, a single small image, magnifies bf16's rounding beyond measure. */
    static const int sample[] = {9, 11, 12, 3, 6};
    struct CMUnitTest tests[CASES + 1];
    size_t count = 0;
    for (size_t at = 0; at < (SANITIZED ? 3 : sizeof sample / sizeof *sample); at++) {
        const Case *from = &cases[sample[at]];
        tests[count++] = (struct CMUnitTest){from->model, bf16_training_and_evaluation, NULL, NULL, (void *)from};
    }
    tests[count++] = (struct CMUnitTest){"a whole network", whole_network, NULL, NULL, NULL};
    return _cmocka_run_group_tests("engine parity, bf16", tests, count, NULL, NULL);
}
