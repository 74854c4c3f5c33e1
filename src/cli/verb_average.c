/* verb_average.c - effnet average: several trained weights as one model. */
#include "common_options.h"
#include "interrupt.h"
#include "output_file.h"
#include "progress.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static int print_json(const char *out, const effnet_model *model) {
    json_t *object = json_object();
    json_object_set_new(object, "file", json_text(out));
    json_object_set_new(object, "model", json_text(effnet_model_name(model)));
    text_card_to_json(model, object);
    return json_print("average", object);
}

static int average(const CommandLine *line, const effnet_average_options *options, const char *out, bool json) {
    effnet_model *model = NULL;
    effnet_error error;
    for (int i = 0; i < line->count; i++)
        if (output_is_input("average", out, line->arguments[i])) return EXIT_FAILED;
    interrupt_install();
    effnet_status status = effnet_average((const char *const *)line->arguments, line->count, options, &model, &error);
    progress_end(options->progress_context);
    if (status == EFFNET_OK) status = effnet_model_save(model, out, &error);
    int result = EXIT_OK;
    if (status != EFFNET_OK)
        result = report("average", &error);
    else if (json)
        result = print_json(out, model);
    else {
        const char *notes = effnet_model_notes(model), *last = strrchr(notes, '\n');
        char name[600], done[4000];
        text_for_terminal(out, name, sizeof name);
        text_for_terminal(last ? last + 1 : notes, done, sizeof done);
        printf("%s: %s, %s\n", name, effnet_model_name(model), done);
    }
    effnet_model_free(model);
    return result;
}

int verb_average(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "average",
        .text =
            "A FILE is a .safetensors file, a checkpoint's folder or a run's (its best checkpoint). The mean of their\n"
            "weights is often better than each: of a run's last checkpoints (stochastic weight averaging), or of\n"
            "several fine-tunings that began with the same weights (model soups). Whether it is: 'effnet compare'.\n"
            "The batch norms' statistics belong to weights and fit no mean of them: give --data, the pictures that\n"
            "were trained on, and they are estimated anew; without, they are averaged too. A file that is named twice\n"
            "counts once; models of another kind, other classes or other preprocessing are refused.\n",
        .examples =
            "  effnet average runs/bees/checkpoints/0* --weights raw --data photographs --out bees.safetensors\n"
            "  effnet average runs/seed-1 runs/seed-2 runs/seed-3 --data photographs --out soup.safetensors\n"
            "  effnet average mine.safetensors --data photographs --out mine-new-statistics.safetensors\n",
    };
    const char *data = NULL, *out = NULL, *weights = "ema";
    bool json = false;
    int64_t pictures = 0, batch = 0, threads = 0, workers = 0;
    const Option options[] = {
        OPTION_ROW_TEXT("out", "OUT.safetensors", &out, "the file to write"),
        OPTION_ROW_TEXT(
            "data", "DIR", &data,
            "pictures to estimate the batch norms' statistics on: the training split of any data, each picture "
            "as in evaluation"),
        OPTION_ROW_INTEGER("pictures", "N", &pictures, 1, INT64_MAX,
                           "of --data: that many, drawn at random, are enough; default 10000"),
        OPTION_ROW_INTEGER("batch", "N", &batch, 2, 65536, "pictures whose statistics are taken together; default 32"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_WORKERS(&workers, "threads that read pictures"),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("average", "no FILE given: checkpoints, runs or .safetensors files");
    if (!out) return usage_error("average", "--out OUT.safetensors is missing: the file to write");
    ProgressDisplay display;
    progress_begin_beside(&display);
    const effnet_average_options average_options = {.struct_size = sizeof average_options,
                                                    .raw_weights = strcmp(weights, "raw") == 0,
                                                    .data = data,
                                                    .pictures = pictures,
                                                    .batch = (int)batch,
                                                    .workers = (int)workers,
                                                    .threads = (int)threads,
                                                    .progress = progress_show,
                                                    .progress_context = &display};
    return average(&line, &average_options, out, json);
}
