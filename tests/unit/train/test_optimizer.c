/* test_optimizer.c - several steps of every optimizer, decay and average on a made-up list of parameters, against the
 * formulas in double precision; team sizes against each other bit by bit; the norm and clipping of gradients. */
#include "base/clock.h"
#include "base/random.h"
#include "compare.h"
#include "recipe/recipe.h"
#include "spec_of.h"
#include "step/optimizer.h"
#include "step/state.h"
#include "step/step_spec.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Parameters of every role, of odd sizes so that tasks and parameters end in each other's midst. */
static Parameter parameters[] = {
    {.name = "conv", .role = ROLE_CONV, .count = 70001},
    {.name = "bn_scale", .role = ROLE_BN_SCALE, .count = 17},
    {.name = "bn_bias", .role = ROLE_BN_BIAS, .count = 17},
    {.name = "depthwise", .role = ROLE_DEPTHWISE, .count = 4109},
    {.name = "bias", .role = ROLE_BIAS, .count = 1},
    {.name = "dense", .role = ROLE_DENSE, .count = 5003},
};
enum { PARAMETERS = sizeof parameters / sizeof parameters[0], STATISTICS = 1003, STEPS = 6 };

static Network network;

static TrainState make_state(const Recipe *recipe) {
    TrainState state;
    size_t floats = network.parameter_floats;
    memset(&state, 0, sizeof state);
    float **blocks[] = {&state.parameters, &state.gradients, &state.slots[0], &state.slots[1], &state.ema_parameters};
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        *blocks[b] = calloc(floats, sizeof(float));
        assert_non_null(*blocks[b]);
    }
    state.statistics = calloc(STATISTICS, sizeof(float));
    state.ema_statistics = calloc(STATISTICS, sizeof(float));
    assert_non_null(state.statistics);
    assert_non_null(state.ema_statistics);
    for (size_t i = 0; i < floats; i++) {
        state.ema_parameters[i] = state.parameters[i] = random_normal(random_key(1), i);
        state.slots[0][i] = recipe->opt == OPTIMIZER_RMSPROP ? (float)recipe->opt_initial : 0;
    }
    return state;
}

static void free_state(TrainState *state) {
    free(state->parameters);
    free(state->gradients);
    free(state->statistics);
    free(state->slots[0]);
    free(state->slots[1]);
    free(state->ema_parameters);
    free(state->ema_statistics);
}

static float gradient_at(int step, size_t i) {
    return 0.1f * random_normal(random_key(100 + (uint64_t)step), i);
}
static float statistic_at(int step, size_t i) {
    return random_uniform(random_key(200 + (uint64_t)step), i);
}
static double rate_at(int step) {
    return 0.05 / (1 + step);
}

static void run(const Recipe *recipe, TrainState *state, int threads) {
    ThreadTeam *team;
    assert_int_equal(thread_team_create(threads, &team, NULL), EFFNET_OK);
    for (int step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < network.parameter_floats; i++) state->gradients[i] = gradient_at(step, i);
        for (size_t i = 0; i < STATISTICS; i++) state->statistics[i] = statistic_at(step, i);
        optimizer_step(&network, spec_of(recipe), state, rate_at(step), team);
        assert_int_equal(state->step, step + 1);
    }
    thread_team_free(team);
}

static bool decays(ParameterRole role, int mask) { /* the table written out, rows as in recipe.h */
    static const bool table[4][6] = {
        /* conv  depthwise dense bias  scale bn_bias */
        {true, true, true, true, true, true},
        {true, true, true, true, false, false},
        {true, true, true, false, false, false},
        {true, false, true, false, false, false},
    };
    return table[mask][role];
}

