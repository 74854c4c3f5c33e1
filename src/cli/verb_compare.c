/* verb_compare.c - effnet compare: two models on the same pictures, and whether one is better. */
#include "common_options.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static int print_json(char **files, const effnet_comparison *comparison) {
    json_t *object = json_object(), *models = json_array();
    for (int m = 0; m < 2; m++) {
        json_t *model = json_object();
        json_object_set_new(model, "checkpoint", json_text(files[m]));
        json_object_set_new(model, "top1", json_rounded(comparison->top1[m], 7));
        json_object_set_new(model, "top1_low", json_rounded(comparison->top1_low[m], 5));
        json_object_set_new(model, "top1_high", json_rounded(comparison->top1_high[m], 5));
        json_array_append_new(models, model);
    }
    json_object_set_new(object, "models", models);
    json_object_set_new(object, "pictures", json_integer(comparison->pictures));
    json_object_set_new(object, "both_right", json_integer(comparison->both));
    json_object_set_new(object, "only_first_right", json_integer(comparison->only_first));
    json_object_set_new(object, "only_second_right", json_integer(comparison->only_second));
    json_object_set_new(object, "neither_right", json_integer(comparison->neither));
    json_object_set_new(object, "difference", json_rounded(comparison->difference, 6));
    json_object_set_new(object, "difference_low", json_rounded(comparison->difference_low, 6));
    json_object_set_new(object, "difference_high", json_rounded(comparison->difference_high, 6));
    json_object_set_new(object, "p", json_rounded(comparison->p, 6));
    return json_print("compare", object);
}

static void print_text(const effnet_comparison *c) {
    char pictures[32];
    text_count(c->pictures, pictures, sizeof pictures);
    printf("pictures     %s\n", pictures);
    for (int m = 0; m < 2; m++)
        printf("%-12s %.2f %% (95 %%: %.1f to %.1f)\n", m ? "second" : "first", c->top1[m], c->top1_low[m],
               c->top1_high[m]);
    printf("difference   %+.2f points (95 %%: %+.2f to %+.2f), second less first\n", c->difference, c->difference_low,
           c->difference_high);
    printf("differ       on %lld pictures: only the first is right on %lld, only the second on %lld\n",
           (long long)(c->only_first + c->only_second), (long long)c->only_first, (long long)c->only_second);
    printf("McNemar      p = %.4g: %s\n", c->p,
           c->p >= 0.05        ? "so uneven a split is no surprise between equally good models"
           : c->difference > 0 ? "the second is better"
                               : "the first is better");
}

static int compare(char **files, const char *data, const effnet_model_options *options,
                   effnet_evaluate_options *evaluate, bool json) {
    effnet_model *models[2] = {NULL, NULL};
    effnet_comparison comparison = {.struct_size = sizeof comparison};
    effnet_error error;
    ProgressDisplay display;
    progress_begin_beside(&display);
    evaluate->progress = progress_show;
    evaluate->progress_context = &display;
    effnet_status status = effnet_model_open(files[0], options, &models[0], &error);
    if (status == EFFNET_OK) status = effnet_model_open(files[1], options, &models[1], &error);
    interrupt_install();
    if (status == EFFNET_OK) status = effnet_compare(models[0], models[1], data, evaluate, &comparison, &error);
    progress_end(&display);
    int printed = EXIT_OK;
    if (status != EFFNET_OK)
        printed = report("compare", &error);
    else if (json)
        printed = print_json(files, &comparison);
    else
        print_text(&comparison);
    if (status == EFFNET_OK && evaluate->report && !json) printf("report       %s/compare.html\n", evaluate->report);
    effnet_model_free(models[0]);
    effnet_model_free(models[1]);
    return printed;
}

int verb_compare(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "compare",
        .text =
            "Both models answer to the same pictures, so what counts are those on which they differ: McNemar's exact\n"
            "test says how likely so uneven a split is between equally good models, the interval (Newcombe's) how "
            "large\n"
            "the difference may be. FIRST and SECOND are checkpoints, as for 'effnet eval'; they may be of other "
            "sizes\n"
            "and have other orders of the same classes.\n",
        .examples = "  effnet compare runs/bees runs/bees-long --data hymenoptera_data\n"
                    "  effnet compare runs/bees lite0.safetensors --data hymenoptera_data --report difference --json\n",
    };
    const char *data = NULL, *weights = "ema", *engine = NULL, *dtype = "fp32", *folder = NULL;
    bool json = false;
    int64_t batch = 0, threads = 0, workers = 0;
    const Option options[] = {
        OPTION_ROW_TEXT("data", "DIR", &data, "pictures, as for 'effnet eval'"),
        OPTION_ROW_REPORT(&folder, "write compare.html, with the pictures on which they differ, and differences.csv"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_BATCH(&batch, "pictures at a time; changes speed and memory, not the result"),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_WORKERS(&workers, "threads that read pictures"),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DTYPE(&dtype),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count < 2) return usage_error("compare", "two checkpoints are compared; %d given", line.count);
    if (line.count > 2) return usage_error("compare", "unexpected argument '%.60s'", line.arguments[2]);
    if (!data) return usage_error("compare", "--data DIR is missing: the pictures to compare on");
    const effnet_model_options model_options = {
        .struct_size = sizeof model_options,
        .threads = (int)threads,
        .raw_weights = strcmp(weights, "raw") == 0,
        .engine = engine,
        .dtype = dtype,
    };
    effnet_evaluate_options evaluate = {
        .struct_size = sizeof evaluate, .batch = (int)batch, .workers = (int)workers, .report = folder};
    return compare(line.arguments, data, &model_options, &evaluate, json);
}
