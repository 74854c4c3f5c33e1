/* source_tar.c - pictures in tar files, never unpacked to disk. What a tar is, its members tell:
 *
 *   000123.jpg + 000123.cls           WebDataset: the label is the number in the .cls, order as stored
 *   n01440764.tar, n01443537.tar ...  ImageNet's ILSVRC2012_img_train.tar: an inner tar is a class
 *   cats/1.jpg, dogs/2.jpg ...        class folders, below train/ and val/ or not
 *   ILSVRC2012_val_00000001.JPEG ...  ImageNet's validation pictures; the labels lie beside (imagenet_labels.h)
 *
 * All but WebDataset are put in the order that a folder of class folders has: by class, then by path. A plain tar is
 * indexed by its heads at opening and read at random. Compressed ones are read through once at opening, to know what is
 * in them, and then either unpacked into memory, where there is room for it, or streamed (tar_stream.h), in the order
 * they are stored. A tar that is damaged or truncated costs its rest. */
#include "data/sources/imagenet_labels.h"
#include "data/picture/decode_formats.h"
#include "data/sources/shard_source.h"
#include "data/sources/table_split.h"
#include "data/sources/tar_reader.h"
#include "data/sources/tar_stream.h"
#include "base/text_ends.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES = 64, PICTURE_LIMIT = 1 << 30 };

typedef struct TarSource {
    ShardSource shards;
    TarStream *stream; /* of compressed shards; or NULL */
    uint8_t *held;     /* all pictures of compressed shards, members' offsets count in it; or NULL */
} TarSource;

/* Everything the tars hold, before it is known what it means: a ShardSource's list serves for it. The label of a .cls
 * is its number, or NO_NUMBER; of other files NOT_LABEL. */
enum { NOT_LABEL = -1, NO_NUMBER = -2, TOO_LARGE = -3, STRANGE = -4 }; /* STRANGE: no content to read */

typedef struct Index {
    ShardSource *found;
    Dataset *told; /* gets losses and what is passed over */
    bool compressed, samples, tars, folders;
} Index;

bool file_is_tar(const char *path) {
    ShardFiles files = {0};
    TarReader *reader = NULL;
    const char *name;
    int64_t size;
    bool is_tar = shard_files_add(&files, path, NULL) == EFFNET_OK && files.files[0].size >= 20 &&
                  tar_reader_open(&files.files[0], 0, files.files[0].size, &reader, NULL) == EFFNET_OK;
    if (is_tar) is_tar = tar_reader_next(reader, &name, &size, NULL) == EFFNET_OK && name;
    tar_reader_close(reader);
    shard_files_free(&files);
    return is_tar;
}

/* ---- names ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* WebDataset's key: the path up to the first dot of its last part. */
static size_t key_length(const char *path) {
    const char *base = base_name(path);
    return (size_t)(base - path) + strcspn(base, ".");
}

/* ---- indexing ---- */

/* The number in a .cls: digits with white space around them. */
static effnet_status read_label(TarReader *reader, int64_t size, int32_t *label, effnet_error *err) {
    char text[LABEL_BYTES + 1] = {0};
    *label = NO_NUMBER;
    if (size > LABEL_BYTES) return EFFNET_OK;
    TRY(tar_reader_content(reader, text, (size_t)size, err));
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || end[strspn(end, " \t\r\n")]) return EFFNET_OK;
    *label = value < 0 || value >= CLASSES_LIMIT ? TOO_LARGE : (int32_t)value;
    return EFFNET_OK;
}

static void lose_long_name(Index *index, const char *tar, const char *name) {
    dataset_lose(index->told, "'%s': the name '%.60s...' is longer than the %d bytes allowed", tar, name,
                 (int)SOURCE_PATH_BYTES - 1);
}

static bool is_hidden(const char *path) {
    return base_name(path)[0] == '.' || !*base_name(path);
}

