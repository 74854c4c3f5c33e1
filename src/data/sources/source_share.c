/* source_share.c - see source_share.h. */
#include "data/sources/source_share.h"

#include <stdlib.h>
#include <string.h>

typedef struct ShareSource {
    Dataset dataset;
    Dataset *whole;
    int64_t *indices; /* of the pictures, in the whole's order */
} ShareSource;

static effnet_status share_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                 effnet_error *err) {
    const ShareSource *source = (const ShareSource *)dataset;
    return dataset_fetch(source->whole, source->indices[index], decoder, out, err);
}

static int share_label(const Dataset *dataset, int64_t index) {
    const ShareSource *source = (const ShareSource *)dataset;
    return source->whole->methods->label(source->whole, source->indices[index]);
}

static int share_labels(const Dataset *dataset, int64_t index, const int32_t **labels) {
    const ShareSource *source = (const ShareSource *)dataset;
    return source->whole->methods->labels(source->whole, source->indices[index], labels);
}

static void share_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    const ShareSource *source = (const ShareSource *)dataset;
    dataset_describe(source->whole, source->indices[index], buffer, size);
}

static void share_release(Dataset *dataset) {
    ShareSource *source = (ShareSource *)dataset;
    dataset_free(source->whole);
    free(source->indices);
}

static const SourceMethods share_methods = {.fetch = share_fetch,
                                            .label = share_label,
                                            .labels = share_labels,
                                            .describe = share_describe,
                                            .release = share_release};

bool source_is_share(const Dataset *dataset) {
    return dataset->parted;
}

static bool share_of_text(const char *text, double *share) {
    int whole = 0, digits = 0;
    double fraction = 0, place = 0.1;
    bool point = false;
    for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++) whole = 10 * whole + (*text - '0');
    if (*text == '.')
        for (point = true, text++; *text >= '0' && *text <= '9'; text++, place /= 10, digits++)
            fraction += place * (*text - '0');
    while (*text == ' ') text++;
    bool percent = strcmp(text, "%") == 0;
    *share = (whole + fraction) / (percent ? 100 : 1);
    return digits > 0 && (percent ? *share <= 1 : point && !*text && *share < 1) && *share > 0;
}

static const char fold_word[] = "fold ";

static bool number_of_text(const char **text, int *out) {
    int digits = 0;
    for (*out = 0; **text >= '0' && **text <= '9' && digits < 4; (*text)++, digits++) *out = 10 * *out + (**text - '0');
    return digits > 0;
}

static bool fold_of_text(const char *text, SourcePart *out) {
    text += sizeof fold_word - 1;
    if (!number_of_text(&text, &out->fold) || *text++ != '/' || !number_of_text(&text, &out->folds) || *text)
        return false;
    if (out->folds < 2 || out->folds > 1000 || out->fold < 1 || out->fold > out->folds) return false;
    out->share = 1.0 / out->folds;
    return true;
}

bool source_part_is_meant(const char *text) {
    const size_t length = strlen(text);
    double share;
    return length && (text[length - 1] == '%' || share_of_text(text, &share) ||
                      strncmp(text, fold_word, sizeof fold_word - 1) == 0);
}

bool source_part_of_text(const char *text, SourcePart *out) {
    *out = (SourcePart){0};
    if (strncmp(text, fold_word, sizeof fold_word - 1) == 0) return fold_of_text(text, out);
    return share_of_text(text, &out->share);
}

/* ---- which pictures ---- */

/* The first 53 bits of the digest of what is stored, as a number in [0, 1); 1 where it cannot be read. */
static double hash_of(const Dataset *whole, int64_t index, Decoder *decoder) {
    uint64_t hash;
    size_t size;
    return dataset_hash(whole, index, decoder, &hash, &size) ? (double)(hash >> 11) * 0x1p-53 : 1;
}

/* The least and the greatest hash of a class. */
typedef struct Range {
    double least, most;
} Range;

/* Evaluated on? A class whose hashes are all on one side gives the outermost of them to the other. */
static bool is_evaluated(double hash, const Range *range, double share) {
    if (hash >= 1 || !(range->least < range->most)) return false; /* a class of one picture is trained on */
    if (range->least >= share) return !(hash > range->least);
    if (range->most < share) return hash < range->most;
    return hash < share;
}

/* Of each picture its hash, of each class the least and greatest. */
static void hash_all(const Dataset *whole, double *hashes, Range *ranges) {
    Decoder decoder = {0};
    for (int c = 0; c < whole->own_classes.count; c++) ranges[c] = (Range){2, -1};
    for (int64_t i = 0; i < whole->size; i++) {
        Range *range = &ranges[whole->methods->label(whole, i)];
        hashes[i] = hash_of(whole, i, &decoder);
        if (hashes[i] >= 1) continue;
        if (hashes[i] < range->least) range->least = hashes[i];
        if (hashes[i] > range->most) range->most = hashes[i];
    }
    decoder_release(&decoder);
}

typedef struct Place {
    double hash;
    int label;
    int64_t picture;
} Place;

static int by_class_and_hash(const void *one, const void *other) {
    const Place *a = one, *b = other;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return a->picture < b->picture ? -1 : a->picture > b->picture;
}

