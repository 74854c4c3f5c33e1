/* verb_data.c - effnet data check and effnet data show: a data set looked over, and looked at. */
#include "common_options.h"
#include "data_audit.h"
#include "interrupt.h"
#include "progress.h"
#include "settings.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_EACH = 10, FINDINGS = EFFNET_DATA_REMARK + 1, LEAST_LISTED = 20 };

static const char *const finding_names[FINDINGS] = {
    "bad", "lost", "duplicate", "duplicate across splits", "duplicate with two labels", "data"};
static const char *const finding_keys[FINDINGS] = {
    "bad", "lost", "duplicates", "duplicates_across", "duplicates_labels", "remarks"};
static const char *const split_names[2] = {"train", "val"};

/* Progress, and what was found: shown as it comes, or kept for the JSON. */
typedef struct Checking {
    ProgressDisplay display;
    json_t *findings; /* of JSON output; else NULL */
    int64_t shown[FINDINGS];
} Checking;

static bool show_progress(void *context, const effnet_progress *progress) {
    return progress_show(&((Checking *)context)->display, progress);
}

static void note(void *context, effnet_data_finding finding, const char *text) {
    Checking *checking = context;
    char safe[600];
    if (checking->findings) {
        json_array_append_new(json_object_get(checking->findings, finding_keys[finding]), json_text(text));
        return;
    }
    if (checking->shown[finding]++ >= SHOWN_EACH) return;
    text_for_terminal(text, safe, sizeof safe);
    progress_end(&checking->display);
    fprintf(stderr, "%s: %s\n", finding_names[finding], safe);
}

/* ---- the report ---- */

static int print_json(const char *source, const effnet_data_report *report, json_t *findings) {
    json_t *object = json_object(), *splits = json_object();
    json_object_set_new(object, "source", json_text(source));
    json_object_set_new(object, "classes", json_integer(report->classes));
    json_object_set_new(object, "one_class", json_boolean(report->classes < 2));
    json_object_set_new(object, "one_split", json_boolean(report->one_split));
    for (int i = 0; i < 2; i++) {
        if (!report->counts[i]) continue;
        json_t *split = json_object(), *counts = json_array();
        json_object_set_new(split, "pictures", json_integer(report->pictures[i]));
        json_object_set_new(split, "bad", json_integer(report->bad[i]));
        json_object_set_new(split, "lost", json_integer(report->lost[i]));
        for (int c = 0; c < report->classes; c++) {
            json_t *row = json_object();
            json_object_set_new(row, "class", json_text(report->class_names[c]));
            json_object_set_new(row, "pictures", json_integer(report->counts[i][c]));
            json_array_append_new(counts, row);
        }
        json_object_set_new(split, "counts", counts);
        json_object_set_new(splits, split_names[i], split);
    }
    json_object_set_new(object, "splits", splits);
    json_object_set_new(object, "duplicates", json_integer(report->duplicates));
    json_object_set_new(object, "duplicates_across", json_integer(report->duplicates_across));
    json_object_set_new(object, "duplicates_labels", json_integer(report->duplicates_labels));
    json_object_set_new(object, "findings", findings);
    return json_print("data", object);
}

static int64_t count_of(const effnet_data_report *report, int split, int class_index) {
    return report->counts[split] ? report->counts[split][class_index] : 0;
}

/* Every class where they are few, else the smallest and the largest of training. */
static void print_classes(const effnet_data_report *report) {
    int split = report->counts[0] ? 0 : 1, least = 0, most = 0;
    for (int c = 1; c < report->classes; c++) {
        if (count_of(report, split, c) < count_of(report, split, least)) least = c;
        if (count_of(report, split, c) > count_of(report, split, most)) most = c;
    }
    char name[200];
    if (report->classes > LEAST_LISTED) {
        text_for_terminal(report->class_names[least], name, sizeof name);
        printf("classes  %d; the fewest pictures has %s (%lld)", report->classes, name,
               (long long)count_of(report, split, least));
        text_for_terminal(report->class_names[most], name, sizeof name);
        printf(", the most %s (%lld); --json lists them\n", name, (long long)count_of(report, split, most));
        return;
    }
    printf("classes  %d\n", report->classes);
    for (int c = 0; c < report->classes; c++) {
        text_for_terminal(report->class_names[c], name, sizeof name);
        printf("  %-24s", name);
        for (int i = 0; i < 2; i++)
            if (report->counts[i]) printf("  %s %lld", split_names[i], (long long)report->counts[i][c]);
        printf("\n");
    }
}

static void print_text(const effnet_data_report *report, const Checking *checking) {
    for (int f = 0; f < FINDINGS; f++)
        if (checking->shown[f] > SHOWN_EACH)
            fprintf(stderr, "%s: ... and %lld more; --json lists them\n", finding_names[f],
                    (long long)(checking->shown[f] - SHOWN_EACH));
    for (int i = 0; i < 2; i++) {
        if (!report->counts[i]) continue;
        char pictures[32];
        text_count(report->pictures[i], pictures, sizeof pictures);
        printf("%-7s  %s pictures", report->one_split ? "all" : split_names[i], pictures);
        if (report->bad[i]) printf(", %lld bad", (long long)report->bad[i]);
        if (report->lost[i]) printf(", %lld more lost", (long long)report->lost[i]);
        printf("\n");
    }
    print_classes(report);
    if (report->classes < 2) fprintf(stderr, "one class: nothing can be told apart; train refuses such data\n");
    for (int i = 0; i < 2; i++) {
        int empty = 0;
        for (int c = 0; report->counts[i] && c < report->classes; c++) empty += report->counts[i][c] == 0;
        if (empty)
            fprintf(stderr, "no readable picture of %d of the %d classes in %s\n", empty, report->classes,
                    report->one_split ? "it" : split_names[i]);
    }
    printf("duplicates  %lld within a split, %lld across, %lld of them with two labels\n",
           (long long)report->duplicates, (long long)report->duplicates_across, (long long)report->duplicates_labels);
}