/* The inner tar's files, under the inner tar's name. What is wrong with it costs its rest only. */
static effnet_status index_inner(Index *index, int file, const char *tar, int64_t offset, int64_t size,
                                 effnet_error *err) {
    const ShardFile *shard = &index->found->files.files[file];
    char path[SOURCE_PATH_BYTES];
    TarReader *reader;
    effnet_error reason = {0};
    effnet_status status = tar_reader_open(shard, offset, size, &reader, &reason);
    while (status == EFFNET_OK) {
        const char *name;
        int64_t bytes;
        status = tar_reader_next(reader, &name, &bytes, &reason);
        if (status != EFFNET_OK || !name || tar_reader_compressed(reader)) break;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", tar, name) >= sizeof path) {
            lose_long_name(index, shard->path, name);
            continue;
        }
        if (is_hidden(name)) continue;
        if (bytes > PICTURE_LIMIT) {
            dataset_lose(index->told, "'%s': '%.200s' is longer than the %d bytes allowed for a picture", shard->path,
                         path, (int)PICTURE_LIMIT);
            continue;
        }
        const Member member = {.file = file,
                               .offset = tar_reader_offset(reader),
                               .size = (uint32_t)bytes,
                               .label = tar_reader_strange(reader) ? STRANGE : NOT_LABEL};
        status = shard_source_add(index->found, &member, path, &reason);
    }
    bool packed = status == EFFNET_OK && tar_reader_compressed(reader);
    if (status == EFFNET_OK || reader) tar_reader_close(reader);
    if (status == EFFNET_ERROR_MEMORY) return fail(err, status, "%s", reason.message);
    if (packed)
        dataset_lose(index->told, "'%s': the inner '%s' is compressed; wanted plain tars in a tar", shard->path, tar);
    if (status != EFFNET_OK) dataset_lose(index->told, "inner '%s': %s", tar, reason.message);
    return EFFNET_OK;
}

static effnet_status index_member(Index *index, int file, TarReader *reader, const char *path, int64_t size,
                                  uint32_t number, effnet_error *err) {
    bool compressed = tar_reader_compressed(reader);
    Member member = {.file = file,
                     .offset = compressed ? number : tar_reader_offset(reader),
                     .size = size < PICTURE_LIMIT ? (uint32_t)size : PICTURE_LIMIT,
                     .label = NOT_LABEL,
                     .number = number};
    while (strncmp(path, "./", 2) == 0) path += 2;
    if (is_hidden(path))
        return *base_name(path) ? dataset_pass_over(&index->found->dataset, path, true, err) : EFFNET_OK;
    index->compressed = index->compressed || compressed;
    if (tar_reader_strange(reader)) {
        member.label = STRANGE;
        index->folders = index->folders || (strchr(path, '/') && name_is_picture(path));
        return shard_source_add(index->found, &member, path, err);
    }
    if (text_ends_with_any_case(path, ".tar") && !compressed) {
        index->tars = true;
        return index_inner(index, file, path, member.offset, size, err);
    }
    if (text_ends_with_any_case(path, ".cls")) {
        index->samples = true;
        TRY(read_label(reader, size, &member.label, err));
    } else if (strchr(path, '/') && name_is_picture(path)) {
        index->folders = true;
    }
    if (size >= PICTURE_LIMIT) {
        dataset_lose(index->told, "'%s': '%s' is longer than the %d bytes allowed for a picture",
                     index->found->files.files[file].path, path, (int)PICTURE_LIMIT);
        return EFFNET_OK;
    }
    return shard_source_add(index->found, &member, path, err);
}

static effnet_status index_shard(Index *index, int file, effnet_error *err) {
    const ShardFile *shard = &index->found->files.files[file];
    TarReader *reader;
    effnet_error reason = {0};
    TRY(tar_reader_open(shard, 0, shard->size, &reader, err));
    effnet_status status = EFFNET_OK;
    for (uint32_t number = 0; status == EFFNET_OK; number++) {
        char copy[SOURCE_PATH_BYTES];
        const char *path;
        int64_t size;
        status = tar_reader_next(reader, &path, &size, &reason);
        if (status != EFFNET_OK || !path) break;
        if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy) {
            lose_long_name(index, shard->path, path);
            continue;
        }
        status = index_member(index, file, reader, copy, size, number, &reason);
    }
    bool whole = tar_reader_at_end(reader), ends_right = true;
    if (status == EFFNET_OK) status = tar_reader_ends_right(reader, &ends_right, &reason);
    tar_reader_close(reader);
    if (!ends_right)
        dataset_lose(index->told, "'%s' does not end in two blocks of zeros as tars do: it may have been cut off",
                     shard->path);
    if (status == EFFNET_ERROR_MEMORY) return fail(err, status, "%s", reason.message);
    if (status != EFFNET_OK)
        dataset_lose(index->told, "%s; %s", reason.message,
                     whole ? "some of its pictures may be damaged, which can't be seen" : "the rest of it is lost");
    return EFFNET_OK;
}

/* ---- what the members mean ---- */

static const char *name_of(const ShardSource *found, const Member *member) {
    return found->names + member->name;
}

