/* test_switches.c - each switch between the original Flax trainer, TensorFlow's official code and timm, against the
 * numbers that those make themselves (tests/golden/switches_golden.h, made by make_switches.py). The switches of the
 * data are in tests/unit/data/test_switches_data.c, what they do to the first steps in docs/reproducing.md. */
#include "executor/replica.h"
#include "golden/switches_golden.h"
#include "spec_of.h"

#include "base/memory.h"
#include "base/random.h"
#include "executor/executor.h"
#include "model/initialize.h"
#include "recipe/recipe.h"
#include "scratch_folder.h"
#include "step/loss.h"
#include "step/masks.h"
#include "step/optimizer.h"
#include "step/state.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"
#include "train/model_card.h"
#include "train/schedule.h"
#include "train/trainer.h"
#include "train/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static void expect_near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s is %.17g, want %.17g within %g", what, got, want, tolerance);
}

static Recipe defaults(void) {
    Recipe recipe;
    recipe_defaults(&recipe);
    return recipe;
}

/* ---- the loss ---- */

static void test_smoothing_applied(void **state) {
    (void)state;
    static const float logits[] = {1.5f, -0.5f, 0.25f, 2.0f, 0.0f, 3.0f, -1.0f, 0.5f};
    static const int32_t labels[] = {0, 1};
    Recipe recipe = defaults(); /* smoothing .1 */
    expect_near("the official loss", loss_cross_entropy(logits, labels, 2, 4, recipe_smoothing(&recipe), 1, NULL),
                smoothed_loss, 1e-12);
    recipe.smoothing_applied = false;
    expect_near("the original's loss", loss_cross_entropy(logits, labels, 2, 4, recipe_smoothing(&recipe), 1, NULL),
                original_loss, 1e-12);
}

/* ---- the learning rate ---- */

static void expect_rate(const Recipe *recipe, int64_t step, int64_t epoch_steps, double want) {
    char what[60];
    snprintf(what, sizeof what, "the rate of step %lld", (long long)step);
    expect_near(what, schedule_learning_rate(recipe, step, epoch_steps), want, 1e-12 * want);
}

static void test_original_schedule(void **state) {
    (void)state;
    Recipe recipe = defaults();
    recipe.lr = 0.128;
    recipe.decay_steps = 1502;
    recipe.decay_begin = DECAY_BEGIN_TWICE_WARMUP;
    for (size_t i = 0; i < LENGTH(original_rates); i++)
        expect_rate(&recipe, original_rates[i].step, 626, original_rates[i].rate);
    recipe.decay_begin = DECAY_BEGIN_WARMUP; /* one warm-up earlier, all else the same */
    expect_rate(&recipe, 3130 + 1501, 626, 0.128);
    expect_rate(&recipe, 3130 + 1502, 626, 0.128 * 0.97);
    recipe.decay_begin = DECAY_BEGIN_START;
    expect_rate(&recipe, 3130, 626, 0.128 * 0.97 * 0.97);
    recipe.decay_steps = 0;                                     /* 1502.4 */
    expect_rate(&recipe, 3004, 626, 0.128 * 2 * 3004 / 6260.0); /* warm-up still */
    recipe.warmup_epochs = 0;
    expect_rate(&recipe, 1502, 626, 0.128);
    recipe.decay_steps = 1502;
    expect_rate(&recipe, 1502, 626, 0.128 * 0.97);
}

/* Any step of an epoch has the rate of the epoch; 1,668 steps each. */
static void test_timm_schedule(void **state) {
    (void)state;
    Recipe recipe = defaults();
    recipe.lr = 0.048;
    recipe.warmup_epochs = 3;
    recipe.warmup_lr = 1e-6;
    recipe.sched_on_updates = false;
    for (size_t i = 0; i < LENGTH(timm_rates); i++)
        for (int64_t in = 0; in < 1668; in += 1667)
            expect_rate(&recipe, timm_rates[i].step * 1668 + in, 1668, timm_rates[i].rate);
    recipe.decay_begin = DECAY_BEGIN_WARMUP;
    for (size_t i = 0; i < LENGTH(timm_prefix_rates); i++)
        expect_rate(&recipe, timm_prefix_rates[i].step * 1668, 1668, timm_prefix_rates[i].rate);
    recipe.sched_on_updates = true; /* 1.5 epochs into the warm-up */
    expect_rate(&recipe, 2502, 1668, 1e-6 + (0.048 - 1e-6) / 2);
}

