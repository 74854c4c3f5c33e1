/* A run that needs more memory than is free is refused before its first step, with the keys that change it; what is
 * expected is what a run then takes. */
#include "scratch_folder.h"
#include "train/forecast.h"
#include "train/run_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* last: it has a macro fail() */

static const int64_t gib = (int64_t)1 << 30;

static void test_limits(void **unused) {
    (void)unused;
    Recipe recipe;
    RunNotes notes = {0};
    effnet_error err = {0};
    recipe_defaults(&recipe);
    const RunMemory memory = {.activations = 6 * gib, .state = gib / 2, .pictures = gib / 2};
    Machine machine = {.memory = 16 * gib, .memory_free = 7 * gib};
    assert_int_equal(run_memory_check(&memory, &machine, &recipe, false, &notes, &err), EFFNET_OK);
    machine.memory_free--;
    assert_int_equal(run_memory_check(&memory, &machine, &recipe, false, &notes, &err), EFFNET_ERROR_MEMORY);
    if (!strstr(err.message, "needs about 7 GiB") || !strstr(err.message, "7 GiB are free") ||
        !strstr(err.message, "batch_size (256)") || !strstr(err.message, "accumulate (1)"))
        fail_msg("%s", err.message);
    assert_null(strstr(err.message, "control group"));
    machine.memory_limit = machine.memory = 8 * gib; /* a container */
    assert_int_equal(run_memory_check(&memory, &machine, &recipe, false, &notes, &err), EFFNET_ERROR_MEMORY);
    if (!strstr(err.message, "control group's limit is 8)")) fail_msg("%s", err.message);
    assert_int_equal(notes.count, 0);
    assert_int_equal(run_memory_check(&memory, &machine, &recipe, true, &notes, &err), EFFNET_OK);
    assert_int_equal(notes.count, 1);
    assert_non_null(strstr(notes.texts[0], "may be killed"));
    machine.memory_free = 0; /* not known */
    assert_int_equal(run_memory_check(&memory, &machine, &recipe, false, &notes, &err), EFFNET_OK);
}

/* A plan without data has no classes to compare. */
static void test_plan_without_data(void **unused) {
    (void)unused;
    Recipe recipe;
    RunNotes notes = {0};
    effnet_plan plan = {.steps = 100000, .steps_per_epoch = 100, .num_classes = 10};
    recipe_defaults(&recipe);
    forecast_warn(&plan, &recipe, &notes);
    for (int i = 0; i < notes.count; i++)
        if (strstr(notes.texts[i], "uneven")) fail_msg("%s", notes.texts[i]);
    char *names[2] = {"ant", "bee"};
    int64_t counts[2] = {20, 2};
    plan.class_names = names;
    plan.counts[0] = counts;
    plan.num_classes = 2;
    notes.count = 0;
    forecast_warn(&plan, &recipe, &notes);
    bool told = false;
    for (int i = 0; i < notes.count; i++)
        told = told || strstr(notes.texts[i], "20 training pictures of 'ant', 2 of 'bee'");
    assert_true(told);
    counts[1] = 3;
    notes.count = 0;
    forecast_warn(&plan, &recipe, &notes);
    for (int i = 0; i < notes.count; i++)
        if (strstr(notes.texts[i], "uneven")) fail_msg("%s", notes.texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits), cmocka_unit_test(test_plan_without_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
