/* A training step compiled for an accelerator against the same step on this machine: the host executor over the
 * reference engine is what the program must compute. Runs through a CPU plugin; skipped where none is installed
 * (tools/setup.sh test).
 *
 * A small network of every kind of op, with dropout and drop path, so that masks must be the same bits: a mask that
 * differs moves the loss by far more than any tolerance here. */
#include "base/random.h"
#include "executor/executor.h"
#include "executor/replica.h" /* pixels_normalise */
#include "model/freeze.h"
#include "model/initialize.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "step/step_spec.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/xla/xla_fixture.h" /* last: cmocka has a macro fail() */

enum { BATCH = 8, SIDE = 48, CLASSES = 10, STEPS = 2 };

static char device[PLUGIN_PATH + 8];

typedef struct Case {
    const char *name;
    void (*change)(Recipe *recipe);    /* of both */
    void (*on_device)(Recipe *recipe); /* of the accelerator alone; NULL: nothing */
    bool bytes, soft, infers, dense;   /* dense: targets of each class, and weights */
    bool normalised;                   /* the bytes' pictures as the loader's floats, in place of them */
    double tolerance;                  /* of each block's root mean square; 0: what bf16 itself makes of it, below */
} Case;

typedef struct Outcome {
    double loss[STEPS], norm[STEPS], weight_norm[STEPS], update_norm[STEPS];
    TrainState state; /* a copy */
    float logits[BATCH * CLASSES];
} Outcome;

