/* verb_summarize.c - effnet summarize: the blocks of a model, their shapes and what they cost. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>

static json_t *shape_to_json(int height, int width, int channels) {
    return json_pack("[iii]", height, width, channels);
}

static json_t *block_to_json(const effnet_block_summary *block) {
    json_t *object = json_object();
    json_object_set_new(object, "name", json_text(block->name));
    json_object_set_new(object, "input", shape_to_json(block->in_height, block->in_width, block->in_channels));
    json_object_set_new(object, "output", shape_to_json(block->out_height, block->out_width, block->out_channels));
    json_object_set_new(object, "convolutions", json_text(block->convolutions));
    json_object_set_new(object, "kernel", json_integer(block->kernel));
    json_object_set_new(object, "stride", json_integer(block->stride));
    json_object_set_new(object, "expanded_channels", json_integer(block->expanded_channels));
    json_object_set_new(object, "squeeze_channels", json_integer(block->squeeze_channels));
    json_object_set_new(object, "parameters", json_integer(block->parameters));
    json_object_set_new(object, "macs", json_integer(block->macs));
    json_object_set_new(object, "activation_bytes", json_integer(block->activation_bytes));
    return object;
}

/* model: what a file says of it; NULL: there is no file. */
static int print_json(const effnet_summary *summary, const effnet_model *model) {
    json_t *object = json_object(), *blocks = json_array();
    for (int i = 0; i < summary->num_blocks; i++) json_array_append_new(blocks, block_to_json(&summary->blocks[i]));
    json_object_set_new(object, "model", json_text(summary->model));
    json_object_set_new(object, "resolution", json_integer(summary->resolution));
    json_object_set_new(object, "resolution_width", json_integer(summary->resolution_width));
    json_object_set_new(object, "num_classes", json_integer(summary->num_classes));
    json_object_set_new(object, "parameters", json_integer(summary->parameters));
    json_object_set_new(object, "macs", json_integer(summary->macs));
    json_object_set_new(object, "activation_bytes", json_integer(summary->activation_bytes));
    json_object_set_new(object, "blocks", blocks);
    if (model) {
        json_object_set_new(object, "file", json_text(effnet_model_file(model)));
        text_card_to_json(model, object);
    }
    return json_print("summarize", object);
}

static void print_row(const effnet_block_summary *block) {
    char input[32], output[32], expanded[16] = "-", squeezed[16] = "-";
    char parameters[32], macs[32], bytes[32];
    snprintf(input, sizeof input, "%dx%dx%d", block->in_height, block->in_width, block->in_channels);
    snprintf(output, sizeof output, "%dx%dx%d", block->out_height, block->out_width, block->out_channels);
    if (block->expanded_channels) snprintf(expanded, sizeof expanded, "%d", block->expanded_channels);
    if (block->squeeze_channels) snprintf(squeezed, sizeof squeezed, "%d", block->squeeze_channels);
    text_count(block->parameters, parameters, sizeof parameters);
    text_count(block->macs, macs, sizeof macs);
    text_count(block->activation_bytes, bytes, sizeof bytes);
    printf("%-12s %13s  %-15s %8s %7s %13s %12s %15s %14s\n", block->name, input, block->convolutions, expanded,
           squeezed, output, parameters, macs, bytes);
}

static void print_text(const effnet_summary *summary) {
    char parameters[32], macs[32], bytes[32];
    printf("%s at %dx%d, %d classes; MACs and activation bytes (convolution outputs, fp32) are for one image;\n"
           "dw: depthwise, /2: stride\n\n",
           summary->model, summary->resolution, summary->resolution_width, summary->num_classes);
    printf("%-12s %13s  %-15s %8s %7s %13s %12s %15s %14s\n", "block", "input", "convolutions", "expanded", "squeeze",
           "output", "parameters", "MACs", "bytes");
    for (int i = 0; i < summary->num_blocks; i++) print_row(&summary->blocks[i]);
    text_count(summary->parameters, parameters, sizeof parameters);
    text_count(summary->macs, macs, sizeof macs);
    text_count(summary->activation_bytes, bytes, sizeof bytes);
    printf("%-12s %13s  %-15s %8s %7s %13s %12s %15s %14s\n", "total", "", "", "", "", "", parameters, macs, bytes);
}

int verb_summarize(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "summarize",
        .text =
            "RECIPE is a YAML file; a checkpoint or a .safetensors file says what its classes are, how pictures are\n"
            "prepared and where it comes from; MODEL is efficientnet_b0 to b8, efficientnet_l2, efficientnet_lite0 to "
            "lite4.\n"
            "Parameters are those that training changes.\n",
        .examples = "  effnet summarize efficientnet_b0\n"
                    "  effnet summarize recipes/cifar10-b0.yaml --json\n"
                    "  effnet summarize runs/bees\n"
                    "  effnet summarize efficientnet_b7 --res 300x400\n",
    };
    bool json = false;
    OptionSize resolution = {0};
    const Option options[] = {
        OPTION_ROW_RESOLUTION(&resolution, "size of the input; 0, the default: the recipe's or the model's own"),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("summarize", "no recipe or model given");
    if (line.count > 1) return usage_error("summarize", "unexpected argument '%.60s'", line.arguments[1]);
    effnet_model *model = NULL;
    effnet_summary summary = {.struct_size = sizeof summary};
    effnet_error error;
    if (effnet_summarize(line.arguments[0], resolution.height, resolution.width, &summary, &error) != EFFNET_OK) {
        status = report("summarize", &error);
        return error.status == EFFNET_ERROR_ARGUMENT ? EXIT_USAGE : status; /* no such model, no such resolution */
    }
    /* A file of weights says more; a recipe and a name are no such file. */
    const effnet_model_options one_thread = {.struct_size = sizeof one_thread, .threads = 1};
    (void)effnet_model_open(line.arguments[0], &one_thread, &model, NULL);
    if (!json && model) {
        text_print_card(model, stdout);
        printf("\n");
    }
    if (json)
        status = print_json(&summary, model);
    else
        print_text(&summary);
    effnet_model_free(model);
    effnet_summary_free(&summary);
    return json ? status : EXIT_OK;
}
