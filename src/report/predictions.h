/* predictions.h - what a model answered to each picture of an evaluation, kept small: the five likeliest classes. */
#ifndef EFFNET_REPORT_PREDICTIONS_H
#define EFFNET_REPORT_PREDICTIONS_H

#include "base/error.h"
#include "report/statistics.h"

#include <stdio.h>

enum { PREDICTION_TOP = 5 };

typedef struct Prediction {
    uint32_t picture;        /* of the data set */
    int32_t label, rank;     /* rank: other classes whose logit is not below the label's; 0: right, below 5: top-5 */
    int32_t guess;           /* the answer: the label where rank is 0, else the likeliest other class */
    float probability;       /* softmax, of the guess */
    float label_probability; /* and of the label */
    float margin;            /* largest probability of another class less the label's: above 0 where wrong */
    int32_t top[PREDICTION_TOP]; /* likeliest classes, best first; -1 where there are fewer */
    float top_probability[PREDICTION_TOP];
} Prediction;

typedef struct Predictions {
    Prediction *list;
    int64_t count, capacity;
    int classes;
} Predictions;

/* The answers of one batch: logits (N, classes), labels (N), pictures (N). {.classes = ...} is an empty list. */
effnet_status predictions_add(Predictions *predictions, const float *logits, const int32_t *labels,
                              const uint32_t *pictures, int batch, effnet_error *err);
void predictions_free(Predictions *predictions);

/* What follows from them. `scores` (classes) and `confusion` (classes, classes; rows are labels) may be NULL. */
typedef struct Summary {
    int64_t right, top5;
    double loss; /* mean cross-entropy */
    Calibration calibration;
} Summary;
void predictions_summarize(const Predictions *predictions, Summary *summary, ClassScore *scores, int64_t *confusion);

/* The `most` of largest margin among those that are wrong, worst first, as places in the list; returns how many. */
int predictions_worst(const Predictions *predictions, int *places, int most);

/* A field of RFC 4180: in quotes where it has a comma, a quote or a line's end. */
void csv_field(FILE *stream, const char *text);

struct Dataset;
/* One line a picture: picture, label, prediction, probability, label_probability, right, and the five likeliest. */
effnet_status predictions_write_csv(const Predictions *predictions, const struct Dataset *dataset,
                                    const char *const *class_names, const char *path, effnet_error *err);

#endif
