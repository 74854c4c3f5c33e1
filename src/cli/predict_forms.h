/* predict_forms.h - how effnet predict tells of pictures, on standard output: what they are taken for, or their features. */
#ifndef EFFNET_CLI_PREDICT_FORMS_H
#define EFFNET_CLI_PREDICT_FORMS_H

#include "effnet.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum Form { FORM_TABLE, FORM_JSON, FORM_JSON_LINES, FORM_CSV } Form;

/* ---- classes (predict_forms.c) ---- */

void predict_csv_heading(int topk);
/* `count` predictions, the likeliest first; FORM_JSON appends to `array`. False where it cannot be written. */
bool predict_print(Form form, json_t *array, const char *image, const effnet_prediction *predictions, int count);
/* The line of a picture that could not be read, in the forms that have one. */
void predict_print_failure(Form form, const char *image, const char *why, int topk);
/* A field of a line of CSV, quoted where it must be. */
void print_csv_text(const char *text);

/* ---- features (predict_features.c) ---- */

/* Where features go: lines of CSV or JSON, or a file of NumPy, whose rows' pictures are then the lines. */
typedef struct FeatureWriter {
    Form form;           /* of the lines: FORM_CSV or FORM_JSON_LINES */
    const char *feature; /* "gap" */
    int shape[3];        /* of a picture: height, width, channels */
    size_t count;        /* their product */
    const char *path;    /* OUT.npy; NULL: the values stand in the lines */
    char *partial;       /* its name until it is whole */
    void *stream;
    int64_t rows;
    bool failed; /* a write did, and was told of */
} FeatureWriter;

/* False, and a line on standard error, where the file cannot be made. features_end afterwards either way. */
bool features_begin(FeatureWriter *writer);
void features_print(FeatureWriter *writer, const char *image, const float *values);
void features_print_failure(FeatureWriter *writer, const char *image, const char *why);
/* Gives the file its name where `whole` and nothing failed, else removes it. False where that fails. */
bool features_end(FeatureWriter *writer, bool whole);

#endif