/* The textbook formulas, one weight at a time, in double. */
static void formulas(const Recipe *recipe, double *w, double *ema, double *ema_statistics) {
    for (int p = 0; p < PARAMETERS; p++) {
        double decay = decays(parameters[p].role, recipe->decay_mask) ? recipe->weight_decay : 0;
        for (size_t i = parameters[p].offset; i < parameters[p].offset + parameters[p].count; i++) {
            double ms = recipe->opt_initial, mom = 0, m = 0, v = 0;
            for (int step = 0; step < STEPS; step++) {
                double lr = rate_at(step), g = gradient_at(step, i), before = w[i];
                if (recipe->decay_mode == DECAY_MODE_L2)
                    g += decay * before;
                else
                    w[i] -= lr * decay * before;
                if (recipe->opt == OPTIMIZER_RMSPROP) {
                    ms = recipe->opt_alpha * ms + (1 - recipe->opt_alpha) * g * g;
                    double scaled = g / sqrt(ms + recipe->opt_eps);
                    mom = recipe->momentum * mom + (recipe->lr_in_momentum ? lr * scaled : scaled);
                    w[i] -= recipe->lr_in_momentum ? mom : lr * mom;
                } else if (recipe->opt == OPTIMIZER_SGD) {
                    mom = recipe->momentum * mom + (recipe->lr_in_momentum ? lr * g : g);
                    double move = mom;
                    if (recipe->nesterov) move = recipe->momentum * mom + (recipe->lr_in_momentum ? lr * g : g);
                    w[i] -= recipe->lr_in_momentum ? move : lr * move;
                } else {
                    m = recipe->opt_betas[0] * m + (1 - recipe->opt_betas[0]) * g;
                    v = recipe->opt_betas[1] * v + (1 - recipe->opt_betas[1]) * g * g;
                    double m_hat = m / (1 - pow(recipe->opt_betas[0], step + 1));
                    double v_hat = v / (1 - pow(recipe->opt_betas[1], step + 1));
                    w[i] -= lr * m_hat / (sqrt(v_hat) + recipe->opt_eps);
                }
                double d = fmin(recipe->model_ema_decay, (2.0 + step) / (11.0 + step));
                if (!recipe->model_ema_warmup) d = recipe->model_ema_decay;
                ema[i] = d * ema[i] + (1 - d) * w[i];
            }
        }
    }
    for (int step = 0; step < STEPS; step++) {
        double d = fmin(recipe->model_ema_decay, (2.0 + step) / (11.0 + step));
        if (!recipe->model_ema_warmup) d = recipe->model_ema_decay;
        for (size_t i = 0; i < STATISTICS; i++)
            ema_statistics[i] = d * ema_statistics[i] + (1 - d) * statistic_at(step, i);
    }
}

static void check_against_formulas(const char *name, const Recipe *recipe) {
    size_t floats = network.parameter_floats;
    TrainState state = make_state(recipe);
    double *wide = calloc(2 * floats + STATISTICS, sizeof *wide);
    float *want = calloc(2 * floats + STATISTICS, sizeof *want);
    assert_non_null(wide);
    assert_non_null(want);
    for (size_t i = 0; i < floats; i++) wide[i] = wide[floats + i] = state.parameters[i];
    formulas(recipe, wide, wide + floats, wide + 2 * floats);
    for (size_t i = 0; i < 2 * floats + STATISTICS; i++) want[i] = (float)wide[i];
    run(recipe, &state, 2);
    fprintf(stderr, "%s\n", name);
    assert_true(compare_floats("weights", state.parameters, want, floats, NULL, 0, 1e-6));
    assert_true(compare_floats("averaged weights", state.ema_parameters, want + floats, floats, NULL, 0, 1e-6));
    assert_true(
        compare_floats("averaged statistics", state.ema_statistics, want + 2 * floats, STATISTICS, NULL, 0, 1e-6));
    free(wide);
    free(want);
    free_state(&state);
}

static Recipe recipe_for(int optimizer) {
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.opt = optimizer;
    recipe.weight_decay = 0.05; /* large, so that a wrong mask shows */
    return recipe;
}

static void test_rmsprop(void **state) {
    (void)state;
    Recipe recipe = recipe_for(OPTIMIZER_RMSPROP);
    check_against_formulas("rmsprop, TensorFlow", &recipe);
    recipe.lr_in_momentum = false;
    recipe.opt_initial = 0;
    check_against_formulas("rmsprop, PyTorch's order", &recipe);
    recipe.decay_mode = DECAY_MODE_DECOUPLED;
    check_against_formulas("rmsprop, decoupled", &recipe);
}

static void test_sgd(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        Recipe recipe = recipe_for(OPTIMIZER_SGD);
        recipe.nesterov = form & 1;
        recipe.lr_in_momentum = form & 2;
        char name[64];
        snprintf(name, sizeof name, "sgd nesterov=%d lr_in_momentum=%d", recipe.nesterov, recipe.lr_in_momentum);
        check_against_formulas(name, &recipe);
    }
}

static void test_adamw(void **state) {
    (void)state;
    Recipe recipe = recipe_for(OPTIMIZER_ADAMW);
    recipe.decay_mode = DECAY_MODE_DECOUPLED;
    recipe.opt_eps = 1e-8;
    check_against_formulas("adamw", &recipe);
    recipe.decay_mode = DECAY_MODE_L2;
    recipe.model_ema_warmup = false;
    recipe.model_ema_decay = 0.75;
    check_against_formulas("adam with l2, averages without a ramp", &recipe);
}

static void test_masks(void **state) {
    (void)state;
    for (int mask = 0; mask < 4; mask++)
        for (int mode = 0; mode < 2; mode++) {
            Recipe recipe = recipe_for(OPTIMIZER_RMSPROP);
            recipe.decay_mask = mask;
            recipe.decay_mode = mode;
            char name[64];
            snprintf(name, sizeof name, "decay mask %d, mode %d", mask, mode);
            check_against_formulas(name, &recipe);
        }
}

