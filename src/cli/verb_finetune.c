/* verb_finetune.c - effnet finetune: from a folder of pictures and trained weights to a classifier. */
#include "common_options.h"
#include "interrupt.h"
#include "progress.h"
#include "series_text.h"
#include "settings.h"
#include "standard_streams.h"
#include "text.h"
#include "verbs.h"
#include "weights_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct FinetuneArguments {
    const char *pictures, *from, *out, *time_limit;
    bool resume, json, quiet, no_report, offline;
    int64_t epochs, threads;
    OptionList settings;
} FinetuneArguments;

static int print_json(const FinetuneArguments *arguments, const effnet_finetune_result *result) {
    json_t *object = json_object();
    json_object_set_new(object, "pictures", json_text(arguments->pictures));
    if (arguments->from) json_object_set_new(object, "from", json_text(arguments->from));
    json_object_set_new(object, "model", json_text(result->model));
    json_object_set_new(object, "num_classes", json_integer(result->num_classes));
    json_object_set_new(object, "resolution", json_integer(result->resolution));
    json_object_set_new(object, "resolution_width", json_integer(result->resolution_width));
    json_object_set_new(object, "training", json_integer(result->training));
    json_object_set_new(object, "images", json_integer(result->images));
    if (result->head_top1 >= 0) json_object_set_new(object, "head_top1", json_rounded(result->head_top1, 7));
    json_object_set_new(object, "top1", json_rounded(result->top1, 7));
    json_object_set_new(object, "top1_low", json_rounded(result->top1_low, 5));
    json_object_set_new(object, "top1_high", json_rounded(result->top1_high, 5));
    json_object_set_new(object, "best_step", json_integer(result->best_step));
    json_object_set_new(object, "steps", json_integer(result->steps));
    json_object_set_new(object, "seconds", json_rounded(result->seconds, 5));
    json_object_set_new(object, "checkpoint", json_text(result->checkpoint));
    if (result->report[0]) json_object_set_new(object, "report", json_text(result->report));
    return json_print("finetune", object);
}

static void print_text(const effnet_finetune_result *result) {
    char duration[32], images[32];
    text_duration(result->seconds, duration, sizeof duration);
    text_count(result->images, images, sizeof images);
    printf("done in %s, %lld steps\n", duration, (long long)result->steps);
    if (result->head_top1 >= 0)
        printf("features    %.2f %% by a classifier on the features as they were\n", result->head_top1);
    printf("top-1       %.2f %% of %s pictures (95 %%: %.1f to %.1f), after step %lld, the best%s\n", result->top1,
           images, result->top1_low, result->top1_high, (long long)result->best_step,
           result->best_step == 0 ? ": training the features did not help" : "");
    printf("checkpoint  %s\n", result->checkpoint);
    if (result->report[0]) printf("report      %s\n", result->report);
}

static int run(const FinetuneArguments *arguments, const char *const *settings) {
    ProgressDisplay display;
    effnet_finetune_result result = {.struct_size = sizeof result, .head_top1 = -1};
    effnet_error error;
    if (arguments->json)
        progress_begin_beside(&display);
    else
        progress_begin(&display, stdout);
    display.quiet_steps = display.quiet_steps || arguments->quiet;
    display.may_vanish = !arguments->json;
    char path[WEIGHTS_PATH];
    const char *from = arguments->from;
    if (weights_source_replace(&from, arguments->offline, path, &error) != EFFNET_OK) return report("finetune", &error);
    interrupt_install();
    const effnet_finetune_options options = {.struct_size = sizeof options,
                                             .from = from,
                                             .out = arguments->out,
                                             .settings = settings,
                                             .no_report = arguments->no_report,
                                             .threads = (int)arguments->threads,
                                             .progress = progress_show,
                                             .progress_context = &display};
    effnet_status status = effnet_finetune(arguments->pictures, &options, &result, &error);
    progress_end(&display);
    if (status != EFFNET_OK) return report("finetune", &error);
    if (series_is_record(result.report)) return series_print("finetune", result.report, arguments->json);
    if (arguments->json) return print_json(arguments, &result);
    print_text(&result);
    standard_stream_let_go(stdout);
    return EXIT_OK;
}

