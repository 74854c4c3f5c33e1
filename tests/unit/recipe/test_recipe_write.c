/* test_recipe_write.c - what is written is read back to the same bytes; --set checks as the file does; the
 * visitor tells every key. */
#include "recipe/recipe.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_round_trip(const Recipe *recipe) {
    char *text = NULL, name[200];
    size_t size = 0;
    effnet_error error = {0};
    Recipe back;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(recipe_write(recipe, stream, &error), EFFNET_OK);
    fclose(stream);
    snprintf(name, sizeof name, "folder/%s.yaml", recipe->name);
    if (recipe_parse(name, text, size, &back, &error) != EFFNET_OK) {
        print_error("%s\n%s\n", error.message, text);
        fail();
    }
    assert_memory_equal(recipe, &back, sizeof back);
    free(text);
}

static void test_defaults(void **state) {
    (void)state;
    Recipe recipe;
    recipe_defaults(&recipe);
    expect_round_trip(&recipe);
}

static void test_hard_numbers(void **state) {
    (void)state;
    static const double numbers[] = {0.1,        1.0 / 3,      0x1.fffffffffffffp-1, 5e-324, 2.2250738585072014e-308,
                                     1e-16,      999.99999999, 123.456789012345678,  -0.0,   0x1.0000000000001p-7,
                                     1e23 / 1e22};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        Recipe recipe;
        recipe_defaults(&recipe);
        recipe.warmup_lr = numbers[i];
        recipe.mean.values[1] = fabs(numbers[i]) <= 1 ? numbers[i] : 0;
        recipe.seed = 9007199254740991 - (int64_t)i;
        expect_round_trip(&recipe);
    }
}

static void test_hard_texts(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "true",
                                        "12",
                                        "~",
                                        "\"quoted\" 'text'",
                                        "back\\slash\\n",
                                        "tab\there",
                                        "a: b",
                                        "# no",
                                        "- list",
                                        "%percent",
                                        "trailing ",
                                        "\xc3\xa9t\xc3\xa9",
                                        "\xf0\x9f\x8d\x95",
                                        "@at &a *b !c",
                                        "{",
                                        "[1, 2]",
                                        "\xe4\xb8\xad"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Recipe recipe;
        effnet_error error;
        recipe_defaults(&recipe);
        assert_int_equal(recipe_set(&recipe, "data", texts[i], &error), EFFNET_OK);
        assert_string_equal(recipe.data, texts[i]);
        expect_round_trip(&recipe);
    }
    static const char *const refused[] = {"a\nb",
                                          "\x01",
                                          "\x7f",
                                          "\xff",
                                          "\xc3",
                                          "\xc0\x80",
                                          "\xed\xa0\x80",
                                          "\xe2\x80\xa8",
                                          "\xef\xbb\xbf",
                                          "\xc2\x85",
                                          "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        Recipe recipe;
        effnet_error error;
        recipe_defaults(&recipe);
        assert_int_equal(recipe_set(&recipe, "data", refused[i], &error), EFFNET_ERROR_FORMAT);
        assert_string_equal(error.message, "--set data: data holds a control character or bytes that are not UTF-8");
    }
}

/* Every choice of every key, by way of the visitor. */
static void try_choices(void *context, const char *section, const char *key, const char *type, const char *initial,
                        const char *allowed, const char *help) {
    Recipe recipe;
    effnet_error error;
    char copy[600];
    *(int *)context += 1;
    assert_true(strlen(section) > 0 && strlen(help) > 0 && strlen(allowed) > 0);
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, key, initial, &error), EFFNET_OK);
    Recipe untouched;
    recipe_defaults(&untouched);
    assert_memory_equal(&recipe, &untouched, sizeof recipe);
    if (strcmp(type, "choice") != 0) return;
    snprintf(copy, sizeof copy, "%s", allowed);
    int choices = 0;
    for (char *rest = copy, *choice; (choice = strsep(&rest, ", ")) != NULL;) {
        if (!*choice) continue;
        choices++;
        assert_int_equal(recipe_set(&recipe, key, choice, &error), EFFNET_OK);
        Recipe whole = recipe; /* with the other half of a choice that goes with another alone */
        if (whole.opt == OPTIMIZER_LAMB) whole.decay_mode = DECAY_MODE_UPDATE;
        if (whole.decay_mode == DECAY_MODE_UPDATE) whole.opt = OPTIMIZER_LAMB;
        expect_round_trip(&whole);
    }
    assert_true(choices >= 2);
}

static void test_keys(void **state) {
    (void)state;
    int keys = 0;
    recipe_visit_keys(try_choices, &keys);
    assert_true(keys > 50);
}

