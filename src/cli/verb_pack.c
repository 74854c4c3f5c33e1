/* verb_pack.c - effnet pack: a data set into one file. */
#include "common_options.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

enum { REASONS_SHOWN = 20 };

/* Progress, and what was skipped: shown as it comes, and kept for the report. */
typedef struct Packing {
    ProgressDisplay display;
    json_t *reasons; /* of JSON output; else NULL */
    int64_t shown;
} Packing;

static bool show(void *context, const effnet_progress *progress) {
    return progress_show(&((Packing *)context)->display, progress);
}

static void note_skipped(void *context, const char *why) {
    Packing *packing = context;
    char safe[600];
    if (packing->reasons) {
        json_array_append_new(packing->reasons, json_text(why));
        return;
    }
    if (packing->shown++ >= REASONS_SHOWN) return;
    text_for_terminal(why, safe, sizeof safe);
    progress_end(&packing->display);
    fprintf(stderr, "skipped: %s\n", safe);
}

static void note_remark(void *context, const char *text) {
    Packing *packing = context;
    char safe[600];
    text_for_terminal(text, safe, sizeof safe);
    progress_end(&packing->display);
    fprintf(stderr, "data: %s\n", safe);
}

static int print_json(const char *path, const effnet_pack_result *result, json_t *reasons) {
    json_t *object = json_object();
    json_object_set_new(object, "path", json_text(path));
    json_object_set_new(object, "pictures", json_integer(result->pictures));
    json_object_set_new(object, "classes", json_integer(result->classes));
    json_object_set_new(object, "bytes", json_integer(result->bytes));
    json_object_set_new(object, "kept", json_integer(result->kept));
    json_object_set_new(object, "resumed", json_integer(result->resumed));
    json_object_set_new(object, "seconds", json_rounded(result->seconds, 5));
    json_object_set_new(object, "skipped", json_integer(result->skipped));
    json_object_set_new(object, "reasons", reasons);
    return json_print("pack", object);
}

static int print_text(const char *path, const effnet_pack_result *result, int64_t shown) {
    char pictures[32], skipped[32], bytes[32];
    text_count(result->pictures, pictures, sizeof pictures);
    text_count(result->skipped, skipped, sizeof skipped);
    text_count(result->bytes, bytes, sizeof bytes);
    if (shown > REASONS_SHOWN) fprintf(stderr, "... and %lld more\n", (long long)(shown - REASONS_SHOWN));
    printf("%s: %s pictures of %d classes, %s bytes, %.1f s", path, pictures, result->classes, bytes, result->seconds);
    if (result->resumed) printf(", %lld done before", (long long)result->resumed);
    if (result->skipped) printf("; %s skipped", skipped);
    printf("\n");
    return EXIT_OK;
}

int verb_pack(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "pack",
        .text =
            "SOURCE is anything that can be trained on, train and validation split together (docs/data.md). OUT is\n"
            "then a source itself: train with --data OUT.effpack. A stopped run (Ctrl-C, a full disk, a kill) leaves\n"
            "OUT.effpack.part, and the same command goes on from there. Pictures that cannot be read are skipped and\n"
            "listed.\n",
        .examples = "  effnet pack imagenet/ imagenet.effpack --size 256\n"
                    "  effnet pack hymenoptera.tar bees.effpack --raw --workers 8\n",
    };
    int64_t size = 256, quality = 90, workers = 0;
    bool raw = false, json = false;
    const Option options[] = {
        {.name = "size",
         .argument = "N",
         .target = &size,
         .kind = OPTION_INTEGER,
         .least = LEAST_SIDE,
         .most = 30000,
         .or_zero = true,
         .help = "larger pictures get a shorter side of N pixels; 256; 0: none is made smaller"},
        OPTION_ROW_INTEGER("quality", "Q", &quality, 1, 100,
                           "of the JPEGs that are made; 90. Pictures not made smaller stay as they are"),
        OPTION_ROW_FLAG("raw", &raw, "pixels instead of JPEGs: larger, and nothing to decode"),
        OPTION_ROW_WORKERS(&workers, "threads"),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count < 2) return usage_error("pack", "wanted SOURCE and OUT.effpack");
    if (line.count > 2) return usage_error("pack", "unexpected argument '%.60s'", line.arguments[2]);
    Packing packing = {.reasons = json ? json_array() : NULL};
    effnet_pack_result result = {.struct_size = sizeof result};
    effnet_error error;
    const effnet_pack_options pack = {
        .struct_size = sizeof pack,
        .size = size ? (int)size : -1,
        .quality = (int)quality,
        .raw = raw,
        .workers = (int)workers,
        .progress = show,
        .skipped = note_skipped,
        .remark = note_remark,
        .context = &packing,
    };
    progress_begin(&packing.display, stderr);
    interrupt_install();
    effnet_status packed = effnet_pack(line.arguments[0], line.arguments[1], &pack, &result, &error);
    progress_end(&packing.display);
    if (packed != EFFNET_OK) {
        json_decref(packing.reasons);
        return report("pack", &error);
    }
    if (json) return print_json(line.arguments[1], &result, packing.reasons);
    return print_text(line.arguments[1], &result, packing.shown);
}
