/* verb_export.c - effnet export: a model as one file for other programs, or a recipe's training step. */
#include "common_options.h"
#include "eval_against_fp32.h"
#include "interrupt.h"
#include "settings.h"
#include "output_file.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum Format { FORMAT_SAFETENSORS, FORMAT_ONNX, FORMAT_STABLEHLO, FORMAT_C, FORMAT_GGUF, FORMATS } Format;

static const struct {
    const char *name, *ending;
} formats[FORMATS] = {
    {"safetensors", ".safetensors"}, {"onnx", ".onnx"}, {"stablehlo", ".mlir"}, {"c", ".c"}, {"gguf", ".gguf"}};

typedef struct Export {
    const char *from, *out;
    Format format;
    effnet_model_options model;
    effnet_onnx_options onnx;
    effnet_stablehlo_options stablehlo;
    effnet_gguf_options gguf;
    const char *calibrate; /* of ONNX in bytes: pictures whose ranges are taken; NULL: each pixel has its own */
    const char *data;      /* of ONNX in bytes: to measure on; NULL: not measured */
    bool json, allow_loss;
} Export;

static effnet_status save(const Export *export, const effnet_model *model, effnet_error *error) {
    interrupt_removes(export->out, ".tmp");
    switch (export->format) {
    case FORMAT_ONNX:
        return effnet_model_save_onnx(model, export->out, &export->onnx, error);
    case FORMAT_GGUF:
        return effnet_model_save_gguf(model, export->out, &export->gguf, error);
    case FORMAT_C:
        return effnet_model_save_c(model, export->out, error);
    case FORMAT_STABLEHLO:
        return effnet_model_save_stablehlo(model, export->out, &export->stablehlo, error);
    default:
        return effnet_model_save(model, export->out, error);
    }
}

/* What bytes cost on the data, layer by layer and in points; *accepted false: more than may be. */
static int measure(const Export *export, effnet_model *model, json_t *object, bool *accepted) {
    const effnet_evaluate_options how = {.struct_size = sizeof how};
    effnet_evaluation evaluation = {.struct_size = sizeof evaluation};
    effnet_error error;
    if (effnet_evaluate(model, export->data, &how, &evaluation, &error) != EFFNET_OK) return report("export", &error);
    const AgainstFp32 against = {.verb = "export",
                                 .checkpoint = export->from,
                                 .data = export->data,
                                 .dtype = "int8",
                                 .model_options = &export->model,
                                 .evaluate_options = &how,
                                 .allow_loss = export->allow_loss};
    if (object) json_object_set_new(object, "int8_top1", json_rounded(evaluation.top1, 7));
    return against_fp32(&against, model, evaluation.top1, object, accepted);
}

static int export_model(const Export *export) {
    effnet_model *model = NULL;
    effnet_error error;
    json_t *object = export->json ? json_object() : NULL;
    effnet_status status = effnet_model_open(export->from, &export->model, &model, &error);
    if (status == EFFNET_OK && output_is_input("export", export->out, effnet_model_file(model))) {
        effnet_model_free(model);
        json_decref(object);
        return EXIT_FAILED;
    }
    if (status == EFFNET_OK && export->calibrate) status = effnet_calibrate(model, export->calibrate, NULL, &error);
    if (status == EFFNET_OK && export->data) {
        bool accepted = true;
        const int measured = measure(export, model, object, &accepted);
        if (measured != EXIT_OK || !accepted) { /* no file */
            effnet_model_free(model);
            if (measured == EXIT_OK && object) return json_print("export", object), EXIT_FAILED;
            json_decref(object);
            return measured == EXIT_OK ? EXIT_FAILED : measured;
        }
    }
    if (status == EFFNET_OK) status = save(export, model, &error);
    if (status != EFFNET_OK) {
        effnet_model_free(model);
        json_decref(object);
        return report("export", &error);
    }
    int result = EXIT_OK, input[3], classes = effnet_model_classes(model);
    effnet_model_input(model, input);
    if (object) {
        json_object_set_new(object, "file", json_text(export->out));
        json_object_set_new(object, "model", json_text(effnet_model_name(model)));
        json_object_set_new(object, "num_classes", json_integer(classes));
        json_object_set_new(object, "resolution", json_integer(input[0]));
        json_object_set_new(object, "resolution_width", json_integer(input[1]));
        result = json_print("export", object);
    } else {
        printf("%s: %s, %d classes, %dx%d\n", export->out, effnet_model_name(model), classes, input[0], input[1]);
    }
    effnet_model_free(model);
    return result;
}

