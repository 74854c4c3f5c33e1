/* predictions.c - see predictions.h. */
#include "report/predictions.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/sources/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static effnet_status make_room(Predictions *predictions, int batch, effnet_error *err) {
    if (predictions->count + batch <= predictions->capacity) return EFFNET_OK;
    int64_t capacity = predictions->capacity ? 2 * predictions->capacity : 1024;
    while (capacity < predictions->count + batch) capacity *= 2;
    size_t bytes;
    Prediction *list = NULL;
    if (size_multiply((size_t)capacity, sizeof *list, &bytes)) list = realloc(predictions->list, bytes);
    if (!list) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %lld predictions", (long long)capacity);
    predictions->list = list;
    predictions->capacity = capacity;
    return EFFNET_OK;
}

/* Places class c with logit `value` among the best so far. */
static void insert_top(int32_t *top, float *values, int32_t c, float value) {
    int at = PREDICTION_TOP;
    while (at > 0 && (top[at - 1] < 0 || value > values[at - 1])) at--;
    if (at == PREDICTION_TOP) return;
    for (int i = PREDICTION_TOP - 1; i > at; i--) {
        top[i] = top[i - 1];
        values[i] = values[i - 1];
    }
    top[at] = c;
    values[at] = value;
}

static Prediction predict(const float *row, int classes, int32_t label, uint32_t picture) {
    Prediction out = {.picture = picture, .label = label, .rank = 0};
    float values[PREDICTION_TOP] = {0};
    bool known = label >= 0 && label < classes;
    double sum = 0, largest = -INFINITY;
    int32_t other = -1;
    for (int i = 0; i < PREDICTION_TOP; i++) out.top[i] = -1;
    for (int32_t c = 0; c < classes; c++) {
        if (row[c] > largest) largest = row[c];
        insert_top(out.top, values, c, row[c]);
        if (c == label) continue;
        out.rank += !known || !(row[c] < row[label]);
        if (other < 0 || row[c] > row[other]) other = c;
    }
    for (int c = 0; c < classes; c++) sum += exp(row[c] - largest);
    for (int i = 0; i < PREDICTION_TOP && out.top[i] >= 0; i++)
        out.top_probability[i] = (float)(exp(values[i] - largest) / sum);
    out.guess = out.rank == 0 || other < 0 ? label : other;
    out.label_probability = known ? (float)(exp(row[label] - largest) / sum) : 0;
    out.probability = out.guess >= 0 ? (float)(exp(row[out.guess] - largest) / sum) : 0;
    out.margin = other >= 0 ? (float)(exp(row[other] - largest) / sum) - out.label_probability : -1;
    if (isnan(out.margin)) out.margin = -1; /* nothing can be said of it, so it is not the worst */
    return out;
}

effnet_status predictions_add(Predictions *predictions, const float *logits, const int32_t *labels,
                              const uint32_t *pictures, int batch, effnet_error *err) {
    TRY(make_room(predictions, batch, err));
    for (int n = 0; n < batch; n++)
        predictions->list[predictions->count++] =
            predict(logits + (size_t)n * (size_t)predictions->classes, predictions->classes, labels[n], pictures[n]);
    return EFFNET_OK;
}

void predictions_free(Predictions *predictions) {
    free(predictions->list);
    *predictions = (Predictions){.classes = predictions->classes};
}

void predictions_summarize(const Predictions *predictions, Summary *summary, ClassScore *scores, int64_t *confusion) {
    const int classes = predictions->classes;
    *summary = (Summary){0};
    for (int64_t i = 0; i < predictions->count; i++) {
        const Prediction *p = &predictions->list[i];
        summary->right += p->rank < 1;
        summary->top5 += p->rank < 5;
        summary->loss -= log(fmax(p->label_probability, 1e-38));
        calibration_add(&summary->calibration, p->probability, p->rank < 1);
        if (p->label < 0 || p->label >= classes || p->guess < 0) continue;
        if (scores) {
            scores[p->label].support++;
            scores[p->guess].predicted++;
            scores[p->label].right += p->rank < 1;
        }
        if (confusion) confusion[(size_t)p->label * (size_t)classes + (size_t)p->guess]++;
    }
    if (predictions->count) summary->loss /= (double)predictions->count;
    calibration_finish(&summary->calibration);
    for (int c = 0; scores && c < classes; c++) class_score_finish(&scores[c]);
}

int predictions_worst(const Predictions *predictions, int *places, int most) {
    int count = 0;
    for (int64_t i = 0; i < predictions->count; i++) {
        const Prediction *p = &predictions->list[i];
        if (p->rank == 0) continue;
        int at = count;
        while (at > 0 && p->margin > predictions->list[places[at - 1]].margin) at--;
        if (at == most) continue;
        if (count < most) count++;
        for (int j = count - 1; j > at; j--) places[j] = places[j - 1];
        places[at] = (int)i;
    }
    return count;
}

void csv_field(FILE *stream, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"') fputc('"', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void write_class(FILE *stream, const char *const *names, int classes, int32_t c) {
    if (c >= 0 && c < classes) csv_field(stream, names[c]);
}

effnet_status predictions_write_csv(const Predictions *predictions, const Dataset *dataset,
                                    const char *const *class_names, const char *path, effnet_error *err) {
    AtomicFile file;
    char name[4096];
    const int classes = predictions->classes;
    TRY(atomic_file_open(&file, path, err));
    fputs("picture,label,prediction,probability,label_probability,right", file.stream);
    for (int k = 1; k <= PREDICTION_TOP && k <= classes; k++) fprintf(file.stream, ",top%d,probability%d", k, k);
    fputc('\n', file.stream);
    for (int64_t i = 0; i < predictions->count; i++) {
        const Prediction *p = &predictions->list[i];
        dataset_describe(dataset, p->picture, name, sizeof name);
        csv_field(file.stream, name);
        fputc(',', file.stream);
        write_class(file.stream, class_names, classes, p->label);
        fputc(',', file.stream);
        write_class(file.stream, class_names, classes, p->guess);
        fprintf(file.stream, ",%.6g,%.6g,%d", (double)p->probability, (double)p->label_probability, p->rank == 0);
        for (int k = 0; k < PREDICTION_TOP && p->top[k] >= 0; k++) {
            fputc(',', file.stream);
            write_class(file.stream, class_names, classes, p->top[k]);
            fprintf(file.stream, ",%.6g", (double)p->top_probability[k]);
        }
        fputc('\n', file.stream);
    }
    return atomic_file_commit(&file, err);
}
