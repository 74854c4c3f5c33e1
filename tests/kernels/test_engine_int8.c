/* test_engine_int8.c - the CPU engine in int8, with activations in fp32 and in bf16, held to the reference engine, whole
 * networks at a time; cases: engine_case.h. */
#include "engine_case.h"

static const double NOISE = 4, INT8_SHARE = 0.75;

/* Inference in int8, activations in fp32 and in bf16, on a few images and on many. What the reference's int8 is off by
 * from the exact result is the measure: the CPU engine's may differ from the reference's by INT8_SHARE of it where
 * activations are fp32 (a value between two steps falls to the other side now and then, and the next layers magnify
 * it), and together with bf16 be as far off as NOISE says. An engine that did not round would differ by all of it. */
static void int8_inference(void **state) {
    Problem problem;
    problem_create(*state, 0, &problem);
    const size_t logits = (size_t)problem.batch * CLASSES;
    float *want = floats(2 * logits), *got = floats(2 * logits), *statistics = floats(problem.network.statistic_floats);
    float *noisy[2] = {floats(2 * logits), floats(2 * logits)};
    const Variant bytes[2] = {{.name = "int8", .int8 = true}, {.name = "int8, bf16", .int8 = true, .bf16 = true}};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(2, &team, NULL), EFFNET_OK);
    memcpy(statistics, problem.statistics, sizeof(float) * problem.network.statistic_floats);
    for (int many = 0; many < 2; many++) {
        size_t at = many * logits;
        infer(&problem, &reference_engine, team, exact, problem.batch, statistics, want + at);
        for (int b = 0; b < 2; b++)
            infer(&problem, &reference_engine, team, bytes[b], problem.batch, statistics, noisy[b] + at);
    }
    bool all = true;
    for (int isa = 0; isa < BF16_ISAS; isa++) {
        if (!force_isa(isa_names[isa])) continue;
        for (int b = 0; b < 2; b++)
            for (int fuse = 1; fuse <= 2; fuse++) {
                Variant variant = bytes[b];
                variant.fuse = fuse;
                infer(&problem, &cpu_engine, team, variant, problem.batch, statistics, got);
                infer(&problem, &cpu_engine, team, variant, MANY, statistics, got + logits);
                double noise = rms_difference(noisy[b], want, 2 * logits);
                double off = rms_difference(got, b ? want : noisy[b], 2 * logits);
                double allowed = (b ? NOISE : INT8_SHARE) * noise;
                printf("%s, %s, %s: off by %.2e of %.2e allowed\n", problem.name, isa_names[isa], variant.name, off,
                       allowed);
                if (off <= allowed) continue;
                fprintf(stderr, "FAIL %s, %s, %s, fuse %d: off by %.3e (rms), allowed %.3e\n", problem.name,
                        isa_names[isa], variant.name, fuse, off, allowed);
                all = false;
            }
    }
    thread_team_free(team);
    free(want), free(got), free(statistics), free(noisy[0]), free(noisy[1]);
    problem_free(&problem);
    assert_true(all);
}

static void whole_network(void **state) {
    (void)state;
    static const Variant ways[] = {{.name = "int8, fused", .fuse = 1, .int8 = true},
                                   {.name = "int8, bf16, unfused", .fuse = 2, .int8 = true, .bf16 = true}};
    run_whole_network(ways, 2, BF16_ISAS);
}

static void int8_refuses_training(void **state) {
    Problem problem;
    unsetenv("EFFNET_ISA"); /* the last that was tried may be one that this processor lacks */
    problem_create(*state, 0, &problem);
    const EngineOptions options = {.batch = 1, .training = true, .int8 = true};
    const EngineVtable *engines[2] = {&cpu_engine, &reference_engine};
    for (int e = 0; e < 2; e++) {
        Engine *engine;
        effnet_error err = {0};
        assert_int_equal(engine_create(engines[e], &problem.network, &options, &engine, &err), EFFNET_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "int8"));
    }
    problem_free(&problem);
}

int main(void) {
    static const int sample[] = {9, 11, 12, 3, 6};
    struct CMUnitTest tests[CASES + 2];
    size_t count = 0;
    for (size_t at = 0; at < (SANITIZED ? 2 : sizeof sample / sizeof *sample); at++) {
        const Case *from = &cases[sample[at]];
        tests[count++] = (struct CMUnitTest){from->model, int8_inference, NULL, NULL, (void *)from};
    }
    tests[count++] = (struct CMUnitTest){"a whole network", whole_network, NULL, NULL, NULL};
    tests[count++] = (struct CMUnitTest){"int8 refuses training", int8_refuses_training, NULL, NULL, (void *)&cases[0]};
    return _cmocka_run_group_tests("engine parity, int8", tests, count, NULL, NULL);
}
