/* verb_predict.c - effnet predict: what a trained model sees in pictures. Pictures are named, or
 * found in folders and lists, and go through the network in batches. One that cannot be read is a line on standard
 * error (and in --jsonl and --csv) and status 1 at the end; the others are classified all the same. */
#include "common_options.h"
#include "picture_list.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOPK = 5, BAR = 20, NAME = 200, BATCH = 16 };

/* How pictures are told of. */
typedef enum Form { FORM_TABLE, FORM_JSON, FORM_JSON_LINES, FORM_CSV } Form;

typedef struct Predictor {
    effnet_model *model;
    Form form;
    int topk;
    json_t *array; /* of FORM_JSON */
    bool failed;   /* a picture, or an argument, could not be read */
    /* of a batch */
    char *paths[BATCH];
    effnet_error errors[BATCH];
    int files;
    effnet_prediction *predictions; /* (BATCH, topk) */
} Predictor;

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

/* ---- CSV: a line a picture ---- */

static void print_csv_text(const char *text) {
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted) putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    if (quoted) putchar('"');
}

static void print_csv_heading(int topk) {
    printf("image,error");
    for (int i = 1; i <= topk; i++) printf(",index_%d,label_%d,score_%d", i, i, i);
    putchar('\n');
}

static void print_csv_line(const char *image, const char *error, const effnet_prediction *predictions, int topk) {
    print_csv_text(image);
    putchar(',');
    print_csv_text(error);
    for (int i = 0; i < topk; i++) {
        if (*error) {
            printf(",,,");
            continue;
        }
        char score[32];
        printf(",%d,", predictions[i].index);
        print_csv_text(predictions[i].label);
        text_number((double)predictions[i].probability, 7, score, sizeof score);
        printf(",%s", score);
    }
    putchar('\n');
}

/* ---- a batch ---- */

static void print_failure(Predictor *predictor, const char *image, const effnet_error *error) {
    predictor->failed = true;
    if (predictor->form == FORM_CSV) {
        print_csv_line(image, error->message, NULL, predictor->topk);
    } else if (predictor->form == FORM_JSON_LINES) {
        json_t *object = json_object();
        json_object_set_new(object, "image", json_text(image));
        json_object_set_new(object, "error", json_text(error->message));
        json_print("predict", object);
    }
    report("predict", error);
}

static void print_success(Predictor *predictor, const char *image, const effnet_prediction *predictions) {
    switch (predictor->form) {
    case FORM_TABLE:
        print_table(image, predictions, predictor->topk);
        break;
    case FORM_JSON:
        json_array_append_new(predictor->array, prediction_to_json(image, predictions, predictor->topk));
        break;
    case FORM_JSON_LINES:
        if (json_print("predict", prediction_to_json(image, predictions, predictor->topk))) predictor->failed = true;
        break;
    case FORM_CSV:
        print_csv_line(image, "", predictions, predictor->topk);
        break;
    }
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
                                    .errors = predictor->errors};
    effnet_status status = effnet_run(predictor->model, pictures, predictor->files, &outputs, &error);
    for (int i = 0; i < predictor->files; i++) {
        if (status == EFFNET_OK && predictor->errors[i].status != EFFNET_OK)
            print_failure(predictor, predictor->paths[i], &predictor->errors[i]);
        else if (status == EFFNET_OK)
            print_success(predictor, predictor->paths[i], predictor->predictions + i * predictor->topk);
        free(predictor->paths[i]);
    }
    predictor->files = 0;
    if (status != EFFNET_OK) report("predict", &error);
    if (status != EFFNET_OK || fflush(stdout) != 0 || ferror(stdout)) predictor->failed = true;
    return status == EFFNET_OK && !ferror(stdout);
}

