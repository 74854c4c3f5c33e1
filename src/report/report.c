/* report.c - see report.h. */
#include "report/report.h"

#include "base/file.h"
#include "base/memory.h"
#include "report/chart.h"
#include "report/page.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MISTAKES_SHOWN = 24, PAIRS_SHOWN = 15, CLASSES_SHOWN = 200, PICTURE_SIDE = 220 };

/* Everything that both files say. */
typedef struct Findings {
    Summary summary;
    Interval top1;
    ClassScore *scores; /* (classes) */
    int64_t *confusion; /* (classes, classes) */
    int worst[MISTAKES_SHOWN], num_worst;
} Findings;

typedef struct Pair {
    int label, guess;
    int64_t count;
} Pair;

static void release(Findings *findings) {
    memory_free(findings->scores);
    memory_free(findings->confusion);
}

static effnet_status find(const Report *report, Findings *out, effnet_error *err) {
    const Predictions *predictions = report->predictions;
    size_t classes = (size_t)predictions->classes, cells;
    void *block;
    *out = (Findings){0};
    TRY(memory_allocate(classes, sizeof *out->scores, "the scores of the classes", &block, err));
    out->scores = block;
    effnet_status status =
        size_multiply(classes, classes, &cells)
            ? memory_allocate(cells, sizeof *out->confusion, "the confusion matrix", &block, err)
            : fail(err, EFFNET_ERROR_MEMORY, "a confusion matrix of %zu classes is too large", classes);
    if (status != EFFNET_OK) {
        release(out);
        return status;
    }
    out->confusion = block;
    memset(out->scores, 0, classes * sizeof *out->scores);
    memset(out->confusion, 0, cells * sizeof *out->confusion);
    predictions_summarize(predictions, &out->summary, out->scores, out->confusion);
    out->top1 = wilson_interval(out->summary.right, predictions->count);
    out->num_worst = predictions_worst(predictions, out->worst, MISTAKES_SHOWN);
    return EFFNET_OK;
}

/* The classes most often taken for another, most often first; returns how many. */
static int worst_pairs(const Findings *findings, int classes, Pair *pairs, int most) {
    int count = 0;
    for (int row = 0; row < classes; row++)
        for (int c = 0; c < classes; c++) {
            int64_t times = findings->confusion[(size_t)row * (size_t)classes + (size_t)c];
            if (row == c || times == 0) continue;
            int at = count;
            while (at > 0 && times > pairs[at - 1].count) at--;
            if (at == most) continue;
            if (count < most) count++;
            for (int j = count - 1; j > at; j--) pairs[j] = pairs[j - 1];
            pairs[at] = (Pair){row, c, times};
        }
    return count;
}

/* ---- HTML ---- */

static void write_tiles(FILE *out, const Report *report, const Findings *findings) {
    const int64_t count = report->predictions->count;
    char number[64], note[160];
    page_tiles_begin(out);
    snprintf(number, sizeof number, "%.2f %%", 100 * (double)findings->summary.right / (double)count);
    snprintf(note, sizeof note, "%lld of %lld; 95 %%: %.1f to %.1f", (long long)findings->summary.right,
             (long long)count, 100 * findings->top1.low, 100 * findings->top1.high);
    page_tile(out, "Top-1 accuracy", number, note);
    if (report->predictions->classes > 5) {
        Interval top5 = wilson_interval(findings->summary.top5, count);
        snprintf(number, sizeof number, "%.2f %%", 100 * (double)findings->summary.top5 / (double)count);
        snprintf(note, sizeof note, "95 %%: %.1f to %.1f", 100 * top5.low, 100 * top5.high);
        page_tile(out, "Top-5 accuracy", number, note);
    }
    double f1 = 0;
    int with = 0;
    for (int c = 0; c < report->predictions->classes; c++) {
        if (!findings->scores[c].support) continue;
        f1 += findings->scores[c].f1;
        with++;
    }
    snprintf(number, sizeof number, "%.3f", with ? f1 / with : 0);
    snprintf(note, sizeof note, "mean over %d classes", with);
    page_tile(out, "F1", number, note);
    snprintf(number, sizeof number, "%.4f", findings->summary.loss);
    page_tile(out, "Loss", number, "cross-entropy, no smoothing");
    snprintf(number, sizeof number, "%.1f %%", 100 * findings->summary.calibration.error);
    page_tile(out, "Calibration error", number, "confidence against accuracy");
    page_tiles_end(out);
}

