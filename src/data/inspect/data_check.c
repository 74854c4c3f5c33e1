/* data_check.c - see data_check.h. A team of threads decodes; of each picture two checksums of its pixels, its size and
 * its label are kept. Sorted, equal ones stand together; each is then decoded again and compared with the first of its
 * kind, so that what is called a duplicate is one. */
#include "data/inspect/data_check.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/threads.h"
#include "data/sources/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ROUND_EACH = 16 };

typedef struct Print {
    uint64_t sum;
    int32_t height, width, label;
    uint32_t index;
    uint8_t split;
    bool readable;
} Print;

typedef struct Checker {
    const CheckOptions *options;
    CheckReport *report;
    Dataset *splits[2];
    Print *prints; /* of training, then of evaluation */
    int64_t pictures, next;
    ThreadTeam *team;
    int threads, round;
    Decoder *decoders;
    effnet_error *errors; /* (round) */
    double told;
} Checker;

static void check_task(void *context, int task, int thread) {
    Checker *checker = context;
    int64_t number = checker->next + task, training = checker->report->pictures[0];
    Print *print = &checker->prints[number];
    print->split = number >= training;
    print->index = (uint32_t)(print->split ? number - training : number);
    const Dataset *dataset = checker->splits[print->split];
    Picture picture;
    print->label = dataset_label(dataset, print->index);
    checker->errors[task].status =
        dataset_read_with(dataset, print->index, &checker->decoders[thread], &picture, &checker->errors[task]);
    if (checker->errors[task].status != EFFNET_OK) return;
    size_t size = 3 * (size_t)picture.height * (size_t)picture.width;
    print->sum = (uint64_t)crc32c(0, picture.pixels, size) << 32 | (uint32_t)crc32_z(0, picture.pixels, size);
    print->height = picture.height;
    print->width = picture.width;
    print->readable = true;
}

static void find(const Checker *checker, CheckFinding finding, const char *text) {
    if (checker->options->found) checker->options->found(checker->options->context, finding, text);
}

static effnet_status tell(Checker *checker, bool last, effnet_error *err) {
    double now = clock_seconds();
    if (!checker->options->progress || (!last && now - checker->told < 0.5)) return EFFNET_OK;
    checker->told = now;
    if (!checker->options->progress(checker->options->context, checker->next, checker->pictures) || last)
        return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "stopped after %lld of %lld pictures", (long long)checker->next,
                (long long)checker->pictures);
}

static effnet_status read_all(Checker *checker, effnet_error *err) {
    CheckReport *report = checker->report;
    while (checker->next < checker->pictures) {
        int64_t left = checker->pictures - checker->next;
        int count = left < checker->round ? (int)left : checker->round;
        thread_team_run(checker->team, check_task, checker, count);
        for (int i = 0; i < count; i++) {
            const Print *print = &checker->prints[checker->next + i];
            if (print->readable) {
                report->counts[print->split][print->label]++;
                continue;
            }
            if (checker->errors[i].status == EFFNET_ERROR_MEMORY)
                return fail(err, EFFNET_ERROR_MEMORY, "%s", checker->errors[i].message);
            report->bad[print->split]++;
            find(checker, CHECK_BAD, checker->errors[i].message);
        }
        checker->next += count;
        TRY(tell(checker, checker->next == checker->pictures, err));
    }
    return EFFNET_OK;
}

/* ---- duplicates ---- */