static void test_cosine_begins(void **state) {
    (void)state;
    Recipe recipe = defaults();
    recipe.sched = SCHEDULE_COSINE;
    recipe.lr = 1;
    recipe.epochs = 12;
    recipe.warmup_epochs = 2;
    recipe.decay_begin = DECAY_BEGIN_WARMUP; /* over the 10 epochs after it */
    expect_rate(&recipe, 200, 100, 1);
    expect_rate(&recipe, 700, 100, 0.5);
    recipe.decay_begin = DECAY_BEGIN_TWICE_WARMUP; /* over 8 */
    expect_rate(&recipe, 400, 100, 1);
    expect_rate(&recipe, 800, 100, 0.5);
    recipe.warmup_epochs = 6;
    effnet_error err = {0};
    assert_int_equal(recipe_check(&recipe, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "the cosine would begin at epoch 12"));
}

/* ---- weight decay ---- */

static Parameter kinds[] = {
    {.name = "conv", .role = ROLE_CONV, .count = 1, .offset = 0, .trainable = true, .lr_scale = 1},
    {.name = "depthwise", .role = ROLE_DEPTHWISE, .count = 1, .offset = 1, .trainable = true, .lr_scale = 1},
    {.name = "bn_scale", .role = ROLE_BN_SCALE, .count = 1, .offset = 2, .trainable = true, .lr_scale = 1},
    {.name = "bn_bias", .role = ROLE_BN_BIAS, .count = 1, .offset = 3, .trainable = true, .lr_scale = 1},
    {.name = "bias", .role = ROLE_BIAS, .count = 1, .offset = 4, .trainable = true, .lr_scale = 1},
    {.name = "dense", .role = ROLE_DENSE, .count = 1, .offset = 5, .trainable = true, .lr_scale = 1},
};
enum { KINDS = LENGTH(kinds) };

static void expect_decayed(int mask, const DecayedWeights *want) {
    Recipe recipe = defaults();
    recipe.weight_decay = 0.5;
    recipe.decay_mode = DECAY_MODE_HALF_L2;
    recipe.decay_mask = mask;
    Network network = {.parameters = kinds, .num_parameters = KINDS, .parameter_floats = KINDS};
    float w[KINDS], gradients[KINDS], mean_square[KINDS], momentum[KINDS] = {0};
    for (int i = 0; i < KINDS; i++) {
        w[i] = 0.5f;
        mean_square[i] = 1;
    }
    TrainState state = {.parameters = w, .gradients = gradients, .slots = {mean_square, momentum}};
    ThreadTeam *team;
    assert_int_equal(thread_team_create(1, &team, NULL), EFFNET_OK);
    static const float steps[] = {0.1f, -0.2f, 0.3f};
    for (int s = 0; s < 3; s++) {
        for (int i = 0; i < KINDS; i++) gradients[i] = steps[s];
        optimizer_step(&network, spec_of(&recipe), &state, 0.125, team);
    }
    thread_team_free(team);
    const double wanted[KINDS] = {want->conv, want->depthwise, want->bn_scale, want->bn_bias, want->bias, want->dense};
    for (int i = 0; i < KINDS; i++) expect_near(kinds[i].name, w[i], wanted[i], 2e-7);
}

static void test_half_l2_and_masks(void **state) {
    (void)state;
    expect_decayed(DECAY_MASK_NO_BN_BIAS_DEPTHWISE, &original_run1_weights);
    expect_decayed(DECAY_MASK_NO_BN, &original_run2_weights);
}

