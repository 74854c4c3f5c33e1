/* onnx_example.h - a network with the formula's weights, its pictures, its logits by the reference engine, and its ONNX
 * file: what test_onnx.c (our own reading of the file) and test_onnx_runtime.c (ONNX Runtime's) share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EFFNET_TESTS_ONNX_EXAMPLE_H
#define EFFNET_TESTS_ONNX_EXAMPLE_H

#include "engine/engine.h"
#include "format/onnx.h"
#include "golden/golden_formula.h"

#include <stdlib.h>

typedef struct OnnxExample {
    Network network;
    float *parameters, *statistics, *images, *logits; /* images (batch, R, R, 3), logits (batch, classes) */
    int batch;
} OnnxExample;

static inline void onnx_example_must(effnet_status status, const effnet_error *err) {
    if (status == EFFNET_OK) return;
    fprintf(stderr, "FAIL: %s\n", err->message);
    exit(1);
}

static inline float *onnx_example_floats(size_t count) {
    float *block = calloc(count + 1, sizeof *block);
    if (!block) exit(1);
    return block;
}

/* logits (batch, classes) of the example's pictures by the reference engine, with these weights. */
static inline void onnx_example_run(const OnnxExample *example, const float *parameters, float *statistics,
                                    float *logits) {
    effnet_error err = {0};
    ThreadTeam *team;
    Engine *engine;
    onnx_example_must(thread_team_create(1, &team, &err), &err);
    onnx_example_must(engine_create(&reference_engine, &example->network,
                                    &(EngineOptions){.batch = example->batch, .team = team}, &engine, &err),
                      &err);
    onnx_example_must(engine_forward(engine,
                                     &(EngineForward){.batch = example->batch,
                                                      .images = example->images,
                                                      .parameters = parameters,
                                                      .statistics = statistics,
                                                      .logits = logits},
                                     &err),
                      &err);
    engine_free(engine);
    thread_team_free(team);
}

static inline OnnxExample onnx_example_make(const ModelConfig *config, int batch) {
    OnnxExample example = {.batch = batch};
    effnet_error err = {0};
    onnx_example_must(network_build(config, &example.network, &err), &err);
    const Network *network = &example.network;
    size_t n = (size_t)batch;
    example.parameters = onnx_example_floats(network->parameter_floats);
    example.statistics = onnx_example_floats(network->statistic_floats);
    example.images = onnx_example_floats(n * shape_floats(config->input));
    example.logits = onnx_example_floats(n * (size_t)config->num_classes);
    for (int i = 0; i < network->num_parameters; i++)
        golden_initial(&network->parameters[i], example.parameters + network->parameters[i].offset);
    for (int i = 0; i < network->num_statistics; i++)
        golden_initial(&network->statistics[i], example.statistics + network->statistics[i].offset);
    golden_images(0, batch, config->input, example.images);
    onnx_example_run(&example, example.parameters, example.statistics, example.logits);
    return example;
}

static inline void onnx_example_write(const OnnxExample *example, const char *path, bool keep_batch_norm) {
    static const char *const metadata[] = {"effnet.model", "example", NULL};
    effnet_error err = {0};
    const OnnxOptions options = {.keep_batch_norm = keep_batch_norm, .metadata = metadata};
    onnx_example_must(onnx_write(path, &example->network, example->parameters, example->statistics, &options, &err),
                      &err);
}

static inline void onnx_example_free(OnnxExample *example) {
    network_free(&example->network);
    free(example->parameters);
    free(example->statistics);
    free(example->images);
    free(example->logits);
}

#endif