static int compare_prints(const void *a, const void *b) {
    const Print *left = a, *right = b;
    if (left->readable != right->readable) return left->readable ? -1 : 1;
    if (left->sum != right->sum) return left->sum < right->sum ? -1 : 1;
    if (left->height != right->height) return left->height < right->height ? -1 : 1;
    if (left->width != right->width) return left->width < right->width ? -1 : 1;
    if (left->split != right->split) return left->split < right->split ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static bool same_print(const Print *a, const Print *b) {
    return a->readable && b->readable && a->sum == b->sum && a->height == b->height && a->width == b->width;
}

static bool same_pixels(const Checker *checker, const Print *a, const Print *b) {
    Picture left, right;
    bool same = false;
    if (dataset_read(checker->splits[a->split], a->index, &left, NULL) != EFFNET_OK) return false;
    if (dataset_read(checker->splits[b->split], b->index, &right, NULL) == EFFNET_OK) {
        same = left.height == right.height && left.width == right.width &&
               memcmp(left.pixels, right.pixels, 3 * (size_t)left.height * (size_t)left.width) == 0;
        picture_free(&right);
    }
    picture_free(&left);
    return same;
}

static void note_duplicate(const Checker *checker, const Print *first, const Print *print) {
    CheckReport *report = checker->report;
    char left[2 * SOURCE_PATH_BYTES], right[2 * SOURCE_PATH_BYTES], text[4 * SOURCE_PATH_BYTES + 64];
    dataset_describe(checker->splits[first->split], first->index, left, sizeof left);
    dataset_describe(checker->splits[print->split], print->index, right, sizeof right);
    snprintf(text, sizeof text, "'%s' and '%s'", left, right);
    bool across = first->split != print->split;
    if (across)
        report->duplicates_across++;
    else
        report->duplicates++;
    find(checker, across ? CHECK_DUPLICATE_ACROSS : CHECK_DUPLICATE, text);
    if (first->label == print->label) return;
    report->duplicates_labels++;
    find(checker, CHECK_DUPLICATE_LABELS, text);
}

static void find_duplicates(const Checker *checker) {
    qsort(checker->prints, (size_t)checker->pictures, sizeof *checker->prints, compare_prints);
    for (int64_t first = 0, i = 1; i < checker->pictures; i++) {
        const Print *print = &checker->prints[i];
        if (!same_print(&checker->prints[first], print))
            first = i;
        else if (same_pixels(checker, &checker->prints[first], print))
            note_duplicate(checker, &checker->prints[first], print);
    }
}

/* ---- opening ---- */

static effnet_status open_splits(Checker *checker, effnet_error *err) {
    CheckReport *report = checker->report;
    TRY(datasets_open(checker->options->source, checker->splits, err));
    for (int i = 0; i < 2; i++)
        for (int remark = 0; checker->splits[i] && dataset_remark(checker->splits[i], remark); remark++)
            find(checker, CHECK_REMARK, dataset_remark(checker->splits[i], remark));
    report->one_split =
        checker->splits[0] && checker->splits[1] && datasets_are_same(checker->splits[0], checker->splits[1]);
    if (report->one_split) {
        find(checker, CHECK_REMARK, "training and evaluation are the same pictures: accuracy on them says little");
        dataset_free(checker->splits[1]);
        checker->splits[1] = NULL;
    }
    const Dataset *first = checker->splits[0] ? checker->splits[0] : checker->splits[1];
    report->class_names = calloc((size_t)dataset_num_classes(first) + 1, sizeof *report->class_names);
    if (!report->class_names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the classes");
    for (; report->classes < dataset_num_classes(first); report->classes++) {
        report->class_names[report->classes] = strdup(dataset_class_name(first, report->classes));
        if (!report->class_names[report->classes]) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the classes");
    }
    if (checker->splits[0] && checker->splits[1])
        TRY(dataset_use_classes(checker->splits[1], (const char *const *)report->class_names, report->classes, err));
    for (int i = 0; i < 2; i++) {
        if (!checker->splits[i]) continue;
        report->counts[i] = calloc((size_t)report->classes + 1, sizeof *report->counts[i]);
        if (!report->counts[i]) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the classes");
        report->pictures[i] = dataset_size(checker->splits[i]);
        report->lost[i] = dataset_lost(checker->splits[i]);
        for (int loss = 0; dataset_loss(checker->splits[i], loss); loss++)
            find(checker, CHECK_LOST, dataset_loss(checker->splits[i], loss));
    }
    checker->pictures = report->pictures[0] + report->pictures[1];
    return EFFNET_OK;
}

static effnet_status run_check(Checker *checker, effnet_error *err) {
    TRY(open_splits(checker, err));
    TRY(thread_team_create(checker->options->workers, &checker->team, err));
    checker->threads = thread_team_size(checker->team);
    checker->round = ROUND_EACH * checker->threads;
    checker->prints = calloc((size_t)checker->pictures + 1, sizeof *checker->prints);
    checker->decoders = calloc((size_t)checker->threads, sizeof *checker->decoders);
    checker->errors = calloc((size_t)checker->round, sizeof *checker->errors);
    if (!checker->prints || !checker->decoders || !checker->errors)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to check %lld pictures", (long long)checker->pictures);
    TRY(read_all(checker, err));
    find_duplicates(checker);
    return EFFNET_OK;
}

effnet_status data_check(const CheckOptions *options, CheckReport *out, effnet_error *err) {
    *out = (CheckReport){0};
    Checker checker = {.options = options, .report = out, .told = clock_seconds()};
    effnet_status status = run_check(&checker, err);
    for (int i = 0; checker.decoders && i < checker.threads; i++) decoder_release(&checker.decoders[i]);
    free(checker.decoders);
    free(checker.errors);
    free(checker.prints);
    thread_team_free(checker.team);
    dataset_free(checker.splits[0]);
    dataset_free(checker.splits[1]);
    if (status != EFFNET_OK) check_report_free(out);
    return status;
}

void check_report_free(CheckReport *report) {
    for (int i = 0; i < report->classes; i++) free(report->class_names[i]);
    free(report->class_names);
    free(report->counts[0]);
    free(report->counts[1]);
    *report = (CheckReport){0};
}