static void test_team_size_does_not_matter(void **state) {
    (void)state;
    Recipe recipe = recipe_for(OPTIMIZER_RMSPROP);
    TrainState one = make_state(&recipe), three = make_state(&recipe);
    run(&recipe, &one, 1);
    run(&recipe, &three, 3);
    size_t floats = network.parameter_floats;
    assert_true(compare_bits("weights", three.parameters, one.parameters, floats, NULL, 0));
    assert_true(compare_bits("mean square", three.slots[0], one.slots[0], floats, NULL, 0));
    assert_true(compare_bits("averages", three.ema_parameters, one.ema_parameters, floats, NULL, 0));
    free_state(&one);
    free_state(&three);
}

static void test_without_averages(void **state) {
    (void)state;
    Recipe recipe = recipe_for(OPTIMIZER_RMSPROP);
    TrainState with = make_state(&recipe), without = make_state(&recipe);
    free(without.ema_parameters);
    free(without.ema_statistics);
    without.ema_parameters = without.ema_statistics = NULL;
    run(&recipe, &with, 2);
    run(&recipe, &without, 2);
    assert_true(compare_bits("weights", without.parameters, with.parameters, network.parameter_floats, NULL, 0));
    free_state(&with);
    free_state(&without);
}

static void test_average_decay(void **state) {
    (void)state;
    Recipe recipe;
    recipe_defaults(&recipe);
    assert_true(fabs(step_average_decay(spec_of(&recipe), 1) - 2.0 / 11) < 1e-15);
    assert_true(fabs(step_average_decay(spec_of(&recipe), 89979) - 89980.0 / 89989) < 1e-15);
    assert_true(step_average_decay(spec_of(&recipe), 90000) == 0.9999); /* (1+n)/(10+n) passes 0.9999 at n = 89,990 */
    recipe.model_ema_warmup = false;
    assert_true(step_average_decay(spec_of(&recipe), 1) == 0.9999);
}

/* Asked for its norms, a step has the same bits, and the norms are those of the weights and of what they moved by, the
 * same for any team. */
static void test_measured(void **state) {
    (void)state;
    const int optimizers[] = {OPTIMIZER_RMSPROP, OPTIMIZER_SGD, OPTIMIZER_ADAMW, OPTIMIZER_LARS, OPTIMIZER_LAMB};
    for (size_t o = 0; o < sizeof optimizers / sizeof *optimizers; o++) {
        Recipe recipe = recipe_for(optimizers[o]);
        double first[2] = {0, 0};
        for (int threads = 1; threads <= 3; threads++) {
            TrainState plain = make_state(&recipe), measured = make_state(&recipe);
            TrainState *const both[] = {&plain, &measured};
            for (int b = 0; b < 2; b++)
                for (size_t i = 0; i < network.parameter_floats; i++) both[b]->gradients[i] = gradient_at(0, i);
            const StepSpec *spec = spec_of(&recipe);
            StepSquares *squares = calloc((size_t)optimizer_tasks(&network, spec), sizeof *squares);
            assert_non_null(squares);
            double before = 0, weights = 0, updates = 0, weight_norm, update_norm;
            ThreadTeam *team;
            assert_int_equal(thread_team_create(threads, &team, NULL), EFFNET_OK);
            optimizer_step(&network, spec, &plain, 0.05, team);
            optimizer_step_measured(&network, spec, &measured, 0.05, team, squares, &weight_norm, &update_norm);
            thread_team_free(team);
            assert_true(
                compare_bits("weights", measured.parameters, plain.parameters, network.parameter_floats, NULL, 0));
            assert_true(compare_bits("averages", measured.ema_parameters, plain.ema_parameters,
                                     network.parameter_floats, NULL, 0));
            for (size_t i = 0; i < network.parameter_floats; i++) {
                before = random_normal(random_key(1), i);
                weights += (double)plain.parameters[i] * plain.parameters[i];
                updates += (plain.parameters[i] - before) * (plain.parameters[i] - before);
            }
            assert_true(fabs(weight_norm - sqrt(weights)) < 1e-12 * sqrt(weights));
            assert_true(fabs(update_norm - sqrt(updates)) < 1e-12 * sqrt(updates) && update_norm > 0);
            if (threads == 1) {
                first[0] = weight_norm;
                first[1] = update_norm;
            }
            assert_true(weight_norm == first[0] && update_norm == first[1]);
            free(squares);
            free_state(&plain);
            free_state(&measured);
        }
    }
}

