/* audit_report.c - see audit_report.h. */
#include "report/audit_report.h"

#include "base/file.h"
#include "report/page.h"

#include <string.h>

enum { SUSPECTS_SHOWN = 36, PAIRS_SHOWN = 24, PICTURE_SIDE = 220, NAME = 4096 };

static const char *const split_names[2] = {"training", "evaluation"};

const char *audit_label(const AuditReport *report, int label) {
    return label >= 0 && label < report->classes ? report->class_names[label] : "?";
}

static void write_name(FILE *out, const char *name) {
    const char *slash = strrchr(name, '/');
    fputs("<small>", out);
    page_text(out, slash ? slash + 1 : name);
    fputs("</small>", out);
}

static void write_suspects(FILE *out, const AuditReport *report, int s) {
    const AuditedSplit *split = &report->splits[s];
    char heading[100];
    if (!split->num_suspects) return;
    snprintf(heading, sizeof heading, "Labels that are likely wrong: %s", split_names[s]);
    page_section(
        out, heading,
        s ? "The model is surer of another class than it is of that class on the whole. The surest first."
          : "The same of the pictures it was trained on. It has seen these labels, so what is still here weighs more.");
    fputs("<div class=\"shots\">", out);
    for (int64_t i = 0; i < split->num_suspects && i < SUSPECTS_SHOWN; i++) {
        const LabelSuspect *suspect = &split->suspects[i];
        const Prediction *p = &split->predictions.list[suspect->place];
        char name[NAME];
        dataset_describe(split->dataset, p->picture, name, sizeof name);
        fputs("<figure title=\"", out);
        page_text(out, name);
        fputs("\">", out);
        page_picture(out, split->dataset, p->picture, PICTURE_SIDE);
        fputs("<figcaption>labelled <span class=\"bad\">", out);
        page_text(out, audit_label(report, p->label));
        fprintf(out, "</span> %.1f %%<br>likely <span class=\"good\">", 100 * (double)p->label_probability);
        page_text(out, audit_label(report, suspect->meant));
        fprintf(out, "</span> %.0f %%", 100 * (double)(suspect->certainty + p->label_probability));
        write_name(out, name);
        fputs("</figcaption></figure>\n", out);
    }
    fputs("</div>", out);
    page_section_end(out);
}

/* The two pictures of a pair and their labels. */
static const Prediction *pair_prediction(const AuditReport *report, const NearPair *pair, int s) {
    return &report->splits[s].predictions.list[s ? pair->second : pair->first];
}

static void write_pairs(FILE *out, const AuditReport *report) {
    if (!report->num_pairs) return;
    page_section(
        out, "Nearly the same picture in training and evaluation",
        "Left of training, right of evaluation. Each makes the accuracy look better than it is; where their labels "
        "differ, one of them is wrong.");
    fputs("<div class=\"shots\" style=\"grid-template-columns:repeat(auto-fill,minmax(300px,1fr))\">", out);
    for (int64_t i = 0; i < report->num_pairs && i < PAIRS_SHOWN; i++) {
        const NearPair *pair = &report->pairs[i];
        fputs("<figure><span style=\"display:grid;grid-template-columns:1fr 1fr;gap:6px\">", out);
        char names[2][NAME];
        for (int s = 0; s < 2; s++) {
            const Prediction *p = pair_prediction(report, pair, s);
            dataset_describe(report->splits[s].dataset, p->picture, names[s], sizeof names[s]);
            page_picture(out, report->splits[s].dataset, p->picture, PICTURE_SIDE);
        }
        int first = pair_prediction(report, pair, 0)->label, second = pair_prediction(report, pair, 1)->label;
        fprintf(out, "</span><figcaption><span class=\"%s\">", first == second ? "good" : "bad");
        page_text(out, audit_label(report, first));
        if (first != second) {
            fputs(" and ", out);
            page_text(out, audit_label(report, second));
        }
        fprintf(out, "</span>, %d of 256 bits apart%s", pair->distance, pair->mirrored ? ", mirrored" : "");
        write_name(out, names[0]);
        write_name(out, names[1]);
        fputs("</figcaption></figure>\n", out);
    }
    fputs("</div>", out);
    page_section_end(out);
}