static float *copy_of(const float *values, size_t count) {
    if (!values) return NULL;
    float *copy = malloc(count * sizeof *copy);
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

static Network small_network(const Recipe *recipe) {
    ModelConfig config;
    Network network;
    effnet_error error;
    must(model_config_from_recipe(recipe, 0, &config, &error), &error);
    config.width = 0.35;
    config.depth = 0.5;
    must(network_build(&config, &network, &error), &error);
    must(network_freeze(&network, recipe->freeze, &error), &error);
    if (recipe->layer_decay != 1) network_layer_decay(&network, recipe->layer_decay);
    return network;
}

static Outcome run(const Case *what, bool accelerated) {
    Recipe recipe;
    effnet_error error;
    recipe_defaults(&recipe);
    recipe.num_classes = CLASSES;
    recipe.resolution = (PictureSize){SIDE, SIDE};
    recipe.batch_size = BATCH;
    recipe.drop_path = 0.4;
    recipe.drop = 0.3;
    recipe.lr = 0.01;
    recipe.warmup_epochs = 0;
    recipe.weight_decay = 1e-3;
    if (what->change) what->change(&recipe);
    if (accelerated && what->on_device) what->on_device(&recipe);
    Network network = small_network(&recipe);
    ThreadTeam *team;
    must(thread_team_create(2, &team, &error), &error);
    StepSpec spec;
    step_spec_from_recipe(&recipe, &spec);
    const ExecutorOptions options = {
        .engine = "reference", .device = accelerated ? device : "cpu", .evaluation_batch = BATCH, .team = team};
    Executor *executor;
    must(executor_create(&network, &spec, &options, &executor, &error), &error);
    TrainState state;
    must(train_state_create(&network, &recipe, &state, &error), &error);
    must(executor_load(executor, &state, &error), &error);

    enum { PICTURE = SIDE * SIDE * 3 };
    float *images = malloc(sizeof *images * BATCH * PICTURE), shares[BATCH], weights[BATCH], targets[BATCH * CLASSES];
    uint8_t *pixels = malloc((size_t)BATCH * PICTURE);
    int32_t labels[BATCH], others[BATCH];
    RandomKey key = random_key(7);
    for (int i = 0; i < BATCH * PICTURE; i++) {
        images[i] = random_normal(key, (uint64_t)i);
        pixels[i] = (uint8_t)random_below(key, (uint64_t)i, 256);
    }
    for (int n = 0; n < BATCH; n++) {
        labels[n] = n % CLASSES;
        others[n] = (3 * n + 1) % CLASSES;
        shares[n] = 0.1f * (float)n;
        weights[n] = 0.5f + 0.2f * (float)n;
        for (int c = 0; c < CLASSES; c++) targets[n * CLASSES + c] = (n + c) % 3 == 0;
    }
    if (what->normalised) pixels_normalise(&spec, network.config.input, pixels, BATCH, team, images);
    const bool bytes = what->bytes && !what->normalised;
    const ExecutorBatch batch = {.size = BATCH,
                                 .images = bytes ? NULL : images,
                                 .pixels = bytes ? pixels : NULL,
                                 .labels = labels,
                                 .others = what->soft ? others : NULL,
                                 .shares = what->soft ? shares : NULL,
                                 .targets = what->dense ? targets : NULL,
                                 .weights = what->dense ? weights : NULL,
                                 .norms = true,
                                 .wait = true};
    Outcome outcome = {0};
    for (int s = 0; s < STEPS; s++) {
        StepResults results;
        must(executor_step(executor, &batch, 0.002, &results, &error), &error);
        assert_int_equal(results.count, 1);
        const StepResult result = results.list[0];
        outcome.loss[s] = result.loss;
        outcome.norm[s] = result.gradient_norm;
        outcome.weight_norm[s] = result.weight_norm;
        outcome.update_norm[s] = result.update_norm;
    }
    const TrainState *now;
    const ExecutorBatch some = {.size = BATCH - 3, .images = batch.images, .pixels = batch.pixels, .labels = labels};
    if (what->infers) must(executor_evaluate(executor, EXECUTOR_RAW, &some, outcome.logits, &error), &error);
    must(executor_state(executor, &now, &error), &error);
    assert_int_equal(now->step, STEPS);
    outcome.state.parameters = copy_of(now->parameters, network.parameter_floats);
    outcome.state.statistics = copy_of(now->statistics, network.statistic_floats);
    for (int i = 0; i < 2; i++) outcome.state.slots[i] = copy_of(now->slots[i], network.parameter_floats);
    outcome.state.ema_parameters = copy_of(now->ema_parameters, network.parameter_floats);
    outcome.state.ema_statistics = copy_of(now->ema_statistics, network.statistic_floats);
    executor_free(executor);
    thread_team_free(team);
    network_free(&network);
    free(images);
    free(pixels);
    return outcome;
}

static void free_outcome(Outcome *outcome) {
    free(outcome->state.parameters);
    free(outcome->state.statistics);
    free(outcome->state.slots[0]);
    free(outcome->state.slots[1]);
    free(outcome->state.ema_parameters);
    free(outcome->state.ema_statistics);
}

static int wrong;

static void near_number(const Case *what, const char *name, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fabs(want))) {
        print_error("%s: %s is %.9g, want %.9g: off by %.2g of it, %.2g is allowed\n", what->name, name, got, want,
                    fabs(got - want) / fabs(want), tolerance);
        wrong++;
    }
}

/* The root mean square of a block's difference, as a share of that of the wanted one. */
static double share_off(const float *got, const float *want, size_t count, size_t *worst_at) {
    double difference = 0, size = 0, worst = -1;
    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - want[i];
        difference += d * d;
        size += (double)want[i] * want[i];
        if (!(fabs(d) <= worst)) worst = fabs(d), *worst_at = i;
    }
    return sqrt(difference / size);
}

/* plain: the same block in fp32, where the tolerance is bf16's own noise: three times what rounding moves the
 * reference. */
