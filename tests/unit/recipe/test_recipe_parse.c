/* test_recipe_parse.c - every way a recipe can be wrong, with the exact message, and the right ways beside
 * them. */
#include "recipe/recipe.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_error(const char *text, const char *message) {
    Recipe recipe;
    effnet_error error = {0};
    effnet_status status = recipe_parse("r.yaml", text, strlen(text), &recipe, &error);
    if (status == EFFNET_OK) print_error("accepted: %s\n", text);
    assert_int_equal(status, EFFNET_ERROR_FORMAT);
    assert_int_equal(error.status, status);
    assert_string_equal(error.message, message);
}

static Recipe parse_good(const char *text) {
    Recipe recipe;
    effnet_error error = {0};
    effnet_status status = recipe_parse("some/where/good.v2.yaml", text, strlen(text), &recipe, &error);
    if (status != EFFNET_OK) print_error("%s\n", error.message);
    assert_int_equal(status, EFFNET_OK);
    return recipe;
}

static void test_unknown_keys(void **state) {
    (void)state;
    expect_error("epochs: 3\n\nlabel_smothing: 0.1\n", "r.yaml:3: unknown key 'label_smothing'; nearest: 'smoothing'");
    expect_error("bach_size: 3\n", "r.yaml:1: unknown key 'bach_size'; nearest: 'batch_size'");
    expect_error("checkpoint.kept: 3\n", "r.yaml:1: unknown key 'checkpoint.kept'; nearest: 'checkpoint.keep'");
    expect_error("checkpoint:\n  keep: 3\n  every: 2\n",
                 "r.yaml:3: unknown key 'checkpoint.every'; nearest: 'checkpoint.keep'");
    expect_error("qqqqqqqqqqqq: 1\n", "r.yaml:1: unknown key 'qqqqqqqqqqqq'; docs/recipe.md and 'effnet train "
                                      "--help-keys' list the keys");
    expect_error("<<: {epochs: 3}\n",
                 "r.yaml:1: unknown key '<<'; docs/recipe.md and 'effnet train --help-keys' list the keys");
    expect_error("\"ep\\nochs\\e[31m\": 1\n", "r.yaml:1: unknown key 'ep?ochs?[31m'; nearest: 'epochs'");
}

