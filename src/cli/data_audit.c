/* data_audit.c - see data_audit.h. */
#include "data_audit.h"

#include "common_options.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_EACH = 10 };

typedef struct Audit {
    ProgressDisplay display; /* first: progress_show gets its address */
    json_t *labels, *pairs;  /* of JSON output; else NULL */
    int64_t shown[2];
} Audit;

static void keep(const Audit *audit, const effnet_audit_finding *finding) {
    json_t *object = json_object();
    if (finding->kind == EFFNET_AUDIT_LABEL) {
        json_object_set_new(object, "split", json_text(finding->training ? "training" : "evaluation"));
        json_object_set_new(object, "picture", json_text(finding->picture));
        json_object_set_new(object, "label", json_text(finding->label));
        json_object_set_new(object, "likely", json_text(finding->other_label));
        json_object_set_new(object, "certainty", json_rounded(finding->certainty, 5));
        json_array_append_new(audit->labels, object);
        return;
    }
    json_object_set_new(object, "training", json_text(finding->picture));
    json_object_set_new(object, "evaluation", json_text(finding->other_picture));
    json_object_set_new(object, "training_label", json_text(finding->label));
    json_object_set_new(object, "evaluation_label", json_text(finding->other_label));
    json_object_set_new(object, "likeness", json_rounded(finding->certainty, 5));
    json_object_set_new(object, "mirrored", json_boolean(finding->mirrored));
    json_array_append_new(audit->pairs, object);
}

static void found(void *context, const effnet_audit_finding *finding) {
    Audit *audit = context;
    char names[2][1000], labels[2][200];
    if (audit->labels) {
        keep(audit, finding);
        return;
    }
    progress_end(&audit->display);
    if (audit->shown[finding->kind]++ >= SHOWN_EACH) return;
    text_for_terminal(finding->picture, names[0], sizeof names[0]);
    text_for_terminal(finding->label, labels[0], sizeof labels[0]);
    text_for_terminal(finding->other_label, labels[1], sizeof labels[1]);
    if (finding->kind == EFFNET_AUDIT_LABEL) {
        printf("label: %s is labelled %s, likely %s (%.2f)\n", names[0], labels[0], labels[1], finding->certainty);
        return;
    }
    text_for_terminal(finding->other_picture, names[1], sizeof names[1]);
    printf("near duplicate: %s and %s%s", names[0], names[1], finding->mirrored ? ", mirrored" : "");
    if (strcmp(labels[0], labels[1]) != 0) printf(", with two labels, %s and %s", labels[0], labels[1]);
    printf("\n");
}

static int print_json(const effnet_audit *result, Audit *audit) {
    json_t *object = json_object();
    json_object_set_new(object, "pictures",
                        json_pack("{sIsI}", "training", (json_int_t)result->pictures[0], "evaluation",
                                  (json_int_t)result->pictures[1]));
    json_object_set_new(object, "suspects",
                        json_pack("{sIsI}", "training", (json_int_t)result->suspects[0], "evaluation",
                                  (json_int_t)result->suspects[1]));
    json_object_set_new(object, "near_duplicates", json_integer(result->near_duplicates));
    json_object_set_new(object, "near_duplicates_labels", json_integer(result->near_duplicates_labels));
    json_object_set_new(object, "labels", audit->labels);
    json_object_set_new(object, "pairs", audit->pairs);
    return json_print("data", object);
}

static void print_text(const effnet_audit *result, const char *folder) {
    static const char *const names[2] = {"training", "evaluation"};
    for (int s = 0; s < 2; s++)
        if (result->pictures[s])
            printf("%s: %lld of %lld labels are suspicious\n", names[s], (long long)result->suspects[s],
                   (long long)result->pictures[s]);
    if (result->pictures[0] && result->pictures[1])
        printf("near duplicates in training and evaluation: %lld, %lld with two labels\n",
               (long long)result->near_duplicates, (long long)result->near_duplicates_labels);
    if (folder) printf("report: %s/audit.html\n", folder);
}

int data_audit(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "data",
        .text =
            "effnet data audit MODEL SOURCE looks a data set over with a trained model: labels that are likely wrong\n"
            "(confident learning: another class is likelier than the label, and as likely as that class is on the\n"
            "whole), the surest first, and pictures that stand nearly the same in training and in evaluation\n"
            "(perceptual hashes; mirrored ones too). Ten of each are listed, --report draws them, --json has all.\n"
            "Look at them; the model may be wrong. Labels of evaluation say more: those of training it has learnt.\n",
        .examples = "  effnet data audit runs/bees hymenoptera_data --report bees-audit\n"
                    "  effnet data audit runs/fashion /usr/share/datasets/fashion-mnist --json > audit.json\n",
    };
    const char *folder = NULL, *weights = "ema", *engine = NULL;
    bool json = false;
    int64_t batch = 0, threads = 0, workers = 0;
    const Option options[] = {
        OPTION_ROW_REPORT(&folder, "write audit.html with the pictures, suspects.csv and duplicates.csv"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_BATCH(&batch, "pictures at a time"),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_WORKERS(&workers, "threads that read pictures"),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count != 2) return usage_error("data", "audit wants a MODEL and a SOURCE");
    const effnet_model_options model_options = {.struct_size = sizeof model_options,
                                                .threads = (int)threads,
                                                .raw_weights = strcmp(weights, "raw") == 0,
                                                .engine = engine};
    Audit audit = {.labels = json ? json_array() : NULL, .pairs = json ? json_array() : NULL};
    progress_begin_beside(&audit.display);
    const effnet_audit_options audit_options = {.struct_size = sizeof audit_options,
                                                .batch = (int)batch,
                                                .workers = (int)workers,
                                                .report = folder,
                                                .progress = progress_show,
                                                .found = found,
                                                .context = &audit};
    effnet_model *model = NULL;
    effnet_audit result = {.struct_size = sizeof result};
    effnet_error error;
    effnet_status done = effnet_model_open(line.arguments[0], &model_options, &model, &error);
    interrupt_install();
    if (done == EFFNET_OK) done = effnet_data_audit(model, line.arguments[1], &audit_options, &result, &error);
    progress_end(&audit.display);
    effnet_model_free(model);
    if (done == EFFNET_OK && json) return print_json(&result, &audit);
    if (done == EFFNET_OK) print_text(&result, folder);
    json_decref(audit.labels);
    json_decref(audit.pairs);
    return done == EFFNET_OK ? EXIT_OK : report("data", &error);
}
