/* test_optimizer_layerwise.c - LARS and LAMB against timm and Optax (layerwise_golden.h), every combination of their
 * switches against the papers' formulas in double precision, and team sizes against each other bit by bit. */
#include "compare.h"
#include "golden/layerwise_golden.h"
#include "spec_of.h"
#include "step/optimizer.h"
#include "step/state.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Those of make_layerwise.py: a classifier of zeros and a kernel without gradients have no ratio at first or ever. */
static Parameter parameters[] = {
    {.name = "conv", .role = ROLE_CONV, .count = 40},        {.name = "bn_scale", .role = ROLE_BN_SCALE, .count = 6},
    {.name = "bn_bias", .role = ROLE_BN_BIAS, .count = 6},   {.name = "unused", .role = ROLE_CONV, .count = 9},
    {.name = "classifier", .role = ROLE_DENSE, .count = 20}, {.name = "bias", .role = ROLE_BIAS, .count = 5},
};
enum { PARAMETERS = sizeof parameters / sizeof parameters[0], STATISTICS = 12 };

static Network network;

static double weight_at(int p, int i) {
    return strcmp(parameters[p].name, "classifier") == 0 ? 0 : ((i * 37 + p * 11) % 101 - 50) / 64.0;
}
static double gradient_at(int step, int p, int i) {
    return strcmp(parameters[p].name, "unused") == 0 ? 0 : ((i * 53 + step * 29 + p * 7) % 97 - 48) / 128.0;
}
static double statistic_at(int step, int i) {
    return (step + 1) * (i + 1) / 32.0;
}
static double rate_at(const Recipe *recipe, int step) {
    return layerwise_rates[step] * (recipe->opt == OPTIMIZER_LAMB ? 0.02 : 1);
}

/* The blocks after LAYERWISE_STEPS steps; `ema_parameters` and the slots may be looked at too. */
static TrainState run(const Recipe *recipe, int threads) {
    TrainState state = {0};
    float **blocks[] = {&state.parameters,     &state.gradients,  &state.slots[0],      &state.slots[1],
                        &state.ema_parameters, &state.statistics, &state.ema_statistics};
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        *blocks[b] = calloc(b < 5 ? network.parameter_floats : STATISTICS, sizeof(float));
        assert_non_null(*blocks[b]);
    }
    for (int p = 0; p < PARAMETERS; p++)
        for (int i = 0; i < (int)parameters[p].count; i++)
            state.parameters[parameters[p].offset + (size_t)i] = (float)weight_at(p, i);
    memcpy(state.ema_parameters, state.parameters, network.parameter_floats * sizeof(float));
    ThreadTeam *team;
    assert_int_equal(thread_team_create(threads, &team, NULL), EFFNET_OK);
    for (int step = 0; step < LAYERWISE_STEPS; step++) {
        for (int p = 0; p < PARAMETERS; p++)
            for (int i = 0; i < (int)parameters[p].count; i++)
                state.gradients[parameters[p].offset + (size_t)i] = (float)gradient_at(step, p, i);
        for (int i = 0; i < STATISTICS; i++) state.statistics[i] = (float)statistic_at(step, i);
        optimizer_step(&network, spec_of(recipe), &state, rate_at(recipe, step), team);
        assert_int_equal(state.step, step + 1);
    }
    thread_team_free(team);
    return state;
}

static void free_state(TrainState *state) {
    free(state->parameters);
    free(state->gradients);
    free(state->slots[0]);
    free(state->slots[1]);
    free(state->ema_parameters);
    free(state->statistics);
    free(state->ema_statistics);
}

