/* run_classes.c - see run_classes.h. */
#include "train/run_classes.h"

#include "format/safetensors.h"
#include "train/card.h"
#include "train/initial_state.h"
#include "train/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 16, NAMES_SHOWN = 5 };

char **run_class_names(const Dataset *dataset, int num_classes) {
    int named = dataset_num_classes(dataset), more = num_classes > named ? num_classes - named : 0;
    char **names = malloc((size_t)num_classes * sizeof *names + (size_t)more * NUMBER_BYTES);
    if (!names) return NULL;
    char *text = (char *)(names + num_classes);
    for (int c = 0; c < num_classes; c++) {
        if (c < named) {
            names[c] = (char *)dataset_class_name(dataset, c); /* never written */
            continue;
        }
        snprintf(text, NUMBER_BYTES, "%d", c);
        for (int other = 0; other < named; other++) /* a class of that name has another number */
            if (strcmp(dataset_class_name(dataset, other), text) == 0) snprintf(text, NUMBER_BYTES, "(%d)", c);
        names[c] = text;
        text += NUMBER_BYTES;
    }
    return names;
}

/* The classifier's two tensors: a row of `width` floats a class. */
typedef struct Head {
    const Parameter *weight, *bias;
    size_t width;
} Head;

static bool find_head(const Network *network, Head *head) {
    bool statistic;
    head->weight = network_find(network, "classifier.weight", &statistic);
    head->bias = network_find(network, "classifier.bias", &statistic);
    head->width = head->weight ? (size_t)head->weight->shape[1] : 0;
    return head->weight && head->bias;
}

static int class_of(const ModelCard *card, const char *name) {
    for (int c = 0; c < card->config.num_classes; c++)
        if (strcmp(card->class_names[c], name) == 0) return c;
    return -1;
}

/* Rows of the file's classifier to where their names are now; `fresh` (weights, then biases) where the file has none.
 */
static effnet_status place_rows(Run *run, const Head *head, const ModelCard *from, const float *fresh,
                                effnet_error *err) {
    float *parameters = run->trainer.state.parameters;
    const size_t width = head->width;
    const int classes = run->network.config.num_classes;
    Safetensors *file;
    TRY(safetensors_open(run->options->init, &file, err));
    int weight = safetensors_find(file, "classifier.weight"), bias = safetensors_find(file, "classifier.bias");
    effnet_status status = EFFNET_OK;
    int taken = 0, moved = 0, missing = 0;
    char list[300] = "";
    for (int c = 0; c < classes && status == EFFNET_OK; c++) {
        float *row = parameters + head->weight->offset + (size_t)c * width,
              *shift = parameters + head->bias->offset + (size_t)c;
        int old = class_of(from, run->card.class_names[c]);
        if (old >= 0) {
            status = safetensors_read_part(file, weight, (size_t)old * width, row, width, err);
            if (status == EFFNET_OK) status = safetensors_read_part(file, bias, (size_t)old, shift, 1, err);
            taken++;
            moved += old != c;
            continue;
        }
        memcpy(row, fresh + (size_t)c * width, width * sizeof *row);
        *shift = fresh[(size_t)classes * width + (size_t)c];
        size_t used = strlen(list);
        if (missing++ < NAMES_SHOWN)
            snprintf(list + used, sizeof list - used, "%s'%.40s'", used ? ", " : "", run->card.class_names[c]);
    }
    safetensors_close(file);
    TRY(status);
    run->head_drawn = false;                                                          /* what the note says is more */
    if (missing == 0 && moved == 0 && run->options->evaluate_first) return EFFNET_OK; /* accuracy says it */
    if (missing == 0 && moved == 0)
        run_note(&run->notes, "the classifier of --init was kept: it has the same %d classes, '%.40s' to '%.40s'",
                 classes, from->class_names[0], from->class_names[classes - 1]);
    else
        run_note(&run->notes,
                 "of the classifier of --init, which has %d classes ('%.40s' to '%.40s'), %d rows were taken over by "
                 "name%s; %d of the %d classes here are new to it and begin afresh%s%s%s",
                 from->config.num_classes, from->class_names[0], from->class_names[from->config.num_classes - 1], taken,
                 moved ? ", some at another place" : "", missing, classes, missing ? ": " : "", list,
                 missing > NAMES_SHOWN ? ", ..." : "");
    return EFFNET_OK;
}

/* The file's classifier has a row a class, as wide as ours. */
static bool rows_fit(const char *path, const ModelCard *card, size_t width) {
    Safetensors *file;
    if (safetensors_open(path, &file, NULL) != EFFNET_OK) return false;
    int weight = safetensors_find(file, "classifier.weight"), bias = safetensors_find(file, "classifier.bias");
    bool fit = weight >= 0 && bias >= 0;
    if (fit) {
        SafetensorsTensor rows = safetensors_tensor(file, weight), shifts = safetensors_tensor(file, bias);
        fit = rows.rank == 2 && rows.shape[0] == card->config.num_classes && rows.shape[1] == (int64_t)width &&
              shifts.rank == 1 && shifts.shape[0] == card->config.num_classes;
    }
    safetensors_close(file);
    return fit;
}

effnet_status run_read_initial(Run *run, effnet_error *err) {
    const char *path = run->options->init;
    TrainState *state = &run->trainer.state;
    Head head;
    if (!find_head(&run->network, &head)) return fail(err, EFFNET_ERROR_ARGUMENT, "the network has no classifier");
    const size_t weights = head.weight->count, biases = head.bias->count;
    float *fresh = malloc((weights + biases) * sizeof *fresh);
    if (!fresh) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a classifier");
    memcpy(fresh, state->parameters + head.weight->offset, weights * sizeof *fresh);
    memcpy(fresh + weights, state->parameters + head.bias->offset, biases * sizeof *fresh);
    effnet_status status =
        train_state_read_initial(path, &run->network, run->recipe, state, true, &run->head_drawn, err);
    ModelCard card = {0};
    bool known = status == EFFNET_OK && weights_read_card(path, &card, NULL) == EFFNET_OK;
    const int had = known ? card.config.input.channels : 0, wanted = run->network.config.input.channels;
    if (had && had != wanted)
        run_note(
            &run->notes,
            "the first convolution of --init, which takes pictures of %d channel%s, was converted to %d as timm does",
            had, had == 1 ? "" : "s", wanted);
    if (known && card.class_names && run->card.class_names && rows_fit(path, &card, head.width)) {
        status = place_rows(run, &head, &card, fresh, err);
        if (status == EFFNET_OK) train_state_start_averages(&run->network, run->recipe, state);
    } else if (status == EFFNET_OK && !run->head_drawn)
        run_note(
            &run->notes,
            "the classifier of --init was kept as it is, though %s names its classes: output 0 is taken for '%.40s'",
            run->card.class_names ? "the file does not" : "nobody",
            run->card.class_names ? run->card.class_names[0] : "0");
    if (known) model_card_free(&card);
    free(fresh);
    return status;
}