/* A file that is not read: counted by kind, or a loss where it is called like a picture. */
static effnet_status pass_outside(ShardSource *out, const ShardSource *found, const Member *member, effnet_error *err) {
    const char *path = name_of(found, member), *tar = found->files.files[member->file].path;
    if (!name_is_picture(path)) return dataset_pass_over(&out->dataset, path, false, err);
    if (member->label == STRANGE)
        dataset_lose(&out->dataset,
                     "'%s': '%.200s' is a link, a device or a sparse file, which is not read out of a tar", tar, path);
    else
        dataset_lose(&out->dataset, "'%s': '%.200s' stands in no class folder", tar, path);
    return EFFNET_OK;
}

/* A group of members with one key: a picture and its label. Further pictures (masks, crops) count in *further, other
 * files are passed over; those of a whole sample are nothing to stop at. */
static effnet_status add_sample(ShardSource *out, const ShardSource *found, int64_t first, int64_t end,
                                int64_t *further, effnet_error *err) {
    const Member *picture = NULL, *label = NULL;
    const char *path = name_of(found, &found->members[first]);
    const char *shard = found->files.files[found->members[first].file].path;
    int length = (int)key_length(path);
    for (int64_t i = first; i < end; i++) {
        const Member *member = &found->members[i];
        if (member->label == STRANGE)
            TRY(pass_outside(out, found, member, err));
        else if (member->label != NOT_LABEL)
            label = member;
        else if (name_is_picture(name_of(found, member)) && !picture)
            picture = member;
    }
    const char *wrong = !picture                    ? "has a label and no picture"
                        : !label                    ? "has a picture and no .cls with its label"
                        : label->label == NO_NUMBER ? "has a .cls that is not one whole number"
                        : label->label == TOO_LARGE ? "has a label that is out of range"
                                                    : NULL;
    for (int64_t i = first; i < end; i++) {
        const Member *member = &found->members[i];
        const char *name = name_of(found, member);
        if (member == picture || member->label != NOT_LABEL) continue;
        if (name_is_picture(name))
            ++*further;
        else
            TRY(dataset_pass_over(&out->dataset, name, picture && label, err));
    }
    if (!picture && !label) return EFFNET_OK;
    if (wrong) {
        dataset_lose(&out->dataset, "'%s': the sample '%.*s' %s", shard, length, path, wrong);
        return EFFNET_OK;
    }
    Member member = *picture;
    member.label = label->label;
    return shard_source_add(out, &member, name_of(found, picture), err);
}

static effnet_status take_samples(ShardSource *out, const ShardSource *found, effnet_error *err) {
    int64_t further = 0;
    for (int64_t i = 0, end; i < found->dataset.size; i = end) {
        const char *path = name_of(found, &found->members[i]);
        size_t length = key_length(path);
        for (end = i + 1; end < found->dataset.size; end++) {
            const char *next = name_of(found, &found->members[end]);
            if (found->members[end].file != found->members[i].file || key_length(next) != length ||
                memcmp(next, path, length) != 0)
                break;
        }
        TRY(add_sample(out, found, i, end, &further, err));
    }
    if (further)
        dataset_tell(&out->dataset, "not read: %lld pictures that are not the first of their sample",
                     (long long)further);
    return shard_source_number_classes(out, err);
}