static void write_page(FILE *out, const AuditReport *report) {
    char about[5000], number[32], note[100];
    snprintf(about, sizeof about, "%.4000s, looked over by %.300s", report->data, report->model);
    page_begin(out, "Audit of a data set", about);
    page_tiles_begin(out);
    for (int s = 0; s < 2; s++) {
        if (!report->splits[s].dataset) continue;
        snprintf(number, sizeof number, "%lld", (long long)report->splits[s].num_suspects);
        snprintf(note, sizeof note, "labels of %lld %s pictures", (long long)report->splits[s].predictions.count,
                 split_names[s]);
        page_tile(out, "Suspicious", number, note);
    }
    if (report->splits[0].dataset && report->splits[1].dataset) {
        snprintf(number, sizeof number, "%lld", (long long)report->num_pairs);
        page_tile(out, "Near duplicates", number, "pairs of training and evaluation");
    }
    page_tiles_end(out);
    write_suspects(out, report, 1);
    write_suspects(out, report, 0);
    write_pairs(out, report);
    page_end(out);
}

static effnet_status write_suspects_csv(const AuditReport *report, const char *path, effnet_error *err) {
    AtomicFile file;
    char name[NAME];
    TRY(atomic_file_open(&file, path, err));
    fputs("split,picture,label,likely,label_probability,certainty\n", file.stream);
    for (int s = 1; s >= 0; s--)
        for (int64_t i = 0; i < report->splits[s].num_suspects; i++) {
            const LabelSuspect *suspect = &report->splits[s].suspects[i];
            const Prediction *p = &report->splits[s].predictions.list[suspect->place];
            dataset_describe(report->splits[s].dataset, p->picture, name, sizeof name);
            fprintf(file.stream, "%s,", split_names[s]);
            csv_field(file.stream, name);
            fputc(',', file.stream);
            csv_field(file.stream, audit_label(report, p->label));
            fputc(',', file.stream);
            csv_field(file.stream, audit_label(report, suspect->meant));
            fprintf(file.stream, ",%.6g,%.6g\n", (double)p->label_probability, (double)suspect->certainty);
        }
    return atomic_file_commit(&file, err);
}

static effnet_status write_pairs_csv(const AuditReport *report, const char *path, effnet_error *err) {
    AtomicFile file;
    char name[NAME];
    TRY(atomic_file_open(&file, path, err));
    fputs("training,evaluation,training_label,evaluation_label,distance,mirrored\n", file.stream);
    for (int64_t i = 0; i < report->num_pairs; i++) {
        const NearPair *pair = &report->pairs[i];
        for (int s = 0; s < 2; s++) {
            dataset_describe(report->splits[s].dataset, pair_prediction(report, pair, s)->picture, name, sizeof name);
            csv_field(file.stream, name);
            fputc(',', file.stream);
        }
        for (int s = 0; s < 2; s++) {
            csv_field(file.stream, audit_label(report, pair_prediction(report, pair, s)->label));
            fputc(',', file.stream);
        }
        fprintf(file.stream, "%d,%d\n", pair->distance, pair->mirrored);
    }
    return atomic_file_commit(&file, err);
}

effnet_status audit_report_write(const AuditReport *report, const char *folder, effnet_error *err) {
    char page[1024], suspects[1024], pairs[1024];
    AtomicFile file;
    TRY(folder_create(folder, err));
    TRY(path_join(page, sizeof page, folder, "audit.html", err));
    TRY(path_join(suspects, sizeof suspects, folder, "suspects.csv", err));
    TRY(path_join(pairs, sizeof pairs, folder, "duplicates.csv", err));
    TRY(atomic_file_open(&file, page, err));
    void *kept = numbers_begin();
    write_page(file.stream, report);
    effnet_status status = atomic_file_commit(&file, err);
    if (status == EFFNET_OK) status = write_suspects_csv(report, suspects, err);
    if (status == EFFNET_OK) status = write_pairs_csv(report, pairs, err);
    numbers_end(kept);
    return status;
}
