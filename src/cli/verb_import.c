/* verb_import.c - effnet import: weights of another program as a checkpoint of ours. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>

static int print_json(const char *out, const char *naming, const char *model, int classes, int resolution) {
    json_t *object = json_object();
    json_object_set_new(object, "checkpoint", json_text(out));
    json_object_set_new(object, "naming", json_text(naming));
    json_object_set_new(object, "model", json_text(model));
    json_object_set_new(object, "num_classes", json_integer(classes));
    json_object_set_new(object, "resolution", json_integer(resolution));
    return json_print("import", object);
}

static int import_file(const char *file, const char *out, const effnet_import_options *options, bool json) {
    effnet_model *model = NULL;
    effnet_error error;
    const char *naming = "";
    char name[64] = "";
    int classes = 0, resolution = 0;
    effnet_status status = effnet_model_import(file, options, &model, &naming, &error);
    if (status == EFFNET_OK) {
        snprintf(name, sizeof name, "%s", effnet_model_name(model));
        classes = effnet_model_classes(model);
        resolution = effnet_model_resolution(model);
        status = effnet_model_save(model, out, &error);
    }
    effnet_model_free(model);
    if (status != EFFNET_OK) return report("import", &error);
    if (json) return print_json(out, naming, name, classes, resolution);
    printf("%s: %s's weights of %s, %d classes, %dx%d -> %s\n", file, naming, name, classes, resolution, resolution,
           out);
    return EXIT_OK;
}

int verb_import(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "import",
        .text =
            "FILE is a safetensors file in the names of timm, torchvision, efficientnet_pytorch, jax_examples' Flax\n"
            "model, Keras or TensorFlow, told apart by themselves (tools/convert.py makes one of .pth, .h5, .keras,\n"
            "TensorFlow's and Flax's checkpoints). OUT.safetensors is read by eval, predict, export and train --init.\n"
            "Padding, batch norm, mean and std are those that the naming implies, unless --set says otherwise.\n",
        .examples = "  effnet import lite0.safetensors --model efficientnet_lite0 lite0-effnet.safetensors\n"
                    "  effnet import ra.safetensors b0.safetensors --set padding=symmetric --set bn_eps=1e-5\n",
    };
    OptionList settings = {0};
    const char *model = NULL, *class_names = NULL;
    bool json = false;
    const Option options[] = {
        {.name = "model",
         .argument = "NAME",
         .target = &model,
         .kind = OPTION_TEXT,
         .help = "efficientnet_b0, ...; default: the one whose shapes the file has"},
        {.name = "class-names",
         .argument = "FILE",
         .target = &class_names,
         .kind = OPTION_TEXT,
         .help = "names of the classes in order, one a line"},
        OPTION_ROW_SET(
            &settings,
            "a recipe key on the model or its pictures: padding, bn_eps, mean, std, crop_pct, resolution, ..."),
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
        status = import_file(line.arguments[0], line.arguments[1], &import_options, json);
    }
    free(settings.items);
    return status;
}