/* A recipe's training step. */
static int export_step(const Export *export, const OptionList *settings) {
    effnet_recipe *recipe = NULL;
    effnet_error error;
    int result = open_recipe("export", export->from, settings, NULL, &recipe);
    if (result != EXIT_OK) return result;
    interrupt_removes(export->out, ".tmp");
    if (effnet_recipe_save_stablehlo(recipe, export->out, &export->stablehlo, &error) != EFFNET_OK)
        result = report("export", &error);
    else if (export->json) {
        json_t *object = json_object();
        json_object_set_new(object, "file", json_text(export->out));
        json_object_set_new(object, "recipe", json_text(export->from));
        result = json_print("export", object);
    } else
        printf("%s: the training step of %s\n", export->out, export->from);
    effnet_recipe_free(recipe);
    return result;
}

/* The format that is asked for, or that the ending says; FORMATS: neither. */
static Format find_format(const char *name, const char *out) {
    int format = 0;
    while (format < FORMATS &&
           !(name ? strcmp(name, formats[format].name) == 0 : text_has_ending(out, formats[format].ending)))
        format++;
    return (Format)format;
}

/* The command line. */
typedef struct Asked {
    const char *weights, *format, *dtype, *data, *calibrate;
    OptionSize resolution;
    int64_t batch, opset;
    bool json, keep_batch_norm, bytes, preprocessing, half, allow_loss, cuda_kernels;
    OptionList settings;
} Asked;

static Export export_of(const Asked *asked, const CommandLine *line) {
    const bool int8 = strcmp(asked->dtype, "int8") == 0;
    return (Export){
        .from = line->arguments[0],
        .out = line->arguments[1],
        .format = find_format(asked->format, line->arguments[1]),
        .model = {.struct_size = sizeof(effnet_model_options),
                  .resolution = asked->resolution.height,
                  .resolution_width = asked->resolution.width,
                  .raw_weights = strcmp(asked->weights, "raw") == 0,
                  .dtype = asked->calibrate ? NULL : asked->dtype},
        .onnx = {.struct_size = sizeof(effnet_onnx_options),
                 .keep_batch_norm = asked->keep_batch_norm,
                 .opset = (int)asked->opset,
                 .preprocessing = asked->preprocessing,
                 .int8 = int8},
        .stablehlo = {.struct_size = sizeof(effnet_stablehlo_options),
                      .batch = (int)asked->batch,
                      .bytes = asked->bytes,
                      .cuda_kernels = asked->cuda_kernels},
        .gguf = {.struct_size = sizeof(effnet_gguf_options), .half = asked->half},
        .calibrate = asked->calibrate,
        .data = asked->data || asked->allow_loss ? asked->data : asked->calibrate,
        .json = asked->json,
        .allow_loss = asked->allow_loss,
    };
}

/* --dtype int8, and what goes with it alone. */
static int check_int8(const Asked *asked, const Export *export, bool of_recipe) {
    if (!export->onnx.int8)
        return asked->data || asked->calibrate || asked->allow_loss
                   ? usage_error("export", "--data, --calibrate and --allow-loss are for --dtype int8")
                   : EXIT_OK;
    if (export->format != FORMAT_ONNX || of_recipe) return usage_error("export", "--dtype int8 is for a model as ONNX");
    if (asked->keep_batch_norm)
        return usage_error("export", "--dtype int8 excludes --keep-batch-norm: weights are rounded with it folded in");
    if (!export->data && !asked->allow_loss)
        return usage_error("export",
                           "--dtype int8 wants --data DIR, pictures to measure on what it costs, or --allow-loss");
    return EXIT_OK;
}

