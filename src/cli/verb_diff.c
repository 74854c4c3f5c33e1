/* verb_diff.c - effnet diff: where the recipes of two runs differ, and from which step their curves do. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void key_to_json(void *context, const char *key, const char *first, const char *second) {
    json_t *pair = json_array();
    json_array_append_new(pair, json_text(first));
    json_array_append_new(pair, json_text(second));
    json_object_set_new(context, key, pair);
}

static void print_key(void *context, const char *key, const char *first, const char *second) {
    char values[2][300];
    (void)context;
    text_for_terminal(first, values[0], sizeof values[0]);
    text_for_terminal(second, values[1], sizeof values[1]);
    printf("  %-24s %-24s %s\n", key, *first ? values[0] : "\"\"", *second ? values[1] : "\"\"");
}

static json_t *two_numbers(const double values[2]) {
    json_t *pair = json_array();
    for (int i = 0; i < 2; i++)
        json_array_append_new(pair, values[i] == values[i] ? json_rounded(values[i], 9) : json_null());
    return pair;
}

static int print_json(const effnet_run_difference *difference, json_t *keys) {
    json_t *object = json_object();
    json_object_set_new(object, "keys", keys);
    json_object_set_new(object, "lines", json_integer(difference->lines));
    json_object_set_new(object, "parted_step", json_integer(difference->parted_step));
    json_object_set_new(object, "parted_by", json_text(difference->parted_by));
    json_object_set_new(object, "parted_loss", two_numbers(difference->parted_loss));
    json_object_set_new(object, "apart_step", json_integer(difference->apart_step));
    json_object_set_new(object, "last_step",
                        json_pack("[II]", (json_int_t)difference->last_step[0], (json_int_t)difference->last_step[1]));
    json_object_set_new(object, "loss", two_numbers(difference->loss));
    json_object_set_new(object, "top1", two_numbers(difference->top1));
    return json_print("diff", object);
}

static void print_text(const effnet_run_difference *d) {
    if (d->keys == 0) printf("recipes: the same\n");
    if (d->lines == 0)
        printf("curves: the logs have no step in common\n");
    else if (d->parted_step < 0)
        printf("curves: the same in all %lld lines that both logs have\n", (long long)d->lines);
    else
        printf("curves: part at step %lld, by the %s (loss %.9g and %.9g)\n", (long long)d->parted_step,
               strcmp(d->parted_by, "fingerprint") == 0 ? "fingerprint of the weights" : d->parted_by,
               d->parted_loss[0], d->parted_loss[1]);
    if (d->parted_step >= 0 && d->apart_step >= 0)
        printf("        losses are 1 %% apart from step %lld on\n", (long long)d->apart_step);
    if (d->parted_step >= 0 && d->apart_step < 0) printf("        losses never come to be 1 %% apart\n");
    printf("%-8s%12s%12s\n", "", "first", "second");
    printf("%-8s%12lld%12lld\n", "steps", (long long)d->last_step[0], (long long)d->last_step[1]);
    printf("%-8s%12.4f%12.4f\n", "loss", d->loss[0], d->loss[1]);
    if (d->top1[0] >= 0 || d->top1[1] >= 0) printf("%-8s%10.2f %%%10.2f %%\n", "top-1", d->top1[0], d->top1[1]);
}

int verb_diff(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "diff",
        .text =
            "RUN1 and RUN2 are run folders. Keys of their recipes that differ are listed; then the first step at "
            "which\n"
            "their logs do: by learning rate, loss, norm of the gradient or fingerprint of the weights, all digits of\n"
            "which are compared. Two runs of one recipe, data and seed never part.\n",
        .examples = "  effnet diff runs/bees runs/bees-again\n"
                    "  effnet diff runs/bees runs/bees-adamw --json\n",
    };
    bool json = false;
    const Option options[] = {OPTION_ROW_JSON(&json, "one JSON object"), {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count < 2) return usage_error("diff", "two runs are compared; %d given", line.count);
    if (line.count > 2) return usage_error("diff", "unexpected argument '%.60s'", line.arguments[2]);
    json_t *keys = json_object();
    const effnet_diff_options diff_options = {
        .struct_size = sizeof diff_options, .key = json ? key_to_json : print_key, .context = keys};
    effnet_run_difference difference = {.struct_size = sizeof difference};
    effnet_error error;
    if (effnet_diff_runs(line.arguments[0], line.arguments[1], &diff_options, &difference, &error) != EFFNET_OK)
        status = report("diff", &error);
    else if (json)
        return print_json(&difference, keys);
    else
        print_text(&difference);
    json_decref(keys);
    return status == PARSED ? EXIT_OK : status;
}
