/* test_recipe_files.c - every recipe in recipes/ is read without complaint and says what it should; the recipe called
 * published is the published one, to the defaults. */
#include "recipe/recipe.h"

#include <dirent.h>
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
        assert_true(recipe.num_classes > 1 && recipe.resolution >= 32); /* summarize needs no data for them */
        count++;
    }
    closedir(folder);
    assert_true(count >= 4);
}

/* imagenet-b0.yaml writes out what the defaults are; both must stay the published recipe. */
static void test_published(void **state) {
    (void)state;
    Recipe recipe = read_recipe("imagenet-b0.yaml"), published;
    recipe_defaults(&published);
    published.num_classes = 1000;
    published.resolution = 224;
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_demo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
