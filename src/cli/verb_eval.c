/* verb_eval.c - effnet eval: accuracy of a trained model on a folder of pictures. */
#include "common_options.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_json(const char *checkpoint, const effnet_model *model, const effnet_evaluation *evaluation,
                      bool mirrored) {
    const char *known = effnet_model_weights(model), *weights = *known ? known : "file";
    json_t *object = json_object();
    json_object_set_new(object, "checkpoint", json_text(checkpoint));
    json_object_set_new(object, "file", json_text(effnet_model_file(model)));
    json_object_set_new(object, "weights", json_text(weights));
    json_object_set_new(object, "step", json_integer(effnet_model_step(model)));
    json_object_set_new(object, "tta", json_boolean(mirrored));
    json_object_set_new(object, "images", json_integer(evaluation->images));
    json_object_set_new(object, "skipped", json_integer(evaluation->skipped));
    json_object_set_new(object, "top1", json_rounded(evaluation->top1, 7));
    json_object_set_new(object, "top1_low", json_rounded(evaluation->top1_low, 5));
    json_object_set_new(object, "top1_high", json_rounded(evaluation->top1_high, 5));
    json_object_set_new(object, "top5", json_rounded(evaluation->top5, 7));
    json_object_set_new(object, "calibration_error", json_rounded(evaluation->calibration_error, 5));
    if (evaluation->average_precision > 0) {
        json_object_set_new(object, "average_precision", json_rounded(evaluation->average_precision, 7));
        json_object_set_new(object, "f1", json_rounded(evaluation->f1, 7));
    }
    json_object_set_new(object, "loss", json_rounded(evaluation->loss, 7));
    json_object_set_new(object, "seconds", json_rounded(evaluation->seconds, 5));
    json_object_set_new(object, "images_per_s", json_rounded(evaluation->images_per_s, 5));
    return json_print("eval", object);
}

static void print_text(const effnet_model *model, const effnet_evaluation *evaluation, bool mirrored) {
    char images[32], skipped[32];
    text_print_card(model, stdout);
    if (mirrored) printf("views   2: each picture, and the same from right to left\n");
    text_count(evaluation->images, images, sizeof images);
    text_count(evaluation->skipped, skipped, sizeof skipped);
    printf("images  %s", images);
    if (evaluation->skipped) printf(" (%s more could not be read and are left out)", skipped);
    if (evaluation->average_precision > 0) { /* several labels a picture */
        printf("\nmAP     %.2f %%\nF1      %.2f %%\ntop-1   %.2f %% (the best class is one of the picture's)\nloss    "
               "%.4f\nspeed   %.0f images/s\n",
               evaluation->average_precision, evaluation->f1, evaluation->top1, evaluation->loss,
               evaluation->images_per_s);
        return;
    }
    printf("\ntop-1   %.2f %% (95 %%: %.1f to %.1f)\ntop-5   %.2f %%\nloss    %.4f\nspeed   %.0f images/s\n",
           evaluation->top1, evaluation->top1_low, evaluation->top1_high, evaluation->top5, evaluation->loss,
           evaluation->images_per_s);
}

static int evaluate(const char *checkpoint, const char *data, const effnet_model_options *options, int batch,
                    int workers, const char *folder, bool mirrored, bool json) {
    effnet_model *model = NULL;
    effnet_evaluation evaluation = {.struct_size = sizeof evaluation};
    effnet_error error;
    ProgressDisplay display;
    const effnet_evaluate_options evaluate_options = {.struct_size = sizeof evaluate_options,
                                                      .batch = batch,
                                                      .workers = workers,
                                                      .progress = progress_show,
                                                      .progress_context = &display,
                                                      .report = folder,
                                                      .mirrored = mirrored};
    progress_begin_beside(&display);
    effnet_status status = effnet_model_open(checkpoint, options, &model, &error);
    interrupt_install();
    if (status == EFFNET_OK) status = effnet_evaluate(model, data, &evaluate_options, &evaluation, &error);
    progress_end(&display);
    int printed = EXIT_OK;
    if (status != EFFNET_OK)
        printed = report("eval", &error);
    else if (json)
        printed = print_json(checkpoint, model, &evaluation, mirrored);
    else
        print_text(model, &evaluation, mirrored);
    if (status == EFFNET_OK && folder && !json) printf("report  %s/report.html\n", folder);
    effnet_model_free(model);
    return printed;
}

int verb_eval(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "eval",
        .text = "CHECKPOINT is a folder that 'effnet train' wrote (a run folder means its best checkpoint) or one of\n"
                "its .safetensors files. Every picture of the validation split counts once.\n",
        .examples = "  effnet eval runs/fashion/checkpoints/best --data /usr/share/datasets/fashion-mnist\n"
                    "  effnet eval runs/bees --data hymenoptera_data --weights raw --json\n"
                    "  effnet eval runs/bees --data hymenoptera_data --report bees-report\n",
    };
    const char *data = NULL, *weights = "ema", *engine = NULL, *device = NULL, *dtype = "fp32", *folder = NULL;
    bool json = false, mirrored = false;
    int64_t batch = 0, threads = 0, workers = 0;
    const Option options[] = {
        {.name = "data",
         .argument = "DIR",
         .target = &data,
         .kind = OPTION_TEXT,
         .help = "pictures: val/CLASS/*.jpg (or validation/, test/), or IDX files"},
        OPTION_ROW_REPORT(&folder, "write report.html (classes, confusion, calibration, the worst mistakes; opens "
                                   "without a network), report.json and predictions.csv"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_TTA(&mirrored),
        OPTION_ROW_BATCH(&batch, "pictures at a time; changes speed and memory, not the result"),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_WORKERS(&workers, "threads that read pictures"),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DEVICE(&device),
        OPTION_ROW_DTYPE(&dtype),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("eval", "no checkpoint given");
    if (line.count > 1) return usage_error("eval", "unexpected argument '%.60s'", line.arguments[1]);
    if (!data) return usage_error("eval", "--data DIR is missing: the pictures to evaluate on");
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .engine = engine,
        .device = device,
        .dtype = dtype,
    };
    return evaluate(line.arguments[0], data, &model_options, (int)batch, (int)workers, folder, mirrored, json);
}
