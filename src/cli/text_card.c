/* text_card.c - what a model's file says of it, for a person and as JSON: its classes, how pictures are prepared, where
 * the weights come from. */
#include "text.h"

#include <string.h>

enum { SHOWN = 6 }; /* classes named of many: as many less one, and the last */

static void print_classes(const effnet_model *model, FILE *stream) {
    const int classes = effnet_model_classes(model);
    char label[80], count[32];
    text_count(classes, count, sizeof count);
    fprintf(stream, "classes %s: ", count);
    for (int i = 0; i < classes; i++) {
        if (classes > SHOWN && i == SHOWN - 1) {
            fprintf(stream, "..., ");
            i = classes - 1;
        }
        text_for_terminal(effnet_model_label(model, i), label, sizeof label);
        fprintf(stream, "%s%s", label, i < classes - 1 ? ", " : "\n");
    }
}

static void print_channels(const double *values, int channels, FILE *stream) {
    for (int c = 0; c < channels; c++) {
        char text[32];
        text_number(values[c], 4, text, sizeof text);
        fprintf(stream, " %s", text);
    }
}

static void print_preprocessing(const effnet_model *model, FILE *stream) {
    effnet_preprocessing how = {.struct_size = sizeof how};
    char crop[32];
    if (effnet_model_preprocessing(model, &how, NULL) != EFFNET_OK) return;
    text_number(how.crop_pct, 4, crop, sizeof crop);
    fprintf(stream, "input   %dx%d, val_crop %s, crop_pct %s, %s (%s%s)", how.height, how.width, how.val_crop, crop,
            how.interpolation, how.resize, strcmp(how.overshoot, "keep") == 0 ? ", overshoot kept" : "");
    if (how.pad_to) fprintf(stream, ", padded to %d", how.pad_to);
    if (how.exif_orientation) fprintf(stream, ", turned upright");
    if (how.channels != 3) fprintf(stream, ", %d channel%s", how.channels, how.channels > 1 ? "s" : "");
    fprintf(stream, ", mean");
    print_channels(how.channel_mean, how.channels, stream);
    fprintf(stream, ", std");
    print_channels(how.channel_std, how.channels, stream);
    fprintf(stream, "\n");
}

static void print_origin(const effnet_model *model, FILE *stream) {
    const char *rest = effnet_model_notes(model), *heading = "from    ";
    char line[600];
    if (!*rest) fprintf(stream, "from    nobody says: the file has no note of it\n");
    while (*rest) {
        const size_t length = strcspn(rest, "\n");
        char copy[600];
        snprintf(copy, sizeof copy, "%.*s", (int)length, rest);
        text_for_terminal(copy, line, sizeof line);
        fprintf(stream, "%s%s\n", heading, line);
        heading = "        ";
        rest += length + (rest[length] == '\n');
    }
}

void text_print_card(const effnet_model *model, FILE *stream) {
    char used[1400];
    text_model(model, used, sizeof used);
    fprintf(stream, "model   %s\n", used);
    print_classes(model, stream);
    print_preprocessing(model, stream);
    print_origin(model, stream);
}

static json_t *channels_to_json(const double *values, int channels) {
    json_t *list = json_array();
    for (int c = 0; c < channels; c++) json_array_append_new(list, json_rounded(values[c], 7));
    return list;
}

void text_card_to_json(const effnet_model *model, json_t *object) {
    effnet_preprocessing how = {.struct_size = sizeof how};
    json_t *classes = json_array(), *prepared = json_object();
    for (int i = 0; i < effnet_model_classes(model); i++)
        json_array_append_new(classes, json_text(effnet_model_label(model, i)));
    json_object_set_new(object, "classes", classes);
    if (effnet_model_preprocessing(model, &how, NULL) == EFFNET_OK) {
        json_object_set_new(prepared, "height", json_integer(how.height));
        json_object_set_new(prepared, "width", json_integer(how.width));
        json_object_set_new(prepared, "in_chans", json_integer(how.channels));
        json_object_set_new(prepared, "mean", channels_to_json(how.channel_mean, how.channels));
        json_object_set_new(prepared, "std", channels_to_json(how.channel_std, how.channels));
        json_object_set_new(prepared, "crop_pct", json_rounded(how.crop_pct, 7));
        json_object_set_new(prepared, "val_crop", json_text(how.val_crop));
        json_object_set_new(prepared, "interpolation", json_text(how.interpolation));
        json_object_set_new(prepared, "resize", json_text(how.resize));
        json_object_set_new(prepared, "overshoot", json_text(how.overshoot));
        json_object_set_new(prepared, "pad_to", json_integer(how.pad_to));
        json_object_set_new(prepared, "exif_orientation", json_boolean(how.exif_orientation));
    }
    json_object_set_new(object, "preprocessing", prepared);
    json_object_set_new(object, "origin", json_text(effnet_model_notes(model)));
}
