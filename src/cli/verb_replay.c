/* verb_replay.c - effnet replay: training on batches given as tensors, to be held against another program's run. */
#include "common_options.h"
#include "interrupt.h"
#include "settings.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ReplayArguments {
    const char *batches, *init, *dump, *engine, *device;
    int64_t steps, steps_per_epoch, threads;
    OptionList settings;
    bool json;
} ReplayArguments;

/* A line a step, on the disk or in the pipe before the next step begins. */
static bool print_step(void *context, const effnet_replay_step *step) {
    const ReplayArguments *arguments = context;
    if (arguments->json) {
        json_t *object = json_object();
        json_object_set_new(object, "step", json_integer(step->step));
        json_object_set_new(object, "loss", json_rounded(step->loss, 10));
        json_object_set_new(object, "lr", json_rounded(step->lr, 10));
        json_object_set_new(object, "gradient_norm", json_rounded(step->gradient_norm, 10));
        if (json_print("replay", object) != EXIT_OK) return true;
    } else {
        if (step->step == 1) printf("%8s  %12s  %12s  %13s\n", "step", "loss", "lr", "gradient norm");
        printf("%8lld  %12.6f  %12.6g  %13.6g\n", (long long)step->step, step->loss, step->lr, step->gradient_norm);
    }
    fflush(stdout);
    return interrupt_requested();
}

static int run(const effnet_recipe *recipe, ReplayArguments *arguments) {
    effnet_error error;
    interrupt_install();
    const effnet_replay_options options = {
        .struct_size = sizeof options,
        .batches = arguments->batches,
        .init = arguments->init,
        .steps = arguments->steps,
        .steps_per_epoch = arguments->steps_per_epoch,
        .dump = arguments->dump,
        .threads = (int)arguments->threads,
        .on_step = print_step,
        .on_step_context = arguments,
    };
    if (effnet_replay(recipe, &options, &error) != EFFNET_OK) return report("replay", &error);
    return EXIT_OK;
}

int verb_replay(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "replay",
        .text =
            "No data pipeline, no evaluation, no checkpoint: a step takes the next batch as it stands in FILE, which "
            "is\n"
            "a .safetensors with `images`, float32 (N, H, W, 3) or (batches, N, H, W, 3), resized and normalised, and\n"
            "`labels`, int32 (N) or (batches, N). One long N is cut into batches of the recipe's batch_size. More "
            "steps\n"
            "than batches begin with the first again. Model, initial weights, masks, loss, optimizer, schedule and\n"
            "averages are the recipe's; num_classes may be left to the weights of --init.\n"
            "The dump is a .safetensors with the vectors steps/loss, steps/lr and steps/gradient_norm, and under "
            "timm's\n"
            "names weights/NAME (running statistics among them), ema/NAME and the optimizer's slots, such as\n"
            "mean_square/NAME and momentum/NAME.\n",
        .examples =
            "  effnet replay recipes/imagenet-b0.yaml --batches batches.safetensors --init weights.safetensors\n"
            "  effnet replay recipes/imagenet-b0.yaml --batches batches.safetensors --set batch_size=8 \\\n"
            "      --set num_classes=10 --set resolution=64 --steps 50 --dump out.safetensors --json\n",
    };
    ReplayArguments arguments = {0};
    const Option options[] = {
        OPTION_ROW_TEXT("batches", "FILE", &arguments.batches, "images and labels (.safetensors); must be given"),
        OPTION_ROW_TEXT("init", "FILE", &arguments.init,
                        "start from these weights (.safetensors); default: drawn as the recipe says"),
        OPTION_ROW_INTEGER("steps", "N", &arguments.steps, 1, INT32_MAX, "steps to train; default: each batch once"),
        OPTION_ROW_INTEGER("steps-per-epoch", "N", &arguments.steps_per_epoch, 1, INT32_MAX,
                           "steps that the schedule counts as an epoch; default: as many as there are batches"),
        OPTION_ROW_TEXT("dump", "FILE", &arguments.dump,
                        "write weights, statistics, slots, averages and the steps' numbers here at the end"),
        OPTION_ROW_THREADS(&arguments.threads, "the recipe's, or " ONE_EACH_PROCESSOR),
        OPTION_ROW_ENGINE(&arguments.engine),
        OPTION_ROW_DEVICE(&arguments.device),
        OPTION_ROW_SET(&arguments.settings, "change one key of the recipe"),
        OPTION_ROW_JSON(&arguments.json, "one JSON object a step"),
        {0}};
    CommandLine line;
    effnet_recipe *recipe = NULL;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status == PARSED && !arguments.batches) status = usage_error("replay", "--batches FILE is missing");
    if (status == PARSED) {
        status = open_only_recipe("replay", &line, &arguments.settings, arguments.engine, &recipe);
        if (status == EXIT_OK) status = apply_device("replay", recipe, arguments.device);
        if (status == EXIT_OK) status = run(recipe, &arguments);
    }
    effnet_recipe_free(recipe);
    free(arguments.settings.items);
    return status;
}