static Recipe recipe_with(const char *keys) {
    Recipe recipe;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    recipe.weight_decay = layerwise_decay;
    recipe.decay_mask = DECAY_MASK_NO_BN_BIAS;
    char text[512];
    snprintf(text, sizeof text, "%s", keys);
    for (char *rest = text, *key; (key = strsep(&rest, " "));) {
        char *value = strchr(key, '=');
        assert_non_null(value);
        *value++ = 0;
        if (recipe_set(&recipe, key, value, &err) != EFFNET_OK) fail_msg("%s", err.message);
    }
    if (recipe_check(&recipe, &err) != EFFNET_OK) fail_msg("%s: %s", keys, err.message);
    return recipe;
}

static void check(const char *name, const Recipe *recipe, const double *wide) {
    float want[LAYERWISE_WEIGHTS];
    for (int i = 0; i < LAYERWISE_WEIGHTS; i++) want[i] = (float)wide[i];
    TrainState state = run(recipe, 2);
    if (!compare_floats("weights", state.parameters, want, LAYERWISE_WEIGHTS, NULL, 0, 1e-6)) fail_msg("%s", name);
    free_state(&state);
}

static void test_timm_and_optax(void **unused) {
    (void)unused;
    for (size_t c = 0; c < sizeof layerwise_cases / sizeof layerwise_cases[0]; c++) {
        const LayerwiseCase *one = &layerwise_cases[c];
        const Recipe recipe = recipe_with(one->keys);
        char name[512];
        snprintf(name, sizeof name, "%s: %s", one->program, one->keys);
        check(name, &recipe, one->weights);
    }
}

static double norm(const double *values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum);
}

/* The papers' algorithms for one parameter at one step, in double, with the switches written out. */
static void formula(const Recipe *r, int step, int p, double *w, double *slot0, double *slot1) {
    enum { MOST = 40 };
    const int n = (int)parameters[p].count;
    const ParameterRole role = parameters[p].role;
    const bool decays = role == ROLE_CONV || role == ROLE_DENSE, adapts = decays || r->trust_mask == TRUST_MASK_ALL;
    const double decay = decays ? r->weight_decay * (r->decay_mode == DECAY_MODE_HALF_L2 ? 0.5 : 1) : 0;
    const double lr = rate_at(r, step);
    double g[MOST], u[MOST];
    for (int i = 0; i < n; i++) g[i] = gradient_at(step, p, i);
    if (r->opt == OPTIMIZER_LAMB) {
        for (int i = 0; i < n; i++) {
            slot0[i] = r->opt_betas[0] * slot0[i] + (1 - r->opt_betas[0]) * g[i];
            slot1[i] = r->opt_betas[1] * slot1[i] + (1 - r->opt_betas[1]) * g[i] * g[i];
            double m = slot0[i], v = slot1[i];
            if (r->lamb_bias_correction) m /= 1 - pow(r->opt_betas[0], step + 1);
            if (r->lamb_bias_correction) v /= 1 - pow(r->opt_betas[1], step + 1);
            u[i] = m / (sqrt(v) + r->opt_eps) + (r->decay_mode == DECAY_MODE_UPDATE ? decay * w[i] : 0);
        }
        for (int i = 0; i < n && r->decay_mode == DECAY_MODE_DECOUPLED; i++) w[i] -= lr * decay * w[i];
        double ratio = adapts && norm(w, n) > 0 && norm(u, n) > 0 ? norm(w, n) / norm(u, n) : 1;
        if (r->trust_clip) ratio = fmin(ratio, 1);
        for (int i = 0; i < n; i++) w[i] -= lr * ratio * u[i];
        return;
    }
    for (int i = 0; i < n; i++) u[i] = g[i] + decay * w[i];
    const bool joint = r->trust_norm == TRUST_NORM_JOINT;
    const double divisor = joint ? norm(u, n) : norm(g, n) + decay * norm(w, n);
    const bool both = norm(w, n) > 0 && (joint ? norm(u, n) : norm(g, n)) > 0;
    double ratio = adapts && both ? r->trust_coefficient * norm(w, n) / (divisor + r->trust_eps) : 1;
    if (adapts && r->trust_clip) ratio = fmin(ratio / lr, 1);
    for (int i = 0; i < n; i++) {
        const double in = (r->lr_in_momentum ? lr : 1) * (r->trust_in_momentum ? ratio : 1);
        const double out = (r->lr_in_momentum ? 1 : lr) * (r->trust_in_momentum ? 1 : ratio);
        slot0[i] = r->momentum * slot0[i] + in * u[i];
        w[i] -= out * (r->nesterov ? in * u[i] + r->momentum * slot0[i] : slot0[i]);
    }
}

