/* api_states.c - inference states of a model: several threads may run it at once, each call with a state of its own. A
 * state that is given back waits for the next call of its kind; there are as many as calls ever ran at once. */
#include "api/handles.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Takes an idle state that serves out of the list, or else one of the same kind that is too small; NULL: neither. */
static ModelState *unlink_idle(effnet_model *model, int batch, int keep) {
    ModelState **small = NULL, **fits = NULL;
    for (ModelState **at = &model->idle; *at && !fits; at = &(*at)->next) {
        if ((*at)->keep != keep) continue;
        if ((*at)->batch >= batch)
            fits = at;
        else
            small = at;
    }
    ModelState **chosen = fits ? fits : small;
    if (!chosen) return NULL;
    ModelState *state = *chosen;
    *chosen = state->next;
    return state;
}

static void state_free(ModelState *state) {
    engine_free(state->engine);
    free(state);
}

effnet_status model_state_take(effnet_model *model, int batch, int keep, ModelState **out, effnet_error *err) {
    *out = NULL;
    if (keep && model->device)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "features are made by the processor's engine alone; open the model without `device`");
    pthread_mutex_lock(model->lock);
    ModelState *state = unlink_idle(model, batch, keep);
    pthread_mutex_unlock(model->lock);
    *out = state;
    if (state && state->batch >= batch) return EFFNET_OK;
    *out = NULL;
    if (!state && !(state = calloc(1, sizeof *state)))
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for an inference state");
    engine_free(state->engine);
    state->engine = NULL;
    state->batch = batch;
    state->keep = keep;
    *out = state;
    if (model->device) return EFFNET_OK;
    const EngineOptions options = {.batch = batch,
                                   .bf16 = model->dtype.bf16,
                                   .int8 = model->dtype.int8,
                                   .fuse = model->bytes ? 2 : 0, /* every tensor is rounded, and so stored */
                                   .keep = keep,
                                   .team = model->team};
    effnet_status status = engine_create(model->engine_kind, &model->network, &options, &state->engine, err);
    if (status != EFFNET_OK) {
        state_free(state);
        *out = NULL;
    }
    return status;
}

void model_state_give(effnet_model *model, ModelState *state) {
    if (!state) return;
    pthread_mutex_lock(model->lock);
    state->next = model->idle;
    model->idle = state;
    pthread_mutex_unlock(model->lock);
}

void model_states_free(effnet_model *model) {
    while (model->idle) {
        ModelState *state = model->idle;
        model->idle = state->next;
        state_free(state);
    }
}

/* The call with its pictures and every tensor rounded. */
static effnet_status run_in_bytes(const effnet_model *model, ModelState *state, EngineForward call, effnet_error *err) {
    const size_t floats = shape_floats(model->network.tensors[0]);
    const StoredTensors stored = {static_bytes_look, model->bytes};
    float *images;
    TRY(memory_allocate_floats((size_t)call.batch, floats, "the rounded pictures", &images, err));
    memcpy(images, call.images, (size_t)call.batch * floats * sizeof *images);
    static_bytes_look(model->bytes, 0, images, (size_t)call.batch * floats);
    call.images = images;
    call.parameters = model->bytes->parameters;
    call.statistics = model->bytes->statistics;
    call.stored = &stored;
    effnet_status status = engine_forward(state->engine, &call, err);
    memory_free(images);
    return status;
}

effnet_status model_set_ranges(effnet_model *model, ByteRange *ranges, float *const *means, effnet_error *err) {
    StaticBytes *bytes = calloc(1, sizeof *bytes);
    if (!bytes) {
        free(ranges);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the ranges of %s", model->network.config.name);
    }
    effnet_status status =
        static_bytes_make(&model->network, model->parameters, model->statistics, ranges, means, bytes, err);
    if (status != EFFNET_OK) {
        free(bytes);
        return status;
    }
    model_states_free(model); /* made for floats */
    model->bytes = bytes;
    return EFFNET_OK;
}

effnet_status model_state_run(effnet_model *model, ModelState *state, const float *images, int batch, float *logits,
                              float *kept, effnet_error *err) {
    EngineForward call = {.batch = batch,
                          .images = images,
                          .parameters = model->parameters,
                          .statistics = model->statistics,
                          .logits = logits,
                          .kept = kept};
    if (model->device) return model_device_run(model, state->batch, images, batch, logits, err);
    pthread_rwlock_rdlock(model->weights);
    call.version = model->writes + 1;
    effnet_status status =
        model->bytes ? run_in_bytes(model, state, call, err) : engine_forward(state->engine, &call, err);
    pthread_rwlock_unlock(model->weights);
    return status;
}
