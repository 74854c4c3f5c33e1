/* verb_predict.c - effnet predict: what a trained model sees in pictures. Pictures are named, or
 * found in folders and lists, and go through the network in batches. One that cannot be read is a line on standard
 * error (and in --jsonl and --csv) and status 1 at the end; the others are classified all the same. */
#include "common_options.h"
#include "picture_list.h"
#include "predict_explain.h"
#include "predict_forms.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOPK = 5, BATCH = 16 };
#define FEATURE_CHOICES "gap|reduction_1|reduction_2|reduction_3|reduction_4|reduction_5"

typedef struct Predictor {
    effnet_model *model;
    Form form;
    int topk;
    json_t *array;           /* of FORM_JSON */
    FeatureWriter *features; /* instead of classes; NULL: classes */
    bool mirrored;           /* --tta */
    Explainer explainer;     /* --explain */
    bool failed;             /* a picture, or an argument, could not be read */
    bool broken;             /* nothing more could come of it */
    /* of a batch */
    char *paths[BATCH];
    effnet_error errors[BATCH];
    int files;
    effnet_prediction *predictions; /* (BATCH, topk), or */
    float *values;                  /* (BATCH, features->count) */
} Predictor;

/* ---- a batch ---- */

static void print_failure(Predictor *predictor, const char *image, const effnet_error *error) {
    predictor->failed = true;
    if (predictor->features)
        features_print_failure(predictor->features, image, error->message);
    else
        predict_print_failure(predictor->form, image, error->message, predictor->topk);
    report("predict", error);
}

static void print_success(Predictor *predictor, int i) {
    const char *image = predictor->paths[i];
    if (predictor->features)
        features_print(predictor->features, image, predictor->values + (size_t)i * predictor->features->count);
    else if (!predict_print(predictor->form, predictor->array, image, predictor->predictions + i * predictor->topk,
                            predictor->topk))
        predictor->failed = true;
    if (predictor->explainer.out && explainer_draw(&predictor->explainer, image) != EXIT_OK) predictor->failed = true;
}

/* Classifies and prints what was gathered; false where nothing more can come of it. */
static bool flush_batch(Predictor *predictor) {
    effnet_error error = {0};
    if (!predictor->files) return true;
    effnet_picture pictures[BATCH];
    for (int i = 0; i < predictor->files; i++) pictures[i] = (effnet_picture){.path = predictor->paths[i]};
    const effnet_outputs outputs = {.struct_size = sizeof outputs,
                                    .predictions = predictor->predictions,
                                    .top = predictor->topk,
                                    .features = predictor->values,
                                    .feature = predictor->features ? predictor->features->feature : NULL,
                                    .errors = predictor->errors,
                                    .mirrored = predictor->mirrored};
    effnet_status status = effnet_run(predictor->model, pictures, predictor->files, &outputs, &error);
    for (int i = 0; i < predictor->files; i++) {
        if (status == EFFNET_OK && predictor->errors[i].status != EFFNET_OK)
            print_failure(predictor, predictor->paths[i], &predictor->errors[i]);
        else if (status == EFFNET_OK)
            print_success(predictor, i);
        free(predictor->paths[i]);
    }
    predictor->files = 0;
    if (status != EFFNET_OK) report("predict", &error);
    if (predictor->features && predictor->features->failed) predictor->failed = true;
    if (status != EFFNET_OK || fflush(stdout) != 0 || ferror(stdout)) predictor->failed = true;
    return status == EFFNET_OK && !ferror(stdout) && !(predictor->features && predictor->features->failed);
}

static void predict_list(Predictor *predictor, PictureList *list) {
    for (bool going = true; going;) {
        effnet_error error = {0};
        char *path;
        PictureListNext next = picture_list_next(list, predictor->files == 0, &path, &error);
        if (next == PICTURE_NEXT) predictor->paths[predictor->files++] = path;
        if (next != PICTURE_NEXT || predictor->files == BATCH) going = flush_batch(predictor);
        if (!going) predictor->broken = true;
        if (next == PICTURE_TROUBLE) {
            report("predict", &error);
            predictor->failed = true;
        }
        if (next == PICTURE_END) going = false;
    }
    int64_t passed_over = picture_list_passed_over(list);
    if (passed_over)
        fprintf(stderr, "effnet predict: warning: %lld files in the folders are no pictures by their names' endings\n",
                (long long)passed_over);
}

