/* Fifty steps of Keras' EfficientNetB0 trained by what TensorFlow's official code calls (RMSPropOptimizer, label
 * smoothing, l2_loss, warm-up over a staircase from step 0, ExponentialMovingAverage), reproduced from
 * recipes/paper-b0.yaml, made small, and from weights in a file. keras_replay.json was made by make_keras_replay.py;
 * golden_replay.h says what is allowed. */
#include "golden/golden_replay.h"

static ScratchFolder folder;

static void test_fifty_steps(void **state) {
    (void)state;
    static const char *const settings[][2] = {
        {"num_classes", "10"},    {"resolution", "64"},  {"batch_size", "8"},
        {"accumulate", "1"},      {"lr", "1e-4"},        {"warmup_epochs", "1"},
        {"decay_epochs", "0.75"}, {"decay_rate", "0.9"}, {"weight_decay", "0.01"},
    };
    replay_from_formula("paper-b0.yaml", settings, sizeof settings / sizeof settings[0], "keras_replay.json", &folder);
}

int main(void) {
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fifty_steps)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failures;
}
