/* Fifty steps of timm's efficientnet_b0, RMSpropTF, label smoothing, step schedule and ModelEmaV2, reproduced from
 * recipes/timm-b0-ra.yaml, made small, and from weights in a file. timm_replay.json was made by make_timm_replay.py;
 * golden_replay.h says what is allowed. */
#include "golden/golden_replay.h"

static ScratchFolder folder;

static void test_fifty_steps(void **state) {
    (void)state;
    static const char *const settings[][2] = {
        {"num_classes", "0"}, {"resolution", "64"}, {"batch_size", "8"},
        {"replicas", "1"},    {"lr", "2e-4"},       {"weight_decay", "0.01"},
    };
    replay_from_formula("timm-b0-ra.yaml", settings, sizeof settings / sizeof settings[0], "timm_replay.json", &folder);
}

int main(void) {
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fifty_steps)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failures;
}
