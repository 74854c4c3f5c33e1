/* source.c - the part of a data set that is the same for every source: from stored bytes to pixels, names of classes
 * and their renumbering where a model numbers them in another order, and what was lost on the way. */
#include "data/sources/source.h"
#include "base/memory.h"
#include "base/number_text.h"
#include "base/sha1.h"
#include "base/text_file.h"
#include "data/picture/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dataset_free(Dataset *dataset) {
    if (!dataset) return;
    dataset->methods->release(dataset);
    name_list_free(&dataset->own_classes);
    name_list_free(&dataset->given_classes);
    name_list_free(&dataset->losses);
    name_list_free(&dataset->remarks);
    name_set_free(&dataset->passed_over);
    free(dataset->passed_counts);
    free(dataset->renumbered);
    free(dataset);
}

int64_t dataset_size(const Dataset *dataset) {
    return dataset->size;
}

static const NameList *classes_of(const Dataset *dataset) {
    return dataset->renumbered ? &dataset->given_classes : &dataset->own_classes;
}

int dataset_num_classes(const Dataset *dataset) {
    return classes_of(dataset)->count;
}

const char *dataset_class_name(const Dataset *dataset, int class_index) {
    const NameList *classes = classes_of(dataset);
    return class_index >= 0 && class_index < classes->count ? classes->names[class_index] : "";
}

int dataset_label(const Dataset *dataset, int64_t index) {
    int label = dataset->methods->label(dataset, index);
    return dataset->renumbered ? dataset->renumbered[label] : label;
}

bool dataset_has_sets(const Dataset *dataset) {
    return dataset->sets;
}

void dataset_targets(const Dataset *dataset, int64_t index, float *row, int classes) {
    const int32_t one = dataset->methods->label(dataset, index), *labels = &one;
    const int count = dataset->sets ? dataset->methods->labels(dataset, index, &labels) : 1;
    memset(row, 0, (size_t)classes * sizeof *row);
    for (int i = 0; i < count; i++) {
        const int label = dataset->renumbered ? dataset->renumbered[labels[i]] : labels[i];
        if (label >= 0 && label < classes) row[label] = 1;
    }
}

void dataset_count(const Dataset *dataset, int64_t *counts, int classes) {
    for (int64_t i = 0; i < dataset->size; i++) {
        const int32_t one = dataset->methods->label(dataset, i), *labels = &one;
        const int count = dataset->sets ? dataset->methods->labels(dataset, i, &labels) : 1;
        for (int l = 0; l < count; l++) {
            const int label = dataset->renumbered ? dataset->renumbered[labels[l]] : labels[l];
            if (label >= 0 && label < classes) counts[label]++;
        }
    }
}

effnet_status dataset_need_single(const Dataset *dataset, const char *who, effnet_error *err) {
    if (!dataset->sets) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_UNSUPPORTED,
                "pictures have several labels here, and %s is for one label each; 'effnet eval' without a report takes "
                "them",
                who);
}

void dataset_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    dataset->methods->describe(dataset, index, buffer, size);
}

bool datasets_are_same(const Dataset *a, const Dataset *b) {
    char left[2 * SOURCE_PATH_BYTES], right[2 * SOURCE_PATH_BYTES];
    if (dataset_size(a) != dataset_size(b)) return false;
    for (int64_t i = 0; i < dataset_size(a); i++) {
        dataset_describe(a, i, left, sizeof left);
        dataset_describe(b, i, right, sizeof right);
        if (strcmp(left, right) != 0) return false;
    }
    return true;
}

/* ---- pixels ---- */

effnet_status dataset_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err) {
    *out = (Blob){0};
    if (index < 0 || index >= dataset->size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no picture %lld: the data set has %lld", (long long)index,
                    (long long)dataset->size);
    return dataset->methods->fetch(dataset, index, decoder, out, err);
}

bool dataset_hash(const Dataset *dataset, int64_t index, Decoder *decoder, uint64_t *hash, size_t *size) {
    uint8_t digest[20];
    Blob blob;
    if (dataset_fetch(dataset, index, decoder, &blob, NULL) != EFFNET_OK) return false;
    sha1_digest(blob.bytes, blob.size, digest);
    *hash = 0;
    for (int i = 0; i < 8; i++) *hash = *hash << 8 | digest[i];
    *size = blob.size;
    return true;
}

/* Grey or planes to (height, width, 3). */
static void interleave(const Blob *blob, uint8_t *out) {
    size_t count = (size_t)blob->height * (size_t)blob->width, plane = blob->format == BLOB_GREY ? 0 : count;
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < 3; c++) out[3 * i + c] = blob->bytes[c * plane + i];
}

