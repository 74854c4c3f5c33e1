/* What the engine says of finished gradients during backward (EngineForward.ready) is so: what it names does not change
 * any more, what it names falls to 0, and it begins with the classifier's long before the end; with expand convolutions
 * fused, stored and made again, written and added to. Of a network with a frozen part nothing is told. */
#include "engine/engine.h"
#include "model/freeze.h"
#include "model/initialize.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CLASSES = 7, SIDE = 32, BATCH = 2 };

static void must(effnet_status status, const effnet_error *err) {
    if (status != EFFNET_OK) fail_msg("%s", err->message);
}

typedef struct Told {
    const float *gradients;
    float *first; /* each gradient as it was when it was first told of */
    size_t floats, from;
    int calls;
    bool fails; /* at the third call */
} Told;

static effnet_status take(void *context, size_t from, effnet_error *err) {
    Told *told = context;
    if (from > told->from) fail_msg("told of %zu after %zu", from, told->from);
    memcpy(told->first + from, told->gradients + from, (told->from - from) * sizeof(float));
    told->from = from;
    if (++told->calls == 3 && told->fails) return (fail)(err, EFFNET_ERROR_IO, "nobody listens");
    return EFFNET_OK;
}

/* Of a network: its forward and backward on noise, heard by `told`, whose arrays are made here. */
static effnet_status backward(const Network *network, const EngineOptions *options, bool accumulate, Told *told,
                              effnet_error *err) {
    const size_t floats = network->parameter_floats;
    float *parameters = calloc(floats, sizeof(float)), *gradients = malloc(floats * sizeof(float));
    float *statistics = calloc(network->statistic_floats, sizeof(float)),
          *images = malloc(sizeof(float) * BATCH * SIDE * SIDE * 3);
    float logits[BATCH * CLASSES], slope[BATCH * CLASSES];
    told->first = malloc(floats * sizeof(float));
    assert_true(parameters && gradients && statistics && images && told->first);
    told->gradients = gradients;
    told->floats = told->from = floats;
    const InitializeOptions initialize = {.seed = 3};
    network_initialize(network, &initialize, parameters, statistics);
    for (size_t i = 0; i < BATCH * SIDE * SIDE * 3; i++) images[i] = random_normal(random_key(1), i);
    for (size_t i = 0; i < BATCH * CLASSES; i++) slope[i] = random_normal(random_key(2), i);
    for (size_t i = 0; i < floats; i++) gradients[i] = 1;
    const GradientsReady ready = {.ready = take, .context = told};
    const EngineForward call = {.batch = BATCH,
                                .images = images,
                                .parameters = parameters,
                                .statistics = statistics,
                                .training = true,
                                .logits = logits,
                                .ready = &ready};
    Engine *engine;
    must(engine_create(&cpu_engine, network, options, &engine, err), err);
    must(engine_forward(engine, &call, err), err);
    effnet_status status = engine_backward(engine, &call, slope, gradients, accumulate, err);
    if (status == EFFNET_OK)
        for (size_t i = told->from; i < floats; i++)
            if (memcmp(&told->first[i], &gradients[i], sizeof(float)) != 0)
                fail_msg("gradient %zu was %.9g when it was told of as finished, and became %.9g", i,
                         (double)told->first[i], (double)gradients[i]);
    engine_free(engine);
    free(parameters), free(gradients), free(statistics), free(images), free(told->first);
    return status;
}

static void build(const char *frozen, Network *out) {
    ModelConfig config;
    effnet_error err;
    must(model_config_by_name("efficientnet_b0", &config, &err), &err);
    config.num_classes = CLASSES;
    config.input = (TensorShape){SIDE, SIDE, 3};
    must(network_build(&config, out, &err), &err);
    if (frozen) must(network_freeze(out, frozen, &err), &err);
}

static void test_finished_is_finished(void **state) {
    (void)state;
    Network network;
    ThreadTeam *team;
    effnet_error err;
    build(NULL, &network);
    must(thread_team_create(2, &team, &err), &err);
    for (int way = 0; way < 6; way++) {
        const EngineOptions options = {.batch = BATCH,
                                       .training = true,
                                       .fuse = way % 3,
                                       .recompute = way / 3 % 2,
                                       .bf16 = way == 2 || way == 4,
                                       .team = team};
        Told told = {0};
        must(backward(&network, &options, way % 2, &told, &err), &err);
        if (told.from != 0 || told.calls < 10)
            fail_msg("way %d: told %d times, the last time of gradients from %zu on", way, told.calls, told.from);
    }
    const EngineOptions options = {.batch = BATCH, .training = true, .team = team};
    Told tired = {.fails = true};
    assert_int_equal(backward(&network, &options, false, &tired, &err), EFFNET_ERROR_IO);
    assert_string_equal(err.message, "nobody listens");
    network_free(&network);
    build("classifier", &network);
    Told told = {0};
    must(backward(&network, &options, false, &told, &err), &err);
    assert_int_equal(told.calls, 0);
    network_free(&network);
    thread_team_free(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_finished_is_finished)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