/* What can't be meant, for every key that takes numbers: the message names key and range, and nothing is stored. */
static void try_numbers(void *context, const char *section, const char *key, const char *type, const char *initial,
                        const char *allowed, const char *help) {
    (void)section, (void)initial, (void)help;
    static const char *const wrong[] = {"nan",   "-nan",   "inf",       "-inf", "infinity", "1e99",
                                        "-1e9",  "1e",     "0x10",      "1 x",  "--1",      "99999999999999999999",
                                        "1e999", "1e-999", "1,000.5.2", "",     " ",        "one",
                                        "1_0"};
    const bool list = strcmp(type, "list") == 0;
    if (!list && strcmp(type, "number") != 0 && strcmp(type, "whole number") != 0) return;
    *(int *)context += 1;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Recipe recipe, untouched;
        effnet_error error;
        char value[100], range[100];
        recipe_defaults(&recipe);
        recipe_defaults(&untouched);
        snprintf(value, sizeof value,
                 list && allowed[0] == '2' ? "%s,%s"
                 : list                    ? "%s,%s,%s"
                                           : "%s",
                 wrong[i], wrong[i], wrong[i]);
        snprintf(range, sizeof range, "%s", allowed);
        if (recipe_set(&recipe, key, value, &error) != EFFNET_ERROR_FORMAT)
            fail_msg("%s=%s is taken; allowed: %s", key, value, allowed);
        if (!strstr(error.message, key) || !strstr(error.message, range))
            fail_msg("%s=%s: no '%s' in: %s", key, value, range, error.message);
        assert_memory_equal(&recipe, &untouched, sizeof recipe);
    }
}

static void test_numbers(void **state) {
    (void)state;
    int keys = 0;
    recipe_visit_keys(try_numbers, &keys);
    assert_true(keys > 40);
}

static void expect_set_error(const char *key, const char *value, const char *message) {
    Recipe recipe, untouched;
    effnet_error error;
    recipe_defaults(&recipe);
    recipe_defaults(&untouched);
    assert_int_equal(recipe_set(&recipe, key, value, &error), EFFNET_ERROR_FORMAT);
    assert_string_equal(error.message, message);
    assert_memory_equal(&recipe, &untouched, sizeof recipe);
}

static void test_set(void **state) {
    (void)state;
    Recipe recipe;
    effnet_error error;
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "mean", "0.1,0.2, 0.3", &error), EFFNET_OK);
    assert_true(recipe.mean.values[0] == 0.1 && recipe.mean.values[2] == 0.3);
    assert_int_equal(recipe_set(&recipe, "opt_betas", "[0.5, 0.25]", &error), EFFNET_OK);
    assert_true(recipe.opt_betas[1] == 0.25);
    expect_set_error("btch_size", "1", "--set btch_size: unknown key 'btch_size'; nearest: 'batch_size'");
    expect_set_error("batch_size", "0", "--set batch_size: batch_size is 0; allowed: 1 to 65536, or auto");
    expect_set_error("batch_size", "",
                     "--set batch_size: batch_size is ''; allowed: a whole number, 1 to 65536, or auto");
    expect_set_error("scale", "0.1",
                     "--set scale: scale is a list of 1; allowed: a list of 2 numbers, each 0.0001 to 1");
    expect_set_error(
        "mean", "0.1,2,7",
        "--set mean: mean is 2 at place 2; allowed: 1 to 16 numbers, each 0 to 1"); /* and none is stored */
    expect_set_error("mean", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
                     "--set mean: mean is a list of 17; allowed: a list of 1 to 16 numbers, each 0 to 1");
    expect_set_error("", "1", "--set : unknown key ''; docs/recipe.md and 'effnet train --help-keys' list the keys");
}

static void test_full_disk(void **state) {
    (void)state;
    Recipe recipe;
    effnet_error error;
    recipe_defaults(&recipe);
    FILE *stream = fopen("/dev/full", "w");
    assert_non_null(stream);
    assert_int_equal(recipe_write(&recipe, stream, &error), EFFNET_ERROR_IO);
    assert_string_equal(error.message, "cannot write the recipe: No space left on device");
    fclose(stream);
}

static void test_learning_rate(void **state) {
    (void)state;
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.batch_size = 4096;
    assert_true(fabs(recipe_learning_rate(&recipe) - 0.256) < 1e-15);
    recipe.lr = 0.5;
    assert_true(recipe_learning_rate(&recipe) == 0.5);
}

static void test_class_names(void **state) {
    (void)state;
    Recipe recipe;
    effnet_error error;
    char **names = NULL;
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "class_names", "T-shirt/top,  ankle boot , bag", &error), EFFNET_OK);
    assert_int_equal(recipe_class_names(&recipe, 3, &names, &error), EFFNET_OK);
    assert_string_equal(names[0], "T-shirt/top");
    assert_string_equal(names[1], "ankle boot");
    assert_string_equal(names[2], "bag");
    free(names);
    assert_int_equal(recipe_class_names(&recipe, 2, &names, &error), EFFNET_ERROR_FORMAT);
    assert_string_equal(error.message, "class_names has 3 names; 2 are needed, one a class, commas between");
    assert_int_equal(recipe_set(&recipe, "class_names", "a,,b", &error), EFFNET_OK);
    assert_int_equal(recipe_class_names(&recipe, 3, &names, &error), EFFNET_ERROR_FORMAT);
    assert_string_equal(error.message,
                        "class_names has 3 names, some of them empty; 3 are needed, one a class, commas between");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_hard_numbers),  cmocka_unit_test(test_hard_texts),
        cmocka_unit_test(test_keys),      cmocka_unit_test(test_numbers),       cmocka_unit_test(test_set),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_learning_rate), cmocka_unit_test(test_class_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
