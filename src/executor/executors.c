/* executors.c - the executors by the name of their device, and the calls of executor.h, checked once for all of them.
 */
#include "executor/executor.h"

#include <stdio.h>
#include <string.h>

/* A device is written NAME, NAME:REST or NAME,REST, with what the executor makes of the rest. */
static const struct {
    const char *name;
    const ExecutorVtable *vtable;
} executors[] = {
    {"cpu", &host_executor}, {"xla", &xla_executor}, /* xla:PLUGIN: a name or a file, backend/xla/plugins.h */
};
enum { EXECUTORS = sizeof executors / sizeof executors[0] };

effnet_status executor_find(const char *device, const ExecutorVtable **out, effnet_error *err) {
    *out = NULL;
    if (!device || !device[0]) device = executors[0].name;
    size_t length = strcspn(device, ":,");
    for (int i = 0; i < EXECUTORS; i++)
        if (strlen(executors[i].name) == length && strncmp(device, executors[i].name, length) == 0)
            *out = executors[i].vtable;
    if (*out == &host_executor && device[length]) *out = NULL; /* the host has no parts to choose from */
    if (*out) return EFFNET_OK;
    char names[100] = "";
    for (int i = 0; i < EXECUTORS; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", executors[i].name);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "device is '%.80s'; there is: %s", device, names);
}

effnet_status executor_create(const Network *network, const StepSpec *spec, const ExecutorOptions *options,
                              Executor **out, effnet_error *err) {
    const ExecutorVtable *vtable;
    *out = NULL;
    TRY(executor_find(options->device, &vtable, err));
    if (workers_count(options->workers) > 1 && vtable != &host_executor)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "device is '%.40s', whose replicas are devices of one process, and there are %d workers; leave "
                    "--dist out, or use device: cpu",
                    options->device, workers_count(options->workers));
    return vtable->create(network, spec, options, out, err);
}

effnet_status executor_load(Executor *executor, TrainState *state, effnet_error *err) {
    return executor->vtable->load(executor, state, err);
}

static effnet_status check_labels(const int32_t *labels, int size, int classes, effnet_error *err) {
    for (int n = 0; n < size; n++)
        if (labels[n] < 0 || labels[n] >= classes)
            return fail(err, EFFNET_ERROR_ARGUMENT, "label %d of image %d of the batch; %d classes allow 0 to %d",
                        (int)labels[n], n, classes, classes - 1);
    return EFFNET_OK;
}

effnet_status executor_check_batch(const ExecutorBatch *batch, int most, int classes, effnet_error *err) {
    if (batch->size < 1 || batch->size > most)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a batch of %d images; batch_size allows 1 to %d", batch->size, most);
    TRY(check_labels(batch->labels, batch->size, classes, err));
    for (size_t i = 0; batch->targets && i < (size_t)batch->size * (size_t)classes; i++)
        if (!(batch->targets[i] >= 0 && batch->targets[i] <= 1))
            return fail(err, EFFNET_ERROR_ARGUMENT, "target %g of image %zu of the batch; 0 to 1 is allowed",
                        (double)batch->targets[i], i / (size_t)classes);
    if (!batch->others) return EFFNET_OK;
    for (int n = 0; n < batch->size; n++)
        if (!(batch->shares[n] >= 0 && batch->shares[n] <= 1))
            return fail(err, EFFNET_ERROR_ARGUMENT, "share %g of image %d of the batch; 0 to 1 is allowed",
                        (double)batch->shares[n], n);
    return check_labels(batch->others, batch->size, classes, err);
}

effnet_status executor_step(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResults *results,
                            effnet_error *err) {
    *results = (StepResults){0};
    return executor->vtable->step(executor, batch, learning_rate, results, err);
}

effnet_status executor_evaluate(Executor *executor, ExecutorWeights weights, const ExecutorBatch *batch, float *logits,
                                effnet_error *err) {
    return executor->vtable->evaluate(executor, weights, batch, logits, err);
}

effnet_status executor_state(Executor *executor, const TrainState **out, effnet_error *err) {
    return executor->vtable->state(executor, out, err);
}

ExecutorInfo executor_info(Executor *executor) {
    return executor->vtable->info(executor);
}

const EnginePassTime *executor_profile(Executor *executor, bool clear, int *count) {
    *count = 0;
    return executor->vtable->profile ? executor->vtable->profile(executor, clear, count) : NULL;
}

void executor_free(Executor *executor) {
    if (executor) executor->vtable->free(executor);
}
