/* What becomes of a gradient on an accelerator against what becomes of it on the host: every optimizer with its
 * switches, in programs of that part alone, which compile in a second each. Two steps, from slots that are not zero,
 * one parameter and one gradient of zeros among the others (whose trust ratio is 1). Runs through a CPU plugin; skipped
 * where none is installed (tools/setup.sh test). */
#include "backend/xla/pjrt.h"
#include "backend/xla/xla_network.h"
#include "engine/engine.h"
#include "step/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/xla/xla_fixture.h" /* last: cmocka has a macro fail() */

enum { STEPS = 2, FEW = 14 };

static Pjrt *pjrt;
static Network network;
static ThreadTeam *team;

typedef struct Case {
    const char *name;
    StepSpec spec;
    bool scaled; /* parameters 5 and 6 are frozen, 8 and 9 have learning rates of their own */
} Case;

/* Everything that goes in: places in the program's arguments. */
enum {
    PARAMETERS,
    SLOT_0,
    SLOT_1,
    AVERAGE,
    STATISTICS,
    AVERAGED_STATISTICS,
    GRADIENT,
    DECAYS,
    SCALES,
    RATES,
    ARGUMENTS
};
enum { NORMS = 3, RESULTS = GRADIENT + NORMS }; /* the first six, moved; norms of gradient, weights and movement */

static int64_t count_of(int argument) {
    if (argument == RATES) return XLA_RATES_COUNT;
    const bool statistics = argument == STATISTICS || argument == AVERAGED_STATISTICS;
    return (int64_t)(statistics ? network.statistic_floats : network.parameter_floats);
}

static XlaProgram write_program(const StepSpec *spec, bool scaled) {
    static const XlaRole roles[ARGUMENTS] = {XLA_PARAMETERS, XLA_SLOT_0,
                                             XLA_SLOT_1,     XLA_AVERAGED_PARAMETERS,
                                             XLA_STATISTICS, XLA_AVERAGED_STATISTICS,
                                             XLA_PICTURES,   XLA_DECAYS,
                                             XLA_SCALES,     XLA_RATES};
    XlaProgram program = {.replicas = 1, .num_arguments = ARGUMENTS, .num_results = RESULTS};
    for (int i = 0; i < ARGUMENTS; i++)
        program.arguments[i] =
            (XlaValue){.role = roles[i], .type = XLA_F32, .rank = 1, .shape = {count_of(i)}, .alias = -1};
    memcpy(program.results, program.arguments, sizeof program.results);
    for (int i = 0; i < NORMS; i++)
        program.results[GRADIENT + i] = (XlaValue){.role = XLA_GRADIENT_NORM, .type = XLA_F32, .alias = -1};
    Hlo *hlo = hlo_create();
    assert_non_null(hlo);
    HloValue in[ARGUMENTS];
    hlo_begin_main(hlo, &program, in);
    XlaUpdate update = {.parameters = in[PARAMETERS],
                        .slots = {in[SLOT_0], in[SLOT_1]},
                        .averaged_parameters = in[AVERAGE],
                        .averaged_statistics = in[AVERAGED_STATISTICS],
                        .statistics = in[STATISTICS],
                        .statistics_before = in[STATISTICS],
                        .gradient = in[GRADIENT],
                        .decays = in[DECAYS],
                        .scales = scaled ? in[SCALES] : xla_none(),
                        .rates = in[RATES]};
    xla_optimizer(hlo, &network, spec, hlo_is_finite(hlo, hlo_scalar(hlo, XLA_F32, 0)), &update);
    const HloValue out[RESULTS] = {
        update.parameters,          update.slots[0], update.slots[1],    update.averaged_parameters, update.statistics,
        update.averaged_statistics, update.norm,     update.weight_norm, update.update_norm};
    hlo_end_main(hlo, out, RESULTS);
    program.text = hlo_finish(hlo, &program.bytes);
    assert_non_null(program.text);
    return program;
}

/* Values of the state's size; the second parameter is zeros, so are gradients of the third. */
static float *draw(uint64_t seed, int argument, double size, bool positive) {
    const int64_t count = count_of(argument);
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)size * random_normal(random_key(seed), (uint64_t)i);
        if (positive) values[i] = fabsf(values[i]);
    }
    if (argument == PARAMETERS || argument == GRADIENT) {
        const Parameter *none = &network.parameters[argument == PARAMETERS ? 1 : 2];
        memset(values + none->offset, 0, none->count * sizeof *values);
    }
    return values;
}

static int wrong;