static void near_block(const Case *what, const char *name, const float *got, const float *want, const float *plain,
                       size_t count) {
    if (!want && !got) return;
    assert_true(want && got);
    size_t at = 0, ignored = 0;
    double share = share_off(got, want, count, &at);
    double allowed = what->tolerance > 0 ? what->tolerance : 3 * share_off(plain, want, count, &ignored);
    if (!(share <= allowed)) {
        print_error("%s: %s is off by %.2g of its size, %.2g is allowed; worst at %zu: %.9g, want %.9g\n", what->name,
                    name, share, allowed, at, (double)got[at], (double)want[at]);
        wrong++;
    }
}

static void compare(const Case *what) {
    const Case in_fp32 = {.name = what->name};
    Outcome want = run(what, false), got = run(what, true), plain = {0};
    if (what->tolerance == 0) plain = run(&in_fp32, false);
    double numbers = what->tolerance > 0 ? what->tolerance : 0.03; /* of losses, and as much as of blocks: */
    for (int s = 0; s < STEPS && what->tolerance == 0; s++)
        numbers = fmax(numbers, 3 * fabs(want.loss[s] - plain.loss[s]) / want.loss[s]);
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.num_classes = CLASSES;
    recipe.resolution = (PictureSize){SIDE, SIDE};
    if (what->change) what->change(&recipe);
    Network network = small_network(&recipe);
    wrong = 0;
    for (int s = 0; s < STEPS; s++) {
        near_number(what, s ? "the second loss" : "the first loss", got.loss[s], want.loss[s], numbers);
        near_number(what, s ? "the second norm" : "the first norm", got.norm[s], want.norm[s], 10 * numbers);
        near_number(what, "the norm of the weights", got.weight_norm[s], want.weight_norm[s], numbers);
        near_number(what, "the norm of the movement", got.update_norm[s], want.update_norm[s], 10 * numbers);
    }
    near_block(what, "the weights", got.state.parameters, want.state.parameters, plain.state.parameters,
               network.parameter_floats);
    near_block(what, "the statistics", got.state.statistics, want.state.statistics, plain.state.statistics,
               network.statistic_floats);
    near_block(what, "the first slot", got.state.slots[0], want.state.slots[0], plain.state.slots[0],
               network.parameter_floats);
    near_block(what, "the second slot", got.state.slots[1], want.state.slots[1], plain.state.slots[1],
               network.parameter_floats);
    near_block(what, "the averages", got.state.ema_parameters, want.state.ema_parameters, plain.state.ema_parameters,
               network.parameter_floats);
    near_block(what, "the averaged statistics", got.state.ema_statistics, want.state.ema_statistics,
               plain.state.ema_statistics, network.statistic_floats);
    if (what->infers) near_block(what, "the logits", got.logits, want.logits, plain.logits, (BATCH - 3) * CLASSES);
    network_free(&network);
    free_outcome(&want);
    free_outcome(&got);
    free_outcome(&plain);
    assert_int_equal(wrong, 0);
}

/* ---- the cases ---- */

static void eight_devices(Recipe *recipe) { /* as the original: each its own masks and statistics */
    recipe->replicas = 4;
    recipe->masks = MASKS_FLAX;
    recipe->bn_sync = BN_SYNC_RUNNING_AVERAGE;
    recipe->clip_grad = 0.5;
}
static void share_moments(Recipe *recipe) {
    recipe->replicas = 4;
    recipe->bn_sync = BN_SYNC_ALL;
}
static void own_moments(Recipe *recipe) {
    recipe->replicas = 2;
    recipe->opt = OPTIMIZER_ADAMW;
    recipe->decay_mode = DECAY_MODE_DECOUPLED;
    recipe->opt_eps = 1e-3;
    recipe->bn_variance = BN_VARIANCE_UNBIASED;
    recipe->loss = LOSS_FOCAL;
}
static void in_parts(Recipe *recipe) {
    recipe->accumulate = 2;
    recipe->opt = OPTIMIZER_SGD;
    recipe->nesterov = true;
    recipe->lr_in_momentum = false;
    recipe->padding = PADDING_SYMMETRIC;
    recipe->model_ema = false;
}
static void
part_frozen(Recipe *recipe) { /* batch norms by running statistics; the rest, and a kernel among it, learns */
    snprintf(recipe->freeze, sizeof recipe->freeze, "%s",
             "^(conv_stem|bn1|blocks\\.[0-3])|blocks.6.0.conv_dw|conv_head");
    recipe->layer_decay = 0.7;
    recipe->replicas = 2;
}
static void not_square(Recipe *recipe) {
    recipe->resolution = (PictureSize){40, 57}; /* no more pixels than SIDE squared */
    recipe->in_chans = 2;
    recipe->replicas = 2;
}
static void half_width(Recipe *recipe) {
    recipe->amp = AMP_BF16;
}