static int by_f1(const void *a, const void *b) {
    const ClassScore *const *x = a, *const *y = b;
    if ((*x)->f1 != (*y)->f1) return (*x)->f1 < (*y)->f1 ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static void write_classes(FILE *out, const Report *report, const Findings *findings) {
    int classes = report->predictions->classes, shown = 0;
    const ClassScore **order = calloc((size_t)classes, sizeof *order);
    if (!order) return;
    for (int c = 0; c < classes; c++)
        if (findings->scores[c].support || findings->scores[c].predicted) order[shown++] = &findings->scores[c];
    qsort(order, (size_t)shown, sizeof *order, by_f1);
    page_section(out, "Classes",
                 "The hardest first. Recall: of the pictures of a class, the share that was found; precision: of "
                 "the answers that named it, the share that was right; F1: their harmonic mean. The interval is "
                 "that of recall, 95 %.");
    fputs("<div class=\"scroll\"><table><tr><th>class</th><th>pictures</th><th>F1</th><th>recall</th><th>95 %</th>"
          "<th>precision</th></tr>",
          out);
    for (int i = 0; i < shown && i < CLASSES_SHOWN; i++) {
        const ClassScore *score = order[i];
        Interval recall = wilson_interval(score->right, score->support);
        fputs("<tr><td>", out);
        page_text(out, report->class_names[score - findings->scores]);
        fprintf(out,
                "</td><td>%lld</td><td><span class=\"bar\" style=\"width:%.0fpx\"></span>%.3f</td><td>%.1f "
                "%%</td><td>%.1f to "
                "%.1f</td><td>%.1f %%</td></tr>\n",
                (long long)score->support, 60 * score->f1, score->f1, 100 * score->recall, 100 * recall.low,
                100 * recall.high, 100 * score->precision);
    }
    fputs("</table></div>", out);
    if (shown > CLASSES_SHOWN) fprintf(out, "<p>%d more are in report.json.</p>", shown - CLASSES_SHOWN);
    page_section_end(out);
    free(order);
}

static void write_confusion(FILE *out, const Report *report, const Findings *findings) {
    int classes = report->predictions->classes;
    Pair pairs[PAIRS_SHOWN];
    int count = worst_pairs(findings, classes, pairs, PAIRS_SHOWN);
    page_section(
        out, "Confusion",
        classes <= CHART_CONFUSION_MOST
            ? "A row is what pictures are, a column what they were taken for; green is right, red is not, a field "
              "is as strong as its share of the row."
            : "The classes most often taken for another; the whole matrix is in report.json.");
    fputs(classes <= 12 ? "<div class=\"pair\">" : "<div>", out);
    if (classes <= CHART_CONFUSION_MOST) chart_confusion(out, findings->confusion, report->class_names, classes);
    if (classes > 2 && count) {
        fputs("<div class=\"scroll\"><table><tr><th>most often</th><th>taken for</th><th>times</th><th>of its "
              "pictures</th></tr>",
              out);
        for (int i = 0; i < count; i++) {
            fputs("<tr><td>", out);
            page_text(out, report->class_names[pairs[i].label]);
            fputs("</td><td>", out);
            page_text(out, report->class_names[pairs[i].guess]);
            fprintf(out, "</td><td>%lld</td><td>%.1f %%</td></tr>\n", (long long)pairs[i].count,
                    100 * (double)pairs[i].count / (double)findings->scores[pairs[i].label].support);
        }
        fputs("</table></div>", out);
    }
    fputs("</div>", out);
    page_section_end(out);
}

static void write_mistakes(FILE *out, const Report *report, const Findings *findings) {
    if (!findings->num_worst) return;
    page_section(out, "Worst mistakes",
                 "Where the model was surest of a wrong class. Look for wrong labels and for pictures that "
                 "show two things before looking for a fault of the model.");
    fputs("<div class=\"shots\">", out);
    for (int i = 0; i < findings->num_worst; i++) {
        const Prediction *p = &report->predictions->list[findings->worst[i]];
        char name[4096];
        dataset_describe(report->dataset, p->picture, name, sizeof name);
        const char *slash = strrchr(name, '/');
        fputs("<figure title=\"", out);
        page_text(out, name);
        fputs("\">", out);
        page_picture(out, report->dataset, p->picture, PICTURE_SIDE);
        fputs("<figcaption><span class=\"bad\">", out);
        page_text(out, report->class_names[p->guess]);
        fprintf(out, " %.0f %%</span><br>is ", 100 * (double)p->probability);
        if (p->label >= 0 && p->label < report->predictions->classes) page_text(out, report->class_names[p->label]);
        fprintf(out, " (%.1f %%)<small>", 100 * (double)p->label_probability);
        page_text(out, slash ? slash + 1 : name);
        fputs("</small></figcaption></figure>\n", out);
    }
    fputs("</div>", out);
    page_section_end(out);
}

static void write_html(FILE *out, const Report *report, const Findings *findings) {
    char about[6000];
    int used = snprintf(about, sizeof about, "%s, on %lld pictures of %.4000s", report->model,
                        (long long)report->predictions->count, report->data);
    if (report->skipped)
        snprintf(about + used, sizeof about - (size_t)used, " (%lld more could not be read)",
                 (long long)report->skipped);
    page_begin(out, report->title, about);
    write_tiles(out, report, findings);
    if (report->run_note) {
        fputs("<p>", out);
        page_text(out, report->run_note);
        fputs("</p>", out);
    }
    if (report->curves) run_curves_write(out, report->curves, report->reference, report->steps_per_epoch);
    write_confusion(out, report, findings);
    write_mistakes(out, report, findings);
    write_classes(out, report, findings);
    page_section(out, "Calibration",
                 "A well calibrated model is right as often as it says: its bars end at the dashed line. Bars "
                 "below it mean that it is too sure of itself.");
    fputs("<div class=\"pair\">", out);
    chart_calibration(out, &findings->summary.calibration);
    fputs("</div>", out);
    page_section_end(out);
    page_end(out);
}

/* ---- JSON ---- */

static json_t *interval_json(Interval interval, double scale) {
    return json_pack("[ff]", scale * interval.low, scale * interval.high);
}

static json_t *class_json(const Report *report, const ClassScore *score, int c) {
    json_t *object = json_object();
    json_t *name = json_string(report->class_names[c]);
    json_object_set_new(object, "class", name ? name : json_integer(c)); /* a name that is no UTF-8 */
    json_object_set_new(object, "pictures", json_integer(score->support));
    json_object_set_new(object, "predicted", json_integer(score->predicted));
    json_object_set_new(object, "right", json_integer(score->right));
    json_object_set_new(object, "precision", json_real(score->precision));
    json_object_set_new(object, "recall", json_real(score->recall));
    json_object_set_new(object, "f1", json_real(score->f1));
    return object;
}

/* Sparse: [label, guess, times] of what happened. */
static json_t *confusion_json(const Findings *findings, int classes) {
    json_t *list = json_array();
    for (int row = 0; row < classes; row++)
        for (int c = 0; c < classes; c++) {
            int64_t count = findings->confusion[(size_t)row * (size_t)classes + (size_t)c];
            if (count) json_array_append_new(list, json_pack("[iiI]", row, c, (json_int_t)count));
        }
    return list;
}

static json_t *calibration_json(const Calibration *calibration) {
    json_t *list = json_array();
    for (int i = 0; i < CALIBRATION_BINS; i++)
        json_array_append_new(list, json_pack("{sIsIsf}", "count", (json_int_t)calibration->bins[i].count, "right",
                                              (json_int_t)calibration->bins[i].right, "confidence",
                                              calibration->bins[i].confidence));
    return list;
}

static effnet_status write_json(FILE *out, const Report *report, const Findings *findings, effnet_error *err) {
    const int64_t count = report->predictions->count;
    const int classes = report->predictions->classes;
    json_t *object = json_object(), *list = json_array(), *title = json_string(report->title);
    for (int c = 0; c < classes; c++) json_array_append_new(list, class_json(report, &findings->scores[c], c));
    json_object_set_new(object, "model", json_string(report->model));
    json_object_set_new(object, "title", title ? title : json_null());
    json_object_set_new(object, "pictures", json_integer(count));
    json_object_set_new(object, "skipped", json_integer(report->skipped));
    json_object_set_new(object, "top1", json_real(100 * (double)findings->summary.right / (double)count));
    json_object_set_new(object, "top1_interval", interval_json(findings->top1, 100));
    json_object_set_new(object, "top5", json_real(100 * (double)findings->summary.top5 / (double)count));
    json_object_set_new(object, "top5_interval", interval_json(wilson_interval(findings->summary.top5, count), 100));
    json_object_set_new(object, "loss", json_real(findings->summary.loss));
    json_object_set_new(object, "calibration_error", json_real(findings->summary.calibration.error));
    json_object_set_new(object, "calibration", calibration_json(&findings->summary.calibration));
    json_object_set_new(object, "seconds", json_real(report->seconds));
    json_object_set_new(object, "classes", list);
    json_object_set_new(object, "confusion", confusion_json(findings, classes));
    char *text = json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (!text) return fail(err, EFFNET_ERROR_MEMORY, "no memory for report.json");
    fprintf(out, "%s\n", text);
    free(text);
    return EFFNET_OK;
}

/* ---- the folder ---- */

static effnet_status write_files(const Report *report, const Findings *findings, const char *folder,
                                 effnet_error *err) {
    char path[1024];
    AtomicFile file;
    TRY(folder_create(folder, err));
    TRY(path_join(path, sizeof path, folder, "report.html", err));
    TRY(atomic_file_open(&file, path, err));
    write_html(file.stream, report, findings);
    TRY(atomic_file_commit(&file, err));
    TRY(path_join(path, sizeof path, folder, "report.json", err));
    TRY(atomic_file_open(&file, path, err));
    effnet_status status = write_json(file.stream, report, findings, err);
    if (status != EFFNET_OK) {
        atomic_file_abort(&file);
        return status;
    }
    TRY(atomic_file_commit(&file, err));
    TRY(path_join(path, sizeof path, folder, "predictions.csv", err));
    return predictions_write_csv(report->predictions, report->dataset, report->class_names, path, err);
}

effnet_status report_write(const Report *report, const char *folder, effnet_error *err) {
    Findings findings;
    if (report->predictions->count == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "there is not one prediction to report on");
    TRY(find(report, &findings, err));
    void *kept = numbers_begin();
    effnet_status status = write_files(report, &findings, folder, err);
    numbers_end(kept);
    release(&findings);
    return status;
}