/* The part of a path after PREFIX/, or NULL. */
static const char *after_prefix(const char *path, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

static bool has_prefix(const ShardSource *found, const char *prefix) {
    for (int64_t i = 0; i < found->dataset.size; i++) {
        const char *rest = after_prefix(name_of(found, &found->members[i]), prefix);
        if (rest && strchr(rest, '/')) return true;
    }
    return false;
}

/* CLASS/... below `prefix` (NULL: at the top). Classes of `class_prefix` (may be NULL) are numbered first and alone; one
 * that is not among them is an error. */
static effnet_status take_folders(ShardSource *out, const ShardSource *found, const char *prefix,
                                  const char *class_prefix, effnet_error *err) {
    NameSet classes = {0};
    effnet_status status = EFFNET_OK;
    bool numbered = prefix && class_prefix && strcmp(prefix, class_prefix) != 0;
    for (int pass = numbered ? 0 : 1; pass < 2; pass++)
        for (int64_t i = 0; status == EFFNET_OK && i < found->dataset.size; i++) {
            const char *path = name_of(found, &found->members[i]), *rest = path;
            const char *wanted = pass ? prefix : class_prefix;
            if (wanted) rest = after_prefix(path, wanted);
            const char *slash = rest ? strchr(rest, '/') : NULL;
            if (!rest || (!pass && (!slash || !name_is_picture(path) || found->members[i].label == STRANGE))) continue;
            if (!name_is_picture(path) || !slash || found->members[i].label == STRANGE) {
                status = pass_outside(out, found, &found->members[i], err);
                continue;
            }
            char name[SOURCE_PATH_BYTES];
            int length = (int)(slash - rest);
            snprintf(name, sizeof name, "%.*s", length, rest);
            if (length > 4 && strcasecmp(name + length - 4, ".tar") == 0) name[length - 4] = 0; /* an inner tar */
            Member member = found->members[i];
            if (pass && numbered) {
                member.label = name_set_find(&classes, name);
                if (member.label < 0)
                    status = fail(err, EFFNET_ERROR_FORMAT, "'%s' has a class '%s' in '%s' that '%s' has not",
                                  found->files.files[member.file].path, name, prefix, class_prefix);
            } else {
                status = name_set_add(&classes, name, &member.label, err);
            }
            if (status == EFFNET_OK && pass) status = shard_source_add(out, &member, path, err);
        }
    if (status == EFFNET_OK) return shard_source_name_classes(out, &classes, err);
    name_set_free(&classes);
    return status;
}

static effnet_status take_flat(ShardSource *out, const ShardSource *found, effnet_error *err) {
    ImagenetLabels labels;
    NameSet classes = {0};
    bool labelled;
    const char *tar = found->files.files[0].path;
    TRY(imagenet_labels_read(tar, &labels, &labelled, err));
    if (!labelled)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' holds pictures without classes: wanted NAME.cls beside NAME.jpg, a folder for each class, or "
                    "beside the tar ImageNet's imagenet_2012_validation_synset_labels.txt (docs/data.md)",
                    tar);
    effnet_status status = EFFNET_OK;
    for (int64_t i = 0; status == EFFNET_OK && i < found->dataset.size; i++) {
        Member member = found->members[i];
        const char *path = name_of(found, &member);
        if (!name_is_picture(path) || member.label == STRANGE) {
            status = pass_outside(out, found, &member, err);
            continue;
        }
        const char *name = imagenet_labels_find(&labels, path);
        if (!name) {
            dataset_lose(&out->dataset, "'%s': '%s' has no label in '%s'", tar, path, labels.path);
            continue;
        }
        status = name_set_add(&classes, name, &member.label, err);
        if (status == EFFNET_OK) status = shard_source_add(out, &member, path, err);
    }
    imagenet_labels_free(&labels);
    if (status == EFFNET_OK) return shard_source_name_classes(out, &classes, err);
    name_set_free(&classes);
    return status;
}

/* The top folder that is the split of one of `names`: of that very name, or of one that people give it. */
static bool find_prefix(const ShardSource *found, const char *const *names, char *prefix, size_t size) {
    for (; *names; names++) {
        snprintf(prefix, size, "%s", *names);
        if (has_prefix(found, prefix)) return true;
        for (int64_t i = 0; i < found->dataset.size; i++) {
            const char *path = name_of(found, &found->members[i]), *slash = strchr(path, '/');
            if (!slash || !strchr(slash + 1, '/') || (size_t)(slash - path) >= size) continue;
            snprintf(prefix, size, "%.*s", (int)(slash - path), path);
            if (split_is_called(prefix, *names)) return true;
        }
    }
    return false;
}

static effnet_status interpret(ShardSource *out, const Index *index, const SplitWanted *wanted, effnet_error *err) {
    const ShardSource *found = index->found;
    char prefix[NAME_MAX + 1], training[NAME_MAX + 1], other[NAME_MAX + 1];
    *wanted->whole = index->samples || (!index->tars && !index->folders);
    if (index->samples) return take_samples(out, found, err);
    if (*wanted->whole) return take_flat(out, found, err);
    const bool numbered = find_prefix(found, wanted->known[0], training, sizeof training);
    if (find_prefix(found, wanted->names, prefix, sizeof prefix))
        return take_folders(out, found, prefix, numbered ? training : NULL, err);
    *wanted->absent = numbered || find_prefix(found, wanted->known[1], other, sizeof other);
    if (*wanted->absent)
        return fail(err, EFFNET_ERROR_IO,
                    "'%s' has a folder '%s' and none called '%s' (name another as train_split or val_split, or keep a "
                    "share of the training pictures apart: val_split: 20%%)",
                    found->files.files[0].path, numbered ? training : other, wanted->names[0]);
    *wanted->whole = true;
    return take_folders(out, found, NULL, NULL, err);
}

/* ---- the methods of a source ---- */

static effnet_status tar_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err) {
    const TarSource *source = (const TarSource *)dataset;
    const Member *member = &source->shards.members[index];
    if (source->held) {
        *out = (Blob){.bytes = source->held + member->offset, .size = member->size};
        return EFFNET_OK;
    }
    if (!source->stream) return shard_source_fetch(dataset, index, decoder, out, err);
    TRY(tar_stream_fetch(source->stream, index, decoder, err));
    *out = (Blob){.bytes = decoder->file, .size = member->size};
    return EFFNET_OK;
}

