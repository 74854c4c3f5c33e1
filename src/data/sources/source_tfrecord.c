/* source_tfrecord.c - shards of tf.train.Example: every record is read once at opening, its sums checked and its label
 * kept; afterwards any record is read by its place, and its sum checked again.
 *
 * Classes: where every record has an image/class/synset, they are named by it and numbered by name in bytewise order
 * (ImageNet's own order, 0 to 999, whatever background class the numbers count), and a number must mean one name and a
 * name one number. Otherwise labels are the numbers as they stand, named by labels.txt or label.labels.txt.
 *
 * A record whose data's sum is wrong is lost, one whose length's sum is wrong or that reaches beyond the file costs the
 * rest of its shard. */
#include "data/sources/shard_source.h"
#include "data/sources/tfrecord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Numbering {
    NameSet synsets;
    int *label_of;  /* (CLASSES_LIMIT) by synset: label + 1, or 0 */
    int *synset_of; /* (CLASSES_LIMIT) by label: synset + 1, or 0 */
    int32_t *synset_of_member;
    size_t capacity;
    bool named; /* every record so far had a synset */
} Numbering;

bool bytes_are_tfrecord(const uint8_t *bytes, size_t size) {
    uint64_t length;
    return size >= TFRECORD_HEAD && tfrecord_length(bytes, &length);
}

static effnet_status tfrecord_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                    effnet_error *err) {
    const ShardSource *source = (const ShardSource *)dataset;
    const Member *member = &source->members[index];
    const ShardFile *file = &source->files.files[member->file];
    char name[2 * SOURCE_PATH_BYTES];
    Example example;
    shard_source_describe_number(dataset, index, name, sizeof name);
    TRY(decoder_reserve_file(decoder, (size_t)member->size + TFRECORD_TAIL, name, err));
    TRY(shard_file_read(file, member->offset, decoder->file, (size_t)member->size + TFRECORD_TAIL, err));
    if (!tfrecord_sum_is_right(decoder->file, member->size))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged: its checksum was right before and is wrong now", name);
    TRY(example_parse(decoder, decoder->file, member->size, name, &example, err));
    *out = (Blob){.bytes = example.image, .size = example.image_size};
    return EFFNET_OK;
}

static const SourceMethods tfrecord_methods = {.fetch = tfrecord_fetch,
                                               .label = shard_source_label,
                                               .describe = shard_source_describe_number,
                                               .release = shard_source_release};

/* ---- indexing ---- */

/* Number and name of a class belong together, both ways. */
static effnet_status pair_label(Numbering *numbering, const Example *example, const char *name, int *synset,
                                effnet_error *err) {
    int label = (int)example->label;
    TRY(name_set_add(&numbering->synsets, example->synset, synset, err));
    if (*synset >= CLASSES_LIMIT)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': more than %d classes", name, (int)CLASSES_LIMIT);
    int *label_of = &numbering->label_of[*synset], *synset_of = &numbering->synset_of[label];
    if (*label_of && *label_of != label + 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': classes %d and %d are both called '%s'", name, *label_of - 1,
                    label, example->synset);
    if (*synset_of && *synset_of != *synset + 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': class %d is called '%s' here and '%s' before", name, label,
                    example->synset, numbering->synsets.list.names[*synset_of - 1]);
    *label_of = label + 1;
    *synset_of = *synset + 1;
    return EFFNET_OK;
}

static effnet_status add_example(ShardSource *source, Numbering *numbering, const Example *example, Member *member,
                                 const char *name, effnet_error *err) {
    size_t count = (size_t)source->dataset.size;
    int synset = -1;
    if (example->label < 0 || example->label >= CLASSES_LIMIT) {
        dataset_lose(&source->dataset, "'%s': its label %lld is out of range (0 to %d)", name,
                     (long long)example->label, CLASSES_LIMIT - 1);
        return EFFNET_OK;
    }
    numbering->named = numbering->named && example->synset[0];
    if (numbering->named) TRY(pair_label(numbering, example, name, &synset, err));
    if (count == numbering->capacity) {
        size_t capacity = 2 * count + 256;
        int32_t *larger = realloc(numbering->synset_of_member, capacity * sizeof *larger);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu pictures", capacity);
        numbering->synset_of_member = larger;
        numbering->capacity = capacity;
    }
    numbering->synset_of_member[count] = synset;
    member->label = (int32_t)example->label;
    return shard_source_add(source, member, NULL, err);
}