typedef struct PredictArguments {
    char **images;
    int image_count, topk;
    Form form;
    const char *feature, *out; /* --features, --out; NULL: not given */
    bool mirrored;
    const char *explain, *class_name;
} PredictArguments;

static int predict_classes(effnet_model *model, const PredictArguments *arguments, Predictor *predictor,
                           PictureList *list) {
    const int classes = effnet_model_classes(model), topk = arguments->topk;
    predictor->topk = topk ? topk : classes < DEFAULT_TOPK ? classes : DEFAULT_TOPK;
    predictor->predictions = calloc((size_t)predictor->topk * BATCH, sizeof *predictor->predictions);
    if (!predictor->predictions) {
        fprintf(stderr, "effnet predict: no memory for %d predictions\n", predictor->topk);
        return EXIT_FAILED;
    }
    if (predictor->form == FORM_JSON) predictor->array = json_array();
    if (predictor->form == FORM_CSV) predict_csv_heading(predictor->topk);
    predict_list(predictor, list);
    int status = predictor->failed ? EXIT_FAILED : EXIT_OK;
    if (predictor->form == FORM_JSON && json_print("predict", predictor->array)) status = EXIT_FAILED;
    free(predictor->predictions);
    return status;
}

static int predict_features(effnet_model *model, const PredictArguments *arguments, Predictor *predictor,
                            PictureList *list) {
    FeatureWriter writer = {.form = arguments->form, .feature = arguments->feature, .path = arguments->out};
    effnet_error error;
    if (effnet_model_feature(model, writer.feature, writer.shape, &error) != EFFNET_OK)
        return report("predict", &error);
    writer.count = (size_t)writer.shape[0] * (size_t)writer.shape[1] * (size_t)writer.shape[2];
    predictor->features = &writer;
    predictor->values = calloc(writer.count * BATCH, sizeof *predictor->values);
    bool begun = predictor->values != NULL;
    if (!begun) fprintf(stderr, "effnet predict: no memory for the features of %d pictures\n", BATCH);
    begun = begun && features_begin(&writer);
    if (begun) predict_list(predictor, list);
    /* a picture that cannot be read has no row; a run that ends before its last picture leaves no file */
    const bool written = features_end(&writer, begun && !predictor->broken);
    free(predictor->values);
    return written && begun && !predictor->failed ? EXIT_OK : EXIT_FAILED;
}

static int predict_all(effnet_model *model, const PredictArguments *arguments) {
    const int classes = effnet_model_classes(model);
    if (arguments->topk > classes)
        return usage_error("predict", "--topk is %d; this model has %d classes", arguments->topk, classes);
    Predictor *predictor = calloc(1, sizeof *predictor);
    PictureList *list = picture_list_open(arguments->images, arguments->image_count);
    int status = EXIT_FAILED;
    if (predictor && list) {
        *predictor = (Predictor){.model = model, .form = arguments->form, .mirrored = arguments->mirrored};
        status = arguments->explain ? explainer_begin(&predictor->explainer, model, arguments->explain,
                                                      arguments->class_name, arguments->images, arguments->image_count)
                                    : EXIT_OK;
    } else {
        fprintf(stderr, "effnet predict: no memory for a list of pictures\n");
    }
    if (status == EXIT_OK)
        status = (arguments->feature ? predict_features : predict_classes)(model, arguments, predictor, list);
    picture_list_close(list);
    free(predictor);
    return status;
}

static int open_and_predict(const char *checkpoint, const effnet_model_options *how,
                            const PredictArguments *arguments) {
    effnet_model *model = NULL;
    effnet_error error;
    if (effnet_model_open(checkpoint, how, &model, &error) != EFFNET_OK) return report("predict", &error);
    char used[1400];
    text_model(model, used, sizeof used);
    if (arguments->form == FORM_TABLE)
        text_print_card(model, stdout);
    else
        fprintf(stderr, "effnet predict: %s\n", used);
    const int status = predict_all(model, arguments);
    effnet_model_free(model);
    return status;
}

