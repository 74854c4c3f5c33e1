/* test_recipe_files.c - every recipe in recipes/ is read without complaint and says what it should; the recipe called
 * published is the published one, to the defaults. */
#include "recipe/recipe.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Recipe read_recipe(const char *file) {
    char path[1024];
    Recipe recipe;
    effnet_error error;
    snprintf(path, sizeof path, "%s/recipes/%s", EFFNET_SOURCE_DIR, file);
    if (recipe_read(path, &recipe, &error) != EFFNET_OK) fail_msg("%s", error.message);
    return recipe;
}

static void test_all(void **state) {
    (void)state;
    DIR *folder = opendir(EFFNET_SOURCE_DIR "/recipes");
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        Recipe recipe = read_recipe(entry->d_name);
        assert_true(recipe.num_classes > 1 && recipe.resolution.height >= 32); /* summarize needs no data for them */
        count++;
    }
    closedir(folder);
    assert_true(count >= 4 + 5 + 9 + 1); /* ours, the TPU runs, the paper's, timm's */
}

/* imagenet-b0.yaml writes out what the defaults are; both must stay the published recipe. */
static void test_published(void **state) {
    (void)state;
    Recipe recipe = read_recipe("imagenet-b0.yaml"), published;
    recipe_defaults(&published);
    published.num_classes = 1000;
    published.resolution = (PictureSize){224, 224};
    published.drop = 0.2;
    published.batch_size = 4096;
    published.accumulate = 32;
    published.cache = false;
    memset(published.name, 0, sizeof published.name);
    strcpy(published.name, "imagenet-b0");
    assert_memory_equal(&recipe, &published, sizeof recipe);
    assert_true(recipe_learning_rate(&recipe) == 0.256);
    assert_int_equal(recipe.epochs, 350);
    assert_true(recipe.decay_epochs == 2.4 && recipe.decay_rate == 0.97 && recipe.warmup_epochs == 5);
    assert_true(recipe.opt == OPTIMIZER_RMSPROP && recipe.opt_alpha == 0.9 && recipe.momentum == 0.9);
    assert_true(recipe.opt_eps == 0.001 && recipe.opt_initial == 1 && recipe.lr_in_momentum);
    assert_true(recipe.bn_momentum == 0.99 && recipe.bn_eps == 0.001 && recipe.smoothing == 0.1);
    assert_true(recipe.drop_path == 0.2 && recipe.model_ema && recipe.model_ema_decay == 0.9999);
    assert_true(recipe.weight_decay == 1e-5 && recipe.decay_mode == DECAY_MODE_L2 && recipe.seed == 42);
}

static void test_demo(void **state) {
    (void)state;
    Recipe recipe = read_recipe("fashion-mnist-b0.yaml");
    assert_string_equal(recipe.name, "fashion-mnist-b0");
    assert_string_equal(recipe.model, "efficientnet_b0");
    assert_string_equal(recipe.data, "/usr/share/datasets/fashion-mnist");
    assert_int_equal(recipe.pad_to, 32);
    assert_int_equal(recipe.num_classes, 10);
}

/* ImageNet-1k has 1,281,167 training pictures: 625.58 batches of 2048, 312.79 of 4096. */
static const int64_t imagenet = 1281167;