static void near(const Case *what, const char *name, const float *got, const float *want, int64_t count) {
    double scale = 0, worst = -1;
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) scale += (double)want[i] * want[i];
    scale = sqrt(scale / (double)count);
    for (int64_t i = 0; i < count; i++) {
        const double off = fabs((double)got[i] - want[i]);
        if (!(off <= worst)) worst = off, at = i;
    }
    if (!(worst <= 1e-5 * scale)) {
        print_error("%s: %s at %lld is %.9g, want %.9g; %.2g of its size is allowed\n", what->name, name, (long long)at,
                    (double)got[at], (double)want[at], 1e-5);
        wrong++;
    }
}

static void compare(const Case *what) {
    const StepSpec *spec = &what->spec;
    effnet_error error;
    TrainState state = {.parameters = draw(1, PARAMETERS, 0.1, false),
                        .gradients = draw(5, GRADIENT, 0.02, false),
                        .statistics = draw(6, STATISTICS, 1, false),
                        .slots = {draw(2, SLOT_0, 0.01, true), draw(3, SLOT_1, 1e-3, true)},
                        .ema_parameters = draw(4, AVERAGE, 0.1, false),
                        .ema_statistics = draw(7, AVERAGED_STATISTICS, 1, false),
                        .step = 3};
    float *decays = calloc(network.parameter_floats, sizeof *decays),
          *scales = calloc(network.parameter_floats, sizeof *scales);
    for (int p = 0; p < network.num_parameters; p++) {
        Parameter *parameter = &network.parameters[p];
        parameter->trainable = !what->scaled || (p != 5 && p != 6);
        parameter->lr_scale = !what->scaled ? 1 : p == 8 ? 0.5 : p == 9 ? 0.3 : 1;
        for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
            decays[i] = step_decays(parameter->role, spec->decay_mask);
            scales[i] = parameter->trainable ? (float)parameter->lr_scale : 0;
        }
    }
    XlaProgram program = write_program(spec, what->scaled);
    PjrtExecutable *executable;
    must(pjrt_compile(pjrt, &program, NULL, &executable, NULL, &error), &error);
    float *held[] = {state.parameters,     state.slots[0],   state.slots[1],
                     state.ema_parameters, state.statistics, state.ema_statistics};
    PjrtBuffer *arguments[ARGUMENTS] = {NULL};
    for (int i = 0; i < GRADIENT; i++)
        must(pjrt_upload(pjrt, 0, XLA_F32, 1, program.arguments[i].shape, held[i], &arguments[i], &error), &error);
    must(pjrt_upload(pjrt, 0, XLA_F32, 1, program.arguments[DECAYS].shape, decays, &arguments[DECAYS], &error), &error);
    must(pjrt_upload(pjrt, 0, XLA_F32, 1, program.arguments[SCALES].shape, scales, &arguments[SCALES], &error), &error);
    wrong = 0;
    for (int s = 0; s < STEPS; s++) {
        const double lr = 0.05 / (s + 1);
        const StepRates of = step_rates(spec, lr, state.step + 1);
        const float rates[XLA_RATES_COUNT] = {of.learning_rate, of.average, of.adam_lr, of.inverse_root_correction,
                                              of.first_correction};
        float *gradient = draw((uint64_t)(10 + s), GRADIENT, 0.02, false);
        engine_clear_frozen(&network, gradient);
        memcpy(state.gradients, gradient, network.parameter_floats * sizeof *gradient);
        must(
            pjrt_upload(pjrt, 0, XLA_F32, 1, program.arguments[GRADIENT].shape, gradient, &arguments[GRADIENT], &error),
            &error);
        must(pjrt_upload(pjrt, 0, XLA_F32, 1, program.arguments[RATES].shape, rates, &arguments[RATES], &error),
             &error);
        PjrtBuffer *results[RESULTS];
        must(pjrt_execute(executable, arguments, results, &error), &error);
        double want[NORMS];
        StepSquares *squares = calloc((size_t)optimizer_tasks(&network, spec), sizeof *squares);
        want[0] = gradients_clip(&network, state.gradients, spec->clip_grad, team);
        optimizer_step_measured(&network, spec, &state, lr, team, squares, &want[1], &want[2]);
        free(squares);
        for (int i = 0; i < NORMS; i++) {
            static const char *const whose[] = {"gradient", "weights", "movement"};
            float norm;
            must(pjrt_download(pjrt, results[GRADIENT + i], &norm, sizeof norm, &error), &error);
            if (!(fabs(norm - want[i]) <= (i == 2 ? 1e-4 : 1e-5) * want[i])) { /* a movement: of rounded weights */
                print_error("%s: the norm of the %s is %.9g, want %.9g\n", what->name, whose[i], (double)norm, want[i]);
                wrong++;
            }
            pjrt_buffer_free(pjrt, results[GRADIENT + i]);
        }
        pjrt_buffer_free(pjrt, arguments[GRADIENT]);
        pjrt_buffer_free(pjrt, arguments[RATES]);
        for (int i = 0; i < GRADIENT; i++) {
            pjrt_buffer_free(pjrt, arguments[i]);
            arguments[i] = results[i];
        }
        free(gradient);
    }
    static const char *const names[] = {"the weights",  "the first slot", "the second slot",
                                        "the averages", "the statistics", "the averaged statistics"};
    for (int i = 0; i < GRADIENT; i++) {
        const size_t bytes = (size_t)count_of(i) * sizeof(float);
        float *got = malloc(bytes);
        must(pjrt_download(pjrt, arguments[i], got, bytes, &error), &error);
        near(what, names[i], got, held[i], count_of(i));
        pjrt_buffer_free(pjrt, arguments[i]);
        free(got);
    }
    pjrt_buffer_free(pjrt, arguments[DECAYS]);
    pjrt_buffer_free(pjrt, arguments[SCALES]);
    pjrt_executable_free(executable);
    xla_program_free(&program);
    for (int i = 0; i < GRADIENT; i++) free(held[i]);
    free(state.gradients);
    free(decays);
    free(scales);
    assert_int_equal(wrong, 0);
}

