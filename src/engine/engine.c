/* engine.c - the calls of engine.h, checked once for every engine. */
#include "engine/engine.h"

#include <string.h>

effnet_status engine_create(const EngineVtable *vtable, const Network *network, const EngineOptions *options,
                            Engine **out, effnet_error *err) {
    *out = NULL;
    if (options->batch < 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "an engine needs a batch of at least 1 image, not %d", options->batch);
    if (options->keep < 0 || options->keep >= network->num_tensors || (options->keep && options->training))
        return fail(err, EFFNET_ERROR_ARGUMENT, "tensor %d of %d cannot be kept%s", options->keep, network->num_tensors,
                    options->training ? " in training" : "");
    return vtable->create(network, options, out, err);
}

effnet_status engine_check_outputs(const EngineOptions *options, const EngineForward *call, effnet_error *err) {
    if (call->kept && !options->keep) return fail(err, EFFNET_ERROR_ARGUMENT, "this engine was made to keep no tensor");
    if (!call->logits && !call->kept) return fail(err, EFFNET_ERROR_ARGUMENT, "neither logits nor a tensor is wanted");
    if (call->stored && (call->training || options->training || options->bf16 || options->int8 || options->fuse != 2))
        return fail(err, EFFNET_ERROR_ARGUMENT, "tensors are shown in fp32 inference, where none is left out (fuse 2)");
    return EFFNET_OK;
}

void engine_clear_frozen(const Network *network, float *gradients) {
    for (int i = 0; i < network->num_parameters; i++) {
        const Parameter *parameter = &network->parameters[i];
        if (!parameter->trainable) memset(gradients + parameter->offset, 0, parameter->count * sizeof *gradients);
    }
}

effnet_status engine_forward(Engine *engine, const EngineForward *call, effnet_error *err) {
    return engine->vtable->forward(engine, call, err);
}

effnet_status engine_backward(Engine *engine, const EngineForward *call, const float *logits_gradient, float *gradients,
                              bool accumulate, effnet_error *err) {
    return engine->vtable->backward(engine, call, logits_gradient, gradients, accumulate, err);
}

const char *engine_find_nonfinite(Engine *engine) {
    return engine->vtable->find_nonfinite(engine);
}

EngineInfo engine_info(const Engine *engine) {
    return engine->vtable->info(engine);
}

const EnginePassTime *engine_profile(Engine *engine, bool clear, int *count) {
    *count = 0;
    return engine->vtable->profile ? engine->vtable->profile(engine, clear, count) : NULL;
}

void engine_free(Engine *engine) {
    if (engine) engine->vtable->free(engine);
}
