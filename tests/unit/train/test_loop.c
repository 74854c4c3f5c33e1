/* test_loop.c - whole runs on a few pictures that the test writes: N steps, a stop and N more leave the files of 2N
 * steps; interruption, NaN and a full disk leave a good checkpoint; wrong folders and changed recipes are refused; the
 * log is one curve. Lite0 at 32x32, two classes. */
#include "compare.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "step/step_spec.h"
#include "train/checkpoint.h"
#include "train/divergence.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"
#include "train/loop.h"
#include "train/weights.h"

#include "base/file.h"
#include "base/random.h"

#include <dirent.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TRAIN = 43, VALIDATION = 13, SIDE = 16, BATCH = 8, STEPS_PER_EPOCH = TRAIN / BATCH };

static char root[] = "/tmp/effnet_test_loop_XXXXXX";
static char data[64];

/* ---- pictures, folders ---- */

static void put_u32(FILE *file, uint32_t value) {
    const unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                    (unsigned char)(value >> 8), (unsigned char)value};
    fwrite(bytes, 1, 4, file);
}

/* Class 0: light above, class 1: light below, with noise. */
static void write_split(const char *prefix, int count, uint64_t seed) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", data, prefix);
    FILE *pictures = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", data, prefix);
    FILE *labels = fopen(path, "wb");
    assert_true(pictures && labels);
    put_u32(pictures, 0x803);
    put_u32(pictures, (uint32_t)count);
    put_u32(pictures, SIDE);
    put_u32(pictures, SIDE);
    put_u32(labels, 0x801);
    put_u32(labels, (uint32_t)count);
    for (int n = 0; n < count; n++) {
        fputc(n % 2, labels);
        for (int i = 0; i < SIDE * SIDE; i++) {
            bool lit = (i / SIDE < SIDE / 2) == (n % 2 == 0);
            fputc((int)random_below(random_key(seed + (uint64_t)n), (uint64_t)i, 100) + (lit ? 120 : 0), pictures);
        }
    }
    assert_int_equal(fclose(pictures), 0);
    assert_int_equal(fclose(labels), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

static int make_data(void **state) {
    (void)state;
    if (!mkdtemp(root)) return -1;
    snprintf(data, sizeof data, "%s/data", root);
    if (mkdir(data, 0777) != 0) return -1;
    write_split("train", TRAIN, 1000);
    write_split("t10k", VALIDATION, 5000);
    return 0;
}

static int remove_data(void **state) {
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void out_folder(char out[256], const char *name) {
    snprintf(out, 256, "%s/%s", root, name);
}

/* ---- runs ---- */

static Recipe make_recipe(void) {
    Recipe recipe;
    recipe_defaults(&recipe);
    snprintf(recipe.model, sizeof recipe.model, "efficientnet_lite0");
    recipe.width_coefficient = 0.35; /* what runs write and keep, not what they learn */
    recipe.depth_coefficient = 0.1;
    recipe.resolution = (PictureSize){32, 32};
    recipe.batch_size = BATCH;
    recipe.accumulate = 2;
    recipe.epochs = 2;
    recipe.warmup_epochs = 1;
    recipe.lr = 0.002;
    recipe.train_crop = TRAIN_CROP_PAD;
    recipe.crop_padding = 2;
    recipe.workers = 2;
    recipe.threads = 2;
    recipe.log_interval = 3;
    recipe.checkpoint_keep = 2;
    return recipe;
}

typedef struct Ears {
    int64_t stop_at;   /* asks to stop at the first report at or after this step; 0: never */
    bool stop_in_eval; /* asks to stop at the first report of an evaluation */
    int train, eval, epoch;
    int64_t last_step;
    char message[500];
} Ears;

static bool listen(void *context, const effnet_progress *progress) {
    Ears *ears = context;
    if (progress->message) snprintf(ears->message, sizeof ears->message, "%s", progress->message);
    assert_true(progress->epoch >= 1 && progress->epoch <= progress->epochs);
    if (strcmp(progress->phase, "eval") == 0) {
        ears->eval++;
        return ears->stop_in_eval;
    }
    if (strcmp(progress->phase, "epoch") == 0) {
        ears->epoch++;
        assert_true(progress->ema_top1 >= 0 && progress->ema_top1 <= 100 && progress->top5 == 100);
    } else {
        ears->train++;
    }
    ears->last_step = progress->step;
    return ears->stop_at > 0 && progress->step >= ears->stop_at;
}

static effnet_status run(Recipe recipe, const char *name, bool resume, int64_t steps, Ears *ears,
                         effnet_train_result *result, effnet_error *err) {
    char out[256];
    out_folder(out, name);
    effnet_train_options options = {.struct_size = sizeof options,
                                    .data = data,
                                    .out = out,
                                    .resume = resume,
                                    .steps = steps,
                                    .progress = ears ? listen : NULL,
                                    .progress_context = ears};
    return train_run(&recipe, &options, result, err);
}

static void run_well(Recipe recipe, const char *name, bool resume, int64_t steps, effnet_train_result *result) {
    effnet_error err = {0};
    effnet_train_result ignored;
    if (run(recipe, name, resume, steps, NULL, result ? result : &ignored, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
}

static void expect_message(const effnet_error *err, const char *part) {
    if (!strstr(err->message, part)) fail_msg("'%s' does not say '%s'", err->message, part);
    if (strlen(err->message) >= sizeof err->message - 1) fail_msg("cut: '%s'", err->message);
}

/* ---- files ---- */

static void assert_same_file(const char *a, const char *b) {
    char *contents[2];
    size_t sizes[2];
    assert_int_equal(file_read(a, 1 << 30, &contents[0], &sizes[0], NULL), EFFNET_OK);
    assert_int_equal(file_read(b, 1 << 30, &contents[1], &sizes[1], NULL), EFFNET_OK);
    if (sizes[0] != sizes[1] || memcmp(contents[0], contents[1], sizes[0]) != 0) fail_msg("'%s' and '%s' differ", a, b);
    free(contents[0]);
    free(contents[1]);
}

/* The checkpoints of `step` of two runs, file by file. */
static void assert_same_checkpoint(const char *one, const char *other, int64_t step) {
    static const char *const names[] = {"raw.safetensors", "ema.safetensors", "slots.safetensors", "recipe.yaml"};
    for (int i = 0; i < 4; i++) {
        char a[512], b[512];
        snprintf(a, sizeof a, "%s/%s/checkpoints/%08lld/%s", root, one, (long long)step, names[i]);
        snprintf(b, sizeof b, "%s/%s/checkpoints/%08lld/%s", root, other, (long long)step, names[i]);
        assert_same_file(a, b);
    }
}

static bool has_checkpoint(const char *name, int64_t step) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s/checkpoints/%08lld/raw.safetensors", root, name, (long long)step);
    return path_exists(path);
}

typedef struct LogSummary {
    int lines, evaluated;
    int made_up;       /* of them: of an evaluation that a process before this one had not come to */
    int64_t steps[64]; /* of the lines */
} LogSummary;

/* What every line of a run on this machine says besides its loss: norms of one step of one network, the share of time
 * that pictures were waited for, the fingerprint of the weights. */
static bool assert_measures(json_t *line) {
    if (json_is_null(json_object_get(line, "weight_norm"))) { /* its steps were another process's */
        assert_non_null(json_object_get(line, "top1"));
        return false;
    }
    const double gradient = json_number_value(json_object_get(line, "gradient_norm"));
    const double weight = json_number_value(json_object_get(line, "weight_norm"));
    const double update = json_number_value(json_object_get(line, "update_norm"));
    const json_t *wait = json_object_get(line, "data_wait");
    assert_true(gradient > 0 && weight > 1 && update > 0 && update < weight);
    assert_true(json_is_number(wait) && json_number_value(wait) >= 0 && json_number_value(wait) <= 1);
    return true;
}

/* The lines' fingerprints, one behind the other. */
static void read_fingerprints(const char *name, char *out, size_t size) {
    char path[512], line[1000];
    snprintf(path, sizeof path, "%s/%s/log.jsonl", root, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    out[0] = 0;
    while (fgets(line, sizeof line, file)) {
        json_t *object = json_loads(line, 0, NULL);
        const char *mark = json_string_value(json_object_get(object, "fingerprint"));
        assert_non_null(mark);
        assert_int_equal(strlen(mark), 8);
        assert_true(strlen(out) + 9 < size);
        strcat(out, mark);
        json_decref(object);
    }
    fclose(file);
}

static LogSummary read_log(const char *name) {
    char path[512], line[1000];
    snprintf(path, sizeof path, "%s/%s/log.jsonl", root, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    LogSummary log = {0};
    static const char *const keys[] = {"epoch", "step", "loss", "lr", "images_per_s"};
    while (fgets(line, sizeof line, file)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        for (int k = 0; k < 5; k++) assert_non_null(json_object_get(object, keys[k]));
        if (!assert_measures(object)) log.made_up++;
        log.steps[log.lines] = json_integer_value(json_object_get(object, "step"));
        if (log.lines) assert_true(log.steps[log.lines] >= log.steps[log.lines - 1]);
        log.lines++;
        if (json_object_get(object, "top1")) {
            log.evaluated++;
            assert_true(json_is_number(json_object_get(object, "top5")));
            assert_true(json_is_number(json_object_get(object, "ema_top5")));
            assert_true(json_is_number(json_object_get(object, "ema_top1")));
        }
        json_decref(object);
    }
    fclose(file);
    return log;
}

/* ---- tests ---- */

static const int64_t all_steps = 2 * STEPS_PER_EPOCH;
static const int64_t log_steps[] = {3, 5, 6, 9, 10}; /* every 3 steps, and the epochs' ends at 5 and 10 */

static void assert_log(const char *name) {
    LogSummary log = read_log(name);
    assert_int_equal(log.lines, 5);
    for (int i = 0; i < 5; i++) assert_int_equal(log.steps[i], log_steps[i]);
    assert_int_equal(log.evaluated, 2);
}

static void test_whole_run(void **state) {
    (void)state;
    effnet_train_result result;
    effnet_error err = {0};
    Ears ears = {0};
    assert_int_equal(run(make_recipe(), "whole", false, 0, &ears, &result, &err), EFFNET_OK);
    assert_int_equal(result.steps, all_steps);
    assert_true(result.top1 >= 0 && result.ema_top1 >= 0 && result.top5 == 100);
    assert_int_equal(ears.epoch, 2);
    assert_true(ears.train >= 1);
    assert_true(has_checkpoint("whole", 5) && has_checkpoint("whole", 10));
    assert_non_null(strstr(result.checkpoint, "checkpoints/00000010"));
    assert_log("whole");
    assert_int_equal(read_log("whole").made_up, 0);
    char path[512];
    snprintf(path, sizeof path, "%s/whole/checkpoints/best/ema.safetensors", root);
    assert_true(path_exists(path));
    snprintf(path, sizeof path, "%s/whole/recipe.yaml", root);
    Recipe resolved;
    assert_int_equal(recipe_read(path, &resolved, &err), EFFNET_OK);
    assert_int_equal(resolved.num_classes, 2);
    assert_true(resolved.drop == 0.2);
    assert_string_equal(resolved.data, data);
}

/* Stopped in the midst of the second epoch, and at the end of the first. */
static void test_resume_is_exact(void **state) {
    (void)state;
    run_well(make_recipe(), "midst", false, 7, NULL);
    assert_true(has_checkpoint("midst", 7));
    effnet_train_result result;
    Recipe recipe = make_recipe();
    recipe.threads = 1; /* may differ, and changes no bit */
    recipe.workers = 1;
    run_well(recipe, "midst", true, 0, &result);
    assert_int_equal(result.steps, all_steps);
    recipe = make_recipe(); /* recipe.yaml says threads; all else is compared */
    recipe.threads = 1;
    recipe.workers = 1;
    run_well(recipe, "whole1", false, 0, NULL);
    assert_same_checkpoint("whole1", "midst", all_steps);
    assert_log("midst");
    char whole[100], midst[100]; /* and so were the weights at every line between */
    read_fingerprints("whole1", whole, sizeof whole);
    read_fingerprints("midst", midst, sizeof midst);
    assert_string_equal(whole, midst);
    run_well(make_recipe(), "edge", false, 5, NULL);
    run_well(make_recipe(), "edge", true, 0, NULL);
    assert_same_checkpoint("whole", "edge", all_steps);
    assert_log("edge");
    run_well(make_recipe(), "edge", true, 0, &result); /* nothing left to do */
    assert_int_equal(result.steps, all_steps);
    assert_log("edge");
}

static void test_interruption(void **state) {
    (void)state;
    effnet_train_result result;
    effnet_error err = {0};
    Ears ears = {.stop_at = 1};
    assert_int_equal(run(make_recipe(), "interrupted", false, 0, &ears, &result, &err), EFFNET_INTERRUPTED);
    expect_message(&err, "--resume");
    assert_int_equal(result.steps, 1); /* the first step is always told of */
    assert_true(has_checkpoint("interrupted", 1));
    for (int evaluation = 1; evaluation <= 2;
         evaluation++) { /* stopped in each: the step is done, nothing is evaluated */
        ears = (Ears){.stop_in_eval = true};
        assert_int_equal(run(make_recipe(), "interrupted", true, 0, &ears, &result, &err), EFFNET_INTERRUPTED);
        assert_int_equal(result.steps, evaluation * STEPS_PER_EPOCH);
        assert_int_equal(read_log("interrupted").evaluated, evaluation - 1);
        ears = (Ears){.stop_in_eval = false, .stop_at = evaluation * STEPS_PER_EPOCH}; /* made up for, then stopped */
        assert_int_equal(run(make_recipe(), "interrupted", true, 0, &ears, &result, &err), EFFNET_INTERRUPTED);
        assert_int_equal(result.steps, evaluation * STEPS_PER_EPOCH);
    }
    assert_same_checkpoint("whole", "interrupted", all_steps);
    assert_int_equal(read_log("interrupted").evaluated, 2);
    assert_int_equal(read_log("interrupted").made_up, 2);
}

/* A killed run may have written log lines after its last checkpoint, the last of them torn. */
static void test_log_is_cut_back(void **state) {
    (void)state;
    run_well(make_recipe(), "cut", false, 7, NULL);
    char path[512];
    snprintf(path, sizeof path, "%s/cut/log.jsonl", root);
    FILE *file = fopen(path, "a");
    fputs("{\"epoch\":2,\"step\":9,\"loss\":1,\"lr\":1,\"images_per_s\":1}\n{\"epoch\":2,\"st", file);
    fclose(file);
    run_well(make_recipe(), "cut", true, 0, NULL);
    assert_log("cut");
}

/* A byte that went bad in the middle costs its line and no other; the log as it was is kept. */
static void test_log_damaged_in_the_middle(void **state) {
    (void)state;
    run_well(make_recipe(), "spoilt", false, 7, NULL);
    char path[512], aside[540], *bytes;
    size_t size;
    effnet_error err;
    snprintf(path, sizeof path, "%s/spoilt/log.jsonl", root);
    snprintf(aside, sizeof aside, "%s.damaged", path);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), EFFNET_OK);
    char *second = strchr(bytes, '\n') + 1;
    FILE *file = fopen(path, "w");
    fwrite(bytes, 1, (size_t)(second - bytes), file);
    fprintf(file, "{\"epoch\":1,\"st\1p\":2}\n");
    fputs(second, file);
    fclose(file);
    free(bytes);
    run_well(make_recipe(), "spoilt", true, 0, NULL);
    assert_log("spoilt");
    assert_true(path_exists(aside));
}

/* The evaluation at the end of an epoch was not reached: it is made up for. */
static void test_missing_evaluation_is_made_up(void **state) {
    (void)state;
    run_well(make_recipe(), "missing", false, 5, NULL);
    char path[512];
    snprintf(path, sizeof path, "%s/missing/log.jsonl", root);
    FILE *file = fopen(path, "w");
    fclose(file);
    run_well(make_recipe(), "missing", true, 0, NULL);
    LogSummary log = read_log("missing");
    assert_int_equal(log.evaluated, 2);
    assert_int_equal(log.steps[0], 5);
    assert_int_equal(log.made_up, 1);
    assert_same_checkpoint("whole", "missing", all_steps);
}

static void test_refusals(void **state) {
    (void)state;
    effnet_train_result result;
    effnet_error err = {0};
    assert_int_equal(run(make_recipe(), "whole", false, 0, NULL, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "--resume");
    assert_int_equal(run(make_recipe(), "nowhere", true, 0, NULL, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "no checkpoint");
    Recipe recipe = make_recipe();
    recipe.lr = 0.003;
    recipe.mean.values[1] = 0.5;
    recipe.log_interval = 7;
    recipe.epochs = 3;
    assert_int_equal(run(recipe, "whole", true, 0, NULL, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "in: mean, lr;");
    recipe = make_recipe();
    recipe.num_classes = 1;
    assert_int_equal(run(recipe, "new", false, 0, NULL, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "num_classes");
    recipe = make_recipe();
    recipe.batch_size = TRAIN + 1;
    assert_int_equal(run(recipe, "new", false, 0, NULL, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "batch_size");
    effnet_train_options options = {.struct_size = sizeof options, .out = "/dev/null/run"};
    recipe = make_recipe();
    assert_int_equal(train_run(&recipe, &options, &result, &err), EFFNET_ERROR_ARGUMENT);
    expect_message(&err, "--data");
    options.data = data;
    assert_int_equal(train_run(&recipe, &options, NULL, &err), EFFNET_ERROR_IO);
    char path[512];
    snprintf(path, sizeof path, "%s/new", root);
    assert_false(path_exists(path)); /* refused before anything was written */
}

static void test_nan_keeps_the_last_good_checkpoint(void **state) {
    (void)state;
    Recipe recipe = make_recipe();
    recipe.lr = 1000;
    recipe.lr_in_momentum = false;
    recipe.momentum = 0;
    recipe.warmup_epochs = 0;
    recipe.opt = OPTIMIZER_SGD;
    recipe.weight_decay = 10; /* each step multiplies the weights by -9,999 or so */
    recipe.decay_mask = DECAY_MASK_ALL;
    recipe.checkpoint_every_steps = 1;
    recipe.epochs = 20;
    recipe.stop_on_divergence = false; /* or the weights would stop it first */
    effnet_train_result result;
    effnet_error err = {0};
    assert_int_equal(run(recipe, "nan", false, 0, NULL, &result, &err), EFFNET_ERROR_NUMERIC);
    expect_message(&err, "step ");
    expect_message(&err, "not finite");
    assert_true(result.checkpoint[0]);
    expect_message(&err, result.checkpoint);
    Recipe gentle = recipe; /* what was kept is finite: read back and checked */
    Network network;
    ModelConfig config;
    gentle.num_classes = 2;
    assert_int_equal(model_config_from_recipe(&gentle, 0, &config, NULL), EFFNET_OK);
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    TrainState trained;
    double best;
    int64_t best_step;
    assert_int_equal(train_state_create(&network, &gentle, &trained, NULL), EFFNET_OK);
    assert_int_equal(checkpoint_read(result.checkpoint, &network, &gentle, &trained, &best, &best_step, NULL),
                     EFFNET_OK);
    for (size_t i = 0; i < network.parameter_floats; i++) assert_true(isfinite(trained.parameters[i]));
    train_state_free(&trained);
    network_free(&network);
}

/* Every number finite, and the weights a thousand times as large after the first step. */
static void test_weights_that_explode_are_not_kept(void **state) {
    (void)state;
    Recipe recipe = make_recipe();
    recipe.opt = OPTIMIZER_SGD;
    recipe.lr_in_momentum = false;
    recipe.momentum = 0;
    recipe.warmup_epochs = 0;
    recipe.checkpoint_every_steps = 1;
    recipe.lr = 1000;
    recipe.weight_decay = 10; /* each step multiplies the weights by -9,999 or so */
    recipe.decay_mask = DECAY_MASK_ALL;
    effnet_train_result result;
    effnet_error err = {0};
    assert_int_equal(run(recipe, "explodes", false, 0, NULL, &result, &err), EFFNET_ERROR_NUMERIC);
    expect_message(&err, "after step 1 the weights' norm");
    expect_message(&err, "no checkpoint had been written");
}

/* A loss that stays high ends the run; a checkpoint that is due meanwhile waits. */
static void test_a_high_loss_is_not_kept(void **state) {
    (void)state;
    Divergence watch;
    const StepSpec spec = {.loss = STEP_LOSS_CROSS_ENTROPY};
    effnet_error err = {0};
    divergence_begin(&watch, false, &spec, 1000, 50);
    for (int step = 1; step < DIVERGENCE_STEPS; step++) {
        assert_int_equal(divergence_check_loss(&watch, step, 7e13, &err), EFFNET_OK);
        assert_int_equal(divergence_suspected(&watch), step >= DIVERGENCE_SUSPECT);
    }
    assert_int_equal(divergence_check_loss(&watch, 20, 6.9, &err), EFFNET_OK); /* a spike that is over */
    assert_false(divergence_suspected(&watch));
    for (int step = 21; step < 20 + DIVERGENCE_STEPS; step++)
        assert_int_equal(divergence_check_loss(&watch, step, 69.2, &err), EFFNET_OK);
    assert_int_equal(divergence_check_loss(&watch, 40, 69.2, &err), EFFNET_ERROR_NUMERIC);
    expect_message(&err, "69.2");
    expect_message(&err, "stop_on_divergence");
    divergence_begin(&watch, true, &spec, 1000, 50);
    for (int step = 1; step < 3 * DIVERGENCE_STEPS; step++)
        assert_int_equal(divergence_check_loss(&watch, step, 7e13, &err), EFFNET_OK);
    assert_int_equal(divergence_check_weights(&watch, 60, 6e32, &err), EFFNET_OK);
}

/* A limit on the size of files stands for a full disk: the write fails, the run says so, the older checkpoint stands.
 */
static void test_full_disk(void **state) {
    (void)state;
    run_well(make_recipe(), "full", false, 5, NULL);
    struct rlimit limit, kept;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    limit = kept;
    limit.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    effnet_train_result result;
    effnet_error err = {0};
    effnet_status status = run(make_recipe(), "full", true, 0, NULL, &result, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
    assert_int_equal(status, EFFNET_ERROR_IO);
    expect_message(&err, "00000005");
    assert_true(has_checkpoint("full", 5) && !has_checkpoint("full", 10));
    run_well(make_recipe(), "full", true, 0, NULL); /* and goes on when there is room */
    assert_same_checkpoint("whole", "full", all_steps);
    assert_log("full");
}

static void test_initial_weights(void **state) {
    (void)state;
    char init[512], out[256];
    snprintf(init, sizeof init, "%s/whole/checkpoints/last/raw.safetensors", root);
    out_folder(out, "init");
    Ears ears = {0};
    Recipe recipe = make_recipe();
    recipe.num_classes = 3;
    recipe.warmup_epochs = 2; /* the first step has learning rate 0: weights stay as they came */
    recipe.weight_decay = 0;
    effnet_train_options options = {.struct_size = sizeof options, .data = data, .out = out, .init = init, .steps = 1};
    options.progress = listen;
    options.progress_context = &ears;
    effnet_train_result result;
    effnet_error err = {0};
    if (train_run(&recipe, &options, &result, &err) != EFFNET_OK) fail_msg("%s", err.message);
    if (!strstr(ears.message,
                "2 rows were taken over by name; 1 of the 3 classes here are new to it and begin afresh: '2'"))
        fail_msg("%s", ears.message);
    assert_true(has_checkpoint("init", 1));
    Network network;
    ModelConfig config;
    assert_int_equal(model_config_from_recipe(&recipe, 0, &config, NULL), EFFNET_OK);
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    float *from = calloc(network.parameter_floats, sizeof *from), *to = calloc(network.parameter_floats, sizeof *to);
    float *statistics = calloc(network.statistic_floats, sizeof *statistics);
    char written[512];
    snprintf(written, sizeof written, "%s/init/checkpoints/last/raw.safetensors", root);
    assert_int_equal(weights_read(init, &network, from, statistics, true, NULL, &err), EFFNET_OK);
    assert_int_equal(weights_read(written, &network, to, statistics, false, NULL, &err), EFFNET_OK);
    const Parameter *head = network_find(&network, "classifier.weight", &(bool){false});
    assert_true(compare_bits("weights", to, from, head->offset, NULL, 0));
    assert_true(to[head->offset] != 0);
    free(from);
    free(to);
    free(statistics);
    network_free(&network);
    options.resume = true;
    assert_int_equal(train_run(&recipe, &options, &result, &err), EFFNET_ERROR_ARGUMENT);
}

/* 3 epochs, evaluated every second and at the end; a checkpoint every 4 steps, at a new best and at the end. */
static void test_rhythm(void **state) {
    (void)state;
    Recipe recipe = make_recipe();
    recipe.epochs = 3;
    recipe.eval_every_epochs = 2;
    recipe.checkpoint_every_steps = 4;
    recipe.checkpoint_keep = 10;
    recipe.eval_batch_size = 5; /* more than a part of 4: an engine of its own; the last batch holds 3 */
    recipe.model_ema = false;
    effnet_train_result result;
    run_well(recipe, "rhythm", false, 0, &result);
    assert_true(result.ema_top1 < 0 && result.top1 >= 0);
    for (int64_t step = 1; step <= 15; step++) {
        bool want =
            step % 4 == 0 || step == 15 || step == 10; /* the evaluation after epoch 2 is the first, so the best */
        if (has_checkpoint("rhythm", step) != want) fail_msg("checkpoint of step %lld", (long long)step);
    }
}

/* Weights that stay (a learning rate of 0) are never better than at first: two more evaluations, and the run ends as it
 * does after its last epoch; --resume finds nothing to do. */
static void test_early_stop(void **state) {
    (void)state;
    Recipe recipe = make_recipe();
    recipe.lr = recipe.lr_base = 0;
    recipe.epochs = 9;
    recipe.model_ema = false;
    recipe.early_stop = 2;
    recipe.bn_momentum = 1; /* running statistics stay too */
    effnet_train_result result;
    effnet_error err = {0};
    run_well(recipe, "early", false, 0, &result);
    assert_int_equal(result.steps, 3 * STEPS_PER_EPOCH);
    assert_true(has_checkpoint("early", 3 * STEPS_PER_EPOCH));
    assert_true(result.report[0]);
    Ears ears = {0};
    assert_int_equal(run(recipe, "early", true, 0, &ears, &result, &err), EFFNET_OK);
    assert_int_equal(result.steps, 3 * STEPS_PER_EPOCH);
    recipe.early_stop = 3; /* which may change: one epoch more */
    run_well(recipe, "early", true, 0, &result);
    assert_int_equal(result.steps, 4 * STEPS_PER_EPOCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_run), /* the others compare with its files */
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_log_is_cut_back),
        cmocka_unit_test(test_log_damaged_in_the_middle),
        cmocka_unit_test(test_missing_evaluation_is_made_up),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nan_keeps_the_last_good_checkpoint),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_initial_weights),
        cmocka_unit_test(test_rhythm),
        cmocka_unit_test(test_early_stop),
        cmocka_unit_test(test_weights_that_explode_are_not_kept),
        cmocka_unit_test(test_a_high_loss_is_not_kept),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
