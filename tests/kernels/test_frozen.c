/* test_frozen.c - networks with frozen parts (model/freeze.h): what is frozen by which words; the reference engine held
 * to finite differences; the CPU engine to the reference, for each kind of first trained op; the optimizer, which leaves
 * frozen parameters alone and steps by layer; and that nothing changes where nothing is frozen.
 *
 * Tolerances: finite differences of a double computation from fp32 parameters, 2e-3 of a tensor's largest gradient; the
 * CPU engine's rounding as in test_engine_parity.c, 2e-4 of a tensor's largest value. Activations are smooth (swish), so
 * neither meets a corner. */
#include "base/random.h"
#include "compare.h"
#include "engine/engine.h"
#include "model/freeze.h"
#include "model/initialize.h"
#include "plan/plan.h"
#include "recipe/recipe.h"
#include "spec_of.h"
#include "step/loss.h"
#include "step/optimizer.h"
#include "step/state.h"
#include "train/initial_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CLASSES = 7, BATCH = 3, RESOLUTION = 48 };

/* First trained op: none frozen; a depthwise convolution's block; each op of a block by itself; batch norms alone; the
 * head; the classifier; everything but batch norms. */
static const char *const patterns[] = {
    "",
    "1",
    "4",
    "7",
    "8",
    "bn",
    "conv_dw",
    "se\\.",
    "weight$",
    "^(conv_stem|bn1|blocks\\.[01])",
    "^(conv_stem|bn1|blocks\\.0|blocks\\.1\\.0\\.(conv_pw\\.|bn1\\.))",
    "^(conv_stem|bn1|blocks\\.0|blocks\\.1\\.0\\.(conv_pw\\.))",
    "^(conv_stem|bn1|blocks\\.0|blocks\\.1\\.0\\.(conv_pw\\.|bn1|conv_dw|bn2))",
    "^(conv_stem|bn1|blocks\\.0|blocks\\.1\\.0\\.(conv_pw\\.|bn1|conv_dw|bn2|se|conv_pwl))",
    "^(conv_stem|bn1|blocks|conv_head)",
    "classifier",
};
enum { PATTERNS = sizeof patterns / sizeof patterns[0] };

typedef struct Problem {
    Network network;
    float *parameters, *statistics, *images, *logits_gradient, *drop_path_scale, *dropout_scale;
} Problem;