static int check(const char *source, int workers, bool json) {
    Checking checking = {.findings = json ? json_object() : NULL};
    for (int f = 0; json && f < FINDINGS; f++) json_object_set_new(checking.findings, finding_keys[f], json_array());
    const effnet_data_check_options options = {.struct_size = sizeof options,
                                               .workers = workers,
                                               .progress = show_progress,
                                               .found = note,
                                               .context = &checking};
    effnet_data_report found = {.struct_size = sizeof found};
    effnet_error error;
    progress_begin(&checking.display, stderr);
    interrupt_install();
    effnet_status status = effnet_data_check(source, &options, &found, &error);
    progress_end(&checking.display);
    if (status != EFFNET_OK) {
        json_decref(checking.findings);
        return report("data", &error);
    }
    int64_t wrong = found.bad[0] + found.bad[1] + found.lost[0] + found.lost[1];
    int printed = EXIT_OK;
    if (json)
        printed = print_json(source, &found, checking.findings);
    else
        print_text(&found, &checking);
    effnet_data_report_free(&found);
    return printed != EXIT_OK ? printed : wrong ? EXIT_FAILED : EXIT_OK;
}

static int show(const char *source, const char *path, const char *recipe_path, const OptionList *settings,
                const effnet_data_show_options *options) {
    effnet_recipe *recipe = NULL;
    effnet_error error;
    int opened = open_recipe("data", recipe_path, settings, NULL, &recipe);
    if (opened != EXIT_OK) return opened;
    effnet_status status = effnet_data_show(recipe, source, path, options, &error);
    effnet_recipe_free(recipe);
    return status == EFFNET_OK ? EXIT_OK : report("data", &error);
}

int verb_data(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "data",
        .text =
            "effnet data check SOURCE reads every picture once: lists those that cannot be read, duplicates (equal\n"
            "pixels) within a split and across training and evaluation, and counts classes. Exit status 1 where a\n"
            "picture is bad or lost.\n"
            "effnet data show SOURCE OUT.png (or OUT.jpg) draws a contact sheet of what the network will see, with\n"
            "labels: the first pictures of the recipe's first epoch, cropped, augmented and mixed as in training.\n"
            "With --row, again and again, each row shows the same pictures under other settings; --operations shows\n"
            "the first picture under each operation of augmentation, stronger to the right.\n"
            "effnet data audit MODEL SOURCE lists likely label errors and near duplicates across splits\n"
            "(effnet data audit --help).\n",
        .examples = "  effnet data check imagenet/ --json > report.json\n"
                    "  effnet data show hymenoptera.tar sheet.png --recipe recipes/hymenoptera.yaml\n"
                    "  effnet data show cifar.effpack sheet.png --set mixup=0.2 --rows 2\n"
                    "  effnet data show cifar.effpack sheet.jpg --row '' --row aa=v0 --row 'aa=trivial reprob=1'\n",
    };
    const char *recipe = NULL, *split = "train";
    bool json = false;
    int64_t workers = 0, rows = 0, columns = 0;
    OptionList settings = {0}, named = {0};
    bool operations = false;
    const Option options[] = {
        OPTION_ROW_TEXT("recipe", "RECIPE", &recipe,
                        "show: the recipe; without it the defaults, EfficientNet-B0 as published"),
        OPTION_ROW_SET(&settings, "show: a recipe key"),
        OPTION_ROW_CHOICE("split", "train|val", &split, "show: as in training, the default, or as in evaluation"),
        OPTION_ROW_INTEGER("rows", "N", &rows, 1, 64, "show: rows of pictures; 4"),
        OPTION_ROW_INTEGER("columns", "N", &columns, 1, 64, "show: columns; 8"),
        OPTION_ROW_LIST("row", "'KEY=VALUE ...'", &named,
                        "show: a row of its own for these settings over the recipe; '' for the recipe as it is"),
        OPTION_ROW_FLAG("operations", &operations,
                        "show: a row for each operation, with the strengths and pixels of the recipe's aa and aa_ops"),
        OPTION_ROW_WORKERS(&workers, "threads"),
        OPTION_ROW_JSON(&json, "check: one JSON object"),
        {0}};
    CommandLine line;
    if (argc > 1 && strcmp(argv[1], "audit") == 0) return data_audit(argc - 1, argv + 1);
    int status = parse_options(&help, options, argc, argv, &line);
    bool checks = status == PARSED && line.count > 0 && strcmp(line.arguments[0], "check") == 0;
    bool shows = status == PARSED && line.count > 0 && strcmp(line.arguments[0], "show") == 0;
    if (status == PARSED) {
        if (!checks && !shows)
            status = usage_error("data", "wanted 'check SOURCE', 'show SOURCE OUT.png' or 'audit MODEL SOURCE'");
        else if (line.count != (checks ? 2 : 3))
            status = usage_error("data", checks ? "check wants one SOURCE" : "show wants SOURCE and OUT.png");
    }
    const effnet_data_show_options showing = {.struct_size = sizeof showing,
                                              .validation = strcmp(split, "val") == 0,
                                              .rows = (int)rows,
                                              .columns = (int)columns,
                                              .workers = (int)workers,
                                              .operations = operations,
                                              .named_rows = named.items,
                                              .num_named_rows = named.count};
    if (status == PARSED)
        status = checks ? check(line.arguments[1], (int)workers, json)
                        : show(line.arguments[1], line.arguments[2], recipe, &settings, &showing);
    free(settings.items);
    free(named.items);
    return status;
}