static void check_formula(const Recipe *recipe) {
    double w[LAYERWISE_WEIGHTS], slot0[LAYERWISE_WEIGHTS] = {0}, slot1[LAYERWISE_WEIGHTS] = {0};
    for (int p = 0; p < PARAMETERS; p++) {
        const size_t at = parameters[p].offset;
        for (int i = 0; i < (int)parameters[p].count; i++) w[at + (size_t)i] = weight_at(p, i);
        for (int step = 0; step < LAYERWISE_STEPS; step++) formula(recipe, step, p, w + at, slot0 + at, slot1 + at);
    }
    char name[256];
    snprintf(name, sizeof name,
             "opt %d decay_mode %d trust_mask %d trust_norm %d trust_clip %d trust_in_momentum %d lr_in_momentum %d "
             "nesterov %d",
             recipe->opt, recipe->decay_mode, recipe->trust_mask, recipe->trust_norm, recipe->trust_clip,
             recipe->trust_in_momentum, recipe->lr_in_momentum, recipe->nesterov);
    check(name, recipe, w);
}

static void test_lars_switches(void **unused) {
    (void)unused;
    for (int bits = 0; bits < 128; bits++) {
        Recipe recipe = recipe_with("opt=lars trust_coefficient=0.125 trust_eps=0.0625");
        recipe.decay_mode = bits & 1 ? DECAY_MODE_HALF_L2 : DECAY_MODE_L2;
        recipe.trust_mask = bits & 2 ? TRUST_MASK_ALL : TRUST_MASK_DECAYED;
        recipe.trust_norm = bits & 4 ? TRUST_NORM_JOINT : TRUST_NORM_SEPARATE;
        recipe.trust_clip = bits & 8;
        recipe.trust_in_momentum = bits & 16;
        recipe.lr_in_momentum = bits & 32;
        recipe.nesterov = bits & 64;
        check_formula(&recipe);
    }
}

static void test_lamb_switches(void **unused) {
    (void)unused;
    for (int bits = 0; bits < 16; bits++) {
        Recipe recipe = recipe_with("opt=lamb decay_mode=update opt_eps=0.001 opt_betas=0.75,0.9375");
        if (bits & 1) recipe.decay_mode = DECAY_MODE_DECOUPLED;
        recipe.trust_mask = bits & 2 ? TRUST_MASK_ALL : TRUST_MASK_DECAYED;
        recipe.trust_clip = bits & 4;
        recipe.lamb_bias_correction = bits & 8;
        check_formula(&recipe);
    }
}

/* The first step of a warm-up may have a rate of 0: nothing moves but the slots. */
static void test_rate_of_zero(void **unused) {
    (void)unused;
    const char *const keys[] = {"opt=lars", "opt=lars trust_clip=true", "opt=lamb decay_mode=update"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        const Recipe recipe = recipe_with(keys[k]);
        TrainState state = run(&recipe, 1);
        float before[LAYERWISE_WEIGHTS];
        memcpy(before, state.parameters, sizeof before);
        ThreadTeam *team;
        assert_int_equal(thread_team_create(1, &team, NULL), EFFNET_OK);
        memset(state.slots[0], 0, sizeof before);
        optimizer_step(&network, spec_of(&recipe), &state, 0, team);
        thread_team_free(team);
        assert_true(compare_bits(keys[k], state.parameters, before, LAYERWISE_WEIGHTS, NULL, 0));
        free_state(&state);
    }
}