/* Weights that differ in one bit have another fingerprint; so have statistics. */
static void test_fingerprint(void **state) {
    (void)state;
    Recipe recipe = recipe_for(OPTIMIZER_SGD);
    TrainState one = make_state(&recipe), other = make_state(&recipe);
    assert_true(state_fingerprint(&network, &one) == state_fingerprint(&network, &other));
    other.parameters[network.parameter_floats - 1] = nextafterf(other.parameters[network.parameter_floats - 1], 9);
    assert_true(state_fingerprint(&network, &one) != state_fingerprint(&network, &other));
    other.parameters[network.parameter_floats - 1] = one.parameters[network.parameter_floats - 1];
    assert_true(state_fingerprint(&network, &one) == state_fingerprint(&network, &other));
    other.statistics[0] = 1;
    assert_true(state_fingerprint(&network, &one) != state_fingerprint(&network, &other));
    free_state(&one);
    free_state(&other);
}

static void test_clip(void **state) {
    (void)state;
    size_t floats = network.parameter_floats;
    float *gradients = malloc(floats * sizeof *gradients), *clipped = malloc(floats * sizeof *clipped);
    double squares = 0, left = 0;
    for (size_t i = 0; i < floats; i++) {
        gradients[i] = clipped[i] = gradient_at(0, i);
        squares += (double)gradients[i] * gradients[i];
    }
    double norms[3];
    for (int threads = 1; threads <= 3; threads++) {
        ThreadTeam *team;
        assert_int_equal(thread_team_create(threads, &team, NULL), EFFNET_OK);
        norms[threads - 1] = gradients_clip(&network, clipped, 0, team);
        if (threads == 3) {
            assert_true(compare_bits("not clipped", clipped, gradients, floats, NULL, 0));
            assert_true(gradients_clip(&network, clipped, 1e6, team) == norms[0]);
            assert_true(compare_bits("below the limit", clipped, gradients, floats, NULL, 0));
            assert_true(gradients_clip(&network, clipped, 2.5, team) == norms[0]); /* the norm before */
            clipped[floats - 1] = INFINITY;
            assert_true(isinf(gradients_clip(&network, clipped, 2.5, team)));
            clipped[floats - 1] = NAN;
            assert_true(isnan(gradients_clip(&network, clipped, 2.5, team)));
        }
        thread_team_free(team);
    }
    assert_true(norms[0] == norms[1] && norms[1] == norms[2]);
    assert_true(fabs(norms[0] - sqrt(squares)) < 1e-12 * sqrt(squares));
    for (size_t i = 0; i + 1 < floats; i++) left += (double)clipped[i] * clipped[i];
    assert_true(fabs(sqrt(left) - 2.5) < 1e-4);
    assert_true(fabs(clipped[7] - gradients[7] * 2.5 / norms[0]) < 1e-7);
    free(gradients);
    free(clipped);
}

/* Not a test but a figure: B0's parameters, this machine. */
static void test_speed_report(void **state) {
    (void)state;
    Parameter whole = {.name = "all", .role = ROLE_CONV, .count = 5288548, .trainable = true, .lr_scale = 1};
    Network kept = network;
    network.parameters = &whole;
    network.num_parameters = 1;
    network.parameter_floats = whole.count;
    Recipe recipe = recipe_for(OPTIMIZER_RMSPROP);
    TrainState full = make_state(&recipe);
    for (size_t i = 0; i < whole.count; i++) full.gradients[i] = 1e-3f;
    for (int threads = 1; threads <= 2; threads++) {
        ThreadTeam *team;
        assert_int_equal(thread_team_create(threads, &team, NULL), EFFNET_OK);
        double best_step = 1e9, best_norm = 1e9, best_measured = 1e9;
        StepSquares squares[256];
        assert_true(optimizer_tasks(&network, spec_of(&recipe)) <= 256);
        for (int i = 0; i < 7; i++) {
            double start = clock_seconds();
            optimizer_step(&network, spec_of(&recipe), &full, 1e-3, team);
            double middle = clock_seconds();
            gradients_clip(&network, full.gradients, 0, team);
            double end = clock_seconds(), norms[2];
            optimizer_step_measured(&network, spec_of(&recipe), &full, 1e-3, team, squares, &norms[0], &norms[1]);
            double measured = clock_seconds();
            if (measured - end < best_measured) best_measured = measured - end;
            if (middle - start < best_step) best_step = middle - start;
            if (end - middle < best_norm) best_norm = end - middle;
        }
        fprintf(stderr,
                "5,288,548 parameters, %d threads: rmsprop and averages %.2f ms, with both norms %.2f ms, the "
                "gradient's norm %.2f ms\n",
                threads, best_step * 1e3, best_measured * 1e3, best_norm * 1e3);
        thread_team_free(team);
    }
    free_state(&full);
    network = kept;
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
        cmocka_unit_test(test_rmsprop),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_team_size_does_not_matter),
        cmocka_unit_test(test_without_averages),
        cmocka_unit_test(test_average_decay),
        cmocka_unit_test(test_measured),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_speed_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