/* The list for the library: --epochs first, so that --set goes over it. */
static int run_with_settings(const FinetuneArguments *arguments) {
    char epochs[40];
    const char **settings = calloc((size_t)arguments->settings.count + 2, sizeof *settings);
    int count = 0;
    if (!settings) return usage_error("finetune", "no memory for the command line");
    snprintf(epochs, sizeof epochs, "epochs=%lld", (long long)arguments->epochs);
    if (arguments->epochs) settings[count++] = epochs;
    for (int i = 0; i < arguments->settings.count; i++) settings[count++] = arguments->settings.items[i];
    int status = run(arguments, settings);
    free(settings);
    return status;
}

static int check(const FinetuneArguments *arguments, const CommandLine *line) {
    if (line->count == 0) return usage_error("finetune", "no pictures given: a folder with a folder for each class");
    if (line->count > 1) return usage_error("finetune", "unexpected argument '%.60s'", line->arguments[1]);
    if (arguments->resume && !arguments->out)
        return usage_error("finetune", "--resume wants --out DIR, the run to go on with");
    if (arguments->resume && (arguments->from || arguments->epochs || arguments->settings.count))
        return usage_error("finetune", "--resume goes on as the run began; leave out --from, --epochs and --set");
    if (!arguments->resume && !arguments->from)
        return usage_error("finetune",
                           "--from WEIGHTS is missing: trained weights to begin with, such as a file of timm's "
                           "or a run of effnet");
    return PARSED;
}

int verb_finetune(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "finetune",
        .text =
            "PICTURES holds a folder for each class, or train/ and val/ with these; without splits a fifth of each "
            "class\n"
            "is kept to evaluate on, chosen by the pictures' content, so that it stays where pictures are added. First "
            "a\n"
            "classifier is fitted to the features as they are, then all weights are trained together, early layers "
            "least;\n"
            "the checkpoint that is best on the pictures kept apart is the result, with a report. Epochs, batch and\n"
            "augmentation go by the number of pictures; --set changes any recipe key (effnet train --help-keys).\n",
        .examples = "  effnet finetune photographs --from timm/tf_efficientnet_b0.in1k\n"
                    "  effnet finetune photographs --from lite0.safetensors --out runs/bees --epochs 20\n"
                    "  effnet finetune photographs --from runs/birds --set val_split=30% --set seed=1 --json\n"
                    "  effnet finetune photographs --out runs/bees --resume\n"
                    "  effnet predict runs/bees new-photograph.jpg\n",
    };
    FinetuneArguments arguments = {0};
    const Option options[] = {
        OPTION_ROW_TEXT("from", "WEIGHTS", &arguments.from,
                        "trained weights to begin with: any file that 'effnet import' takes, a name such as "
                        "timm/tf_efficientnet_b0.in1k, or a run or checkpoint of effnet"),
        OPTION_ROW_TEXT("out", "DIR", &arguments.out, "run folder; default: runs/ and the last part of PICTURES"),
        OPTION_ROW_INTEGER("epochs", "N", &arguments.epochs, 1, 100000,
                           "passes over the training pictures; default: 3 to 8, by their number"),
        OPTION_ROW_SET(&arguments.settings, "a recipe key"),
        OPTION_ROW_FLAG("resume", &arguments.resume, "go on with an interrupted run in --out"),
        OPTION_ROW_TEXT("time-limit", "TIME", &arguments.time_limit,
                        "stop as Ctrl-C does after this time: 90s, 30m, 2h, 1d12h"),
        OPTION_ROW_OFFLINE(&arguments.offline),
        OPTION_ROW_THREADS(&arguments.threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_FLAG("quiet", &arguments.quiet, "no running progress line, only the lines of epochs"),
        OPTION_ROW_FLAG("no-report", &arguments.no_report, "do not write OUT/report"),
        OPTION_ROW_JSON(&arguments.json, "the result as one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    double seconds = 0;
    if (status == PARSED) status = check(&arguments, &line);
    if (status == PARSED && arguments.time_limit && !text_to_seconds(arguments.time_limit, &seconds))
        status =
            usage_error("finetune", "--time-limit is '%.60s'; allowed: 90s, 30m, 2h, 1d or such, ten years at most",
                        arguments.time_limit);
    if (status == PARSED) {
        if (seconds > 0) interrupt_after(seconds, arguments.time_limit);
        arguments.pictures = line.arguments[0];
        status = run_with_settings(&arguments);
    }
    free(arguments.settings.items);
    return status;
}
