/* TrainState: the blocks an optimizer needs and no other, aligned, with their first values. */
#include "base/memory.h"
#include "huge_allocations.h"
#include "small_run.h"
#include "train/from_recipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static void check_aligned(const float *block) {
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % MEMORY_ALIGNMENT, 0);
}

static void check_constant(const float *block, size_t count, float value) {
    for (size_t i = 0; i < count; i++)
        if (!(block[i] == value)) fail_msg("element %zu is %g, not %g", i, (double)block[i], (double)value);
}

static void test_optimizers(void **unused) {
    (void)unused;
    const int slots[5] = {2, 1, 2, 1, 2}; /* rmsprop, sgd, adamw, lars, lamb */
    for (int optimizer = 0; optimizer < 5; optimizer++)
        for (int ema = 0; ema < 2; ema++) {
            SmallRun run;
            small_run_create(&run, optimizer, ema);
            const size_t count = run.network.parameter_floats;
            check_aligned(run.state.parameters);
            check_aligned(run.state.gradients);
            check_aligned(run.state.statistics);
            for (int i = 0; i < slots[optimizer]; i++) {
                check_aligned(run.state.slots[i]);
                check_constant(run.state.slots[i], count, optimizer == OPTIMIZER_RMSPROP && i == 0 ? 1.0f : 0.0f);
            }
            if (slots[optimizer] < 2) assert_null(run.state.slots[1]);
            check_constant(run.state.gradients, count, 0);
            if (ema) {
                assert_memory_equal(run.state.ema_parameters, run.state.parameters, count * sizeof(float));
                assert_memory_equal(run.state.ema_statistics, run.state.statistics,
                                    run.network.statistic_floats * sizeof(float));
                assert_ptr_not_equal(run.state.ema_parameters, run.state.parameters);
            } else {
                assert_null(run.state.ema_parameters);
                assert_null(run.state.ema_statistics);
            }
            assert_int_equal(run.state.step, 0);
            small_run_free(&run);
            assert_null(run.state.parameters);
            train_state_free(&run.state); /* twice is harmless */
        }
}

/* opt_initial fills rmsprop's mean square, and the seed decides the weights. */
static void test_recipe_values(void **unused) {
    (void)unused;
    SmallRun run;
    effnet_error err = {0};
    small_run_create(&run, OPTIMIZER_RMSPROP, false);
    TrainState other;
    run.recipe.opt_initial = 0.25;
    assert_int_equal(train_state_create(&run.network, &run.recipe, &other, &err), EFFNET_OK);
    check_constant(other.slots[0], run.network.parameter_floats, 0.25f);
    assert_memory_equal(other.parameters, run.state.parameters, run.network.parameter_floats * sizeof(float));
    train_state_free(&other);
    run.recipe.seed++;
    assert_int_equal(train_state_create(&run.network, &run.recipe, &other, &err), EFFNET_OK);
    assert_memory_not_equal(other.parameters, run.state.parameters, run.network.parameter_floats * sizeof(float));
    train_state_free(&other);
    small_run_free(&run);
}

/* A network too large for any memory: an error that says so, nothing kept. */
/* init_dense: zeros leaves the classifier empty and every other tensor as it is. */
static void test_empty_head(void **unused) {
    (void)unused;
    Recipe recipe;
    ModelConfig config;
    Network network;
    TrainState plain, zeros;
    recipe_defaults(&recipe);
    assert_int_equal(model_config_from_recipe(&recipe, 3, &config, NULL), EFFNET_OK);
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    assert_int_equal(train_state_create(&network, &recipe, &plain, NULL), EFFNET_OK);
    recipe.init_dense = INIT_DENSE_ZEROS;
    assert_int_equal(train_state_create(&network, &recipe, &zeros, NULL), EFFNET_OK);
    for (int p = 0; p < network.num_parameters; p++) {
        const Parameter *parameter = &network.parameters[p];
        size_t bytes = parameter->count * sizeof(float);
        if (parameter->role == ROLE_DENSE)
            check_constant(zeros.parameters + parameter->offset, parameter->count, 0);
        else
            assert_memory_equal(zeros.parameters + parameter->offset, plain.parameters + parameter->offset, bytes);
    }
    train_state_free(&plain);
    train_state_free(&zeros);
    network_free(&network);
}

static void test_too_large(void **unused) {
    (void)unused;
    SmallRun run;
    effnet_error err = {0};
    small_run_create(&run, OPTIMIZER_SGD, true);
    Network huge = run.network;
    huge.parameter_floats = SIZE_MAX / 8;
    TrainState state;
    assert_int_equal(train_state_create(&huge, &run.recipe, &state, &err), EFFNET_ERROR_MEMORY);
    assert_non_null(strstr(err.message, "the parameters"));
    assert_null(state.parameters);
    small_run_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizers),
        cmocka_unit_test(test_recipe_values),
        cmocka_unit_test(test_empty_head),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