static Network build(const char *name, bool head_fixed, bool even) {
    Network network;
    ModelConfig config;
    effnet_error err = {0};
    assert_int_equal(model_config_by_name(name, &config, &err), EFFNET_OK);
    config.head_fixed = head_fixed;
    config.squeeze_even = even;
    if (network_build(&config, &network, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return network;
}

/* no_bn_bias is timm's mask: it leaves out every tensor of one dimension, and no other. */
static void test_timm_mask(void **state) {
    (void)state;
    const struct {
        const char *name;
        const int64_t *want;
    } models[] = {{"efficientnet_b0", timm_efficientnet_b0_decay},
                  {"efficientnet_lite0", timm_efficientnet_lite0_decay}};
    for (size_t m = 0; m < LENGTH(models); m++) {
        Network network = build(models[m].name, false, false);
        int64_t counts[4] = {0};
        for (int p = 0; p < network.num_parameters; p++) {
            const Parameter *parameter = &network.parameters[p];
            bool decays = step_decays(parameter->role, STEP_DECAY_NO_BN_BIAS);
            assert_true(decays == (parameter->rank > 1));
            counts[decays ? 0 : 2]++;
            counts[decays ? 1 : 3] += (int64_t)parameter->count;
        }
        for (int i = 0; i < 4; i++) assert_int_equal(counts[i], models[m].want[i]);
        network_free(&network);
    }
}

/* ---- the average ---- */

static double average_after(const Recipe *recipe, double first, const double (*rows)[2], size_t count) {
    Network network = {.statistic_floats = 1};
    float statistic = (float)first, average = 0;
    TrainState state = {.parameters = &statistic, /* of which there are none */
                        .statistics = &statistic,
                        .ema_parameters = &average,
                        .ema_statistics = &average};
    train_state_start_averages(&network, recipe, &state);
    state.ema_parameters = NULL;
    ThreadTeam *team;
    assert_int_equal(thread_team_create(1, &team, NULL), EFFNET_OK);
    for (size_t i = 0; i < count; i++) {
        statistic = (float)rows[i][0];
        optimizer_step(&network, spec_of(recipe), &state, 0, team);
        if (recipe->model_ema_start == MODEL_EMA_START_ZEROS && recipe->model_ema_count == MODEL_EMA_COUNT_BEFORE)
            expect_near("the original's average", average, rows[i][1], 5e-7);
    }
    thread_team_free(team);
    return average;
}

static void test_averages(void **state) {
    (void)state;
    Recipe recipe = defaults();
    recipe.model_ema_decay = 0.4;
    recipe.model_ema_start = MODEL_EMA_START_ZEROS;
    recipe.model_ema_count = MODEL_EMA_COUNT_BEFORE;
    average_after(&recipe, 7, original_averages, LENGTH(original_averages));
    expect_near("the original's first decay", step_average_decay(spec_of(&recipe), 1), 0.1, 1e-15);
    recipe.model_ema_start = MODEL_EMA_START_WEIGHTS; /* .1 of the 7 it starts from */
    expect_near("from the weights", average_after(&recipe, 7, original_averages, 1), 0.1 * 7 + 0.9 * 1, 1e-6);
    recipe.model_ema_count = MODEL_EMA_COUNT_AFTER;
    expect_near("TensorFlow's first decay", step_average_decay(spec_of(&recipe), 1), 2.0 / 11, 1e-15);
    expect_near("TensorFlow's", average_after(&recipe, 7, original_averages, 1), (2 * 7 + 9 * 1) / 11.0, 1e-6);
    recipe.model_ema_warmup = false;
    expect_near("timm's", average_after(&recipe, 7, original_averages, 1), 0.4 * 7 + 0.6 * 1, 1e-6);
}

/* ---- the architecture ---- */

static void test_head_width(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int scaled;
    } heads[] = {{"efficientnet_b0", 1280}, {"efficientnet_b1", 1280}, {"efficientnet_b2", 1408},
                 {"efficientnet_b3", 1536}, {"efficientnet_b4", 1792}, {"efficientnet_b7", 2560}};
    for (size_t i = 0; i < LENGTH(heads); i++) {
        Network scaled = build(heads[i].name, false, false), fixed = build(heads[i].name, true, false);
        bool statistic;
        assert_int_equal(scaled.features, heads[i].scaled);
        assert_int_equal(fixed.features, 1280);
        assert_int_equal(network_find(&fixed, "conv_head.weight", &statistic)->shape[0], 1280);
        assert_int_equal(network_find(&fixed, "classifier.weight", &statistic)->shape[1], 1280);
        network_free(&scaled);
        network_free(&fixed);
    }
}

/* Where channels are multiples of 8, as in the whole family, both roundings are channels / 4. */
static void test_squeeze_width(void **state) {
    (void)state;
    for (size_t row = 0; row < LENGTH(original_squeeze); row++)
        assert_int_equal(squeeze_width(original_squeeze[row][0], true), original_squeeze[row][1]);
    assert_int_equal(squeeze_width(3, false), 1); /* int(.75) = 0, at least 1 */
    assert_int_equal(squeeze_width(12, false), 3);
    assert_int_equal(squeeze_width(12, true), 4);
    const char *name;
    for (int m = 0; (name = model_name_at(m)); m++) {
        if (strstr(name, "lite")) continue;
        Network floored = build(name, false, false), even = build(name, false, true);
        for (int b = 0; b < floored.num_blocks; b++)
            assert_int_equal(floored.blocks[b].squeezed, even.blocks[b].squeezed);
        network_free(&floored);
        network_free(&even);
    }
}

/* ---- initial weights ---- */

typedef struct Moments {
    double deviation, largest;
} Moments;

static Moments moments_of(const Network *network, const float *values, const char *name) {
    bool statistic;
    const Parameter *parameter = network_find(network, name, &statistic);
    Moments moments = {0, 0};
    for (size_t i = 0; i < parameter->count; i++) {
        double value = values[parameter->offset + i];
        moments.deviation += value * value;
        moments.largest = fmax(moments.largest, fabs(value));
    }
    moments.deviation = sqrt(moments.deviation / (double)parameter->count);
    return moments;
}

static void test_initialisers(void **state) {
    (void)state;
    Network network = build("efficientnet_b0", false, false); /* 1,280,000 weights in the classifier */
    float *values = calloc(network.parameter_floats, sizeof *values);
    float *statistics = calloc(network.statistic_floats, sizeof *statistics);
    assert_true(values && statistics);
    const double dense = sqrt(1 / 3.0 / 1000), head = sqrt(2 / 1280.0), cut = 2 / 0.87962566103423978;
    const double official = sqrt(2 / 25.0), flax = sqrt(2 / (25.0 * 672)); /* blocks.5.0.conv_dw: 5x5, 672 channels */
    InitializeOptions options = {.seed = 42};
    for (int truncated = 0; truncated < 2; truncated++) {
        options.truncated = options.dense_truncated = truncated;
        options.depthwise_fan_flax = truncated;
        network_initialize(&network, &options, values, statistics);
        Moments classifier = moments_of(&network, values, "classifier.weight");
        Moments last = moments_of(&network, values, "conv_head.weight");
        Moments depthwise = moments_of(&network, values, "blocks.5.0.conv_dw.weight");
        expect_near("the classifier's deviation", classifier.deviation, dense, 0.003 * dense);
        double edge = truncated ? dense * cut : dense * sqrt(3.0); /* 2.27 deviations, or 1 / sqrt(1000) */
        assert_true(classifier.largest <= edge * 1.000001 && classifier.largest > 0.995 * edge);
        expect_near("the head's deviation", last.deviation, head, 0.004 * head);
        assert_true(truncated ? last.largest <= head * cut * 1.000001 : last.largest > 4 * head);
        double want = truncated ? flax : official;
        expect_near("the depthwise deviation", depthwise.deviation, want, 0.025 * want);
    }
    free(values);
    free(statistics);
    network_free(&network);
}

/* ---- batch norm across devices ---- */

/* TpuBatchNormalization's num_shards_per_group. */
static void test_bn_groups(void **state) {
    (void)state;
    static const int64_t groups[][2] = {{1, 1}, {2, 1}, {8, 1}, {16, 8}, {32, 8}, {64, 8}, {128, 16}, {1024, 128}};
    Recipe recipe = defaults();
    for (size_t i = 0; i < LENGTH(groups); i++) {
        recipe.bn_sync = BN_SYNC_TPU_GROUPS;
        assert_int_equal(recipe_bn_group(&recipe, groups[i][0]), groups[i][1]);
        recipe.bn_sync = BN_SYNC_ALL;
        assert_int_equal(recipe_bn_group(&recipe, groups[i][0]), groups[i][0]);
        recipe.bn_sync = BN_SYNC_RUNNING_AVERAGE;
        assert_int_equal(recipe_bn_group(&recipe, groups[i][0]), 1);
    }
}

static void test_bn_sync_refused(void **state) {
    (void)state;
    static const struct {
        int bn_sync, replicas, accumulate;
        bool allowed;
    } cases[] = {{BN_SYNC_NONE, 4, 4, true},        {BN_SYNC_RUNNING_AVERAGE, 16, 1, true},
                 {BN_SYNC_TPU_GROUPS, 8, 1, true},  {BN_SYNC_TPU_GROUPS, 16, 1, true},
                 {BN_SYNC_ALL, 1, 1, true},         {BN_SYNC_ALL, 2, 1, true},
                 {BN_SYNC_TPU_GROUPS, 12, 1, false}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        Recipe recipe = defaults();
        recipe.batch_size = 48;
        recipe.bn_sync = cases[i].bn_sync;
        recipe.replicas = cases[i].replicas;
        recipe.accumulate = cases[i].accumulate;
        effnet_error err = {0};
        assert_true((recipe_check(&recipe, &err) == EFFNET_OK) == cases[i].allowed);
        if (!cases[i].allowed) assert_non_null(strstr(err.message, "groups of 8 replicas, and replicas is 12"));
    }
    Recipe old = defaults(); /* as such runs were written when accumulate meant devices too */
    old.accumulate = 8;
    for (int flax = 0; flax < 2; flax++) {
        old.masks = flax ? MASKS_FLAX : MASKS_EFFNET;
        old.bn_sync = flax ? BN_SYNC_NONE : BN_SYNC_RUNNING_AVERAGE;
        effnet_error err = {0};
        assert_int_equal(recipe_check(&old, &err), EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(err.message, flax ? "masks: flax" : "bn_sync"));
        assert_non_null(strstr(err.message, "write replicas: 8 and accumulate: 1"));
    }
}

enum { CLASSES = 5, SIDE = 32, IMAGE = SIDE * SIDE * 3 };

/* Statistics after one step on `batch` images from the first, in parts. */
static float *statistics_after(const Network *network, ThreadTeam *team, int bn_sync, int replicas, int batch,
                               const float *images, const int32_t *labels) {
    Recipe recipe = defaults();
    recipe.bn_sync = bn_sync;
    recipe.batch_size = batch;
    recipe.replicas = replicas;
    Trainer trainer;
    effnet_error err = {0};
    const ExecutorBatch pictures = {.size = batch, .images = images, .labels = labels};
    const TrainState *after = NULL;
    if (trainer_create(&recipe, network, team, 100, 0, &trainer, &err) != EFFNET_OK ||
        trainer_start(&trainer, &err) != EFFNET_OK ||
        trainer_step(&trainer, &pictures, NULL, NULL, &err) != EFFNET_OK ||
        executor_state(trainer.executor, &after, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    float *copy = malloc(network->statistic_floats * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, after->statistics, network->statistic_floats * sizeof *copy);
    trainer_free(&trainer);
    return copy;
}

/* Two replicas of four are two devices: the mean of what each makes of the statistics alone, not one after the other.
 */
static void test_running_average(void **state) {
    (void)state;
    ModelConfig config;
    Network network;
    ThreadTeam *team;
    effnet_error err = {0};
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.width = 0.3, config.depth = 0.1;
    config.num_classes = CLASSES;
    config.input = (TensorShape){SIDE, SIDE, 3};
    config.drop = config.drop_path = 0;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_OK);
    assert_int_equal(thread_team_create(2, &team, &err), EFFNET_OK);
    float *images = malloc(8 * IMAGE * sizeof *images);
    static const int32_t labels[8] = {0, 3, 4, 1, 2, 2, 0, 4};
    for (size_t i = 0; i < 8 * IMAGE; i++) images[i] = random_normal(random_key(7), i) * (i < 4 * IMAGE ? 1 : 3);
    float *average = statistics_after(&network, team, BN_SYNC_RUNNING_AVERAGE, 2, 8, images, labels);
    float *in_turn = statistics_after(&network, team, BN_SYNC_NONE, 2, 8, images, labels);
    float *first = statistics_after(&network, team, BN_SYNC_NONE, 1, 4, images, labels);
    float *second = statistics_after(&network, team, BN_SYNC_NONE, 1, 4, images + 4 * IMAGE, labels + 4);
    double apart = 0;
    for (size_t i = 0; i < network.statistic_floats; i++) {
        double want = ((double)first[i] + second[i]) / 2;
        expect_near("a running statistic", average[i], want, 1e-7 * (1 + fabs(want)));
        apart = fmax(apart, fabs((double)in_turn[i] - want));
    }
    assert_true(apart > 1e-3); /* moved twice instead of once */
    float *blocks[] = {average, in_turn, first, second, images};
    for (size_t i = 0; i < LENGTH(blocks); i++) free(blocks[i]);
    thread_team_free(team);
    network_free(&network);
}

/* ---- the recipe's switches arrive where they act ---- */

/* threefry: original, in the initial weights and in the masks of the second of two devices. What these numbers must be
 * is held to JAX by test_random and test_flax_original. */
static void test_threefry(void **state) {
    (void)state;
    ModelConfig config;
    Network network;
    ThreadTeam *team;
    effnet_error err = {0};
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &err), EFFNET_OK);
    config.width = 0.3, config.depth = 0.1;
    config.num_classes = CLASSES;
    config.input = (TensorShape){SIDE, SIDE, 3};
    config.drop = config.drop_path = 0.5;
    assert_int_equal(network_build(&config, &network, &err), EFFNET_OK);
    assert_int_equal(thread_team_create(1, &team, &err), EFFNET_OK);
    size_t features = 2 * (size_t)network.features;
    float *parameters = malloc(network.parameter_floats * sizeof *parameters), *images = calloc(4 * IMAGE, 4);
    float *statistics = malloc(network.statistic_floats * sizeof *statistics), paths[2 * 32];
    float *dropout = malloc(features * sizeof *dropout);
    assert_true(parameters && statistics && images && dropout && network.num_residuals <= 32);
    for (int mode = THREEFRY_PARTITIONABLE; mode <= THREEFRY_ORIGINAL; mode++) {
        Recipe recipe = defaults();
        recipe.init = INIT_FLAX;
        recipe.masks = MASKS_FLAX;
        recipe.batch_size = 4;
        recipe.replicas = 2;
        recipe.threefry = mode;
        Trainer trainer;
        if (trainer_create(&recipe, &network, team, 100, 0, &trainer, &err) != EFFNET_OK) fail_msg("%s", err.message);
        for (int other = THREEFRY_PARTITIONABLE; other <= THREEFRY_ORIGINAL; other++) {
            const InitializeOptions options = {
                .seed = 42, .depthwise_fan_flax = true, .flax = true, .threefry = (ThreefryMode)other};
            network_initialize(&network, &options, parameters, statistics);
            int apart = memcmp(parameters, trainer.state.parameters, network.parameter_floats * sizeof *parameters);
            assert_int_equal(apart == 0, other == mode);
        }
        const ExecutorBatch pictures = {.size = 4, .images = images, .labels = (const int32_t[]){0, 1, 2, 3}};
        if (trainer_start(&trainer, &err) != EFFNET_OK ||
            trainer_step(&trainer, &pictures, NULL, NULL, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
        for (int other = THREEFRY_PARTITIONABLE; other <= THREEFRY_ORIGINAL; other++) {
            FlaxMaskChain chain = {0};
            const FlaxMaskOptions options = {42, (ThreefryMode)other, 1, 2};
            masks_draw_flax(&chain, &options, &network, 0, 2, paths, dropout);
            assert_int_equal(
                memcmp(dropout, host_executor_room(trainer.executor)->dropout_scale, features * sizeof *dropout) == 0,
                other == mode);
        }
        trainer_free(&trainer);
    }
    float *blocks[] = {parameters, statistics, images, dropout};
    for (size_t i = 0; i < LENGTH(blocks); i++) free(blocks[i]);
    thread_team_free(team);
    network_free(&network);
}

static void test_recipe_to_model(void **state) {
    (void)state;
    Recipe recipe = defaults();
    ModelConfig config;
    recipe.num_classes = 10;
    recipe.head_width = HEAD_WIDTH_FIXED;
    recipe.se_round = SE_ROUND_EVEN;
    recipe.normalize = false;
    recipe.overshoot = OVERSHOOT_KEEP;
    assert_int_equal(model_config_from_recipe(&recipe, 0, &config, NULL), EFFNET_OK);
    assert_true(config.head_fixed && config.squeeze_even);
    ModelCard card;
    model_card_from_recipe(&recipe, &config, &card);
    assert_int_equal(card.transform.overshoot, OVERSHOOT_KEEP);
    for (int c = 0; c < 3; c++) assert_true(card.transform.mean[c] == 0 && card.transform.std[c] == 1 / 255.0);
}

/* Width and depth of one's own: the network that the recipe asks for, told by its weights, and back into a recipe. */
static void test_coefficients(void **state) {
    (void)state;
    Recipe recipe = defaults(), again = defaults();
    ModelConfig config;
    Network network;
    recipe.num_classes = 10;
    assert_int_equal(model_config_from_recipe(&recipe, 0, &config, NULL), EFFNET_OK);
    assert_true(config.width == 1 && config.depth == 1);
    recipe.width_coefficient = 0.35;
    recipe.depth_coefficient = 0.5;
    assert_int_equal(model_config_from_recipe(&recipe, 0, &config, NULL), EFFNET_OK);
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    assert_int_equal(network.features, 448);  /* 1280 x .35 */
    assert_int_equal(network.num_blocks, 10); /* 1 + 1 + 1 + 2 + 2 + 2 + 1 of 1 2 2 3 3 4 1 */
    float *parameters = calloc(network.parameter_floats, sizeof *parameters);
    float *statistics = calloc(network.statistic_floats, sizeof *statistics);
    assert_true(parameters && statistics);
    ModelCard card, got;
    model_card_from_recipe(&recipe, &config, &card);
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "narrow.safetensors");
    effnet_error err = {0};
    if (weights_write(path, &network, parameters, statistics, &card, &err) != EFFNET_OK) fail_msg("%s", err.message);
    if (weights_read_card(path, &got, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_true(got.config.width == 0.35 && got.config.depth == 0.5);
    recipe_from_card(&got, &again);
    assert_true(again.width_coefficient == 0.35 && again.depth_coefficient == 0.5);
    model_card_free(&got);
    scratch_folder_remove(&folder);
    free(parameters);
    free(statistics);
    network_free(&network);
}

/* What a reader of the weights must know is in their file: widths, and how pictures are made for them. */
static void test_card_keeps_switches(void **state) {
    (void)state;
    Network network = build("efficientnet_b2", true, true); /* 1280 features where B2 has 1408 */
    float *parameters = calloc(network.parameter_floats, sizeof *parameters);
    float *statistics = calloc(network.statistic_floats, sizeof *statistics);
    assert_true(parameters && statistics);
    Recipe recipe = defaults();
    recipe.normalize = false;
    recipe.overshoot = OVERSHOOT_KEEP;
    ModelCard card, got;
    model_card_from_recipe(&recipe, &network.config, &card);
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "b2.safetensors");
    effnet_error err = {0};
    if (weights_write(path, &network, parameters, statistics, &card, &err) != EFFNET_OK) fail_msg("%s", err.message);
    if (weights_read_card(path, &got, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_true(got.config.head_fixed && got.config.squeeze_even);
    assert_int_equal(got.transform.overshoot, OVERSHOOT_KEEP);
    for (int c = 0; c < 3; c++)
        assert_true(got.transform.mean[c] == 0 && fabs(got.transform.std[c] - 1 / 255.0) <= 1e-15);
    Network again;
    if (network_build(&got.config, &again, &err) != EFFNET_OK) fail_msg("%s", err.message);
    if (weights_read(path, &again, parameters, statistics, false, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    network_free(&again);
    model_card_free(&got);
    scratch_folder_remove(&folder);
    free(parameters);
    free(statistics);
    network_free(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoothing_applied),
        cmocka_unit_test(test_original_schedule),
        cmocka_unit_test(test_timm_schedule),
        cmocka_unit_test(test_cosine_begins),
        cmocka_unit_test(test_half_l2_and_masks),
        cmocka_unit_test(test_timm_mask),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_head_width),
        cmocka_unit_test(test_squeeze_width),
        cmocka_unit_test(test_initialisers),
        cmocka_unit_test(test_bn_groups),
        cmocka_unit_test(test_bn_sync_refused),
        cmocka_unit_test(test_running_average),
        cmocka_unit_test(test_threefry),
        cmocka_unit_test(test_recipe_to_model),
        cmocka_unit_test(test_coefficients),
        cmocka_unit_test(test_card_keeps_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