static void tar_order(const Dataset *dataset, RandomKey key, uint32_t *order) {
    const TarSource *source = (const TarSource *)dataset;
    if (source->stream)
        tar_stream_order(&source->shards, key, order);
    else
        random_permutation(key, order, (uint32_t)dataset->size);
}

static void tar_release(Dataset *dataset) {
    tar_stream_free(((TarSource *)dataset)->stream);
    free(((TarSource *)dataset)->held);
    shard_source_release(dataset);
}

/* The stream is of the pictures that are left: the others are passed by and never held. */
static effnet_status tar_keep(Dataset *dataset, const bool *kept, effnet_error *err) {
    TarSource *source = (TarSource *)dataset;
    const bool streamed = source->stream != NULL;
    int64_t size = 0;
    for (int64_t i = 0; i < dataset->size; i++)
        if (kept[i]) source->shards.members[size++] = source->shards.members[i];
    tar_stream_free(source->stream);
    source->stream = NULL;
    dataset->size = size;
    return streamed ? tar_stream_create(&source->shards, &source->stream, err) : EFFNET_OK;
}

static const SourceMethods tar_methods = {.fetch = tar_fetch,
                                          .label = shard_source_label,
                                          .describe = shard_source_describe,
                                          .release = tar_release,
                                          .order = tar_order,
                                          .keep = tar_keep};
static const SourceMethods index_methods = {.describe = shard_source_describe, .release = shard_source_release};

/* ---- opening ---- */

/* Every picture out of compressed shards into one block. */
static effnet_status hold_all(TarSource *source, int64_t total, effnet_error *err) {
    ShardSource *shards = &source->shards;
    source->held = malloc((size_t)total + 1);
    if (!source->held) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %lld bytes of pictures", (long long)total);
    int64_t used = 0, next = 0;
    for (int file = 0; file < shards->files.count; file++) {
        TarReader *reader;
        effnet_status status =
            tar_reader_open(&shards->files.files[file], 0, shards->files.files[file].size, &reader, err);
        for (int64_t number = 0; next < shards->dataset.size && shards->members[next].file == file; number++) {
            Member *member = &shards->members[next];
            const char *path;
            int64_t size;
            if (status == EFFNET_OK) status = tar_reader_next(reader, &path, &size, err);
            if (status == EFFNET_OK && number < member->offset && path) continue;
            if (status == EFFNET_OK && (!path || size != member->size))
                status =
                    fail(err, EFFNET_ERROR_IO, "'%s' was changed while it was read", shards->files.files[file].path);
            if (status == EFFNET_OK) status = tar_reader_content(reader, source->held + used, member->size, err);
            if (status != EFFNET_OK) break;
            member->offset = used;
            used += member->size;
            next++;
        }
        tar_reader_close(reader);
        TRY(status);
    }
    return EFFNET_OK;
}

static effnet_status fill(TarSource *source, Index *index, const SplitWanted *wanted, int64_t hold_limit,
                          effnet_error *err) {
    Dataset *dataset = &source->shards.dataset;
    index->told = dataset;
    for (int i = 0; i < source->shards.files.count; i++) TRY(index_shard(index, i, err));
    if (index->compressed && index->tars)
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s': tars in a compressed tar are not read; decompress it",
                    source->shards.files.files[0].path);
    TRY(interpret(&source->shards, index, wanted, err));
    TRY(shard_source_finish(&source->shards, err));
    if (index->compressed) {
        int64_t total = 0;
        for (int64_t i = 0; i < dataset->size; i++) {
            source->shards.members[i].offset = source->shards.members[i].number; /* in plain shards among them, too */
            total += source->shards.members[i].size;
        }
        if (total > hold_limit) return tar_stream_create(&source->shards, &source->stream, err);
        TRY(hold_all(source, total, err));
    }
    if (!index->samples) shard_source_sort(&source->shards);
    return EFFNET_OK;
}

effnet_status source_tar_open(const NameList *paths, const SplitWanted *wanted, int64_t hold_limit, Dataset **out,
                              effnet_error *err) {
    ShardSource *source;
    Index index = {0};
    *out = NULL;
    TRY(shard_source_create(&tar_methods, paths, sizeof(TarSource), &source, err));
    effnet_status status = shard_source_create(&index_methods, paths, sizeof *index.found, &index.found, err);
    if (status == EFFNET_OK) status = fill((TarSource *)source, &index, wanted, hold_limit, err);
    if (index.found) dataset_free(&index.found->dataset);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
