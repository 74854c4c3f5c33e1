/* source_share.c - see source_share.h. */
#include "data/sources/source_share.h"
#include "base/sha1.h"

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
    return dataset->methods == &share_methods;
}

bool share_of_text(const char *text, double *share) {
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

/* ---- which pictures ---- */

/* The first 53 bits of the digest of what is stored, as a number in [0, 1); 1 where it cannot be read. */
static double hash_of(const Dataset *whole, int64_t index, Decoder *decoder) {
    uint8_t digest[20];
    uint64_t number = 0;
    Blob blob;
    if (dataset_fetch(whole, index, decoder, &blob, NULL) != EFFNET_OK) return 1;
    sha1_digest(blob.bytes, blob.size, digest);
    for (int i = 0; i < 8; i++) number = number << 8 | digest[i];
    return (double)(number >> 11) * 0x1p-53;
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

static effnet_status choose(ShareSource *source, const Dataset *whole, bool evaluation, double share, double *hashes,
                            Range *ranges, effnet_error *err) {
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
    for (int64_t i = 0; i < whole->size; i++)
        if (is_evaluated(hashes[i], &ranges[whole->methods->label(whole, i)], share) == evaluation)
            source->indices[source->dataset.size++] = i;
    if (source->dataset.size) return EFFNET_OK;
    return fail(
        err, EFFNET_ERROR_ARGUMENT,
        "of %lld pictures %g %% are none to %s: give more pictures or another val_split, or a folder of its own",
        (long long)whole->size, share * 100, evaluation ? "evaluate on" : "train on");
}

/* What is known of the whole goes over to its part. */
static void take_over(ShareSource *source, Dataset *whole) {
    Dataset *part = &source->dataset;
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
}

effnet_status source_share(Dataset **dataset, bool evaluation, double share, effnet_error *err) {
    Dataset *whole = *dataset;
    if (whole->methods->order)
        return fail(
            err, EFFNET_ERROR_UNSUPPORTED,
            "compressed tars are read from front to back and cannot be parted by val_split: decompress them, or "
            "give the evaluation pictures in a file of their own");
    ShareSource *source = calloc(1, sizeof *source);
    double *hashes = calloc((size_t)whole->size + 1, sizeof *hashes);
    Range *ranges = calloc((size_t)whole->own_classes.count + 1, sizeof *ranges);
    if (source) source->indices = calloc((size_t)whole->size + 1, sizeof *source->indices);
    effnet_status status =
        source && hashes && ranges && source->indices
            ? choose(source, whole, evaluation, share, hashes, ranges, err)
            : fail(err, EFFNET_ERROR_MEMORY, "no memory to part %lld pictures", (long long)whole->size);
    free(hashes);
    free(ranges);
    if (status != EFFNET_OK) {
        if (source) free(source->indices);
        free(source);
        return status;
    }
    take_over(source, whole);
    *dataset = &source->dataset;
    dataset_tell(*dataset,
                 "%s: of those, %lld: %g %% of each class are kept for evaluation, chosen by their content (val_split)",
                 evaluation ? "evaluation" : "training", (long long)source->dataset.size, share * 100);
    return EFFNET_OK;
}