static void test_tpu_runs(void **state) {
    (void)state;
    static const struct {
        const char *file;
        int64_t batch, steps, decay_steps;
        double lr;
        int mask, init_conv, init_dense, amp;
    } runs[] = {
        {"tpu-run1.yaml", 2048, 626, 1502, 0.128, DECAY_MASK_NO_BN_BIAS_DEPTHWISE, INIT_CONV_TRUNCATED_NORMAL,
         INIT_DENSE_TRUNCATED_NORMAL, AMP_NONE},
        {"tpu-run2.yaml", 2048, 626, 1502, 0.128, DECAY_MASK_NO_BN, INIT_CONV_TRUNCATED_NORMAL,
         INIT_DENSE_TRUNCATED_NORMAL, AMP_NONE},
        {"tpu-run3-fp32.yaml", 2048, 626, 1502, 0.128, DECAY_MASK_NO_BN, INIT_CONV_NORMAL, INIT_DENSE_UNIFORM,
         AMP_NONE},
        {"tpu-run3-bf16-2048.yaml", 2048, 626, 1502, 0.128, DECAY_MASK_NO_BN, INIT_CONV_NORMAL, INIT_DENSE_UNIFORM,
         AMP_BF16},
        {"tpu-run3-bf16-4096.yaml", 4096, 313, 751, 0.256, DECAY_MASK_NO_BN, INIT_CONV_NORMAL, INIT_DENSE_UNIFORM,
         AMP_BF16},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        Recipe r = read_recipe(runs[i].file);
        assert_string_equal(r.model, "efficientnet_b0");
        assert_true(r.batch_size == runs[i].batch && r.epochs == 350 && r.seed == 42);
        assert_true(recipe_learning_rate(&r) == runs[i].lr);
        assert_int_equal(recipe_steps_per_epoch(&r, imagenet), runs[i].steps);
        assert_int_equal(r.decay_steps, runs[i].decay_steps);
        assert_int_equal(r.decay_steps, (int64_t)(2.4 * (double)runs[i].steps));
        assert_true(r.decay_rate == 0.97 && r.warmup_epochs == 5 && r.warmup_lr == 0 && r.sched_on_updates);
        assert_true(r.sched == SCHEDULE_STAIRCASE && r.decay_begin == DECAY_BEGIN_TWICE_WARMUP);
        assert_true(r.opt == OPTIMIZER_RMSPROP && r.opt_alpha == 0.9 && r.momentum == 0.9 && r.opt_eps == 0.001);
        assert_true(r.opt_initial == 1 && r.lr_in_momentum);
        assert_true(r.weight_decay == 1e-5 && r.decay_mode == DECAY_MODE_HALF_L2 && r.decay_mask == runs[i].mask);
        assert_true(r.smoothing == 0.1 && recipe_smoothing(&r) == 0);
        assert_true(r.model_ema && r.model_ema_decay == 0.9999 && r.model_ema_warmup);
        assert_true(r.model_ema_start == MODEL_EMA_START_ZEROS && r.model_ema_count == MODEL_EMA_COUNT_BEFORE);
        assert_true(r.drop == 0.2 && r.drop_path == 0.2 && r.bn_momentum == 0.99 && r.bn_eps == 0.001);
        assert_true(r.bn_sync == BN_SYNC_RUNNING_AVERAGE && r.replicas == 8 && r.accumulate == 1 &&
                    r.bn_variance == BN_VARIANCE_BIASED);
        assert_true(r.init_conv == runs[i].init_conv && r.init_dense == runs[i].init_dense);
        assert_true(r.init == INIT_FLAX);
        assert_true(r.init_depthwise_fan == DEPTHWISE_FAN_FLAX && r.amp == runs[i].amp);
        assert_true(!r.normalize && r.overshoot == OVERSHOOT_KEEP && r.interpolation == INTERPOLATION_BICUBIC);
        assert_true(r.eval_remainder == EVAL_REMAINDER_DROP && r.eval_batch_size == runs[i].batch);
    }
}

/* The CIFAR-10 recipes are one, but for the keys that their heads name: their runs can be compared. */
static void test_cifar_variants(void **state) {
    (void)state;
    static const struct {
        const char *file;
        const char *changes[4][2];
    } variants[] = {
        {"cifar10-b0-randaugment", {{"aa", "rand-m9-mstd0.5-inc1"}, {"aa_ops", "pillow"}}},
        {"cifar10-b0-mixup", {{"mixup", "0.2"}, {"cutmix", "1"}, {"mixup_prob", "1"}, {"mixup_switch_prob", "0.5"}}},
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char file[64];
        effnet_error error;
        snprintf(file, sizeof file, "%s.yaml", variants[i].file);
        Recipe variant = read_recipe(file), plain = read_recipe("cifar10-b0.yaml");
        for (int c = 0; c < 4 && variants[i].changes[c][0]; c++)
            assert_int_equal(recipe_set(&plain, variants[i].changes[c][0], variants[i].changes[c][1], &error),
                             EFFNET_OK);
        memset(plain.name, 0, sizeof plain.name);
        strcpy(plain.name, variants[i].file);
        assert_string_not_equal(variant.reference_curve, plain.reference_curve);
        memcpy(plain.reference_curve, variant.reference_curve, sizeof plain.reference_curve);
        assert_memory_equal(&variant, &plain, sizeof plain);
    }
}