static float *floats(size_t count) {
    float *values = calloc(count ? count : 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static void build(const char *freeze, Network *network) {
    effnet_error err = {0};
    ModelConfig config;
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.width = 0.35, config.depth = 0.5; /* three residuals are left */
    config.input = (TensorShape){RESOLUTION, RESOLUTION, 3};
    config.num_classes = CLASSES;
    assert_int_equal(network_build(&config, network, &err), EFFNET_OK);
    if (network_freeze(network, freeze, &err) != EFFNET_OK) fail_msg("%s", err.message);
}

typedef struct Outcome {
    float *logits, *gradients, *statistics;
} Outcome;

static void outcome_free(Outcome *outcome) {
    free(outcome->logits), free(outcome->gradients), free(outcome->statistics);
}

static EngineForward problem_call(const Problem *problem, float *statistics, float *logits) {
    return (EngineForward){.batch = BATCH,
                           .images = problem->images,
                           .parameters = problem->parameters,
                           .statistics = statistics,
                           .training = true,
                           .drop_path_scale = problem->drop_path_scale,
                           .dropout_scale = problem->dropout_scale,
                           .logits = logits};
}

/* Forward and backward in training, twice: the second time added to the first, so that all gradients are doubled. */
static Outcome run(const Problem *problem, const EngineVtable *vtable, int threads, int fuse) {
    const Network *network = &problem->network;
    effnet_error err = {0};
    ThreadTeam *team;
    Engine *engine;
    assert_int_equal(thread_team_create(threads, &team, &err), EFFNET_OK);
    const EngineOptions options = {.batch = BATCH, .training = true, .team = team, .fuse = fuse};
    if (engine_create(vtable, network, &options, &engine, &err) != EFFNET_OK) fail_msg("%s", err.message);
    Outcome out = {.logits = floats((size_t)BATCH * CLASSES),
                   .gradients = floats(network->parameter_floats),
                   .statistics = floats(network->statistic_floats)};
    for (size_t i = 0; i < network->parameter_floats; i++) out.gradients[i] = 5; /* to be overwritten */
    EngineForward call = problem_call(problem, out.statistics, out.logits);
    for (int again = 0; again < 2; again++) {
        memcpy(out.statistics, problem->statistics, sizeof(float) * network->statistic_floats);
        assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
        if (engine_backward(engine, &call, problem->logits_gradient, out.gradients, again, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
    }
    engine_free(engine);
    thread_team_free(team);
    return out;
}

/* Running statistics as a trained network has them: the batch's own, and then somewhat off it. */
static void settle_statistics(Problem *problem) {
    static float *settled; /* the same for all problems */
    const size_t bytes = problem->network.statistic_floats * sizeof(float);
    Problem open = *problem;
    if (settled) {
        memcpy(problem->statistics, settled, bytes);
        return;
    }
    build("", &open.network);
    open.network.config.bn_momentum = 0;
    Outcome out = run(&open, &reference_engine, 2, 0);
    for (int i = 0; i < open.network.num_statistics; i++) {
        const Parameter *tensor = &open.network.statistics[i];
        for (size_t j = tensor->offset; j < tensor->offset + tensor->count; j++)
            problem->statistics[j] = tensor->role == ROLE_RUNNING_VARIANCE
                                         ? out.statistics[j] * (0.8f + 0.4f * random_uniform(random_key(99), j))
                                         : out.statistics[j] + 0.05f * random_uniform(random_key(98), j);
    }
    settled = floats(problem->network.statistic_floats);
    memcpy(settled, problem->statistics, bytes);
    outcome_free(&out);
    network_free(&open.network);
}

/* Vectors off their first values, so that each of them counts. */
static void problem_create(const char *freeze, Problem *problem) {
    build(freeze, &problem->network);
    const Network *network = &problem->network;
    problem->parameters = floats(network->parameter_floats);
    problem->statistics = floats(network->statistic_floats);
    network_initialize(network, &(InitializeOptions){.seed = 42}, problem->parameters, problem->statistics);
    for (int p = 0; p < network->num_parameters; p++)
        for (size_t i = 0; network->parameters[p].rank == 1 && i < network->parameters[p].count; i++)
            problem->parameters[network->parameters[p].offset + i] +=
                0.2f * random_normal(random_key(100 + (uint64_t)p), i);
    size_t pixels = (size_t)BATCH * RESOLUTION * RESOLUTION * 3, masks = (size_t)network->num_residuals * BATCH;
    problem->images = floats(pixels);
    problem->logits_gradient = floats((size_t)BATCH * CLASSES);
    problem->drop_path_scale = floats(masks);
    problem->dropout_scale = floats((size_t)network->features * BATCH);
    for (size_t i = 0; i < pixels; i++) problem->images[i] = random_normal(random_key(1), i);
    for (size_t i = 0; i < (size_t)BATCH * CLASSES; i++) problem->logits_gradient[i] = random_normal(random_key(2), i);
    for (size_t i = 0; i < masks; i++)
        problem->drop_path_scale[i] = random_uniform(random_key(3), i) < 0.8f ? 1.25f : 0;
    for (size_t i = 0; i < (size_t)network->features * BATCH; i++)
        problem->dropout_scale[i] = random_uniform(random_key(4), i) < 0.8f ? 1.25f : 0;
    settle_statistics(problem);
}

static void problem_free(Problem *problem) {
    float *blocks[] = {problem->parameters,      problem->statistics,      problem->images,
                       problem->logits_gradient, problem->drop_path_scale, problem->dropout_scale};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    network_free(&problem->network);
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

static bool is_trainable(const Network *network, const char *name) {
    bool statistic;
    const Parameter *parameter = network_find(network, name, &statistic);
    assert_non_null(parameter);
    return parameter->trainable;
}

static void test_words(void **state) {
    (void)state;
    Network network;
    build("", &network);
    assert_int_equal(network.first_trainable, 0);
    assert_int_equal(network_trainable_floats(&network), network.parameter_floats);
    network_free(&network);
    build("3", &network);
    assert_false(is_trainable(&network, "conv_stem.weight"));
    assert_false(is_trainable(&network, "bn1.bias"));
    assert_false(is_trainable(&network, "blocks.2.0.se.conv_expand.bias"));
    assert_true(is_trainable(&network, "blocks.3.0.conv_pw.weight"));
    assert_string_equal(network.ops[network.first_trainable].name, "blocks.3.0.conv_pw");
    network_free(&network);
    build("8", &network);
    assert_string_equal(network.ops[network.first_trainable].name, "classifier");
    network_free(&network);
    build("bn", &network);
    assert_false(is_trainable(&network, "blocks.0.0.bn1.weight"));
    assert_true(is_trainable(&network, "blocks.0.0.conv_dw.weight"));
    effnet_error err = {0};
    const char *const wrong[] = {"9", "123456", "(", "no_such_layer", "."};
    const char *const told[] = {"allowed: 0 to 8", "allowed: 0 to 8", "no extended regular expression",
                                "found in no parameter's name", "leaves no parameter"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(network_freeze(&network, wrong[i], &err), EFFNET_ERROR_ARGUMENT);
        if (!strstr(err.message, told[i])) fail_msg("freeze: %s: %s", wrong[i], err.message);
    }
    network_free(&network);
}

/* timm 1.0: param_groups_layer_decay of efficientnet_b0 with layer_decay 0.5, whose 16 blocks have layers 1 to 16. */
static void test_layers(void **state) {
    (void)state;
    effnet_error err = {0};
    ModelConfig config;
    Network network;
    bool statistic;
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.num_classes = CLASSES;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_OK);
    network_layer_decay(&network, 0.5);
    static const struct {
        const char *name;
        int below; /* the classifier */
    } layers[] = {{"classifier.weight", 0},          {"classifier.bias", 0},
                  {"conv_head.weight", 1},           {"bn2.weight", 1},
                  {"blocks.6.0.bn3.bias", 1},        {"blocks.5.3.se.conv_reduce.bias", 2},
                  {"blocks.0.0.conv_dw.weight", 16}, {"bn1.bias", 17},
                  {"conv_stem.weight", 17}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        double want = pow(0.5, layers[i].below), got = network_find(&network, layers[i].name, &statistic)->lr_scale;
        if (!(got == want)) fail_msg("%s: %g, want %g", layers[i].name, got, want);
    }
    network_free(&network);
}

/* ---- gradients ------------------------------------------------------------------------------------------------- */

/* What every engine must leave: frozen gradients are 0, frozen statistics as they were, the others not. */
static void check_frozen(const Problem *problem, const char *what, const Outcome *got) {
    const Network *network = &problem->network;
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        double largest = compare_scale(got->gradients + parameter->offset, false, parameter->count);
        if (parameter->trainable ? !(largest > 0) : largest != 0)
            fail_msg("%s: the largest gradient of %s, which is %s, is %g", what, parameter->name,
                     parameter->trainable ? "trained" : "frozen", largest);
    }
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->kind != OP_BATCH_NORM) continue;
        const Parameter *mean = &network->statistics[op->running_mean];
        bool stayed = memcmp(got->statistics + mean->offset, problem->statistics + mean->offset,
                             mean->count * sizeof(float)) == 0;
        if (stayed != op->frozen)
            fail_msg("%s: the running mean of %s %s", what, op->name, stayed ? "stayed" : "moved");
    }
}

/* sum(logits * logits_gradient) of the reference engine's forward pass. */
static double loss_of(const Problem *problem, ThreadTeam *team) {
    const EngineOptions options = {.batch = BATCH, .training = true, .team = team};
    float logits[BATCH * CLASSES], *statistics = floats(problem->network.statistic_floats);
    effnet_error err = {0};
    Engine *engine;
    if (engine_create(&reference_engine, &problem->network, &options, &engine, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    memcpy(statistics, problem->statistics, sizeof(float) * problem->network.statistic_floats);
    EngineForward call = problem_call(problem, statistics, logits);
    assert_int_equal(engine_forward(engine, &call, &err), EFFNET_OK);
    double sum = 0;
    for (int i = 0; i < BATCH * CLASSES; i++) sum += (double)logits[i] * problem->logits_gradient[i];
    engine_free(engine);
    free(statistics);
    return sum;
}

/* A parameter is moved a little to both sides. */
static void test_finite_differences(void **state) {
    (void)state;
    ThreadTeam *team;
    assert_int_equal(thread_team_create(2, &team, NULL), EFFNET_OK);
    const char *const some[] = {"bn", "4", "^(conv_stem|bn1|blocks\\.[01])"};
    for (int s = 0; s < 3; s++) {
        Problem problem;
        problem_create(some[s], &problem);
        const Network *network = &problem.network;
        Outcome got = run(&problem, &reference_engine, 2, 0);
        check_frozen(&problem, some[s], &got);
        for (int p = s; p < network->num_parameters; p += 53) {
            const Parameter *parameter = &network->parameters[p];
            if (!parameter->trainable) continue;
            double scale = compare_scale(got.gradients + parameter->offset, false, parameter->count) / 2;
            size_t at = parameter->offset + parameter->count / 2;
            float kept = problem.parameters[at], step = 4e-3f * (fabsf(kept) > 0.1f ? fabsf(kept) : 0.1f);
            double losses[2], moved[2];
            for (int side = 0; side < 2; side++) {
                problem.parameters[at] = side ? kept - step : kept + step;
                moved[side] = problem.parameters[at];
                losses[side] = loss_of(&problem, team);
            }
            problem.parameters[at] = kept;
            double want = (losses[0] - losses[1]) / (moved[0] - moved[1]), is = got.gradients[at] / 2;
            if (!(fabs(is - want) <= 1e-2 * scale + 1e-4))
                fail_msg("freeze %s: gradient of %s is %g, finite differences give %g (largest %g)", some[s],
                         parameter->name, is, want, scale);
        }
        outcome_free(&got);
        problem_free(&problem);
    }
    thread_team_free(team);
}

static bool compare_outcomes(const Problem *problem, const char *what, const Outcome *got, const Outcome *want) {
    const Network *network = &problem->network;
    char name[260];
    snprintf(name, sizeof name, "%s: logits", what);
    bool same = compare_floats(name, got->logits, want->logits, (size_t)BATCH * CLASSES, NULL, 0, 2e-4);
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *tensor = &network->parameters[p];
        double scale = compare_scale(want->gradients + tensor->offset, false, tensor->count);
        if (tensor->role == ROLE_BN_BIAS) /* whose terms cancel: at the scale of the batch norm's scale */
            scale = tensor[-1].trainable
                        ? fmax(scale, compare_scale(want->gradients + tensor[-1].offset, false, tensor[-1].count))
                        : fmax(scale, 1);
        snprintf(name, sizeof name, "%s: gradient of %s", what, tensor->name);
        same = compare_floats_at_scale(name, got->gradients + tensor->offset, want->gradients + tensor->offset,
                                       tensor->count, tensor->shape, tensor->rank, 5e-4, scale) &&
               same;
    }
    snprintf(name, sizeof name, "%s: statistics", what);
    return compare_floats(name, got->statistics, want->statistics, network->statistic_floats, NULL, 0, 2e-4) && same;
}

static void test_parity(void **state) {
    (void)state;
    bool same = true;
    for (int i = 0; i < PATTERNS; i++) {
        Problem problem;
        problem_create(patterns[i], &problem);
        Outcome want = run(&problem, &reference_engine, 2, 0);
        check_frozen(&problem, patterns[i], &want);
        for (int fuse = 1; fuse <= 2; fuse++) {
            char what[120];
            snprintf(what, sizeof what, "freeze '%s', %s", patterns[i], fuse == 1 ? "fused" : "not fused");
            Outcome one = run(&problem, &cpu_engine, 1, fuse), two = run(&problem, &cpu_engine, 3, fuse);
            same = compare_outcomes(&problem, what, &one, &want) && same;
            check_frozen(&problem, what, &one);
            same = compare_bits(what, two.gradients, one.gradients, problem.network.parameter_floats, NULL, 0) && same;
            outcome_free(&one);
            outcome_free(&two);
        }
        outcome_free(&want);
        problem_free(&problem);
    }
    assert_true(same);
}

/* No backward passes below the first trained op, and less memory. */
static void test_plan_ends(void **state) {
    (void)state;
    effnet_error err = {0};
    const PlanOptions options = {.batch = 8, .training = true, .value_bytes = 4};
    const char *const stages[] = {"", "4", "8"};
    int passes[3];
    size_t bytes[3];
    for (int i = 0; i < 3; i++) {
        Network network;
        Plan plan;
        build(stages[i], &network);
        assert_int_equal(plan_build(&network, &options, &plan, &err), EFFNET_OK);
        passes[i] = plan.num_passes - plan.num_forward;
        bytes[i] = plan.arena_bytes;
        for (int p = plan.num_forward; p < plan.num_passes; p++)
            if (plan.passes[p].op < network.first_trainable)
                fail_msg("freeze %s: a backward pass of %s", stages[i], network.ops[plan.passes[p].op].name);
        plan_free(&plan);
        network_free(&network);
    }
    printf("backward passes %d, %d, %d; arena %.2f, %.2f, %.2f MB\n", passes[0], passes[1], passes[2],
           (double)bytes[0] / 1e6, (double)bytes[1] / 1e6, (double)bytes[2] / 1e6);
    assert_true(passes[0] > passes[1] && passes[1] > passes[2]);
    assert_int_equal(passes[2], 1); /* the classifier's */
    assert_true(bytes[0] > bytes[1] && bytes[1] >= bytes[2]);
}

/* ---- the optimizer --------------------------------------------------------------------------------------------- */

static TrainState fresh_state(const Recipe *recipe, const Network *network) {
    TrainState state;
    effnet_error err = {0};
    assert_int_equal(train_state_create(network, recipe, &state, &err), EFFNET_OK);
    for (size_t i = 0; i < network->parameter_floats; i++) state.gradients[i] = 0.1f * random_normal(random_key(7), i);
    return state;
}

static void test_optimizer(void **unused) {
    (void)unused;
    static const char *const optimizers[] = {"rmsprop", "sgd", "adamw", "lars", "lamb"};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(2, &team, NULL), EFFNET_OK);
    for (int o = 0; o < 5; o++) {
        Recipe recipe;
        effnet_error err;
        Network network, whole;
        recipe_defaults(&recipe);
        assert_int_equal(recipe_set(&recipe, "opt", optimizers[o], &err), EFFNET_OK);
        recipe.weight_decay = 0.01;
        recipe.decay_mode = o == 3 ? DECAY_MODE_L2 : DECAY_MODE_DECOUPLED;
        build("4", &network);
        build("", &whole);
        network_layer_decay(&network, 0.5);
        TrainState before = fresh_state(&recipe, &network), state = fresh_state(&recipe, &network);
        StepSquares *squares = calloc((size_t)optimizer_tasks(&network, spec_of(&recipe)), sizeof *squares);
        double weight_norm, update_norm, moved = 0, weights = 0;
        optimizer_step_measured(&network, spec_of(&recipe), &state, 0.125, team, squares, &weight_norm, &update_norm);
        for (int p = 0; p < network.num_parameters; p++) {
            const Parameter *parameter = &network.parameters[p];
            size_t at = parameter->offset, count = parameter->count;
            if (!parameter->trainable) {
                assert_true(
                    compare_bits(parameter->name, state.parameters + at, before.parameters + at, count, NULL, 0));
                assert_true(compare_bits("average", state.ema_parameters + at, before.parameters + at, count, NULL, 0));
                continue;
            }
            for (size_t i = at; i < at + count; i++) {
                double step = (double)state.parameters[i] - before.parameters[i];
                moved += step * step;
                weights += (double)state.parameters[i] * state.parameters[i];
            }
            /* The same as of a network without layers at that layer's rate. */
            if (p % 23 != 0 && p != network.num_parameters - 1) continue;
            TrainState alone = fresh_state(&recipe, &whole);
            optimizer_step(&whole, spec_of(&recipe), &alone, 0.125 * parameter->lr_scale, team);
            assert_true(
                compare_floats(parameter->name, state.parameters + at, alone.parameters + at, count, NULL, 0, 1e-6));
            train_state_free(&alone);
        }
        if (!(fabs(update_norm - sqrt(moved)) <= 1e-9 + 1e-6 * update_norm) || !(moved > 0))
            fail_msg("%s: update norm %.9g, of the trained parameters %.9g", optimizers[o], update_norm, sqrt(moved));
        if (!(fabs(weight_norm - sqrt(weights)) <= 1e-6 * weight_norm))
            fail_msg("%s: weight norm %.9g, of the trained parameters %.9g", optimizers[o], weight_norm, sqrt(weights));
        free(squares);
        train_state_free(&before);
        train_state_free(&state);
        network_free(&network);
        network_free(&whole);
    }
    thread_team_free(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),  cmocka_unit_test(test_layers),    cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_parity), cmocka_unit_test(test_plan_ends), cmocka_unit_test(test_optimizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
