/* verb_eval.c - effnet eval: accuracy of a trained model on a folder of pictures. */
#include "common_options.h"
#include "eval_against_fp32.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *to_json(const char *checkpoint, const effnet_model *model, const effnet_evaluation *evaluation,
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
    return object;
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

typedef struct EvalArguments {
    const char *checkpoint, *data, *folder, *dtype;
    int batch, workers;
    bool mirrored, json, against_fp32, allow_loss;
} EvalArguments;

/* Both forms, and what the dtype cost where that is asked for. */
static int tell(const EvalArguments *arguments, effnet_model *model, const effnet_model_options *options,
                const effnet_evaluate_options *evaluate_options, const effnet_evaluation *evaluation) {
    json_t *object = arguments->json ? to_json(arguments->checkpoint, model, evaluation, arguments->mirrored) : NULL;
    effnet_evaluate_options again = *evaluate_options; /* the report is of the dtype that was asked for */
    again.report = NULL;
    const AgainstFp32 against = {.verb = "eval",
                                 .checkpoint = arguments->checkpoint,
                                 .data = arguments->data,
                                 .dtype = arguments->dtype,
                                 .model_options = options,
                                 .evaluate_options = &again,
                                 .allow_loss = arguments->allow_loss};
    bool accepted = true;
    int status = EXIT_OK;
    if (!object) print_text(model, evaluation, arguments->mirrored);
    if (!object && arguments->folder) printf("report  %s/report.html\n", arguments->folder);
    if (arguments->against_fp32) status = against_fp32(&against, model, evaluation->top1, object, &accepted);
    if (status != EXIT_OK)
        json_decref(object);
    else if (object)
        status = json_print("eval", object);
    return accepted ? status : EXIT_FAILED;
}

static int evaluate(const EvalArguments *arguments, const effnet_model_options *options) {
    effnet_model *model = NULL;
    effnet_evaluation evaluation = {.struct_size = sizeof evaluation};
    effnet_error error;
    ProgressDisplay display;
    const effnet_evaluate_options evaluate_options = {.struct_size = sizeof evaluate_options,
                                                      .batch = arguments->batch,
                                                      .workers = arguments->workers,
                                                      .progress = progress_show,
                                                      .progress_context = &display,
                                                      .report = arguments->folder,
                                                      .mirrored = arguments->mirrored};
    progress_begin_beside(&display);
    effnet_status status = effnet_model_open(arguments->checkpoint, options, &model, &error);
    interrupt_install();
    if (status == EFFNET_OK) status = effnet_evaluate(model, arguments->data, &evaluate_options, &evaluation, &error);
    progress_end(&display);
    const int told =
        status == EFFNET_OK ? tell(arguments, model, options, &evaluate_options, &evaluation) : report("eval", &error);
    effnet_model_free(model);
    return told;
}

int verb_eval(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "eval",
        .text = "CHECKPOINT is a folder that 'effnet train' wrote (a run folder means its best checkpoint) or one of\n"
                "its .safetensors files. Every picture of the validation split counts once.\n",
        .examples = "  effnet eval runs/fashion/checkpoints/best --data /usr/share/datasets/fashion-mnist\n"
                    "  effnet eval runs/bees --data hymenoptera_data --weights raw --json\n"
                    "  effnet eval runs/bees --data hymenoptera_data --report bees-report\n"
                    "  effnet eval runs/bees --data hymenoptera_data --dtype int8 --against-fp32\n",
    };
    const char *data = NULL, *weights = "ema", *engine = NULL, *device = NULL, *dtype = "fp32", *folder = NULL;
    bool json = false, mirrored = false, against = false, allow_loss = false;
    int64_t batch = 0, threads = 0, workers = 0;
    const Option options[] = {
        OPTION_ROW_TEXT("data", "DIR", &data, "pictures: val/CLASS/*.jpg (or validation/, test/), or IDX files"),
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
        OPTION_ROW_FLAG(
            "against-fp32", &against,
            "with --dtype: evaluate in fp32 too, and measure every layer's error; the exit status is 1 where more "
            "than a point of top-1 is lost"),
        OPTION_ROW_FLAG("allow-loss", &allow_loss, "of --against-fp32: status 0 all the same"),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("eval", "no checkpoint given");
    if (line.count > 1) return usage_error("eval", "unexpected argument '%.60s'", line.arguments[1]);
    if (!data) return usage_error("eval", "--data DIR is missing: the pictures to evaluate on");
    if (against && strcmp(dtype, "fp32") == 0)
        return usage_error("eval", "--against-fp32 compares another --dtype, bf16 or int8, with fp32");
    if (allow_loss && !against) return usage_error("eval", "--allow-loss is for --against-fp32");
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .engine = engine,
        .device = device,
        .dtype = dtype,
    };
    const EvalArguments arguments = {.checkpoint = line.arguments[0],
                                     .data = data,
                                     .folder = folder,
                                     .dtype = dtype,
                                     .batch = (int)batch,
                                     .workers = (int)workers,
                                     .mirrored = mirrored,
                                     .json = json,
                                     .against_fp32 = against,
                                     .allow_loss = allow_loss};
    return evaluate(&arguments, &model_options);
}