static void test_paper(void **state) {
    (void)state;
    static const struct {
        const char *file, *model;
        int resolution;
        double drop;
    } papers[] = {
        {"paper-b0.yaml", "efficientnet_b0", 224, 0.2},
        {"paper-b1.yaml", "efficientnet_b1", 240, 0.2},
        {"paper-b2.yaml", "efficientnet_b2", 260, 0.3},
        {"paper-b3.yaml", "efficientnet_b3", 300, 0.3},
        {"paper-b4.yaml", "efficientnet_b4", 380, 0.4},
        {"paper-b5.yaml", "efficientnet_b5", 456, 0.4},
        {"paper-b6.yaml", "efficientnet_b6", 528, 0.5},
        {"paper-b7.yaml", "efficientnet_b7", 600, 0.5},
        {"paper-b0-autoaugment.yaml", "efficientnet_b0", 224, 0.2},
    };
    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
        Recipe r = read_recipe(papers[i].file);
        assert_string_equal(r.model, papers[i].model);
        assert_true(r.resolution.height == papers[i].resolution && r.resolution.width == papers[i].resolution &&
                    r.drop == papers[i].drop && r.drop_path == 0.2);
        assert_true(r.batch_size == 4096 && r.epochs == 350 && recipe_learning_rate(&r) == 0.256);
        assert_int_equal(recipe_steps_per_epoch(&r, imagenet), 313);
        assert_true(r.decay_epochs == 2.4 && r.decay_steps == 0 && r.decay_begin == DECAY_BEGIN_START);
        assert_true(r.decay_mode == DECAY_MODE_L2 && r.decay_mask == DECAY_MASK_NO_BN && r.weight_decay == 1e-5);
        assert_true(recipe_smoothing(&r) == 0.1 && r.normalize && r.head_width == HEAD_WIDTH_SCALED);
        assert_true(r.model_ema_start == MODEL_EMA_START_WEIGHTS && r.model_ema_count == MODEL_EMA_COUNT_AFTER);
        double padding = round(papers[i].resolution * (1 / 0.875 - 1)); /* preprocessing.py's crop_padding */
        assert_true(fabs(r.crop_pct - papers[i].resolution / (papers[i].resolution + padding)) <= 1e-6);
    }
}

static void test_timm(void **state) {
    (void)state;
    Recipe r = read_recipe("timm-b0-ra.yaml");
    assert_true(r.batch_size == 768 && r.epochs == 450 && recipe_learning_rate(&r) == 0.048);
    assert_int_equal(recipe_steps_per_epoch(&r, imagenet), 1668);
    assert_true(r.padding == PADDING_SYMMETRIC && r.bn_eps == 1e-5 && r.bn_variance == BN_VARIANCE_UNBIASED);
    assert_true(r.bn_momentum == 0.9); /* PyTorch's 0.1 */
    assert_true(r.decay_mask == DECAY_MASK_NO_BN_BIAS && r.lr_in_momentum && !r.sched_on_updates);
    assert_true(r.warmup_lr == 1e-6 && r.decay_epochs == 2.4 && r.decay_rate == 0.97);
    assert_true(!r.model_ema_warmup && r.model_ema_decay == 0.9999 && r.smoothing == 0.1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),      cmocka_unit_test(test_published),      cmocka_unit_test(test_demo),
        cmocka_unit_test(test_tpu_runs), cmocka_unit_test(test_cifar_variants), cmocka_unit_test(test_paper),
        cmocka_unit_test(test_timm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