static void predict_list(Predictor *predictor, PictureList *list) {
    for (bool going = true; going;) {
        effnet_error error = {0};
        char *path;
        PictureListNext next = picture_list_next(list, predictor->files == 0, &path, &error);
        if (next == PICTURE_NEXT) predictor->paths[predictor->files++] = path;
        if (next != PICTURE_NEXT || predictor->files == BATCH) going = flush_batch(predictor);
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

static int predict_all(effnet_model *model, char **images, int image_count, int topk, Form form) {
    int classes = effnet_model_classes(model);
    if (topk > classes) return usage_error("predict", "--topk is %d; this model has %d classes", topk, classes);
    if (topk == 0) topk = classes < DEFAULT_TOPK ? classes : DEFAULT_TOPK;
    Predictor *predictor = calloc(1, sizeof *predictor);
    effnet_prediction *predictions = calloc((size_t)topk * BATCH, sizeof *predictions);
    PictureList *list = picture_list_open(images, image_count);
    int status = EXIT_FAILED;
    if (predictor && predictions && list) {
        *predictor = (Predictor){.model = model, .form = form, .topk = topk, .predictions = predictions};
        if (form == FORM_JSON) predictor->array = json_array();
        if (form == FORM_CSV) print_csv_heading(topk);
        predict_list(predictor, list);
        status = predictor->failed ? EXIT_FAILED : EXIT_OK;
        if (form == FORM_JSON && json_print("predict", predictor->array)) status = EXIT_FAILED;
    } else {
        fprintf(stderr, "effnet predict: no memory for %d predictions\n", topk);
    }
    picture_list_close(list);
    free(predictions);
    free(predictor);
    return status;
}

int verb_predict(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "predict",
        .text =
            "CHECKPOINT is a folder that 'effnet train' wrote (a run folder means its best checkpoint) or one of\n"
            "its .safetensors files. A PICTURE is a file (JPEG, PNG, WebP, BMP, GIF, TIFF) of any size, a folder of "
            "them, @LIST,\n"
            "a text file with one path a line, or -, the same on standard input. Pictures are classified in batches\n"
            "and told of in order, as they come. The exit status is 1 if any could not be read.\n",
        .examples = "  effnet predict runs/fashion/checkpoints/best shoe.png\n"
                    "  effnet predict runs/bees photos/*.jpg --topk 2 --json\n"
                    "  find photos -name '*.jpg' | effnet predict runs/bees - --csv > classes.csv\n",
    };
    const char *weights = "ema", *engine = NULL, *device = NULL, *dtype = "fp32";
    bool json = false, json_lines = false, csv = false;
    int64_t topk = 0, threads = 0;
    const Option options[] = {
        {.name = "topk",
         .argument = "K",
         .target = &topk,
         .kind = OPTION_INTEGER,
         .least = 1,
         .most = 100000,
         .help = "classes shown for each picture, the likeliest first; default 5, or all"},
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DEVICE(&device),
        OPTION_ROW_DTYPE(&dtype),
        OPTION_ROW_JSON(&json, "one JSON array"),
        {.name = "jsonl",
         .target = &json_lines,
         .kind = OPTION_FLAG,
         .help = "one JSON object a line and picture, as it comes; with an error, an object too"},
        {.name = "csv",
         .target = &csv,
         .kind = OPTION_FLAG,
         .help = "one line a picture, with a heading: image, error, index, label and score of each"},
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("predict", "no checkpoint and no picture given");
    if (line.count == 1) return usage_error("predict", "no picture given");
    if (json + json_lines + csv > 1) return usage_error("predict", "--json, --jsonl and --csv exclude each other");
    Form form = json ? FORM_JSON : json_lines ? FORM_JSON_LINES : csv ? FORM_CSV : FORM_TABLE;
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .engine = engine,
        .device = device,
        .dtype = dtype,
    };
    effnet_model *model = NULL;
    effnet_error error;
    if (effnet_model_open(line.arguments[0], &model_options, &model, &error) != EFFNET_OK)
        return report("predict", &error);
    char used[1400];
    text_model(model, used, sizeof used);
    if (form == FORM_TABLE)
        text_print_card(model, stdout);
    else
        fprintf(stderr, "effnet predict: %s\n", used);
    status = predict_all(model, line.arguments + 1, line.count - 1, (int)topk, form);
    effnet_model_free(model);
    return status;
}