/* Options of one format or one kind of input are refused with another, where they would say nothing. */
static int check_options(const Asked *asked, const Export *export, bool of_recipe) {
    const bool bf16 = strcmp(asked->dtype, "bf16") == 0;
    const struct {
        bool given;
        const char *option;
        Format format;
    } of_format[] = {{asked->keep_batch_norm, "--keep-batch-norm", FORMAT_ONNX},
                     {asked->preprocessing, "--preprocessing", FORMAT_ONNX},
                     {asked->opset != 0, "--opset", FORMAT_ONNX},
                     {asked->batch != 0, "--batch", FORMAT_STABLEHLO},
                     {asked->bytes, "--uint8", FORMAT_STABLEHLO},
                     {asked->cuda_kernels, "--cuda-kernels", FORMAT_STABLEHLO},
                     {bf16, "--dtype bf16", FORMAT_STABLEHLO},
                     {asked->half, "--half", FORMAT_GGUF}};
    for (size_t i = 0; i < sizeof of_format / sizeof *of_format; i++)
        if (of_format[i].given && export->format != of_format[i].format)
            return usage_error("export", "%s is for %s, and '%.60s' is to be %s", of_format[i].option,
                               formats[of_format[i].format].name, export->out, formats[export->format].name);
    if (!of_recipe && asked->settings.count)
        return usage_error("export", "--set changes a key of a recipe, and '%.60s' is none", export->from);
    const char *other = asked->batch                         ? "--batch; set batch_size"
                        : bf16                               ? "--dtype; set amp"
                        : asked->resolution.height           ? "--res; set resolution"
                        : strcmp(asked->weights, "raw") == 0 ? "--weights"
                                                             : NULL;
    if (of_recipe && other) return usage_error("export", "a recipe's training step has no %s", other);
    return EXIT_OK;
}

static int run(const Asked *asked, const CommandLine *line) {
    if (line->count == 0) return usage_error("export", "no checkpoint given");
    if (line->count == 1)
        return usage_error("export", "no OUT.safetensors, OUT.onnx, OUT.c, OUT.gguf or OUT.mlir given");
    if (line->count > 2) return usage_error("export", "unexpected argument '%.60s'", line->arguments[2]);
    const Export export = export_of(asked, line);
    const bool of_recipe = text_has_ending(export.from, ".yaml");
    if (export.format == FORMATS)
        return usage_error("export", "'%.60s' ends neither with .safetensors nor with .onnx, .c, .gguf or .mlir",
                           export.out);
    int status = check_int8(asked, &export, of_recipe);
    if (status == EXIT_OK) status = check_options(asked, &export, of_recipe);
    if (status != EXIT_OK) return status;
    if (!of_recipe) return export_model(&export);
    if (export.format != FORMAT_STABLEHLO)
        return usage_error("export", "of a recipe only the training step can be written, to OUT.mlir");
    return export_step(&export, &asked->settings);
}

