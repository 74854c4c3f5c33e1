/* verb_plan.c - effnet plan: time, memory, disk and schedule of a run, and what looks wrong in it, before its first
 * step. */
#include "common_options.h"
#include "plan_text.h"
#include "settings.h"
#include "verbs.h"
#include "weights_source.h"

#include <stdlib.h>

int verb_plan(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "plan",
        .text =
            "Opens what 'effnet train' would open, times a few steps on its own pictures, and tells how long the run\n"
            "takes, how much memory and disk it needs, how its learning rate goes, how many pictures each class has, "
            "and\n"
            "what is legal in the recipe and seldom meant. Nothing is written. 'effnet train ... --dry-run' is the "
            "same.\n",
        .examples = "  effnet plan recipes/hymenoptera.yaml --data hymenoptera_data\n"
                    "  effnet plan recipes/cifar10-b0.yaml --data cifar10 --set batch_size=256 --json\n"
                    "  effnet plan recipes/paper-b0.yaml --pictures 1281167        (no data here yet)\n",
    };
    const char *data = NULL, *init = NULL, *engine = NULL, *device = NULL;
    int64_t pictures = 0, steps = 0, threads = 0;
    bool json = false, offline = false;
    char begin[WEIGHTS_PATH];
    effnet_error error;
    OptionList settings = {0};
    const Option options[] = {
        OPTION_ROW_TEXT("data", "DIR", &data, "pictures, as for 'effnet train'; default: the recipe's 'data'"),
        OPTION_ROW_INTEGER("pictures", "N", &pictures, 1, INT64_MAX / 2,
                           "without data: plan for N training pictures, steps timed on noise"),
        OPTION_ROW_TEXT("init", "WEIGHTS", &init, "weights that the run would start from, to see whether they fit"),
        OPTION_ROW_INTEGER("steps", "N", &steps, 1, INT64_MAX / 2,
                           "the run would stop after step N; default: the recipe's epochs"),
        OPTION_ROW_THREADS(&threads, "the recipe's, or " ONE_EACH_PROCESSOR),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DEVICE(&device),
        OPTION_ROW_SET(&settings, "change one key of the recipe"),
        OPTION_ROW_OFFLINE(&offline),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    effnet_recipe *recipe = NULL;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status == PARSED && data && pictures)
        status = usage_error("plan",
                             "--data and --pictures: a plan is for pictures that are there, or for a number of them");
    if (status == PARSED) {
        status = open_only_recipe("plan", &line, &settings, engine, &recipe);
        if (status == EXIT_OK) status = apply_device("plan", recipe, device);
        if (status == EXIT_OK && weights_source_replace(&init, offline, begin, &error) != EFFNET_OK)
            status = report("plan", &error);
        const effnet_train_options train = {
            .struct_size = sizeof train, .data = data, .init = init, .steps = steps, .threads = (int)threads};
        if (status == EXIT_OK) status = plan_and_print("plan", recipe, &train, pictures, json);
    }
    effnet_recipe_free(recipe);
    free(settings.items);
    return status;
}
