/* api_explain.c - where in a picture a class is seen. The classifier is linear in the mean of the last convolution's
 * channels, so a class's logit is a mean over places, plus its bias:
 *
 *   logit_c = bias_c + mean over (y, x) of M_c(y, x),    M_c(y, x) = sum over k of w_ck f_k(y, x)
 *
 * with f (H, W, K) what the last 1x1 convolution, its batch norm and activation give, and w the classifier's weights. M_c is
 * the class activation map of Zhou et al., arXiv 1512.04150, eq. 2. Grad-CAM's weights (Selvaraju et al., arXiv 1610.02391,
 * eq. 1), the mean over places of the gradient of logit_c by f_k, are w_ck / (H W): the same map up to that factor, without
 * an approximation. Engines keep no f, which most of them never store; it is made here of the last block's output. */
#include "api/handles.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Head {
    int input, channels, classes;      /* of the last block; of f; of the classifier */
    const float *weight;               /* (channels, input) */
    const float *dense, *running_mean; /* (classes, channels); (channels), as are: */
    const float *running_variance, *scale, *bias;
    Activation activation;
    double eps;
} Head;

static Head find_head(const effnet_model *model) {
    const Network *network = &model->network;
    Head head = {.classes = network->config.num_classes, .channels = network->features, .eps = network->config.bn_eps};
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->block != network->num_blocks) continue;
        const float *weight = op->weight < 0 ? NULL : model->parameters + network->parameters[op->weight].offset;
        if (op->kind == OP_CONV) {
            head.weight = weight;
            head.input = network->tensors[op->input].channels;
        } else if (op->kind == OP_BATCH_NORM) {
            head.scale = weight;
            head.bias = model->parameters + network->parameters[op->bias].offset;
            head.running_mean = model->statistics + network->statistics[op->running_mean].offset;
            head.running_variance = model->statistics + network->statistics[op->running_variance].offset;
            head.activation = op->activation;
        } else if (op->kind == OP_DENSE) {
            head.dense = weight;
        }
    }
    return head;
}

static double activate(Activation activation, double x) {
    if (activation == ACTIVATION_SWISH) return x / (1 + exp(-x));
    if (activation == ACTIVATION_RELU6) return fmin(fmax(x, 0), 6);
    return x;
}

/* M_c of one place, whose channels of the last block are x (head->input). */
static double evidence(const Head *head, const float *x, int class_index) {
    const float *dense = head->dense + (size_t)class_index * (size_t)head->channels;
    double sum = 0;
    for (int k = 0; k < head->channels; k++) {
        const float *row = head->weight + (size_t)k * (size_t)head->input;
        double z = 0;
        for (int j = 0; j < head->input; j++) z += (double)row[j] * (double)x[j];
        z = (z - (double)head->running_mean[k]) / sqrt((double)head->running_variance[k] + head->eps);
        sum += (double)dense[k] * activate(head->activation, z * (double)head->scale[k] + (double)head->bias[k]);
    }
    return sum;
}

typedef struct Mapping {
    Head head;
    const float *features; /* (places, head.input) */
    int class_index;
    float *map; /* (places) */
} Mapping;

static void map_place(void *context, int place, int thread) {
    const Mapping *mapping = context;
    (void)thread;
    mapping->map[place] = (float)evidence(
        &mapping->head, mapping->features + (size_t)place * (size_t)mapping->head.input, mapping->class_index);
}

static effnet_status explain(effnet_model *model, const effnet_picture *picture, int class_index, float *features,
                             float *probabilities, const int shape[3], float *map, effnet_prediction *of,
                             effnet_error *err) {
    const effnet_outputs outputs = {
        .struct_size = sizeof outputs, .probabilities = probabilities, .features = features, .feature = "reduction_5"};
    TRY(effnet_run(model, picture, 1, &outputs, err));
    for (int c = 0; class_index < 0 && c < model->network.config.num_classes; c++)
        if (c == 0 || probabilities[c] > probabilities[of->index]) of->index = c;
    if (class_index >= 0) of->index = class_index;
    of->probability = probabilities[of->index];
    of->label = effnet_model_label(model, of->index);
    pthread_rwlock_rdlock(model->weights);
    Mapping mapping = {.head = find_head(model), .features = features, .class_index = of->index, .map = map};
    thread_team_run(model->team, map_place, &mapping, shape[0] * shape[1]);
    pthread_rwlock_unlock(model->weights);
    return EFFNET_OK;
}

effnet_status effnet_explain(effnet_model *model, const effnet_picture *picture, int class_index, float *map,
                             effnet_prediction *of, effnet_error *error) {
    int shape[3];
    float *features = NULL, *probabilities = NULL;
    effnet_prediction told = {0};
    NEED(model);
    NEED(picture);
    NEED(map);
    const int classes = model->network.config.num_classes;
    if (class_index < -1 || class_index >= classes)
        return fail(error, EFFNET_ERROR_ARGUMENT, "class_index is %d; allowed: 0 to %d, or -1 for the likeliest",
                    class_index, classes - 1);
    TRY(effnet_model_feature(model, "reduction_5", shape, error));
    effnet_status status = memory_allocate_floats((size_t)shape[0] * (size_t)shape[1], (size_t)shape[2],
                                                  "the last block's output", &features, error);
    if (status == EFFNET_OK)
        status = memory_allocate_floats(1, (size_t)classes, "the probabilities", &probabilities, error);
    if (status == EFFNET_OK)
        status = explain(model, picture, class_index, features, probabilities, shape, map, &told, error);
    memory_free(features);
    memory_free(probabilities);
    if (status == EFFNET_OK && of) *of = told;
    return status;
}