static const VerbHelp help = {
    .verb = "export",
    .text = "OUT.safetensors has timm's names and layouts and is one file with all that eval and predict need.\n"
            "OUT.onnx has an input 'input' (N, 3, H, W) of normalised pixels and an output 'logits'; with\n"
            "--preprocessing an input 'image' (N, H, W, 3) of bytes, RGB, of any size, and 'probabilities' besides.\n"
            "A golden picture and its logits are in its metadata: 'effnet verify OUT.onnx' checks them.\n"
            "OUT.c and, beside it, OUT.h are the model as C for a compiler and libm, pictures of any size in; "
            "OUT_test()\n"
            "in it checks the golden picture.\n"
            "OUT.gguf is for ggml and what reads its files: tensors under timm's names, labels, preprocessing.\n"
            "OUT.mlir is StableHLO, for JAX, IREE and others: a checkpoint's inference (without the weights), or, "
            "where\n"
            "a recipe stands in place of the checkpoint (RECIPE.yaml), its whole training step; comments at the top\n"
            "say what goes in, in order.\n",
    .examples = "  effnet export runs/mine mine.onnx --preprocessing\n"
                "  effnet export runs/mine mine.onnx --opset 13\n"
                "  effnet export runs/mine mine.onnx --preprocessing --dtype int8 --calibrate photographs\n"
                "  effnet export runs/mine mine.safetensors --weights raw\n"
                "  effnet export runs/mine mine.c --res 96x128\n"
                "  effnet export runs/mine mine.gguf --half\n"
                "  effnet export runs/mine mine.mlir --batch 16\n"
                "  effnet export recipes/imagenet-b0.yaml step.mlir --set batch_size=256 --uint8\n",
};

int verb_export(int argc, char **argv) {
    Asked asked = {.weights = "ema", .dtype = "fp32"};
    const Option options[] = {
        OPTION_ROW_WEIGHTS(&asked.weights),
        OPTION_ROW_RESOLUTION(&asked.resolution, "size of the input; 0, the default: the checkpoint's"),
        OPTION_ROW_FLAG("keep-batch-norm", &asked.keep_batch_norm,
                        "ONNX: batch norm as nodes of its own, not folded into the convolutions"),
        OPTION_ROW_FLAG("preprocessing", &asked.preprocessing,
                        "ONNX: pictures of any size go in, cropped, resized and normalised inside; "
                        "probabilities come out"),
        OPTION_ROW_INTEGER("opset", "N", &asked.opset, 13, 21,
                           "ONNX: the operator set, 13 to 21, for older and newer readers; default 17"),
        OPTION_ROW_CHOICE("format", "safetensors|onnx|c|gguf|stablehlo", &asked.format,
                          "otherwise the ending of OUT says it: .safetensors, .onnx, .c, .gguf, .mlir"),
        OPTION_ROW_BATCH(&asked.batch, "StableHLO: pictures of inference; default 1"),
        OPTION_ROW_CHOICE(
            "dtype", "fp32|bf16|int8", &asked.dtype,
            "StableHLO, fp32 or bf16: of inference's activations (of a step: the recipe's amp); ONNX, int8: 1x1 "
            "convolutions in bytes, half the file, with --data; all layers with --calibrate"),
        OPTION_ROW_TEXT(
            "calibrate", "DIR", &asked.calibrate,
            "of --dtype int8, Lite networks: all layers in bytes, with the ranges that values have on 256 training "
            "pictures of DIR: the fastest file"),
        OPTION_ROW_TEXT(
            "data", "DIR", &asked.data,
            "of --dtype int8: labelled pictures to measure on what it costs, layer by layer and in top-1; no file "
            "is written where that is more than a point; default: --calibrate's"),
        OPTION_ROW_FLAG("allow-loss", &asked.allow_loss,
                        "of --dtype int8: write the file whatever it costs, and without --data unmeasured"),
        OPTION_ROW_FLAG("uint8", &asked.bytes, "StableHLO: pictures are bytes and normalised by the program"),
        OPTION_ROW_FLAG("cuda-kernels", &asked.cuda_kernels,
                        "StableHLO: for an NVIDIA GPU alone, with kernels of our own in it, as train runs it"),
        OPTION_ROW_FLAG("half", &asked.half, "GGUF: convolutions and classifier in float16, half the file"),
        OPTION_ROW_SET(&asked.settings, "change one key of the recipe"),
        OPTION_ROW_JSON(&asked.json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status == PARSED) status = run(&asked, &line);
    free(asked.settings.items);
    return status;
}