static void test_sizes(void **state) {
    (void)state;
    static const char allowed[] = "0 to 2048, or two of them, height x width, such as 224x320";
    static const struct {
        const char *text;
        int height, width;
        const char *back;
    } good[] = {{"224", 224, 224, "224"}, {"224x320", 224, 320, "224x320"}, {"64x64", 64, 64, "64"}, {"0", 0, 0, "0"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[60], back[60];
        snprintf(text, sizeof text, "resolution: %s\n", good[i].text);
        Recipe recipe = parse_good(text), other;
        assert_true(recipe.resolution.height == good[i].height && recipe.resolution.width == good[i].width);
        assert_int_equal(recipe_get(&recipe, "resolution", back, sizeof back, NULL), EFFNET_OK);
        assert_string_equal(back, good[i].back);
        recipe_defaults(&other);
        assert_int_equal(recipe_set(&other, "resolution", back, NULL), EFFNET_OK);
        assert_memory_equal(&other.resolution, &recipe.resolution, sizeof other.resolution);
    }
    static const char *const wrong[] = {"224x", "x224", "224x320x3", "22.4", "224 x 320", "'224x320'", "0x10", "large"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[60];
        effnet_error error = {0};
        Recipe recipe;
        snprintf(text, sizeof text, "resolution: %s\n", wrong[i]);
        if (recipe_parse("r.yaml", text, strlen(text), &recipe, &error) == EFFNET_OK)
            print_error("accepted: %s\n", text);
        assert_int_equal(error.status, EFFNET_ERROR_FORMAT);
        if (!strstr(error.message, allowed)) print_error("%s\n", error.message);
        assert_non_null(strstr(error.message, allowed));
    }
    expect_error("resolution: 64x4096\n", "r.yaml:1: resolution is 64x4096; allowed: 0 to 2048, or two of them, "
                                          "height x width, such as 224x320");
    expect_error("resolution: 64x4\n",
                 "r.yaml: resolution is 64x4; allowed: 0 (the model's own), or sides of 8 to 2048");
}

/* mean and std: a number a channel, or one or three whose average is every channel's, as timm has it. */
static void test_channels(void **state) {
    (void)state;
    Recipe recipe = parse_good("in_chans: 4\nmean: [0.1, 0.2, 0.3, 0.4]\n");
    double mean[MOST_CHANNELS], std[MOST_CHANNELS];
    recipe_normalisation(&recipe, 4, mean, std);
    for (int c = 0; c < 4; c++) {
        assert_true(mean[c] == recipe.mean.values[c]);
        assert_true(fabs(std[c] - (0.229 + 0.224 + 0.225) / 3) < 1e-15);
    }
    assert_true(mean[4] == 0 && std[4] == 0);
    expect_error("mean: [0.1, 0.2]\n",
                 "r.yaml: mean has 2 numbers and in_chans is 3; give one a channel, or one or three whose average is "
                 "every channel's");
    expect_error("in_chans: 17\n", "r.yaml:1: in_chans is 17; allowed: 1 to 16");
    static const char *const colours[] = {"aa: trivial", "color_jitter: 0.1", "grayscale_prob: 0.1"};
    for (int i = 0; i < 3; i++) {
        char text[60], wanted[40];
        effnet_error error = {0};
        snprintf(text, sizeof text, "in_chans: 2\n%s\n", colours[i]);
        snprintf(wanted, sizeof wanted, "%.*s is for pictures of", (int)strcspn(colours[i], ":"), colours[i]);
        assert_int_equal(recipe_parse("r.yaml", text, strlen(text), &recipe, &error), EFFNET_ERROR_FORMAT);
        if (!strstr(error.message, wanted)) print_error("%s\n", error.message);
        assert_non_null(strstr(error.message, wanted));
        text[10] = '1'; /* "in_chans: 1": as Pillow does to grey pictures */
        assert_int_equal(recipe_parse("r.yaml", text, strlen(text), &recipe, &error), EFFNET_OK);
    }
}

static void test_doubled_keys(void **state) {
    (void)state;
    expect_error("lr: 1\nepochs: 3\nlr: 2\n", "r.yaml:3: key 'lr' is given twice; the first is on line 1");
    expect_error("checkpoint.keep: 1\ncheckpoint: {keep: 2}\n",
                 "r.yaml:2: key 'checkpoint.keep' is given twice; the first is on line 1");
}

static void test_wrong_types(void **state) {
    (void)state;
    expect_error("batch_size: many\n", "r.yaml:1: batch_size is 'many'; allowed: a whole number, 1 to 65536, or auto");
    expect_error("batch_size: 1.5\n", "r.yaml:1: batch_size is '1.5'; allowed: a whole number, 1 to 65536, or auto");
    expect_error("batch_size: '8'\n",
                 "r.yaml:1: batch_size is the quoted text '8'; allowed: a whole number, 1 to 65536, or auto");
    expect_error("batch_size: [8]\n", "r.yaml:1: batch_size is a list; allowed: a whole number, 1 to 65536, or auto");
    expect_error("batch_size: {a: 8}\n", "r.yaml:1: batch_size is a mapping; allowed: 1 to 65536, or auto");
    expect_error("batch_size:\n", "r.yaml:1: batch_size has no value; allowed: 1 to 65536, or auto");
    expect_error("lr: 0x10\n", "r.yaml:1: lr is '0x10'; allowed: a number, 0 to 1000");
    expect_error("lr: .nan\n", "r.yaml:1: lr is '.nan'; allowed: a number, 0 to 1000");
    expect_error("lr: 1e\n", "r.yaml:1: lr is '1e'; allowed: a number, 0 to 1000");
    expect_error("cache: yes\n", "r.yaml:1: cache is 'yes'; allowed: true or false");
    expect_error("cache: 'true'\n", "r.yaml:1: cache is the quoted text 'true'; allowed: true or false");
    expect_error("mean: 0.5\n", "r.yaml:1: mean is not a list; allowed: a list of 1 to 16 numbers, each 0 to 1");
    expect_error("mean: []\n", "r.yaml:1: mean is a list of 0; allowed: a list of 1 to 16 numbers, each 0 to 1");
    expect_error("mean: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n",
                 "r.yaml:1: mean is a list of 17; allowed: a list of 1 to 16 numbers, each 0 to 1");
    expect_error("mean: [0, x, 0]\n", "r.yaml:1: mean is 'x'; allowed: a list of 1 to 16 numbers, each 0 to 1");
    expect_error("mean: [0, [1], 0]\n", "r.yaml:1: mean holds a list or mapping in its list; allowed: numbers");
    expect_error("checkpoint: 3\n", "r.yaml:1: checkpoint has keys of its own; write 'checkpoint: {key: value}'");
    expect_error("model: \"a\\0b\"\n", "r.yaml:1: model holds a control character or bytes that are not UTF-8");
    expect_error("data:\n",
                 "r.yaml:1: data has no value; allowed: text of at most 511 bytes; write '' for an empty text");
}

static void test_ranges(void **state) {
    (void)state;
    expect_error("epochs: 1\n\n\n\n\n\nbatch_size: 0\n", "r.yaml:7: batch_size is 0; allowed: 1 to 65536, or auto");
    expect_error("batch_size: 65537\n", "r.yaml:1: batch_size is 65537; allowed: 1 to 65536, or auto");
    expect_error("seed: 99999999999999999999\n",
                 "r.yaml:1: seed is 99999999999999999999; allowed: 0 to 9007199254740991");
    expect_error("seed: 9007199254740992\n", "r.yaml:1: seed is 9007199254740992; allowed: 0 to 9007199254740991");
    expect_error("momentum: -0.1\n", "r.yaml:1: momentum is -0.1; allowed: 0 to 0.9999");
    expect_error("lr: 1e999\n", "r.yaml:1: lr is 1e999; allowed: 0 to 1000");
    expect_error("std: [1, 1, 0]\n", "r.yaml:1: std is 0 at place 3; allowed: 1 to 16 numbers, each 0.001 to 10");
    expect_error("opt: adam\n", "r.yaml:1: opt is 'adam'; allowed: rmsprop, sgd, adamw, lars, lamb");
    expect_error("opt: ''\n", "r.yaml:1: opt is ''; allowed: rmsprop, sgd, adamw, lars, lamb");
    expect_error("opt: rmsprop|sgd\n", "r.yaml:1: opt is 'rmsprop|sgd'; allowed: rmsprop, sgd, adamw, lars, lamb");
}

static void test_yaml(void **state) {
    (void)state;
    expect_error("", "'r.yaml' is empty; a recipe is a list of 'key: value' lines");
    expect_error("# nothing\n", "'r.yaml' is empty; a recipe is a list of 'key: value' lines");
    expect_error("hello\n", "r.yaml:1: not a recipe; a recipe is a list of 'key: value' lines");
    expect_error("- a\n- b\n", "r.yaml:1: not a recipe; a recipe is a list of 'key: value' lines");
    expect_error("[1]: 2\n", "r.yaml:1: a list or mapping stands where a key belongs; write 'key: value'");
    expect_error("lr: 1\n---\nlr: 2\n", "r.yaml:2: a second document begins; a recipe is one document");
    expect_error("lr: &a 1\nmin_lr: *a\n",
                 "r.yaml:1: anchors and aliases (&, *) are not allowed in a recipe; write the value out");
    expect_error("lr: *a\n", "r.yaml:1: anchors and aliases (&, *) are not allowed in a recipe; write the value out");
    expect_error("lr: !!int 1\n", "r.yaml:1: tags (!) are not allowed in a recipe; write the bare value");
    expect_error("lr: 1\n\tbad\n", "r.yaml:2: not YAML: found a tab character that violates indentation");
    expect_error("lr: [1\n", "r.yaml:2: not YAML: did not find expected ',' or ']'");
    expect_error("lr: 1\nopt: \xff\n", "r.yaml:2: not YAML: invalid leading UTF-8 octet");

    size_t size = (1 << 20) + 1;
    char *large = malloc(size + 1);
    assert_non_null(large);
    memset(large, '#', size);
    large[size] = 0;
    expect_error(large, "'r.yaml' is longer than the 1048576 bytes that a recipe may have");
    memset(large, 'k', 600);
    memcpy(large, "model: ", 7);
    large[600] = 0;
    expect_error(large, "r.yaml:1: model is 593 bytes long; allowed: at most 511");
    memset(large, 'k', 600);
    memcpy(large + 597, ": 1", 3);
    expect_error(large, "r.yaml:1: a key is too long or holds a zero byte; write 'key: value'");
    free(large);
}

static void test_contradictions(void **state) {
    (void)state;
    expect_error("batch_size: 10\naccumulate: 3\n", "r.yaml: batch_size 10 is not a multiple of accumulate 3; change "
                                                    "one, so that the parts are equal");
    expect_error("batch_size: 10\nreplicas: 3\n", "r.yaml: batch_size 10 is not a multiple of replicas 3; change one, "
                                                  "so that the shares are equal");
    expect_error("batch_size: 16\nreplicas: 2\naccumulate: 3\n",
                 "r.yaml: batch_size / replicas 8 is not a multiple of accumulate 3; change one, so that the parts are "
                 "equal");
    expect_error("scale: [0.5, 0.1]\n", "r.yaml: scale is [0.5, 0.1]; write the smaller share first");
    expect_error("ratio: [2, 1]\n", "r.yaml: ratio is [2, 1]; write the smaller ratio first");
    expect_error("drop: -0.5\n", "r.yaml: drop is -0.5; allowed: 0 to 0.999, or -1 for the model's own");
    expect_error("nesterov: true\n",
                 "r.yaml: nesterov is true, which only opt: sgd and lars have; remove it or change opt");
    expect_error("nesterov: true\nopt: sgd\nmomentum: 0\n",
                 "r.yaml: nesterov is true and momentum is 0; give a momentum, such as 0.9");
    expect_error("lr: 0.1\nmin_lr: 0.2\n",
                 "r.yaml: min_lr is 0.2, above the learning rate of 0.1 that it is the floor of");
}

static void test_good(void **state) {
    (void)state;
    Recipe recipe = parse_good("# a comment\n"
                               "model: efficientnet_lite0\n"
                               "data: 'a folder: with \"quotes\"'\n"
                               "batch_size: 512   # and another\n"
                               "mean:\n  - 0.1\n  - 0.2\n  - 0.3\n"
                               "scale: [0.2, 1]\n"
                               "opt: sgd\n"
                               "nesterov: true\n"
                               "cache: false\n"
                               "lr: 1e-1\n"
                               "checkpoint:\n  every_steps: 7\n  keep: 2\n");
    assert_string_equal(recipe.name, "good.v2");
    assert_string_equal(recipe.model, "efficientnet_lite0");
    assert_string_equal(recipe.data, "a folder: with \"quotes\"");
    assert_int_equal(recipe.batch_size, 512);
    assert_true(recipe.mean.values[0] == 0.1 && recipe.mean.values[1] == 0.2 && recipe.mean.values[2] == 0.3);
    assert_true(recipe.scale[0] == 0.2 && recipe.scale[1] == 1.0);
    assert_int_equal(recipe.opt, OPTIMIZER_SGD);
    assert_true(recipe.nesterov);
    assert_false(recipe.cache);
    assert_true(recipe.lr == 0.1);
    assert_int_equal(recipe.checkpoint_every_steps, 7);
    assert_int_equal(recipe.checkpoint_keep, 2);
    assert_true(recipe.smoothing == 0.1); /* a default */

    Recipe flat = parse_good("checkpoint.every_steps: 7\ncheckpoint.keep: 2\n");
    Recipe nested = parse_good("checkpoint: {every_steps: 7, keep: 2}\n");
    assert_memory_equal(&flat, &nested, sizeof flat);
    parse_good("\xef\xbb\xbf{lr: 1}\n"); /* a byte order mark and flow style */
    parse_good("---\nlr: 1\n...\n");
}

static void test_read_files(void **state) {
    (void)state;
    Recipe recipe;
    effnet_error error = {0};
    const char *path = "/tmp/effnet_test_marked.yaml"; /* a UTF-8 mark; UTF-16; Windows' line ends */
    static const char marked[] = "\xEF\xBB\xBFmodel: efficientnet_b1\r\nepochs: 3\r\n";
    static const char wide[] = "\xFF\xFE"
                               "e\0p\0o\0c\0h\0s\0:\0 \0007\0";
    for (int i = 0; i < 2; i++) {
        FILE *stream = fopen(path, "wb");
        assert_non_null(stream);
        fwrite(i ? wide : marked, 1, i ? sizeof wide - 1 : sizeof marked - 1, stream);
        fclose(stream);
        if (recipe_read(path, &recipe, &error) != EFFNET_OK) fail_msg("%s", error.message);
        assert_int_equal(recipe.epochs, i ? 7 : 3);
        remove(path);
    }
    assert_int_equal(recipe_read("/nonexistent/r.yaml", &recipe, &error), EFFNET_ERROR_IO);
    assert_string_equal(error.message, "cannot open '/nonexistent/r.yaml': No such file or directory");
    assert_int_equal(recipe_read("/tmp", &recipe, &error), EFFNET_ERROR_IO);
    assert_string_equal(error.message, "cannot read '/tmp': it is a folder; wanted a file");
    assert_int_equal(recipe_read("/dev/zero", &recipe, &error), EFFNET_ERROR_IO);
    assert_string_equal(error.message, "cannot read '/dev/zero': it is a character device; wanted a file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_sizes),          cmocka_unit_test(test_channels),
        cmocka_unit_test(test_doubled_keys), cmocka_unit_test(test_wrong_types),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_yaml),         cmocka_unit_test(test_contradictions), cmocka_unit_test(test_good),
        cmocka_unit_test(test_read_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
