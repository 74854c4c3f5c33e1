/* verb_export.c - effnet export: a model as one file for other programs. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, const char *tail) {
    size_t length = strlen(text), wanted = strlen(tail);
    return length > wanted && strcmp(text + length - wanted, tail) == 0;
}

static int export_model(const char *checkpoint, const char *out, const effnet_model_options *options,
                        const effnet_onnx_options *onnx, bool json) {
    effnet_model *model = NULL;
    effnet_error error;
    effnet_status status = effnet_model_open(checkpoint, options, &model, &error);
    if (status == EFFNET_OK)
        status = ends_with(out, ".onnx") ? effnet_model_save_onnx(model, out, onnx, &error)
                                         : effnet_model_save(model, out, &error);
    if (status != EFFNET_OK) {
        effnet_model_free(model);
        return report("export", &error);
    }
    int result = EXIT_OK, resolution = effnet_model_resolution(model), classes = effnet_model_classes(model);
    if (json) {
        json_t *object = json_object();
        json_object_set_new(object, "file", json_text(out));
        json_object_set_new(object, "model", json_text(effnet_model_name(model)));
        json_object_set_new(object, "num_classes", json_integer(classes));
        json_object_set_new(object, "resolution", json_integer(resolution));
        result = json_print("export", object);
    } else {
        printf("%s: %s, %d classes, %dx%d\n", out, effnet_model_name(model), classes, resolution, resolution);
    }
    effnet_model_free(model);
    return result;
}

int verb_export(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "export",
        .text = "OUT.safetensors has timm's names and layouts and is one file with all that eval and predict need.\n"
                "OUT.onnx (opset 17) has an input 'input' (N, 3, R, R) of normalised pixels and an output 'logits'.\n",
        .examples = "  effnet export runs/mine mine.onnx\n"
                    "  effnet export runs/mine mine.safetensors --weights raw\n",
    };
    const char *weights = "ema";
    int64_t resolution = 0;
    bool json = false, keep_batch_norm = false;
    const Option options[] = {OPTION_ROW_WEIGHTS(&weights),
                              {.name = "res",
                               .argument = "R",
                               .target = &resolution,
                               .kind = OPTION_INTEGER,
                               .most = 2048,
                               .help = "input side; 0, the default: the checkpoint's"},
                              {.name = "keep-batch-norm",
                               .target = &keep_batch_norm,
                               .kind = OPTION_FLAG,
                               .help = "ONNX: batch norm as nodes of its own, not folded into the convolutions"},
                              OPTION_ROW_JSON(&json, "one JSON object"),
                              {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("export", "no checkpoint given");
    if (line.count == 1) return usage_error("export", "no OUT.safetensors or OUT.onnx given");
    if (line.count > 2) return usage_error("export", "unexpected argument '%.60s'", line.arguments[2]);
    if (!ends_with(line.arguments[1], ".onnx") && !ends_with(line.arguments[1], ".safetensors"))
        return usage_error("export", "'%.60s' ends neither with .safetensors nor with .onnx", line.arguments[1]);
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .resolution = (int)resolution,
        .raw_weights = strcmp(weights, "raw") == 0,
    };
    const effnet_onnx_options onnx = {.struct_size = sizeof onnx, .keep_batch_norm = keep_batch_norm};
    return export_model(line.arguments[0], line.arguments[1], &model_options, &onnx, json);
}
