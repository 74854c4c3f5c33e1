/* The text of programs, for every member of the family: each value is defined once, before it is used, and nothing is
 * left open; arguments and results are as many as described, and each vector of the state gives its memory to its
 * successor. What the text means is test_xla_step.c's. */
#include "backend/xla/program.h"
#include "backend/xla/pjrt_abi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

/* Every %vN: defined where it stands left of '=', behind '(' with a type, or as a block's argument. */
static void check_text(const char *name, const XlaProgram *program) {
    enum { MOST = 200000 };
    char *defined = calloc(MOST, 1);
    long braces = 0, parentheses = 0, uses = 0;
    bool quoted = false;
    for (const char *at = program->text; *at; at++) {
        if (*at == '"') quoted = !quoted;
        if (quoted) continue;
        braces += (*at == '{') - (*at == '}');
        parentheses += (*at == '(') - (*at == ')');
        if (strncmp(at, "%v", 2) != 0) continue;
        char *end;
        long id = strtol(at + 2, &end, 10);
        if (id < 0 || id >= MOST) fail_msg("%s: value %ld", name, id);
        if (*end == ':' && isdigit((unsigned char)end[1])) strtol(end + 1, &end, 10); /* several results */
        bool makes = strncmp(end, " =", 2) == 0 || strncmp(end, ": tensor", 8) == 0;
        if (makes && defined[id]) fail_msg("%s: %%v%ld is defined twice", name, id);
        if (!makes && !defined[id]) fail_msg("%s: %%v%ld is used before it is defined", name, id);
        defined[id] = 1;
        uses += !makes;
    }
    free(defined);
    assert_int_equal(braces, 0);
    assert_int_equal(parentheses, 0);
    assert_true(uses > 100);
    assert_int_equal(strlen(program->text), program->bytes);
}

static void check_values(const XlaProgram *program) {
    for (int i = 0; i < program->num_arguments; i++) {
        const XlaValue *argument = &program->arguments[i];
        if (argument->alias < 0) continue;
        assert_true(argument->alias < program->num_results);
        assert_int_equal(program->results[argument->alias].role, argument->role);
        assert_int_equal(program->results[argument->alias].shape[0], argument->shape[0]);
    }
}

static StepSpec published(void) {
    return (StepSpec){.batch = 8,
                      .replicas = 1,
                      .accumulate = 1,
                      .mean = {.5, .5, .5},
                      .std = {.2, .2, .2},
                      .bn_group = 1,
                      .smoothing = .1,
                      .weight_decay = 1e-5,
                      .decay_mask = STEP_DECAY_NO_BN,
                      .momentum = .9,
                      .alpha = .9,
                      .eps = 1e-3,
                      .lr_in_momentum = true,
                      .average = true,
                      .average_decay = .9999};
}

static void every_member(void **state) {
    (void)state;
    for (int i = 0; model_name_at(i); i++) {
        effnet_error error;
        ModelConfig config;
        Network network;
        assert_int_equal(model_config_by_name(model_name_at(i), &config, &error), EFFNET_OK);
        assert_int_equal(network_build(&config, &network, &error), EFFNET_OK);
        StepSpec spec = published();
        XlaProgram program;
        for (unsigned variant = 0; variant < 4; variant++) {
            const XlaStepOptions options = {
                .bytes = variant & 1, .soft_targets = variant & 2, .shifts = variant == 3 ? 15 : 0};
            spec.bf16 = variant & 1;
            spec.accumulate = variant == 2 ? 4 : 1;
            spec.replicas = variant == 1 ? 8 : 1;
            spec.bn_sync = variant == 1 ? STEP_BN_GROUPS : STEP_BN_NONE;
            spec.bn_group = variant == 1 ? 4 : 1;
            if (xla_write_step(&network, &spec, &options, &program, &error) != EFFNET_OK) fail_msg("%s", error.message);
            check_text(config.name, &program);
            check_values(&program);
            xla_program_free(&program);
        }
        const XlaStepOptions options = {.bytes = true};
        assert_int_equal(xla_write_inference(&network, &spec, 4, &options, &program, &error), EFFNET_OK);
        check_text(config.name, &program);
        assert_int_equal(program.num_arguments, 3);
        assert_int_equal(program.num_results, 1);
        xla_program_free(&program);
        network_free(&network);
    }
}

static void refused(void **state) {
    (void)state;
    effnet_error error;
    ModelConfig config;
    Network network;
    XlaProgram program;
    const XlaStepOptions options = {0};
    assert_int_equal(model_config_by_name("efficientnet_b0", &config, &error), EFFNET_OK);
    assert_int_equal(network_build(&config, &network, &error), EFFNET_OK);
    StepSpec spec = published();
    spec.replicas = 3;
    assert_int_equal(xla_write_step(&network, &spec, &options, &program, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "replicas 3"));
    spec.replicas = 4;
    spec.bn_sync = STEP_BN_GROUPS;
    spec.bn_group = 3;
    assert_int_equal(xla_write_step(&network, &spec, &options, &program, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "groups of 3"));
    network_free(&network);
}

/* Where API 0.114 has its functions and how large its structs are, as other clients publish them (pypjrt 0.1.1). */
static void layout_of_the_interface(void **state) {
    (void)state;
#define AT(field, place) assert_int_equal(offsetof(PjrtApi, field), place)
    AT(version, 16), AT(error_free, 40), AT(error_message, 48), AT(error_code, 56), AT(initialize, 64),
        AT(event_free, 80);
    AT(event_await, 104), AT(client_create, 120), AT(client_free, 128), AT(client_platform, 136),
        AT(client_version, 152);
    AT(client_devices, 168), AT(compile, 200), AT(from_host, 216), AT(device_kind, 248), AT(device_description, 272);
    AT(device_memory, 312), AT(executable_free, 360), AT(serialize, 432), AT(loaded_free, 440), AT(executable_of, 448);
    AT(execute, 480), AT(deserialize, 488), AT(buffer_free, 504), AT(to_host, 600), AT(buffer_ready, 616);
#undef AT
    assert_int_equal(sizeof(PjrtOption), 56);
    assert_int_equal(sizeof(PjrtClientCreate), 88);
    assert_int_equal(sizeof(PjrtProgramText), 48);
    assert_int_equal(sizeof(PjrtCompile), 56);
    assert_int_equal(sizeof(PjrtFromHost), 120);
    assert_int_equal(sizeof(PjrtMemoryStats), 208);
    assert_int_equal(sizeof(PjrtExecute), 80);
    assert_int_equal(sizeof(PjrtExecuteOptions), 144);
    assert_int_equal(sizeof(PjrtToHost), 56);
    assert_int_equal(sizeof(PjrtSerialize), 56);
    assert_int_equal(sizeof(PjrtDeserialize), 72);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_member), cmocka_unit_test(refused),
                                       cmocka_unit_test(layout_of_the_interface)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
