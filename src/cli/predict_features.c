/* predict_features.c - features of pictures as lines, or as an array of NumPy: NAME.npy, format 1.0 (NEP 1), float32, in
 * rows as the pictures came, (N, C) or (N, H, W, C). Its header says N, which is known at the end: room for it is kept. */
#include "predict_forms.h"

#include "interrupt.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NPY_HEADER = 128, NPY_BEGIN = 10, DIGITS = 9 };

static bool told(FeatureWriter *writer, const char *name) {
    if (!writer->failed) fprintf(stderr, "effnet predict: cannot write '%s': %s\n", name, strerror(errno));
    writer->failed = true;
    return false;
}

/* The header's 128 bytes at the stream's place. */
static bool write_header(FeatureWriter *writer) {
    char header[NPY_HEADER + 1], shape[60];
    const char *order = (const union {
                            uint16_t number;
                            uint8_t byte;
                        }){.number = 1}
                                .byte
                            ? "<f4"
                            : ">f4";
    if (writer->shape[0] == 1 && writer->shape[1] == 1)
        snprintf(shape, sizeof shape, "%lld, %d", (long long)writer->rows, writer->shape[2]);
    else
        snprintf(shape, sizeof shape, "%lld, %d, %d, %d", (long long)writer->rows, writer->shape[0], writer->shape[1],
                 writer->shape[2]);
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\0", 8);
    header[8] = NPY_HEADER - NPY_BEGIN; /* little-endian, two bytes */
    header[9] = 0;
    const int length = snprintf(header + NPY_BEGIN, sizeof header - NPY_BEGIN,
                                "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", order, shape);
    header[NPY_BEGIN + length] = ' ';
    header[NPY_HEADER - 1] = '\n';
    return fwrite(header, 1, NPY_HEADER, writer->stream) == NPY_HEADER;
}

bool features_begin(FeatureWriter *writer) {
    if (writer->path) {
        struct stat status; /* renaming over a device would take it away from everybody */
        if (stat(writer->path, &status) == 0 && !S_ISREG(status.st_mode)) {
            fprintf(stderr, "effnet predict: cannot write '%s': it is no regular file\n", writer->path);
            writer->failed = true;
            return false;
        }
        const size_t size = strlen(writer->path) + sizeof ".part";
        writer->partial = malloc(size);
        if (!writer->partial) return told(writer, writer->path);
        snprintf(writer->partial, size, "%s.part", writer->path);
        interrupt_removes(writer->path, ".part");
        writer->stream = fopen(writer->partial, "wbe");
        if (!writer->stream || !write_header(writer)) return told(writer, writer->partial);
    }
    if (writer->form != FORM_CSV) return true;
    printf("image,error");
    if (writer->path) printf(",row");
    for (size_t i = 0; !writer->path && i < writer->count; i++) printf(",%s_%zu", writer->feature, i);
    putchar('\n');
    return true;
}

static void print_values(const FeatureWriter *writer, const float *values) {
    if (writer->path) printf(",%lld", (long long)writer->rows);
    for (size_t i = 0; !writer->path && i < writer->count; i++) {
        char number[40];
        text_number((double)values[i], DIGITS, number, sizeof number);
        printf(",%s", number);
    }
    putchar('\n');
}

static json_t *values_to_json(const FeatureWriter *writer, const char *image, const float *values) {
    json_t *object = json_object();
    json_object_set_new(object, "image", json_text(image));
    json_object_set_new(object, "feature", json_text(writer->feature));
    json_object_set_new(object, "shape", json_pack("[i,i,i]", writer->shape[0], writer->shape[1], writer->shape[2]));
    if (writer->path) json_object_set_new(object, "row", json_integer(writer->rows));
    json_t *list = writer->path ? NULL : json_array();
    for (size_t i = 0; list && i < writer->count; i++)
        json_array_append_new(list, json_rounded((double)values[i], DIGITS));
    if (list) json_object_set_new(object, "values", list);
    return object;
}

void features_print(FeatureWriter *writer, const char *image, const float *values) {
    if (writer->path && fwrite(values, sizeof *values, writer->count, writer->stream) != writer->count)
        told(writer, writer->partial);
    if (writer->form == FORM_CSV) {
        print_csv_text(image);
        putchar(',');
        print_values(writer, values);
    } else if (json_print("predict", values_to_json(writer, image, values))) {
        writer->failed = true;
    }
    writer->rows++;
}

void features_print_failure(FeatureWriter *writer, const char *image, const char *why) {
    if (writer->form != FORM_CSV) {
        predict_print_failure(writer->form, image, why, 0);
        return;
    }
    print_csv_text(image);
    putchar(',');
    print_csv_text(why);
    for (size_t i = 0; i < (writer->path ? 1 : writer->count); i++) putchar(',');
    putchar('\n');
}

bool features_end(FeatureWriter *writer, bool whole) {
    FILE *stream = writer->stream;
    if (stream) {
        if (whole && (fseek(stream, 0, SEEK_SET) != 0 || !write_header(writer) || fflush(stream) != 0 ||
                      fsync(fileno(stream)) != 0))
            told(writer, writer->partial);
        if (fclose(stream) != 0) told(writer, writer->partial);
        const bool good = whole && !writer->failed;
        if (good && rename(writer->partial, writer->path) != 0) told(writer, writer->path);
        if (!good || writer->failed) unlink(writer->partial);
    }
    free(writer->partial);
    writer->partial = NULL;
    writer->stream = NULL;
    return !writer->failed;
}