static void published(void **state) {
    (void)state;
    compare(&(Case){.name = "the published step, pictures as bytes, mixed labels",
                    .bytes = true,
                    .soft = true,
                    .infers = true,
                    .tolerance = 2e-4});
}
static void devices_of_the_original(void **state) {
    (void)state;
    compare(&(Case){.name = "four devices, masks: flax, running_average", .change = eight_devices, .tolerance = 2e-4});
}
static void one_batch_in_four_devices(void **state) {
    (void)state;
    compare(&(Case){
        .name = "bn_sync: all over four devices, against one batch", .on_device = share_moments, .tolerance = 2e-4});
}
static void two_devices_adamw(void **state) {
    (void)state;
    compare(&(Case){.name = "two devices, adamw, focal loss of several labels, weights",
                    .change = own_moments,
                    .dense = true,
                    .tolerance = 2e-3});
}
static void parts_and_nesterov(void **state) {
    (void)state;
    compare(&(Case){.name = "accumulate: 2, sgd", .change = in_parts, .tolerance = 2e-4});
}
static void parts_that_are_frozen(void **state) {
    (void)state;
    compare(&(Case){.name = "frozen parts, layer_decay, two devices", .change = part_frozen, .tolerance = 2e-4});
}
static void inputs_that_are_not_square(void **state) {
    (void)state;
    compare(&(Case){.name = "40 x 57 of two channels, pictures as bytes",
                    .change = not_square,
                    .bytes = true,
                    .infers = true,
                    .tolerance = 2e-4});
}
/* The device's own normalisation makes the loader's floats, bit for bit. */
static void bytes_and_floats(void **state) {
    (void)state;
    Case what = {.name = "bytes and floats", .bytes = true};
    Outcome one = run(&what, true);
    what.normalised = true;
    Outcome other = run(&what, true);
    for (int s = 0; s < STEPS; s++)
        if (!(one.loss[s] == other.loss[s] && one.norm[s] == other.norm[s]))
            fail_msg("step %d: loss %.9g, norm %.9g of bytes, %.9g, %.9g of floats", s + 1, one.loss[s], one.norm[s],
                     other.loss[s], other.norm[s]);
    free_outcome(&one);
    free_outcome(&other);
}
static void bf16(void **state) {
    (void)state;
    compare(&(Case){.name = "bf16", .change = half_width});
}

int main(void) {
    char path[PLUGIN_PATH];
    const char *named = getenv("EFFNET_TEST_PLUGIN");
    if (!(named && *named) && !xla_plugin(path)) return XLA_SKIPPED;
    snprintf(device, sizeof device, "xla:%s", named && *named ? named : path);
    quick_compilation();
    setenv("EFFNET_CACHE", "", 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME"); /* nothing from an earlier build's cache */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published),
        cmocka_unit_test(devices_of_the_original),
        cmocka_unit_test(one_batch_in_four_devices),
        cmocka_unit_test(two_devices_adamw),
        cmocka_unit_test(parts_and_nesterov),
        cmocka_unit_test(parts_that_are_frozen),
        cmocka_unit_test(inputs_that_are_not_square),
        cmocka_unit_test(bf16),
        cmocka_unit_test(bytes_and_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