/* evaluated[i] becomes whether picture i is of the fold. */
static effnet_status choose_fold(const Dataset *whole, const SourcePart *part, const double *hashes,
                                 const Range *ranges, bool *evaluated, effnet_error *err) {
    Place *places = calloc((size_t)whole->size + 1, sizeof *places);
    if (!places) return fail(err, EFFNET_ERROR_MEMORY, "no memory to part %lld pictures", (long long)whole->size);
    for (int64_t i = 0; i < whole->size; i++)
        places[i] = (Place){.hash = hashes[i], .label = whole->methods->label(whole, i), .picture = i};
    qsort(places, (size_t)whole->size, sizeof *places, by_class_and_hash);
    int64_t most = 0;
    for (int64_t first = 0, end; first < whole->size; first = end) {
        const Range *range = &ranges[places[first].label];
        int64_t equal = first, readable;
        for (end = first; end < whole->size && places[end].label == places[first].label;) end++;
        for (readable = end; readable > first && places[readable - 1].hash >= 1;) readable--;
        if (readable - first > most) most = readable - first;
        for (int64_t at = first; at < readable && range->least < range->most; at++) {
            if (places[at].hash != places[equal].hash) equal = at; /* copies go where the first of them goes */
            evaluated[places[at].picture] = (equal - first) * part->folds / (readable - first) == part->fold - 1;
        }
    }
    free(places);
    if (most >= part->folds) return EFFNET_OK;
    return fail(
        err, EFFNET_ERROR_ARGUMENT,
        "no class has more than %lld pictures, which cannot be cut into %d parts: give more pictures or ask for "
        "fewer folds",
        (long long)most, part->folds);
}

/* kept[i] becomes whether picture i is of the part that is asked for. */
static effnet_status choose(const Dataset *whole, bool evaluation, const SourcePart *part, double *hashes,
                            Range *ranges, bool *kept, effnet_error *err) {
    hash_all(whole, hashes, ranges);
    if (part->folds)
        TRY(choose_fold(whole, part, hashes, ranges, kept, err));
    else
        for (int64_t i = 0; i < whole->size; i++)
            kept[i] = is_evaluated(hashes[i], &ranges[whole->methods->label(whole, i)], part->share);
    int64_t size = 0;
    for (int64_t i = 0; i < whole->size; i++) size += (kept[i] = kept[i] == evaluation);
    if (size) return EFFNET_OK;
    if (part->folds)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "of %lld pictures none are in fold %d of %d to %s: give more pictures or ask for fewer folds",
                    (long long)whole->size, part->fold, part->folds, evaluation ? "evaluate on" : "train on");
    return fail(
        err, EFFNET_ERROR_ARGUMENT,
        "of %lld pictures %g %% are none to %s: give more pictures or another val_split, or a folder of its own",
        (long long)whole->size, part->share * 100, evaluation ? "evaluate on" : "train on");
}

/* A data set of the kept pictures, to which goes over what is known of the whole. */
static effnet_status wrap(Dataset **dataset, const bool *kept, effnet_error *err) {
    Dataset *whole = *dataset;
    ShareSource *source = calloc(1, sizeof *source);
    if (source) source->indices = calloc((size_t)whole->size + 1, sizeof *source->indices);
    if (!source || !source->indices) {
        free(source);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to part %lld pictures", (long long)whole->size);
    }
    Dataset *part = &source->dataset;
    for (int64_t i = 0; i < whole->size; i++)
        if (kept[i]) source->indices[part->size++] = i;
    part->methods = &share_methods;
    part->in_memory = whole->in_memory;
    part->classes_named = whole->classes_named;
    part->sets = whole->sets;
    part->own_classes = whole->own_classes;
    part->losses = whole->losses;
    part->lost = whole->lost;
    part->strays = whole->strays;
    memcpy(part->stray, whole->stray, sizeof part->stray);
    part->remarks = whole->remarks;
    whole->own_classes = whole->losses = whole->remarks = (NameList){0};
    source->whole = whole;
    *dataset = part;
    return EFFNET_OK;
}

static void tell_part(Dataset *dataset, bool evaluation, const SourcePart *part) {
    const char *side = evaluation ? "evaluation" : "training";
    if (part->folds)
        dataset_tell(dataset,
                     "%s: of those, %lld: fold %d of %d is kept for evaluation, each class being cut into equal parts "
                     "by the pictures' content",
                     side, (long long)dataset->size, part->fold, part->folds);
    else
        dataset_tell(
            dataset,
            "%s: of those, %lld: %g %% of each class are kept for evaluation, chosen by their content (val_split)",
            side, (long long)dataset->size, part->share * 100);
}

effnet_status source_share(Dataset **dataset, bool evaluation, const SourcePart *part, effnet_error *err) {
    Dataset *whole = *dataset;
    double *hashes = calloc((size_t)whole->size + 1, sizeof *hashes);
    Range *ranges = calloc((size_t)whole->own_classes.count + 1, sizeof *ranges);
    bool *kept = calloc((size_t)whole->size + 1, sizeof *kept);
    effnet_status status = hashes && ranges && kept ? choose(whole, evaluation, part, hashes, ranges, kept, err)
                                                    : fail(err, EFFNET_ERROR_MEMORY, "no memory to part %lld pictures",
                                                           (long long)whole->size);
    if (status == EFFNET_OK)
        status = whole->methods->keep ? whole->methods->keep(whole, kept, err) : wrap(dataset, kept, err);
    free(hashes);
    free(ranges);
    free(kept);
    if (status != EFFNET_OK) return status;
    (*dataset)->parted = true;
    tell_part(*dataset, evaluation, part);
    return EFFNET_OK;
}
