/* predict_forms.c - what pictures are taken for, as a table for people, as JSON and as CSV. */
#include "predict_forms.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

enum { BAR = 20, NAME = 200 };

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

void print_csv_text(const char *text) {
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted) putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    if (quoted) putchar('"');
}

void predict_csv_heading(int topk) {
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

/* ---- all ---- */

bool predict_print(Form form, json_t *array, const char *image, const effnet_prediction *predictions, int count) {
    switch (form) {
    case FORM_TABLE:
        print_table(image, predictions, count);
        break;
    case FORM_JSON:
        json_array_append_new(array, prediction_to_json(image, predictions, count));
        break;
    case FORM_JSON_LINES:
        return json_print("predict", prediction_to_json(image, predictions, count)) == 0;
    case FORM_CSV:
        print_csv_line(image, "", predictions, count);
        break;
    }
    return true;
}

void predict_print_failure(Form form, const char *image, const char *why, int topk) {
    if (form == FORM_CSV) {
        print_csv_line(image, why, NULL, topk);
    } else if (form == FORM_JSON_LINES) {
        json_t *object = json_object();
        json_object_set_new(object, "image", json_text(image));
        json_object_set_new(object, "error", json_text(why));
        json_print("predict", object);
    }
}
