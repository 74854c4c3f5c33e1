/* api_summary.c - what each block of a model is and costs, counted off the op list.
 *
 * Multiply-accumulates are those of convolutions, squeeze-excite's two layers and the classifier; additions, batch norm
 * and activations are not counted, as in the paper's tables. Activation bytes are the outputs of every convolution,
 * squeeze-excite's included, in fp32: what a framework keeps for the backward pass, at the least. */
#include "api/handles.h"

#include "base/file.h"
#include "train/card.h"
#include "train/from_recipe.h"
#include "train/weights.h"

#include <stdlib.h>
#include <string.h>

static int64_t parameter_count(const Network *network, int index) {
    return index < 0 ? 0 : (int64_t)network->parameters[index].count;
}

/* Adds " 1x1", " dw3x3/2" to the list of the block's convolutions. */
static void name_convolution(const Op *op, effnet_block_summary *block) {
    char *list = block->convolutions, stride[12] = "";
    size_t used = strlen(list);
    if (op->stride != 1) snprintf(stride, sizeof stride, "/%d", op->stride);
    snprintf(list + used, sizeof block->convolutions - used, "%s%s%dx%d%s", used ? " " : "",
             op->kind == OP_DEPTHWISE ? "dw" : "", op->kernel, op->kernel, stride);
}

/* Adds one op to the block it belongs to; in_*: where the block begins, out_*: where it ends so far. */
static void add_op(const Network *network, const Op *op, effnet_block_summary *block) {
    TensorShape in = network->tensors[op->input], out = network->tensors[op->output];
    int64_t outputs = (int64_t)out.height * out.width * out.channels;
    if (block->in_height == 0) {
        block->in_height = in.height;
        block->in_width = in.width;
        block->in_channels = in.channels;
    }
    block->out_height = out.height;
    block->out_width = out.width;
    block->out_channels = out.channels;
    block->parameters += parameter_count(network, op->weight) + parameter_count(network, op->bias) +
                         parameter_count(network, op->expand_weight) + parameter_count(network, op->expand_bias);
    int64_t convolution_outputs = 0;
    switch (op->kind) {
    case OP_CONV:
        name_convolution(op, block);
        block->macs += outputs * in.channels * op->kernel * op->kernel;
        convolution_outputs = outputs;
        break;
    case OP_DEPTHWISE:
        name_convolution(op, block);
        block->macs += outputs * op->kernel * op->kernel;
        convolution_outputs = outputs;
        break;
    case OP_SQUEEZE_EXCITE:
        block->macs += 2 * (int64_t)in.channels * op->squeezed;
        convolution_outputs = in.channels + op->squeezed;
        break;
    case OP_DENSE:
        block->macs += (int64_t)in.channels * out.channels;
        break;
    default:
        break;
    }
    block->activation_bytes += convolution_outputs * (int64_t)sizeof(float);
}

static void describe_blocks(const Network *network, effnet_block_summary *rows) {
    int last = network->num_blocks + 1; /* row 0 is the stem, row `last` the head */
    for (int i = 0; i <= last; i++) rows[i].struct_size = sizeof *rows;
    for (int i = 0; i < network->num_blocks; i++) {
        const Block *block = &network->blocks[i];
        effnet_block_summary *row = &rows[i + 1];
        snprintf(row->name, sizeof row->name, "%s", block->name);
        row->expanded_channels = block->expand_ratio == 1 ? 0 : block->expanded_channels;
        row->squeeze_channels = block->squeezed;
        row->kernel = block->kernel;
        row->stride = block->stride;
    }
    snprintf(rows[0].name, sizeof rows[0].name, "stem");
    snprintf(rows[last].name, sizeof rows[last].name, "head");
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        effnet_block_summary *row = &rows[op->block + 1];
        if (op->kind == OP_CONV && (op->block < 0 || op->block == network->num_blocks)) {
            row->kernel = op->kernel;
            row->stride = op->stride;
        }
        add_op(network, op, row);
    }
}

static bool looks_like_recipe(const char *text) {
    size_t length = strlen(text);
    return strchr(text, '/') || path_exists(text) || (length > 5 && strcmp(text + length - 5, ".yaml") == 0) ||
           (length > 4 && strcmp(text + length - 4, ".yml") == 0);
}

static effnet_status find_config(const char *recipe_or_model, ModelConfig *out, effnet_error *err) {
    Recipe recipe;
    if (model_is_file(recipe_or_model)) {
        char file[1100];
        ModelCard card;
        TRY(model_find_file(recipe_or_model, false, file, sizeof file, err));
        TRY(weights_read_card(file, &card, err));
        *out = card.config;
        out->input = card.transform.input;
        model_card_free(&card);
        return EFFNET_OK;
    }
    if (!looks_like_recipe(recipe_or_model)) return model_config_by_name(recipe_or_model, out, err);
    TRY(recipe_read(recipe_or_model, &recipe, err));
    return model_config_from_recipe(&recipe, recipe.num_classes ? (int)recipe.num_classes : 1000, out, err);
}

effnet_status effnet_summarize(const char *recipe_or_model, int height, int width, effnet_summary *out,
                               effnet_error *error) {
    ModelConfig config;
    Network network;
    effnet_summary summary = {0};
    NEED(out);
    TRY(result_clear(out, "effnet_summary", error));
    NEED(recipe_or_model);
    TRY(input_choose(height, width, &(TensorShape){0}, error));
    TRY(find_config(recipe_or_model, &config, error));
    TRY(input_choose(height, width, &config.input, error));
    TRY(network_build(&config, &network, error));
    int rows = network.num_blocks + 2;
    summary.blocks = calloc((size_t)rows, sizeof *summary.blocks);
    if (!summary.blocks) {
        network_free(&network);
        return fail(error, EFFNET_ERROR_MEMORY, "no memory to describe %d blocks", rows);
    }
    describe_blocks(&network, summary.blocks);
    snprintf(summary.model, sizeof summary.model, "%s", config.name);
    summary.resolution = config.input.height;
    summary.resolution_width = config.input.width;
    summary.num_classes = config.num_classes;
    summary.num_blocks = rows;
    for (int i = 0; i < rows; i++) {
        summary.parameters += summary.blocks[i].parameters;
        summary.macs += summary.blocks[i].macs;
        summary.activation_bytes += summary.blocks[i].activation_bytes;
    }
    network_free(&network);
    result_write(out, &summary, sizeof summary);
    return EFFNET_OK;
}

void effnet_summary_free(effnet_summary *summary) {
    if (!summary) return;
    free(summary->blocks);
    summary->blocks = NULL;
    summary->num_blocks = 0;
}
