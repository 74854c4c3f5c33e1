/* verb_predict.c - effnet predict: what a trained model sees in pictures. A picture that cannot be read is a line on
 * standard error and status 1 at the end; the others are classified all the same. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOPK = 5, BAR = 20, NAME = 200 };

static json_t *prediction_to_json(const char *image, const effnet_prediction *predictions, int count) {
    json_t *topk = json_array(), *object = json_object();
    for (int i = 0; i < count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "index", json_integer(predictions[i].index));
        json_object_set_new(row, "label", json_text(predictions[i].label));
        json_object_set_new(row, "score", json_rounded((double)predictions[i].probability, 7));
        json_array_append_new(topk, row);
    }
    json_object_set_new(object, "image", json_text(image));
    json_object_set_new(object, "topk", topk);
    return object;
}

/* Columns that a UTF-8 text takes, counting one for each character. */
static int columns(const char *text) {
    int count = 0;
    for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static void print_table(const char *image, const effnet_prediction *predictions, int count) {
    char name[NAME];
    int width = 5;
    for (int i = 0; i < count; i++) {
        text_for_terminal(predictions[i].label, name, sizeof name);
        if (columns(name) > width) width = columns(name);
    }
    text_for_terminal(image, name, sizeof name);
    printf("%s\n", name);
    for (int i = 0; i < count; i++) {
        text_for_terminal(predictions[i].label, name, sizeof name);
        int bar = (int)(predictions[i].probability * BAR + 0.5f);
        printf("  %6.2f %%  %s%*s  %.*s\n", (double)predictions[i].probability * 100, name, width - columns(name), "",
               bar, "####################");
    }
}

static int predict_all(effnet_model *model, char **images, int image_count, int topk, bool json) {
    int status = EXIT_OK;
    int classes = effnet_model_classes(model);
    if (topk > classes) return usage_error("predict", "--topk is %d; this model has %d classes", topk, classes);
    if (topk == 0) topk = classes < DEFAULT_TOPK ? classes : DEFAULT_TOPK;
    effnet_prediction *predictions = calloc((size_t)topk, sizeof *predictions);
    if (!predictions) return usage_error("predict", "no memory for %d predictions", topk);
    json_t *array = json_array();
    for (int i = 0; i < image_count; i++) {
        effnet_error error;
        if (effnet_predict_file(model, images[i], predictions, topk, &error) != EFFNET_OK) {
            report("predict", &error);
            status = EXIT_FAILED;
            continue;
        }
        if (json)
            json_array_append_new(array, prediction_to_json(images[i], predictions, topk));
        else
            print_table(images[i], predictions, topk);
    }
    free(predictions);
    if (!json) {
        json_decref(array);
        return status;
    }
    int printed = json_print("predict", array);
    return status ? status : printed;
}

int verb_predict(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "predict",
        .text = "CHECKPOINT is a folder that 'effnet train' wrote (a run folder means its best checkpoint) or one of\n"
                "its .safetensors files. Pictures are JPEG, PNG, WebP or BMP of any size.\n",
        .examples = "  effnet predict runs/fashion/checkpoints/best shoe.png\n"
                    "  effnet predict runs/bees photos/*.jpg --topk 2 --json\n",
    };
    const char *weights = "ema", *engine = "fast", *dtype = "fp32";
    bool json = false;
    int64_t topk = 0, threads = 0;
    const Option options[] = {{.name = "topk",
                               .argument = "K",
                               .target = &topk,
                               .kind = OPTION_INTEGER,
                               .least = 1,
                               .most = 100000,
                               .help = "classes shown for each picture, the likeliest first; default 5, or all"},
                              OPTION_ROW_WEIGHTS(&weights),
                              OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
                              OPTION_ROW_ENGINE(&engine),
                              OPTION_ROW_DTYPE(&dtype),
                              OPTION_ROW_JSON(&json, "one JSON array"),
                              {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("predict", "no checkpoint and no picture given");
    if (line.count == 1) return usage_error("predict", "no picture given");
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .reference = strcmp(engine, "reference") == 0,
        .dtype = dtype,
    };
    effnet_model *model = NULL;
    effnet_error error;
    if (effnet_model_open(line.arguments[0], &model_options, &model, &error) != EFFNET_OK)
        return report("predict", &error);
    if (!json) {
        char used[1400];
        text_model(model, used, sizeof used);
        printf("%s\n", used);
    }
    status = predict_all(model, line.arguments + 1, line.count - 1, (int)topk, json);
    effnet_model_free(model);
    return status;
}
