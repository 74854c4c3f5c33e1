/* test_executor_host.c - one training step of the host executor: parts and replicas of a batch against the whole,
 * nothing changed by a step that fails, and where a number that is not finite began. A made-up engine that answers what
 * it is told shows how the engine is called; the CPU and the reference engine show that the sums are right. Also
 * accuracy, counted by hand. */
#include "compare.h"
#include "data/transform/preprocess.h"
#include "executor/executor.h"
#include "executor/gradient_tree.h"
#include "executor/replica.h"
#include "recipe/recipe.h"
#include "step/loss.h"
#include "step/state.h"
#include "train/evaluate.h"
#include "train/trainer.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CLASSES = 5, RESOLUTION = 32, IMAGE = RESOLUTION * RESOLUTION * 3, BATCH = 8 };

static Network network;
static ThreadTeam *team;
static float *images; /* (BATCH, R, R, 3) */
static int32_t labels[BATCH] = {0, 3, 4, 1, 2, 2, 0, 4};

static Recipe make_recipe(const char *engine) {
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.batch_size = BATCH;
    snprintf(recipe.engine, sizeof recipe.engine, "%s", engine);
    recipe.warmup_epochs = 0;
    recipe.lr = 0.01;
    return recipe;
}

static Trainer make_trainer(const Recipe *recipe) {
    Trainer trainer;
    effnet_error err = {0};
    if (trainer_create(recipe, &network, team, 100, 0, &trainer, &err) != EFFNET_OK ||
        trainer_start(&trainer, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    return trainer;
}

static TrainState *state_of(const Trainer *trainer) { /* of the host: the very blocks */
    const TrainState *state;
    assert_int_equal(executor_state(trainer->executor, &state, NULL), EFFNET_OK);
    return (TrainState *)state;
}

static effnet_status try_step(Trainer *trainer, const float *pictures, const int32_t *taught, int batch, double *loss,
                              double *lr, effnet_error *err) {
    const ExecutorBatch given = {.size = batch, .images = pictures, .labels = taught};
    StepResult result;
    TRY(trainer_step(trainer, &given, &result, lr, err));
    if (loss) *loss = result.loss;
    return EFFNET_OK;
}

static void step(Trainer *trainer, int batch, double *loss) {
    effnet_error err = {0};
    if (try_step(trainer, images, labels, batch, loss, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
}

/* ---- a made-up engine ---- */

typedef struct MadeUp {
    Engine base;
    int calls, batches[16];
    bool accumulates[16];
    const float *image_starts[16];
    double gradient_sums[16]; /* of |logits gradient| */
    float logit, gradient;    /* what it answers */
    size_t gradient_at;       /* where `gradient` is put */
    float moved;              /* what it makes of the first running mean */
} MadeUp;

static effnet_status made_up_forward(Engine *engine, const EngineForward *call, effnet_error *err) {
    (void)err;
    MadeUp *made_up = (MadeUp *)engine;
    for (int i = 0; i < call->batch * CLASSES; i++) call->logits[i] = (float)(i % CLASSES);
    call->logits[0] = made_up->logit;
    call->statistics[0] = made_up->moved;
    return EFFNET_OK;
}

static effnet_status made_up_backward(Engine *engine, const EngineForward *call, const float *logits_gradient,
                                      float *gradients, bool accumulate, effnet_error *err) {
    (void)err;
    MadeUp *made_up = (MadeUp *)engine;
    double sum = 0;
    for (int i = 0; i < call->batch * CLASSES; i++) sum += fabs((double)logits_gradient[i]);
    made_up->batches[made_up->calls] = call->batch;
    made_up->accumulates[made_up->calls] = accumulate;
    made_up->image_starts[made_up->calls] = call->images;
    made_up->gradient_sums[made_up->calls++] = sum;
    for (size_t i = 0; i < network.parameter_floats; i++) gradients[i] = 1e-3f;
    gradients[made_up->gradient_at] = made_up->gradient;
    return EFFNET_OK;
}

static const char *made_up_find(Engine *engine) {
    (void)engine;
    return "blocks.9.9.made_up";
}

static void made_up_free(Engine *engine) {
    (void)engine;
}

static const EngineVtable made_up_table = {
    .forward = made_up_forward, .backward = made_up_backward, .find_nonfinite = made_up_find, .free = made_up_free};

static void put_in(Trainer *trainer, MadeUp *made_up) {
    *made_up = (MadeUp){.base = {&made_up_table}, .gradient = 1e-3f, .moved = 0.5f};
    ReplicaRoom *room = host_executor_room(trainer->executor);
    engine_free(room->engine);
    room->engine = &made_up->base;
}

static void test_parts(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    recipe.accumulate = 4;
    Trainer trainer = make_trainer(&recipe);
    MadeUp made_up;
    put_in(&trainer, &made_up);
    double loss = 0, rate = 0;
    assert_int_equal(try_step(&trainer, images, labels, 7, &loss, &rate, NULL), EFFNET_OK); /* 2 + 2 + 2 + 1 */
    assert_int_equal(made_up.calls, 4);
    float logits[7 * CLASSES], gradient[7 * CLASSES];
    for (int i = 0; i < 7 * CLASSES; i++) logits[i] = (float)(i % CLASSES);
    for (int p = 0; p < 4; p++) logits[2 * p * CLASSES] = made_up.logit;
    double want = loss_cross_entropy(logits, labels, 7, CLASSES, 0.1, 1, gradient);
    assert_true(fabs(loss - want) < 1e-12); /* the mean over the batch, not over the parts */
    assert_true(rate == 0.01);
    for (int p = 0; p < 4; p++) {
        int count = p < 3 ? 2 : 1;
        double sum = 0;
        for (int i = 0; i < count * CLASSES; i++) sum += fabs((double)gradient[2 * p * CLASSES + i]);
        assert_int_equal(made_up.batches[p], count);
        assert_int_equal(made_up.accumulates[p], p > 0);
        assert_ptr_equal(made_up.image_starts[p], images + (size_t)2 * (size_t)p * IMAGE);
        assert_true(fabs(made_up.gradient_sums[p] - sum) < 1e-6 * sum);
    }
    assert_int_equal(state_of(&trainer)->step, 1);
    trainer_free(&trainer);
}

/* Copies of everything that a failed step must leave alone. */
typedef struct Kept {
    float *values;
    size_t count;
} Kept;

static Kept keep(const Trainer *trainer) {
    size_t floats = network.parameter_floats, statistics = network.statistic_floats;
    const TrainState *s = state_of(trainer);
    Kept kept = {malloc((4 * floats + 2 * statistics) * sizeof(float)), 4 * floats + 2 * statistics};
    assert_non_null(kept.values);
    const float *blocks[] = {s->parameters, s->slots[0], s->slots[1], s->ema_parameters};
    for (int b = 0; b < 4; b++) memcpy(kept.values + (size_t)b * floats, blocks[b], floats * sizeof(float));
    memcpy(kept.values + 4 * floats, s->statistics, statistics * sizeof(float));
    memcpy(kept.values + 4 * floats + statistics, s->ema_statistics, statistics * sizeof(float));
    return kept;
}

static void expect_failure(Trainer *trainer, const char *first, const char *second) {
    Kept before = keep(trainer);
    int64_t at = state_of(trainer)->step;
    effnet_error err = {0};
    assert_int_equal(try_step(trainer, images, labels, BATCH, NULL, NULL, &err), EFFNET_ERROR_NUMERIC);
    if (!strstr(err.message, first) || !strstr(err.message, second))
        fail_msg("'%s' names neither '%s' nor '%s'", err.message, first, second);
    Kept after = keep(trainer);
    assert_true(compare_bits("state after a failed step", after.values, before.values, before.count, NULL, 0));
    assert_int_equal(state_of(trainer)->step, at);
    free(before.values);
    free(after.values);
}

static void test_failures_change_nothing(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    Trainer trainer = make_trainer(&recipe);
    MadeUp made_up;
    put_in(&trainer, &made_up);
    step(&trainer, BATCH, NULL); /* so that nothing is zero any more, and it works */
    made_up.moved = 0.75f;
    made_up.logit = INFINITY;
    expect_failure(&trainer, "step 2", "blocks.9.9.made_up");
    made_up.logit = 0;
    const Parameter *last = &network.parameters[network.num_parameters - 2];
    made_up.gradient_at = last->offset + last->count - 1;
    made_up.gradient = NAN;
    expect_failure(&trainer, "step 2", last->name);
    made_up.gradient = -INFINITY;
    expect_failure(&trainer, "gradient", last->name);
    made_up.gradient = 0;
    step(&trainer, BATCH, NULL);
    assert_true(state_of(&trainer)->statistics[0] == 0.75f);
    trainer_free(&trainer);
}

static void test_wrong_input(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    Trainer trainer = make_trainer(&recipe);
    effnet_error err = {0};
    int32_t wrong[BATCH] = {0, 1, CLASSES};
    assert_int_equal(try_step(&trainer, images, wrong, 3, NULL, NULL, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "label 5 of image 2"));
    assert_int_equal(try_step(&trainer, images, labels, 0, NULL, NULL, &err), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(try_step(&trainer, images, labels, BATCH + 1, NULL, NULL, &err), EFFNET_ERROR_ARGUMENT);
    trainer_free(&trainer);
    recipe.accumulate = 3;
    assert_int_not_equal(trainer_create(&recipe, &network, team, 100, 0, &trainer, &err), EFFNET_OK);
    trainer_free(&trainer); /* harmless */
}

static void test_check_finite(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    Trainer trainer = make_trainer(&recipe);
    effnet_error err = {0};
    assert_int_equal(state_check_finite(&network, state_of(&trainer), &err), EFFNET_OK);
    float *last = &state_of(&trainer)->ema_statistics[network.statistic_floats - 1];
    *last = NAN;
    assert_int_equal(state_check_finite(&network, state_of(&trainer), &err), EFFNET_ERROR_NUMERIC);
    assert_non_null(strstr(err.message, network.statistics[network.num_statistics - 1].name));
    *last = 0;
    state_of(&trainer)->slots[1][0] = INFINITY;
    assert_int_equal(state_check_finite(&network, state_of(&trainer), &err), EFFNET_ERROR_NUMERIC);
    assert_non_null(strstr(err.message, network.parameters[0].name));
    trainer_free(&trainer);
}

/* ---- the real engines ---- */

/* Four different images, twice: each half has the batch statistics of the whole, so batch norm does not tell two parts
 * from one batch, as long as drop path does not either. Dropout, behind the last batch norm, stays: its masks must be
 * those of the image's place in the whole batch. The running statistics move once a part, so they are not compared. */
static void test_accumulation_is_the_whole_batch(void **state) {
    (void)state;
    float *kept = malloc(BATCH * IMAGE * sizeof *kept);
    memcpy(kept, images, BATCH * IMAGE * sizeof *kept);
    memcpy(images + (size_t)4 * IMAGE, images, (size_t)4 * IMAGE * sizeof *images);
    Network no_drop_path;
    ModelConfig config = network.config;
    config.drop_path = 0;
    assert_int_equal(network_build(&config, &no_drop_path, NULL), EFFNET_OK);
    Recipe recipe = make_recipe("reference");
    recipe.opt = OPTIMIZER_SGD;
    Trainer whole, parts;
    assert_int_equal(trainer_create(&recipe, &no_drop_path, team, 100, 0, &whole, NULL), EFFNET_OK);
    assert_int_equal(trainer_start(&whole, NULL), EFFNET_OK);
    recipe.accumulate = 2;
    assert_int_equal(trainer_create(&recipe, &no_drop_path, team, 100, 0, &parts, NULL), EFFNET_OK);
    assert_int_equal(trainer_start(&parts, NULL), EFFNET_OK);
    double whole_loss = 0, parts_loss = 0;
    step(&whole, BATCH, &whole_loss);
    step(&parts, BATCH, &parts_loss);
    assert_true(fabs(whole_loss - parts_loss) < 1e-5);
    assert_true(compare_floats("gradients", state_of(&parts)->gradients, state_of(&whole)->gradients,
                               network.parameter_floats, NULL, 0, 1e-4));
    assert_true(compare_floats("weights", state_of(&parts)->parameters, state_of(&whole)->parameters,
                               network.parameter_floats, NULL, 0, 1e-6));
    trainer_free(&whole);
    trainer_free(&parts);
    network_free(&no_drop_path);
    memcpy(images, kept, BATCH * IMAGE * sizeof *kept);
    free(kept);
}

/* A step by each engine: the same loss and nearly the same weights. RMSProp divides by a root that is 1 at first, so
 * the weights differ as the gradients do. */
static void test_engines_agree(void **state) {
    (void)state;
    Recipe recipes[2] = {make_recipe("reference"), make_recipe("cpu")};
    Trainer trainers[2];
    double losses[2] = {0};
    for (int e = 0; e < 2; e++) {
        trainers[e] = make_trainer(&recipes[e]);
        step(&trainers[e], BATCH, &losses[e]);
    }
    if (!(fabs(losses[0] - losses[1]) < 1e-4)) fail_msg("losses %.9g and %.9g", losses[0], losses[1]);
    assert_true(compare_floats("weights", state_of(&trainers[1])->parameters, state_of(&trainers[0])->parameters,
                               network.parameter_floats, NULL, 0, 1e-4));
    trainer_free(&trainers[0]);
    trainer_free(&trainers[1]);
}

/* Batch norm over eight 1x1 pictures in the last stages is lively: gradients are clipped, a classifier of zeros takes
 * small steps (eight seeds end between 0.46 and 0.51 of the first loss), and what masks add is left to the first half
 * of the test, which compares bits. */
static void test_learns_and_threads_do_not_matter(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    Trainer trainers[2];
    double first = 0, loss = 0;
    ThreadTeam *alone;
    assert_int_equal(thread_team_create(1, &alone, NULL), EFFNET_OK);
    for (int t = 0; t < 2; t++) {
        assert_int_equal(trainer_create(&recipe, &network, t ? team : alone, 100, 0, &trainers[t], NULL), EFFNET_OK);
        assert_int_equal(trainer_start(&trainers[t], NULL), EFFNET_OK);
        for (int s = 0; s < 4; s++) step(&trainers[t], BATCH, NULL);
    }
    assert_true(compare_bits("weights, 2 threads and 1", state_of(&trainers[1])->parameters,
                             state_of(&trainers[0])->parameters, network.parameter_floats, NULL, 0));
    assert_true(compare_bits("averages", state_of(&trainers[1])->ema_parameters, state_of(&trainers[0])->ema_parameters,
                             network.parameter_floats, NULL, 0));
    trainer_free(&trainers[0]);
    trainer_free(&trainers[1]);
    thread_team_free(alone);

    Network plain;
    ModelConfig config = network.config;
    config.drop = config.drop_path = 0;
    assert_int_equal(network_build(&config, &plain, NULL), EFFNET_OK);
    recipe.clip_grad = 1;
    recipe.lr = 0.001;
    recipe.init_dense = INIT_DENSE_ZEROS;
    assert_int_equal(trainer_create(&recipe, &plain, team, 100, 0, &trainers[0], NULL), EFFNET_OK);
    assert_int_equal(trainer_start(&trainers[0], NULL), EFFNET_OK);
    for (int s = 0; s < 20; s++) {
        step(&trainers[0], BATCH, &loss);
        if (s == 0) first = loss;
    }
    if (!(loss < 0.6 * first)) fail_msg("the loss of a batch seen 20 times went from %.4f to %.4f", first, loss);
    trainer_free(&trainers[0]);
    network_free(&plain);
}

static void test_nan_is_found_in_its_layer(void **state) {
    (void)state;
    for (int e = 0; e < 2; e++) {
        Recipe recipe = make_recipe(e ? "reference" : "cpu");
        Trainer trainer = make_trainer(&recipe);
        bool statistic;
        const Parameter *weight = network_find(&network, "blocks.3.1.conv_pw.weight", &statistic);
        assert_non_null(weight);
        state_of(&trainer)->parameters[weight->offset + 3] = NAN;
        expect_failure(&trainer, "step 1", "blocks.3.1");
        trainer_free(&trainer);
    }
}

/* Bytes are normalised to the bits that the loader makes of them, so a step on them is the step on floats. */
static void test_bytes(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    uint8_t *pixels = malloc((size_t)BATCH * IMAGE);
    float *floats = malloc((size_t)BATCH * IMAGE * sizeof *floats);
    assert_true(pixels && floats);
    for (size_t i = 0; i < (size_t)BATCH * IMAGE; i++) pixels[i] = (uint8_t)random_bits(random_key(3), i);
    PreprocessOptions options;
    preprocess_from_recipe(&recipe, (TensorShape){RESOLUTION, RESOLUTION, 3}, &options);
    options.transform.val_crop = VAL_CROP_NONE;
    for (size_t n = 0; n < BATCH; n++) {
        const Picture picture = {.height = RESOLUTION, .width = RESOLUTION, .pixels = pixels + n * IMAGE};
        assert_int_equal(preprocess_eval(&options.transform, &picture, floats + n * IMAGE, NULL), EFFNET_OK);
    }
    const ExecutorBatch batches[2] = {{.size = BATCH, .images = floats, .labels = labels},
                                      {.size = BATCH, .pixels = pixels, .labels = labels}};
    Trainer trainers[2];
    float logits[2][BATCH * CLASSES];
    recipe.accumulate = 2;
    for (int t = 0; t < 2; t++) {
        assert_int_equal(trainer_create(&recipe, &network, team, 100, BATCH, &trainers[t], NULL), EFFNET_OK);
        assert_int_equal(trainer_start(&trainers[t], NULL), EFFNET_OK);
        assert_int_equal(trainer_step(&trainers[t], &batches[t], NULL, NULL, NULL), EFFNET_OK);
        assert_int_equal(executor_evaluate(trainers[t].executor, EXECUTOR_AVERAGED, &batches[t], logits[t], NULL),
                         EFFNET_OK);
    }
    assert_true(compare_bits("weights of bytes and floats", state_of(&trainers[1])->parameters,
                             state_of(&trainers[0])->parameters, network.parameter_floats, NULL, 0));
    assert_true(compare_bits("logits of bytes and floats", logits[1], logits[0], BATCH * CLASSES, NULL, 0));
    for (int t = 0; t < 2; t++) trainer_free(&trainers[t]);
    free(pixels);
    free(floats);
}

/* Gradients of 1 to 9 replicas against the tree written down as it is defined: stride 1, 2, 4, i takes in i + stride.
 */
static void test_gradient_tree(void **state) {
    (void)state;
    enum { FLOATS = 1000, MOST = 9 };
    static float values[MOST][FLOATS], sum[FLOATS];
    for (int replicas = 1; replicas <= MOST; replicas++) {
        GradientTree tree;
        assert_int_equal(gradient_tree_create(FLOATS, replicas, &tree, NULL), EFFNET_OK);
        for (int again = 0; again < 2; again++) {
            gradient_tree_begin(&tree, sum);
            for (int r = 0; r < replicas; r++) {
                float *next = gradient_tree_next(&tree);
                for (size_t i = 0; i < FLOATS; i++)
                    next[i] = values[r][i] = random_normal(random_key((uint64_t)r), i) * (float)(1 << r);
                gradient_tree_add(&tree, team);
            }
            gradient_tree_finish(&tree, team);
        }
        for (int stride = 1; stride < replicas; stride *= 2)
            for (int r = 0; r + stride < replicas; r += 2 * stride)
                for (size_t i = 0; i < FLOATS; i++) values[r][i] += values[r + stride][i];
        assert_true(compare_bits("the sum over replicas", sum, values[0], FLOATS, NULL, 0));
        gradient_tree_free(&tree);
    }
}

/* Two replicas are the two parts of one, where batch norm's statistics move in turn: what differs is that parts add to
 * one block within the passes and replicas block to block. */
static void test_two_replicas_are_two_parts(void **state) {
    (void)state;
    Recipe recipe = make_recipe("cpu");
    recipe.accumulate = 2;
    Trainer parts = make_trainer(&recipe);
    recipe.accumulate = 1;
    recipe.replicas = 2;
    Trainer replicas = make_trainer(&recipe);
    step(&parts, BATCH, NULL);
    step(&replicas, BATCH, NULL);
    assert_true(compare_floats("weights", state_of(&replicas)->parameters, state_of(&parts)->parameters,
                               network.parameter_floats, NULL, 0, 1e-5));
    assert_true(compare_floats("statistics", state_of(&replicas)->statistics, state_of(&parts)->statistics,
                               network.statistic_floats, NULL, 0, 1e-5));
    trainer_free(&parts);
    trainer_free(&replicas);
}

static void test_engine_and_device_by_name(void **state) {
    (void)state;
    Recipe recipe = make_recipe("warp");
    Trainer trainer;
    effnet_error err = {0};
    assert_int_equal(trainer_create(&recipe, &network, team, 100, 0, &trainer, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "engine is 'warp'; allowed: cpu, reference"));
    recipe = make_recipe("fast");
    snprintf(recipe.device, sizeof recipe.device, "abacus");
    assert_int_equal(trainer_create(&recipe, &network, team, 100, 0, &trainer, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "device is 'abacus'; there is: cpu"));
}

/* ---- accuracy ---- */

static void test_accuracy(void **state) {
    (void)state;
    const float logits[5][7] = {
        {9, 1, 2, 3, 4, 5, 6},   /* label 0: first */
        {9, 9, 2, 3, 4, 5, 6},   /* label 0: a tie for the first place is none */
        {5, 9, 8, 7, 6, 1, 2},   /* label 0: fifth */
        {5, 9, 8, 7, 6, 5, 2},   /* label 0: a tie for the fifth place is none */
        {NAN, 9, 8, 7, 6, 5, 2}, /* label 0: nowhere */
    };
    const int32_t zeros[5] = {0};
    Accuracy accuracy = {0};
    accuracy_add(&accuracy, logits[0], zeros, 2, 7);
    accuracy_add(&accuracy, logits[2], zeros, 3, 7);
    assert_int_equal(accuracy.images, 5);
    assert_true(accuracy.top1 == 1 && accuracy.top5 == 3);
    assert_true(isnan(accuracy.loss));
    accuracy_finish(&accuracy);
    assert_true(fabs(accuracy.top1 - 20) < 1e-12 && fabs(accuracy.top5 - 60) < 1e-12);
    Accuracy few = {0};
    const float two[4] = {1, 1, 0, 1};
    accuracy_add(&few, two, zeros, 2, 2);
    accuracy_finish(&few);
    assert_true(few.top1 == 0 && few.top5 == 100);
    assert_true(fabs(few.loss - (log(2) + log(1 + exp(1))) / 2) < 1e-12);
}

int main(void) {
    ModelConfig config;
    if (model_config_by_name("efficientnet_b0", &config, NULL) != EFFNET_OK) return 1;
    config.width = config.depth = 0.5;
    config.input = (TensorShape){RESOLUTION, RESOLUTION, 3};
    config.num_classes = CLASSES;
    if (network_build(&config, &network, NULL) != EFFNET_OK || thread_team_create(2, &team, NULL) != EFFNET_OK)
        return 1;
    images = malloc((size_t)BATCH * IMAGE * sizeof *images);
    if (!images) return 1;
    for (size_t i = 0; i < (size_t)BATCH * IMAGE; i++) images[i] = random_normal(random_key(9), i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_failures_change_nothing),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_check_finite),
        cmocka_unit_test(test_accumulation_is_the_whole_batch),
        cmocka_unit_test(test_engines_agree),
        cmocka_unit_test(test_learns_and_threads_do_not_matter),
        cmocka_unit_test(test_nan_is_found_in_its_layer),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_gradient_tree),
        cmocka_unit_test(test_two_replicas_are_two_parts),
        cmocka_unit_test(test_engine_and_device_by_name),
        cmocka_unit_test(test_accuracy),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(images);
    thread_team_free(team);
    network_free(&network);
    return failed;
}