static effnet_status picture_of_blob(const Blob *blob, const char *name, Decoder *decoder, Picture *out,
                                     effnet_error *err) {
    if (blob->format == BLOB_ENCODED) return decoder_decode(decoder, blob->bytes, blob->size, name, out, err);
    TRY(decoder_check_channels(decoder, 3, name, err));
    *out = (Picture){.height = blob->height, .width = blob->width};
    if (blob->format == BLOB_RGB) {
        out->pixels = (uint8_t *)blob->bytes; /* read only */
    } else {
        TRY(decoder_reserve(decoder, blob->height, blob->width, 3, name, err));
        interleave(blob, decoder->pixels);
        out->pixels = decoder->pixels;
    }
    decoder->orientation = blob->orientation;
    return decoder_turn(decoder, out, name, err);
}

effnet_status dataset_read_with(const Dataset *dataset, int64_t index, Decoder *decoder, Picture *out,
                                effnet_error *err) {
    char name[2 * SOURCE_PATH_BYTES];
    Blob blob;
    *out = (Picture){0};
    TRY(dataset_fetch(dataset, index, decoder, &blob, err));
    dataset_describe(dataset, index, name, sizeof name);
    return picture_of_blob(&blob, name, decoder, out, err);
}

effnet_status dataset_read_region(const Dataset *dataset, int64_t index, Decoder *decoder, const RegionRequest *request,
                                  Region *out, effnet_error *err) {
    char name[2 * SOURCE_PATH_BYTES];
    Blob blob;
    bool done = false;
    *out = (Region){0};
    TRY(dataset_fetch(dataset, index, decoder, &blob, err));
    dataset_describe(dataset, index, name, sizeof name);
    if (blob.format == BLOB_ENCODED)
        TRY(decode_jpeg_region(decoder, blob.bytes, blob.size, name, request, out, &done, err));
    if (done) return EFFNET_OK;
    Picture picture = {0};
    TRY(picture_of_blob(&blob, name, decoder, &picture, err));
    *out = region_of_picture(&picture, request->choose(request->context, picture.height, picture.width));
    return EFFNET_OK;
}

effnet_status dataset_read(const Dataset *dataset, int64_t index, Picture *out, effnet_error *err) {
    Decoder decoder = {0};
    return decoder_hand_over(&decoder, dataset_read_with(dataset, index, &decoder, out, err), out, err);
}

void dataset_order(const Dataset *dataset, RandomKey key, uint32_t *order) {
    if (dataset->methods->order)
        dataset->methods->order(dataset, key, order);
    else
        random_permutation(key, order, (uint32_t)dataset->size);
}

/* ---- losses ---- */

void dataset_lose(Dataset *dataset, const char *format, ...) {
    char message[500];
    va_list arguments;
    dataset->lost++;
    if (dataset->losses.count == LOSSES_KEPT) return;
    va_start(arguments, format);
    number_print_list(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)name_list_add(&dataset->losses, message, NULL); /* without memory for it, the count remains */
}

int64_t dataset_lost(const Dataset *dataset) {
    return dataset->lost;
}

const char *dataset_loss(const Dataset *dataset, int which) {
    return which >= 0 && which < dataset->losses.count ? dataset->losses.names[which] : NULL;
}

/* ---- remarks ---- */

void dataset_tell(Dataset *dataset, const char *format, ...) {
    char message[500];
    va_list arguments;
    va_start(arguments, format);
    number_print_list(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)name_list_add(&dataset->remarks, message, NULL); /* a remark is no reason to fail */
}

const char *dataset_remark(const Dataset *dataset, int which) {
    return which >= 0 && which < dataset->remarks.count ? dataset->remarks.names[which] : NULL;
}

effnet_status dataset_pass_over(Dataset *dataset, const char *name, bool beside, effnet_error *err) {
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    char ending[24];
    int kind, before = dataset->passed_over.list.count;
    if (!beside && dataset->strays++ == 0) snprintf(dataset->stray, sizeof dataset->stray, "%.299s", name);
    snprintf(ending, sizeof ending, "%.20s", *base == '.' ? "hidden" : dot && dot[1] ? dot : "without an ending");
    for (char *c = ending; *c; c++) *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    if (before >= 1000) snprintf(ending, sizeof ending, "of other kinds");
    TRY(name_set_add(&dataset->passed_over, ending, &kind, err));
    if (kind == before) {
        int64_t *larger = realloc(dataset->passed_counts, ((size_t)kind + 1) * sizeof *larger);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d kinds of files", kind + 1);
        dataset->passed_counts = larger;
        larger[kind] = 0;
    }
    dataset->passed_counts[kind]++;
    return EFFNET_OK;
}

