/* verb_train.c - effnet train: a run as a recipe says, watched. */
#include "common_options.h"
#include "interrupt.h"
#include "plan_text.h"
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

typedef struct TrainArguments {
    const char *data, *out, *init, *engine, *device, *time_limit, *dist;
    bool resume, resume_anyway, memory_anyway, help_keys, quiet, dry_run, no_report, offline;
    int64_t steps, threads, dist_timeout;
    OptionList settings;
} TrainArguments;

/* The keys as Markdown, which docs/recipe.md is and a terminal shows well enough. */
static void print_key(void *context, const char *section, const char *key, const char *type, const char *initial,
                      const char *allowed, const char *help) {
    const char **last = context;
    if (!*last || strcmp(*last, section) != 0) printf("\n## %c%s\n\n", section[0] & ~0x20, section + 1);
    *last = section;
    if (strcmp(type, "text") == 0)
        printf("- `%s: \"%s\"` (text) - %s\n", key, initial, help);
    else
        printf("- `%s: %s` (%s%s%s) - %s\n", key, initial, type, strcmp(type, "list") == 0 ? " of " : ": ", allowed,
               help);
}

static int print_keys(void) {
    const char *section = NULL;
    printf(
        "# Recipe keys\n\n"
        "A recipe is a YAML file of `key: value` lines; a key that is left out has the value shown here. Any of\n"
        "them can be set on the command line: `effnet train RECIPE --set lr=0.1 --set mean=0.5,0.5,0.5`. An unknown\n"
        "or doubled key, a wrong type and a value out of range are errors that name file, line and key.\n"
        "`checkpoint: {keep: 3}` is the same as `checkpoint.keep: 3`.\n\n"
        "This page is what `effnet train --help-keys` prints, made from `src/recipe/keys.def`; a test compares "
        "them.\n");
    effnet_recipe_keys(print_key, &section);
    return EXIT_OK;
}

static int run(effnet_recipe *recipe, const TrainArguments *arguments) {
    ProgressDisplay display;
    effnet_train_result result = {.struct_size = sizeof result};
    effnet_error error;
    char duration[32], init[WEIGHTS_PATH];
    const char *begin = arguments->init;
    if (weights_source_replace(&begin, arguments->offline, init, &error) != EFFNET_OK) return report("train", &error);
    if (arguments->dry_run) {
        const effnet_train_options planned = {.struct_size = sizeof planned,
                                              .data = arguments->data,
                                              .init = begin,
                                              .steps = arguments->steps,
                                              .threads = (int)arguments->threads};
        return plan_and_print("train", recipe, &planned, 0, false);
    }
    progress_begin(&display, stdout);
    display.quiet_steps = arguments->quiet;
    display.may_vanish = true;
    interrupt_install();
    const effnet_train_options options = {
        .struct_size = sizeof options,
        .data = arguments->data,
        .out = arguments->out,
        .init = begin,
        .resume = arguments->resume || arguments->resume_anyway,
        .resume_anyway = arguments->resume_anyway,
        .memory_anyway = arguments->memory_anyway,
        .steps = arguments->steps,
        .no_report = arguments->no_report,
        .threads = (int)arguments->threads,
        .dist = arguments->dist,
        .dist_timeout = (double)arguments->dist_timeout,
        .progress = progress_show,
        .progress_context = &display,
    };
    effnet_status status = effnet_train(recipe, &options, &result, &error);
    progress_end(&display);
    if (status != EFFNET_OK && result.told_elsewhere)
        return status == EFFNET_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
    if (status != EFFNET_OK) return report("train", &error);
    if (result.worker > 0) return EXIT_OK;
    if (series_is_record(result.report)) return series_print("train", result.report, false);
    text_duration(result.seconds, duration, sizeof duration);
    printf("done: %lld steps in %s", (long long)result.steps, duration);
    if (result.top1 >= 0) printf(", top-1 %.2f %%", result.top1);
    if (result.ema_top1 >= 0) printf(", EMA top-1 %.2f %%", result.ema_top1);
    printf("\ncheckpoint: %s\n", result.checkpoint);
    if (result.report[0]) printf("report: %s\n", result.report);
    standard_stream_let_go(stdout);
    return EXIT_OK;
}

