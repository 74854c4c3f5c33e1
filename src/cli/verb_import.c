/* verb_import.c - effnet import: weights of another program as a checkpoint of ours. */
#include "common_options.h"
#include "interrupt.h"
#include "output_file.h"
#include "text.h"
#include "verbs.h"
#include "weights_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sentences of the model's notes. */
static json_t *notes_to_json(const char *notes) {
    json_t *array = json_array();
    for (size_t length; *notes; notes += length + (notes[length] == '\n')) {
        length = strcspn(notes, "\n");
        char *line = strndup(notes, length);
        if (line) json_array_append_new(array, json_text(line));
        free(line);
    }
    return array;
}

static int print_json(const char *out, const char *naming, const effnet_model *model) {
    json_t *object = json_object();
    json_object_set_new(object, "checkpoint", json_text(out));
    json_object_set_new(object, "naming", json_text(naming));
    json_object_set_new(object, "model", json_text(effnet_model_name(model)));
    json_object_set_new(object, "num_classes", json_integer(effnet_model_classes(model)));
    int input[3];
    effnet_model_input(model, input);
    json_object_set_new(object, "resolution", json_integer(input[0]));
    json_object_set_new(object, "resolution_width", json_integer(input[1]));
    json_object_set_new(object, "notes", notes_to_json(effnet_model_notes(model)));
    return json_print("import", object);
}

static void print_text(const char *file, const char *out, const char *naming, const effnet_model *model) {
    char line[2000];
    int input[3];
    effnet_model_input(model, input);
    printf("%s: %s's weights of %s, %d classes, %dx%d -> %s\n", file, naming, effnet_model_name(model),
           effnet_model_classes(model), input[0], input[1], out);
    for (const char *notes = effnet_model_notes(model); *notes;
         notes += strcspn(notes, "\n"), notes += *notes == '\n') {
        text_for_terminal(notes, line, sizeof line);
        printf("  %.*s\n", (int)strcspn(notes, "\n"), line);
    }
}

static int import_file(const char *file, const char *out, const effnet_import_options *options, bool offline,
                       bool json) {
    effnet_model *model = NULL;
    effnet_error error;
    char path[WEIGHTS_PATH];
    const char *naming = "";
    effnet_status status = weights_source_resolve(file, offline, path, &error);
    if (status == EFFNET_OK && output_is_input("import", out, path)) return EXIT_FAILED;
    if (status == EFFNET_OK) status = effnet_model_import(path, options, &model, &naming, &error);
    int printed = EXIT_OK;
    interrupt_removes(out, ".tmp");
    if (status == EFFNET_OK) status = effnet_model_save(model, out, &error);
    if (status != EFFNET_OK)
        printed = report("import", &error);
    else if (json)
        printed = print_json(out, naming, model);
    else
        print_text(file, out, naming, model);
    effnet_model_free(model);
    return printed;
}

int verb_import(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "import",
        .text =
            "FILE is a safetensors file or one of torch.save's (.pth, .pth.tar, .pt, .bin; nothing in it is executed) "
            "in\n"
            "the names of timm, torchvision, efficientnet_pytorch, jax_examples' Flax model, Keras or TensorFlow, "
            "told\n"
            "apart by themselves (tools/convert.py makes one of .h5, .keras, TensorFlow's and Flax's checkpoints).\n"
            "Or it is a name of Hugging Face's hub, OWNER/NAME or OWNER/NAME@REVISION, which is fetched once into the "
            "hub's\n"
            "cache (HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE are obeyed).\n"
            "OUT.safetensors is read by eval, predict, export and train --init.\n"
            "Size, crop, mean, std, padding and batch norm are those of the weights' own program, found by --model, "
            "by\n"
            "config.json beside the file or by the file's name; what was taken for what is printed. --set goes "
            "first.\n",
        .examples = "  effnet import efficientnet_lite0.pth --model efficientnet_lite0 lite0.safetensors\n"
                    "  effnet import timm/tf_efficientnet_b0.in1k b0.safetensors\n"
                    "  effnet import timm.safetensors b0.safetensors --model tf_efficientnet_b0.ns_jft_in1k\n",
    };
    OptionList settings = {0};
    const char *model = NULL, *class_names = NULL;
    bool json = false, offline = false;
    const Option options[] = {
        OPTION_ROW_TEXT(
            "model", "NAME", &model,
            "efficientnet_b0, ..., or the other program's name; timm's plain and tf_ models are two, with tags; "
            "default: "
            "what lies beside the file, or its shapes"),
        OPTION_ROW_TEXT("class-names", "FILE", &class_names, "names of the classes in order, one a line"),
        OPTION_ROW_SET(
            &settings,
            "a recipe key on the model or its pictures: padding, bn_eps, mean, std, crop_pct, resolution, ..."),
        OPTION_ROW_OFFLINE(&offline),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status == PARSED && line.count < 2)
        status = usage_error("import", line.count ? "no OUT.safetensors given" : "no file given");
    if (status == PARSED && line.count > 2)
        status = usage_error("import", "unexpected argument '%.60s'", line.arguments[2]);
    if (status == PARSED) {
        /* The list has room for one item an argument, of which two are no settings: its end is NULL. */
        const effnet_import_options import_options = {.struct_size = sizeof import_options,
                                                      .model = model,
                                                      .class_names = class_names,
                                                      .settings = settings.items};
        status = import_file(line.arguments[0], line.arguments[1], &import_options, offline, json);
    }
    free(settings.items);
    return status;
}
