/* compare_report.c - see compare_report.h. Both lists are in the data set's order, so they are read side by side. */
#include "report/compare_report.h"

#include "base/file.h"
#include "report/page.h"

#include <math.h>
#include <string.h>

enum { PICTURES_SHOWN = 24, PICTURE_SIDE = 220 };

/* The next picture that is in both lists from places *a and *b on; false at an end. */
static bool next_pair(const Predictions *first, const Predictions *second, int64_t *a, int64_t *b) {
    while (*a < first->count && *b < second->count) {
        uint32_t x = first->list[*a].picture, y = second->list[*b].picture;
        if (x == y) return true;
        if (x < y)
            ++*a;
        else
            ++*b;
    }
    return false;
}

PairedTest compare_predictions(const Predictions *first, const Predictions *second) {
    int64_t counts[2][2] = {{0}};
    for (int64_t a = 0, b = 0; next_pair(first, second, &a, &b); a++, b++)
        counts[first->list[a].rank == 0][second->list[b].rank == 0]++;
    return paired_test(counts[1][1], counts[1][0], counts[0][1], counts[0][0]);
}

/* ---- the page ---- */

static void write_tiles(FILE *out, const PairedTest *test) {
    int64_t count = test->both + test->only_first + test->only_second + test->neither;
    const int64_t right[2] = {test->both + test->only_first, test->both + test->only_second};
    char number[64], note[160];
    page_tiles_begin(out);
    for (int m = 0; m < 2; m++) {
        Interval interval = wilson_interval(right[m], count);
        snprintf(number, sizeof number, "%.2f %%", 100 * (double)right[m] / (double)count);
        snprintf(note, sizeof note, "%lld of %lld; 95 %%: %.1f to %.1f", (long long)right[m], (long long)count,
                 100 * interval.low, 100 * interval.high);
        page_tile(out, m ? "Second" : "First", number, note);
    }
    snprintf(number, sizeof number, "%+.2f", 100 * test->difference);
    snprintf(note, sizeof note, "points; 95 %%: %+.2f to %+.2f", 100 * test->interval.low, 100 * test->interval.high);
    page_tile(out, "Second less first", number, note);
    snprintf(number, sizeof number, test->p < 0.0001 ? "%.1e" : "%.4f", test->p);
    page_tile(out, "p (McNemar, exact)", number, "how likely so uneven a split is if they are equally good");
    page_tiles_end(out);
}

static void write_table(FILE *out, const CompareReport *report, const PairedTest *test) {
    page_section(
        out, "Side by side",
        "Both saw the same pictures, so only those count on which they differ: it is their split that tells who is "
        "better.");
    for (int m = 0; m < 2; m++) {
        fprintf(out, "<p>%s: ", m ? "Second" : "First");
        page_text(out, report->models[m].title);
        fputs(", ", out);
        page_text(out, report->models[m].about);
        fputs("</p>", out);
    }
    fprintf(out,
            "<table><tr><th></th><th>second right</th><th>second wrong</th></tr><tr><td>first right</td><td>%lld</td>"
            "<td><b>%lld</b></td></tr><tr><td>first wrong</td><td><b>%lld</b></td><td>%lld</td></tr></table>",
            (long long)test->both, (long long)test->only_first, (long long)test->only_second, (long long)test->neither);
    page_section_end(out);
}

static void write_answer(FILE *out, const ComparedModel *model, const Prediction *p, const char *who) {
    fprintf(out, "%s: <span class=\"%s\">", who, p->rank ? "bad" : "good");
    page_text(out, p->guess >= 0 ? model->class_names[p->guess] : "?");
    fprintf(out, "</span> %.0f %%<br>", 100 * (double)p->probability);
}