int verb_train(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "train",
        .text =
            "A recipe is a YAML file; recipes/ has some, and --help-keys lists every key. The run folder receives\n"
            "log.jsonl, recipe.yaml (resolved) and checkpoints/, with links to the last and the best of them.\n"
            "Ctrl-C finishes the step, writes a checkpoint and exits with status 130; --resume goes on from there.\n"
            "SIGTERM, SIGHUP (a closed terminal; not under nohup), SIGUSR1, SIGXCPU, SIGQUIT and the end of "
            "--time-limit\n"
            "do the same; a second signal kills at once.\n",
        .examples = "  effnet train recipes/fashion-mnist-b0.yaml\n"
                    "  effnet train recipes/hymenoptera.yaml --data hymenoptera_data --out runs/bees\n"
                    "  effnet train recipes/hymenoptera.yaml --data hymenoptera_data --out runs/bees --resume\n"
                    "  effnet train recipes/cifar10-b0.yaml --data cifar10 --set epochs=1 --set lr=0.01 --steps 100\n",
    };
    TrainArguments arguments = {0};
    const Option options[] = {
        OPTION_ROW_TEXT("data", "DIR", &arguments.data,
                        "pictures: train/CLASS/*.jpg, val/CLASS/*.jpg, or IDX files; default: the recipe's 'data'"),
        OPTION_ROW_TEXT("out", "DIR", &arguments.out, "run folder; default: runs/ and the recipe's name"),
        OPTION_ROW_FLAG("resume", &arguments.resume, "go on from the newest checkpoint in the run folder, bit for bit"),
        OPTION_ROW_FLAG("resume-anyway", &arguments.resume_anyway,
                        "the same with other class names, other pictures or another engine than the checkpoint's"),
        OPTION_ROW_FLAG("memory-anyway", &arguments.memory_anyway,
                        "begin although the run needs more memory than is free"),
        OPTION_ROW_TEXT(
            "init", "WEIGHTS", &arguments.init,
            "start from these weights (.safetensors, .pth, or a hub's name, OWNER/NAME); the classifier's rows go "
            "by class name, new ones are drawn "
            "afresh"),
        OPTION_ROW_INTEGER("steps", "N", &arguments.steps, 1, INT64_MAX / 2,
                           "stop after step N of the run; default: the recipe's epochs"),
        OPTION_ROW_TEXT("time-limit", "TIME", &arguments.time_limit,
                        "stop as Ctrl-C does after this time: 90s, 30m, 2h, 1d12h; leave some for the last checkpoint"),
        OPTION_ROW_OFFLINE(&arguments.offline),
        OPTION_ROW_THREADS(&arguments.threads, "the recipe's, or " ONE_EACH_PROCESSOR),
        OPTION_ROW_ENGINE(&arguments.engine),
        OPTION_ROW_DEVICE(&arguments.device),
        OPTION_ROW_DIST(&arguments.dist, "with an equal part of the recipe's replicas"),
        OPTION_ROW_DIST_TIMEOUT(&arguments.dist_timeout),
        OPTION_ROW_SET(&arguments.settings, "change one key of the recipe"),
        OPTION_ROW_FLAG("quiet", &arguments.quiet, "no running progress line, only the lines of epochs"),
        OPTION_ROW_FLAG(
            "no-report", &arguments.no_report,
            "do not write OUT/report at the end: a page with curves, mistakes and confusion, JSON, predictions as "
            "CSV"),
        OPTION_ROW_FLAG("dry-run", &arguments.dry_run,
                        "tell time, memory, schedule and what looks wrong, as 'effnet plan', and write nothing"),
        OPTION_ROW_FLAG("help-keys", &arguments.help_keys, "list every recipe key"),
        {0}};
    CommandLine line;
    effnet_recipe *recipe = NULL;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status == PARSED && arguments.help_keys) status = print_keys();
    double seconds = 0;
    if (status == PARSED && arguments.time_limit && !text_to_seconds(arguments.time_limit, &seconds))
        status = usage_error("train", "--time-limit is '%.60s'; allowed: 90s, 30m, 2h, 1d or such, ten years at most",
                             arguments.time_limit);
    if (status == PARSED && seconds > 0) interrupt_after(seconds, arguments.time_limit);
    if (status == PARSED) {
        status = open_only_recipe("train", &line, &arguments.settings, arguments.engine, &recipe);
        if (status == EXIT_OK) status = apply_device("train", recipe, arguments.device);
        if (status == EXIT_OK) status = run(recipe, &arguments);
    }
    effnet_recipe_free(recipe);
    free(arguments.settings.items);
    return status;
}