#define COMMON                                                                                                         \
    .batch = 8, .replicas = 1, .accumulate = 1, .average = true, .average_decay = 0.99, .weight_decay = 0.1,           \
    .decay_mask = STEP_DECAY_NO_BN_BIAS, .momentum = 0.9, .alpha = 0.9, .eps = 1e-3, .betas = {0.9, 0.99},             \
    .trust_coefficient = 0.02, .trust_eps = 1e-4
static const Case cases[] = {
    {"rmsprop", {COMMON, .optimizer = STEP_RMSPROP, .lr_in_momentum = true, .clip_grad = 1}, false},
    {"sgd, nesterov", {COMMON, .optimizer = STEP_SGD, .nesterov = true, .decay_mode = STEP_DECAY_HALF_L2}, false},
    {"adamw, decoupled", {COMMON, .optimizer = STEP_ADAMW, .decay_mode = STEP_DECAY_DECOUPLED}, false},
    {"lars", {COMMON, .optimizer = STEP_LARS, .lr_in_momentum = true, .trust_in_momentum = true}, false},
    {"lars, joint norm, nesterov, clipped",
     {COMMON, .optimizer = STEP_LARS, .trust_norm = STEP_TRUST_JOINT, .nesterov = true, .trust_clip = true,
      .trust_mask = STEP_TRUST_ALL, .decay_mode = STEP_DECAY_HALF_L2},
     false},
    {"lars, trust outside the momentum",
     {COMMON, .optimizer = STEP_LARS, .lr_in_momentum = true, .clip_grad = 0.5},
     false},
    {"lamb", {COMMON, .optimizer = STEP_LAMB, .decay_mode = STEP_DECAY_UPDATE, .bias_correction = true}, false},
    {"lamb, decoupled, clipped, without bias correction",
     {COMMON, .optimizer = STEP_LAMB, .decay_mode = STEP_DECAY_DECOUPLED, .trust_clip = true,
      .trust_mask = STEP_TRUST_ALL},
     false},
    {"rmsprop, frozen and scaled", {COMMON, .optimizer = STEP_RMSPROP, .clip_grad = 1}, true},
    {"adamw, decoupled, frozen and scaled",
     {COMMON, .optimizer = STEP_ADAMW, .decay_mode = STEP_DECAY_DECOUPLED},
     true},
    {"lars, clipped, frozen and scaled", {COMMON, .optimizer = STEP_LARS, .trust_clip = true}, true},
    {"lamb, decoupled, frozen and scaled", {COMMON, .optimizer = STEP_LAMB, .decay_mode = STEP_DECAY_DECOUPLED}, true},
};

static void as_on_the_host(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) compare(&cases[i]);
}

int main(void) {
    char path[PLUGIN_PATH];
    effnet_error error;
    if (!xla_plugin(path)) return XLA_SKIPPED;
    ModelConfig config;
    if (model_config_by_name("efficientnet_b0", &config, &error) != EFFNET_OK) return 1;
    config.width = 0.1;
    config.depth = 0.1;
    config.num_classes = 7;
    config.input = (TensorShape){32, 32, 3};
    if (network_build(&config, &network, &error) != EFFNET_OK || thread_team_create(2, &team, &error) != EFFNET_OK ||
        pjrt_open(path, 1, NULL, &pjrt, &error) != EFFNET_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    const int all = network.num_parameters;
    network.num_parameters = FEW; /* its first ones, of every role: what is compiled grows with their number */
    network.parameter_floats = network.parameters[FEW].offset;
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_on_the_host)};
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pjrt_close(pjrt);
    thread_team_free(team);
    network.num_parameters = all;
    network_free(&network);
    return failures;
}