/* One shard; what is damaged in it is lost, which is no error. */
static effnet_status index_shard(ShardSource *source, Numbering *numbering, int file, int descriptor, Decoder *decoder,
                                 effnet_error *err) {
    const ShardFile *shard = &source->files.files[file];
    Dataset *dataset = &source->dataset;
    int64_t at = 0;
    for (uint32_t number = 0; at < shard->size; number++) {
        uint8_t head[TFRECORD_HEAD];
        uint64_t length = 0, left = (uint64_t)(shard->size - at);
        char name[2 * SOURCE_PATH_BYTES];
        snprintf(name, sizeof name, "%s#%u", shard->path, number);
        bool whole = left >= TFRECORD_HEAD;
        if (whole) TRY(descriptor_read(descriptor, shard->path, at, head, sizeof head, err));
        if (whole && !tfrecord_length(head, &length)) {
            dataset_lose(dataset,
                         "'%s': the checksum of its length is wrong; the rest of the shard, %llu bytes, is "
                         "lost",
                         name, (unsigned long long)left);
            return EFFNET_OK;
        }
        if (!whole || length > left - TFRECORD_HEAD || left - TFRECORD_HEAD - length < TFRECORD_TAIL) {
            dataset_lose(dataset, "'%s' ends in the middle of record %u: it is truncated, and that record lost",
                         shard->path, number);
            return EFFNET_OK;
        }
        Member member = {.file = file, .offset = at + TFRECORD_HEAD, .size = (uint32_t)length, .number = number};
        at += TFRECORD_HEAD + (int64_t)length + TFRECORD_TAIL;
        if (length > TFRECORD_LIMIT - TFRECORD_TAIL) {
            dataset_lose(dataset, "'%s' is longer than the %d bytes allowed", name, (int)TFRECORD_LIMIT);
            continue;
        }
        TRY(decoder_reserve_file(decoder, length + TFRECORD_TAIL, name, err));
        TRY(descriptor_read(descriptor, shard->path, member.offset, decoder->file, length + TFRECORD_TAIL, err));
        if (!tfrecord_sum_is_right(decoder->file, length)) {
            dataset_lose(dataset, "'%s' is damaged: the checksum of its data is wrong", name);
            continue;
        }
        Example example;
        effnet_error reason = {0};
        effnet_status status = example_parse(decoder, decoder->file, length, name, &example, &reason);
        if (status == EFFNET_ERROR_MEMORY) return fail(err, status, "%s", reason.message);
        if (status == EFFNET_OK)
            TRY(add_example(source, numbering, &example, &member, name, err));
        else
            dataset_lose(dataset, "%s", reason.message);
    }
    return EFFNET_OK;
}

static effnet_status index_shards(ShardSource *source, Numbering *numbering, effnet_error *err) {
    numbering->label_of = calloc(CLASSES_LIMIT, sizeof *numbering->label_of);
    numbering->synset_of = calloc(CLASSES_LIMIT, sizeof *numbering->synset_of);
    if (!numbering->label_of || !numbering->synset_of)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to number the classes");
    Decoder decoder = {0};
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < source->files.count; i++) {
        int descriptor;
        status = shard_file_open(&source->files.files[i], &descriptor, err);
        if (status != EFFNET_OK) break;
        status = index_shard(source, numbering, i, descriptor, &decoder, err);
        close(descriptor);
    }
    decoder_release(&decoder);
    TRY(status);
    if (!numbering->named || source->dataset.size == 0) return shard_source_number_classes(source, err);
    for (int64_t i = 0; i < source->dataset.size; i++) source->members[i].label = numbering->synset_of_member[i];
    return shard_source_name_classes(source, &numbering->synsets, err);
}

effnet_status source_tfrecord_open(const NameList *paths, Dataset **out, effnet_error *err) {
    ShardSource *source;
    Numbering numbering = {.named = true};
    *out = NULL;
    TRY(shard_source_create(&tfrecord_methods, paths, sizeof *source, &source, err));
    effnet_status status = index_shards(source, &numbering, err);
    if (status == EFFNET_OK) status = shard_source_finish(source, err);
    name_set_free(&numbering.synsets);
    free(numbering.label_of);
    free(numbering.synset_of);
    free(numbering.synset_of_member);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