static const VerbHelp help = {
    .verb = "predict",
    .text = "CHECKPOINT is a folder that 'effnet train' wrote (a run folder means its best checkpoint) or one of\n"
            "its .safetensors files. A PICTURE is a file (JPEG, PNG, WebP, BMP, GIF, TIFF) of any size, a folder of "
            "them, @LIST,\n"
            "a text file with one path a line, or -, the same on standard input. Pictures are classified in batches\n"
            "and told of in order, as they come. The exit status is 1 if any could not be read.\n",
    .examples = "  effnet predict runs/fashion/checkpoints/best shoe.png\n"
                "  effnet predict runs/bees photos/*.jpg --topk 2 --json\n"
                "  find photos -name '*.jpg' | effnet predict runs/bees - --csv > classes.csv\n"
                "  effnet predict runs/bees photos --features gap --out gap.npy > rows.csv\n"
                "  effnet predict runs/bees bee.jpg --explain why.png\n",
};

int verb_predict(int argc, char **argv) {
    const char *weights = "ema", *engine = NULL, *device = NULL, *dtype = "fp32", *feature = NULL, *out = NULL;
    const char *explain = NULL, *class_name = NULL;
    bool json = false, json_lines = false, csv = false, mirrored = false;
    int64_t topk = 0, threads = 0;
    const Option options[] = {
        OPTION_ROW_INTEGER("topk", "K", &topk, 1, 100000,
                           "classes shown for each picture, the likeliest first; default 5, or all"),
        OPTION_ROW_TTA(&mirrored),
        OPTION_ROW_TEXT(
            "explain", "OUT.png|FOLDER", &explain,
            "draw over the picture where its class is seen (class activation map), into OUT.png; of several "
            "pictures, each into FOLDER/000001-NAME.png"),
        OPTION_ROW_TEXT("class", "NAME", &class_name,
                        "of --explain: another class than the likeliest, by its name or number"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DEVICE(&device),
        OPTION_ROW_DTYPE(&dtype),
        OPTION_ROW_JSON(&json, "one JSON array"),
        OPTION_ROW_FLAG("jsonl", &json_lines,
                        "one JSON object a line and picture, as it comes; with an error, an object too"),
        OPTION_ROW_FLAG("csv", &csv,
                        "one line a picture, with a heading: image, error, index, label and score of each"),
        OPTION_ROW_CHOICE(
            "features", FEATURE_CHOICES, &feature,
            "instead of classes: what the classifier sees (gap, pooled), or the last block's output at 1/2 to "
            "1/32 of the input's sides, rows by columns by channels; lines of --csv, the default, or --jsonl"),
        OPTION_ROW_TEXT("out", "OUT.npy", &out,
                        "of --features: one float32 array for NumPy, (pictures, channels) or (pictures, rows, columns, "
                        "channels); the lines then say whose row is whose"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("predict", "no checkpoint and no picture given");
    if (line.count == 1) return usage_error("predict", "no picture given");
    if (json + json_lines + csv > 1) return usage_error("predict", "--json, --jsonl and --csv exclude each other");
    if (feature && (json || topk)) return usage_error("predict", "--features excludes --json and --topk");
    if (feature && (mirrored || explain)) return usage_error("predict", "--features excludes --tta and --explain");
    if (class_name && !explain) return usage_error("predict", "--class is for --explain");
    if (out && !feature) return usage_error("predict", "--out is for --features");
    Form form = json ? FORM_JSON : json_lines ? FORM_JSON_LINES : csv || feature ? FORM_CSV : FORM_TABLE;
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .engine = engine,
        .device = device,
        .dtype = dtype,
    };
    const PredictArguments arguments = {.images = line.arguments + 1,
                                        .image_count = line.count - 1,
                                        .topk = (int)topk,
                                        .form = form,
                                        .feature = feature,
                                        .out = out,
                                        .mirrored = mirrored,
                                        .explain = explain,
                                        .class_name = class_name};
    return open_and_predict(line.arguments[0], &model_options, &arguments);
}