int64_t dataset_strays(const Dataset *dataset, const char **first) {
    if (first) *first = dataset->stray;
    return dataset->strays;
}

static void tell_passed_over(Dataset *dataset) {
    char text[400];
    int64_t all = 0;
    size_t used = 0;
    for (int i = 0; i < dataset->passed_over.list.count; i++) {
        all += dataset->passed_counts[i];
        if (i >= 8 || used + 60 > sizeof text) continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld %s", i ? ", " : "",
                                 (long long)dataset->passed_counts[i], dataset->passed_over.list.names[i]);
    }
    if (all)
        dataset_tell(dataset, "not read, being no pictures: %lld files (%s%s)", (long long)all, text,
                     dataset->passed_over.list.count > 8 ? ", ..." : "");
}

/* Names are folders' or a table's, so any bytes; what is written down with a model is UTF-8, and must be found again. */
static void escape_names(NameList *classes) {
    for (int i = 0; i < classes->count; i++) {
        char *escaped = text_escaped(classes->names[i]);
        if (!escaped) continue;
        free(classes->names[i]);
        classes->names[i] = escaped;
    }
}

/* Two folders of one class, as a file system that minds letter case leaves them. */
static void tell_alike(Dataset *dataset) {
    const NameList *classes = &dataset->own_classes;
    NameSet folded = {0};
    bool going = dataset->classes_named;
    for (int i = 0; going && i < classes->count; i++) {
        char *name = text_folded(classes->names[i]);
        int number = i;
        going = name && name_set_add(&folded, name, &number, NULL) == EFFNET_OK && number == i;
        if (name && number < i)
            dataset_tell(dataset,
                         "classes '%.60s' and '%.60s' differ in letter case, blanks or width alone: are they one?",
                         classes->names[number], classes->names[i]);
        free(name);
    }
    name_set_free(&folded);
}

void dataset_describe_whole(Dataset *dataset, const char *split, const char *origin) {
    char names[200] = "";
    escape_names(&dataset->own_classes);
    const NameList *classes = &dataset->own_classes;
    size_t used = 0;
    for (int i = 0; i < classes->count && i < 5 && used + 40 < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.30s", i ? ", " : "", classes->names[i]);
    dataset_tell(dataset, "%s: %s: %lld pictures of %d classes, in this order: %s%s", split, origin,
                 (long long)dataset->size, classes->count, names, classes->count > 5 ? ", ..." : "");
    tell_alike(dataset);
    tell_passed_over(dataset);
}

/* ---- classes ---- */

/* Linear search: class lists from a model may be in any order. */
static int find_class(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* map[i] = place of the source's class i among `names`; by number where the source has no names. */
static effnet_status map_classes(const Dataset *dataset, const char *const *names, int count, int *map,
                                 effnet_error *err) {
    for (int i = 0; i < dataset->own_classes.count; i++) {
        const char *name = dataset->own_classes.names[i];
        map[i] = dataset->classes_named ? find_class(names, count, name) : i;
        if (map[i] >= 0 && map[i] < count) continue;
        char hint[400] = "";
        for (int n = 0; dataset->classes_named && n < count && !*hint; n++)
            text_normalisation_hint(name, names[n], hint, sizeof hint);
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the data has a class '%.100s' that is not among the %d known ('%.60s', ...)%s", name, count,
                    count > 0 ? names[0] : "", hint);
    }
    return EFFNET_OK;
}

effnet_status dataset_use_classes(Dataset *dataset, const char *const *names, int count, effnet_error *err) {
    NameList list = {0};
    int *map = calloc((size_t)dataset->own_classes.count, sizeof *map);
    effnet_status status = map ? map_classes(dataset, names, count, map, err)
                               : fail(err, EFFNET_ERROR_MEMORY, "no memory to renumber the classes");
    for (int i = 0; status == EFFNET_OK && i < count; i++) status = name_list_add(&list, names[i], err);
    if (status != EFFNET_OK) {
        name_list_free(&list);
        free(map);
        return status;
    }
    name_list_free(&dataset->given_classes);
    free(dataset->renumbered);
    dataset->given_classes = list;
    dataset->renumbered = map;
    return EFFNET_OK;
}
