/* api_model_device.c - a model on an accelerator: an executor that only evaluates, with the model's weights as they
 * were last written. It is made for the largest batch that was asked for (a program has one size and smaller batches
 * are padded), at the first call, so that opening a model waits for no device. One for a model, whatever its threads:
 * they take turns. */
#include "api/handles.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct ModelDevice {
    char *name;         /* the recipe's key `device` */
    Executor *executor; /* NULL before the first call */
    int batch;          /* most pictures of it */
    uint64_t writes;    /* of the weights that it has */
    pthread_mutex_t turn;
} ModelDevice;

effnet_status model_device_choose(effnet_model *model, const char *device, effnet_error *err) {
    const ExecutorVtable *vtable;
    TRY(executor_find(device, &vtable, err));
    if (vtable == &host_executor) return EFFNET_OK;
    if (model->dtype.int8)
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "dtype int8 is the processor's; device %.80s computes fp32 or bf16",
                    device);
    ModelDevice *made = calloc(1, sizeof *made);
    if (made) made->name = strdup(device);
    if (!made || !made->name) {
        free(made);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a device's name");
    }
    pthread_mutex_init(&made->turn, NULL);
    model->device = made;
    return EFFNET_OK;
}

void model_device_free(effnet_model *model) {
    ModelDevice *device = model->device;
    if (!device) return;
    executor_free(device->executor);
    pthread_mutex_destroy(&device->turn);
    free(device->name);
    free(device);
}

static effnet_status make_room(const effnet_model *model, int most, effnet_error *err) {
    ModelDevice *device = model->device;
    if (device->executor && device->batch >= most) return EFFNET_OK;
    executor_free(device->executor);
    device->executor = NULL;
    device->writes = 0;
    StepSpec spec = {.batch = most, .replicas = 1, .accumulate = 1, .bn_group = 1, .bf16 = model->dtype.bf16};
    memcpy(spec.mean, model->card.transform.mean, sizeof spec.mean);
    memcpy(spec.std, model->card.transform.std, sizeof spec.std);
    const ExecutorOptions options = {
        .device = device->name, .evaluation_batch = most, .evaluates_only = true, .team = model->team};
    TRY(executor_create(&model->network, &spec, &options, &device->executor, err));
    device->batch = most;
    return EFFNET_OK;
}

static effnet_status copy_of(const float *values, size_t floats, float **out, effnet_error *err) {
    TRY(memory_allocate_floats(floats, 1, "the weights for a device", out, err));
    memcpy(*out, values, floats * sizeof(float));
    return EFFNET_OK;
}

/* The weights as they are now, where the device has others. */
static effnet_status load(const effnet_model *model, effnet_error *err) {
    ModelDevice *device = model->device;
    const Network *network = &model->network;
    if (device->writes == model->writes + 1) return EFFNET_OK;
    TrainState state = {0};
    effnet_status status = copy_of(model->parameters, network->parameter_floats, &state.parameters, err);
    if (status == EFFNET_OK) status = copy_of(model->statistics, network->statistic_floats, &state.statistics, err);
    if (status == EFFNET_OK) status = executor_load(device->executor, &state, err);
    if (status == EFFNET_OK) device->writes = model->writes + 1;
    train_state_free(&state);
    return status;
}

effnet_status model_device_run(effnet_model *model, int most, const float *images, int batch, float *logits,
                               effnet_error *err) {
    ModelDevice *device = model->device;
    const ExecutorBatch pictures = {.size = batch, .images = images};
    pthread_mutex_lock(&device->turn);
    pthread_rwlock_rdlock(model->weights);
    effnet_status status = make_room(model, most, err);
    if (status == EFFNET_OK) status = load(model, err);
    if (status == EFFNET_OK) status = executor_evaluate(device->executor, EXECUTOR_RAW, &pictures, logits, err);
    pthread_rwlock_unlock(model->weights);
    pthread_mutex_unlock(&device->turn);
    return status;
}