static void test_averages_and_teams(void **unused) {
    (void)unused;
    const char *const keys[] = {"opt=lars trust_coefficient=0.25", "opt=lamb decay_mode=update"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        const Recipe recipe = recipe_with(keys[k]);
        TrainState one = run(&recipe, 1), three = run(&recipe, 3);
        assert_true(compare_bits("weights", three.parameters, one.parameters, LAYERWISE_WEIGHTS, NULL, 0));
        assert_true(compare_bits("averages", three.ema_parameters, one.ema_parameters, LAYERWISE_WEIGHTS, NULL, 0));
        assert_true(compare_bits("slot", three.slots[0], one.slots[0], LAYERWISE_WEIGHTS, NULL, 0));
        float want[STATISTICS] = {0};
        for (int step = 0; step < LAYERWISE_STEPS; step++)
            for (int i = 0; i < STATISTICS; i++)
                want[i] += (1 - (2 + (float)step) / (11 + (float)step)) * ((float)statistic_at(step, i) - want[i]);
        assert_true(compare_floats("averaged statistics", one.ema_statistics, want, STATISTICS, NULL, 0, 1e-6));
        /* the average lies between where the weights began and where they are */
        const size_t bias = parameters[PARAMETERS - 1].offset;
        assert_true(one.ema_parameters[bias] != one.parameters[bias]);
        assert_true(fabsf(one.ema_parameters[bias] - one.parameters[bias]) <
                    fabsf((float)weight_at(PARAMETERS - 1, 0) - one.parameters[bias]));
        free_state(&one);
        free_state(&three);
    }
}

static void expect_refused(Recipe recipe, const char *message) {
    effnet_error err = {0};
    assert_int_equal(recipe_check(&recipe, &err), EFFNET_ERROR_FORMAT);
    if (!strstr(err.message, message)) fail_msg("'%s' does not say '%s'", err.message, message);
}

static void test_decay_modes(void **unused) {
    (void)unused;
    Recipe recipe = recipe_with("opt=lamb decay_mode=update");
    recipe.decay_mode = DECAY_MODE_L2;
    expect_refused(recipe, "decay_mode: update (as published)");
    recipe.weight_decay = 0;
    assert_int_equal(recipe_check(&recipe, NULL), EFFNET_OK);
    recipe = recipe_with("opt=lars");
    recipe.decay_mode = DECAY_MODE_DECOUPLED;
    expect_refused(recipe, "decay_mode: l2 (as published)");
    recipe.decay_mode = DECAY_MODE_UPDATE;
    expect_refused(recipe, "only opt: lamb has");
    recipe.opt = OPTIMIZER_RMSPROP;
    expect_refused(recipe, "only opt: lamb has");
}

static void test_warning(void **unused) {
    (void)unused;
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.batch_size = 4096;
    assert_null(recipe_warning(&recipe));
    recipe.batch_size = 4097;
    assert_non_null(recipe_warning(&recipe));
    recipe.opt = OPTIMIZER_LARS;
    assert_null(recipe_warning(&recipe));
    recipe.opt = OPTIMIZER_LAMB;
    assert_null(recipe_warning(&recipe));
}

int main(void) {
    network.parameters = parameters;
    network.num_parameters = PARAMETERS;
    for (int p = 0; p < PARAMETERS; p++) {
        parameters[p].trainable = true;
        parameters[p].lr_scale = 1;
        parameters[p].offset = network.parameter_floats;
        network.parameter_floats += parameters[p].count;
    }
    network.statistic_floats = STATISTICS;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timm_and_optax),
        cmocka_unit_test(test_lars_switches),
        cmocka_unit_test(test_lamb_switches),
        cmocka_unit_test(test_rate_of_zero),
        cmocka_unit_test(test_averages_and_teams),
        cmocka_unit_test(test_decay_modes),
        cmocka_unit_test(test_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
