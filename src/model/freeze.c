/* freeze.c - see freeze.h. */
#include "model/freeze.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* Stages counted for the number: the stem is in every one of them, and the one after the last block is conv_head's. */
static int stages_of(const Network *network) {
    return network->num_blocks ? network->blocks[network->num_blocks - 1].stage + 1 : 0;
}

/* The parameters of an op, at most four. */
static int op_parameters(const Op *op, int indices[4]) {
    const int all[4] = {op->weight, op->bias, op->expand_weight, op->expand_bias};
    int count = 0;
    for (int i = 0; i < 4; i++)
        if (all[i] >= 0) indices[count++] = all[i];
    return count;
}

static void freeze_stages(Network *network, int stages) {
    const int last = stages_of(network);
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        const int stage = op->block < 0 ? 0 : op->block < network->num_blocks ? network->blocks[op->block].stage : last;
        int indices[4], count = op_parameters(op, indices);
        if (op->kind == OP_DENSE || stage >= stages) continue;
        for (int p = 0; p < count; p++) network->parameters[indices[p]].trainable = false;
    }
}

static effnet_status freeze_matching(Network *network, const char *expression, effnet_error *err) {
    regex_t compiled;
    const int wrong = regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB);
    if (wrong) {
        char reason[100];
        regerror(wrong, &compiled, reason, sizeof reason);
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "freeze is '%.80s', which is no extended regular expression (%s); allowed: a number of stages, 0 "
                    "to %d, or an expression such as ^(conv_stem|bn1|blocks)",
                    expression, reason, stages_of(network) + 1);
    }
    int found = 0;
    for (int p = 0; p < network->num_parameters; p++) {
        Parameter *parameter = &network->parameters[p];
        if (regexec(&compiled, parameter->name, 0, NULL, 0) != 0) continue;
        parameter->trainable = false;
        found++;
    }
    regfree(&compiled);
    if (found) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "freeze is '%.80s', which is found in no parameter's name; they are called %s, %s, ..., "
                "classifier.weight",
                expression, network->parameters[0].name, network->parameters[network->num_parameters > 3 ? 3 : 0].name);
}

/* What the ops are by their parameters. */
static void settle(Network *network) {
    network->first_trainable = network->num_ops;
    for (int i = network->num_ops - 1; i >= 0; i--) {
        Op *op = &network->ops[i];
        int indices[4], count = op_parameters(op, indices);
        op->frozen = count > 0;
        for (int p = 0; p < count; p++) op->frozen = op->frozen && !network->parameters[indices[p]].trainable;
        if (count > 0 && !op->frozen) network->first_trainable = i;
    }
}

effnet_status network_freeze(Network *network, const char *what, effnet_error *err) {
    if (!what[0]) return EFFNET_OK;
    if (what[strspn(what, "0123456789")] == 0) {
        const long stages = strlen(what) > 4 ? 9999 : strtol(what, NULL, 10);
        if (stages > stages_of(network) + 1)
            return fail(err, EFFNET_ERROR_ARGUMENT,
                        "freeze is '%.80s', and there are %d stages; allowed: 0 to %d, where %d is all but the "
                        "classifier",
                        what, stages_of(network), stages_of(network) + 1, stages_of(network) + 1);
        if (stages > 0) freeze_stages(network, (int)stages);
    } else {
        TRY(freeze_matching(network, what, err));
    }
    settle(network);
    if (network->first_trainable < network->num_ops) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "freeze is '%.80s', which leaves no parameter to train", what);
}

void network_layer_decay(Network *network, double decay) {
    const int most = network->num_blocks + 1; /* the classifier's layer; the stem's is 0 */
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        int layer = op->kind == OP_DENSE ? most : op->block < network->num_blocks ? op->block + 1 : network->num_blocks;
        int indices[4], count = op_parameters(op, indices);
        for (int p = 0; p < count; p++) network->parameters[indices[p]].lr_scale = pow(decay, most - layer);
    }
}

size_t network_trainable_floats(const Network *network) {
    size_t floats = 0;
    for (int p = 0; p < network->num_parameters; p++)
        if (network->parameters[p].trainable) floats += network->parameters[p].count;
    return floats;
}