/* The pictures that model `right` alone has right, surest of the other's mistakes first. */
static void write_pictures(FILE *out, const CompareReport *report, int right) {
    const Predictions *lists[2] = {report->models[0].predictions, report->models[1].predictions};
    int64_t chosen[PICTURES_SHOWN][2];
    int count = 0;
    for (int64_t a = 0, b = 0; next_pair(lists[0], lists[1], &a, &b); a++, b++) {
        const int64_t pair[2] = {a, b};
        const Prediction *other = &lists[!right]->list[pair[!right]];
        if (lists[right]->list[pair[right]].rank != 0 || other->rank == 0) continue;
        int at = count;
        while (at > 0 && other->margin > lists[!right]->list[chosen[at - 1][!right]].margin) at--;
        if (at == PICTURES_SHOWN) continue;
        if (count < PICTURES_SHOWN) count++;
        memmove(chosen[at + 1 < PICTURES_SHOWN ? at + 1 : at], chosen[at],
                sizeof *chosen * (size_t)(at + 1 < PICTURES_SHOWN ? count - 1 - at : 0));
        memcpy(chosen[at], pair, sizeof pair);
    }
    if (!count) return;
    page_section(out, right ? "Only the second is right" : "Only the first is right", NULL);
    fputs("<div class=\"shots\">", out);
    for (int i = 0; i < count; i++) {
        const Prediction *first = &lists[0]->list[chosen[i][0]], *second = &lists[1]->list[chosen[i][1]];
        char name[4096];
        dataset_describe(report->dataset, first->picture, name, sizeof name);
        const char *slash = strrchr(name, '/');
        fputs("<figure title=\"", out);
        page_text(out, name);
        fputs("\">", out);
        page_picture(out, report->dataset, first->picture, PICTURE_SIDE);
        fputs("<figcaption>", out);
        write_answer(out, &report->models[0], first, "first");
        write_answer(out, &report->models[1], second, "second");
        fputs("<small>", out);
        page_text(out, slash ? slash + 1 : name);
        fputs("</small></figcaption></figure>\n", out);
    }
    fputs("</div>", out);
    page_section_end(out);
}

static void write_page(FILE *out, const CompareReport *report, const PairedTest *test) {
    char about[5000];
    snprintf(about, sizeof about, "on %lld pictures of %.4000s",
             (long long)(test->both + test->only_first + test->only_second + test->neither), report->data);
    page_begin(out, "Two models compared", about);
    write_tiles(out, test);
    write_table(out, report, test);
    write_pictures(out, report, 1);
    write_pictures(out, report, 0);
    page_end(out);
}

/* ---- the table ---- */

static void write_line(FILE *out, const CompareReport *report, const Prediction *first, const Prediction *second) {
    const Prediction *both[2] = {first, second};
    char name[4096];
    dataset_describe(report->dataset, first->picture, name, sizeof name);
    csv_field(out, name);
    fputc(',', out);
    if (first->label >= 0 && first->label < report->models[0].predictions->classes)
        csv_field(out, report->models[0].class_names[first->label]);
    for (int m = 0; m < 2; m++) {
        fputc(',', out);
        if (both[m]->guess >= 0) csv_field(out, report->models[m].class_names[both[m]->guess]);
        fprintf(out, ",%.6g", (double)both[m]->probability);
    }
    fprintf(out, ",%s\n", first->rank == 0 ? "first" : "second");
}

static effnet_status write_csv(const CompareReport *report, const char *path, effnet_error *err) {
    const Predictions *first = report->models[0].predictions, *second = report->models[1].predictions;
    AtomicFile file;
    TRY(atomic_file_open(&file, path, err));
    fputs("picture,label,first,first_probability,second,second_probability,right\n", file.stream);
    for (int64_t a = 0, b = 0; next_pair(first, second, &a, &b); a++, b++)
        if ((first->list[a].rank == 0) != (second->list[b].rank == 0))
            write_line(file.stream, report, &first->list[a], &second->list[b]);
    return atomic_file_commit(&file, err);
}

effnet_status compare_report_write(const CompareReport *report, const PairedTest *test, const char *folder,
                                   effnet_error *err) {
    char page[1024], table[1024];
    AtomicFile file;
    TRY(folder_create(folder, err));
    TRY(path_join(page, sizeof page, folder, "compare.html", err));
    TRY(path_join(table, sizeof table, folder, "differences.csv", err));
    TRY(atomic_file_open(&file, page, err));
    void *kept = numbers_begin();
    write_page(file.stream, report, test);
    effnet_status status = atomic_file_commit(&file, err);
    if (status == EFFNET_OK) status = write_csv(report, table, err);
    numbers_end(kept);
    return status;
}
