/* source_find.c - looks at what a user points at and tells which kind of source it is: by the content of files, not by
 * their names, wherever the content says it. */
#include "data/sources/effpack.h"
#include "data/picture/decode_formats.h"
#include "data/sources/file_list.h"
#include "data/sources/json_rows.h"
#include "data/sources/shard_names.h"
#include "data/sources/shard_source.h"
#include "data/sources/source_share.h"
#include "data/sources/table_split.h"
#include "base/file.h"
#include "base/file_kind.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PATH_BYTES = SOURCE_PATH_BYTES };

/* In the order in which they are preferred where there are several. */
static const char *const train_names[] = {"train", "training", "trn", NULL};
static const char *const validation_names[] = {"val",      "validation", "valid",      "test", "t10k",
                                               "testing",  "eval",       "evaluation", "dev",  "validating",
                                               "validate", "holdout",    NULL};

/* What was asked for. */
typedef struct Wanted {
    const char *root;
    DatasetSplit split;
    const char *const *names; /* that the split may have, ended by NULL */
    bool named;               /* the user's own name */
    bool *absent;             /* set where the error is that there is no such split */
    bool *whole;              /* set where what was opened knows of no splits: it is all of them */
} Wanted;

static effnet_status no_split(const Wanted *wanted, effnet_status status) {
    *wanted->absent = true;
    return status;
}

/* Says where the split came from. */
static void describe(Dataset *dataset, const Wanted *wanted, const char *origin) {
    dataset_describe_whole(dataset, wanted->split == SPLIT_TRAIN ? "training" : "evaluation", origin);
}

/* ---- files of many pictures ---- */

/* In the order in which they are preferred where a folder holds several. */
typedef enum FileKind { FILE_OTHER, FILE_EFFPACK, FILE_TFRECORD, FILE_TAR, FILE_CIFAR, FILE_TABLE } FileKind;

static FileKind file_kind(const char *path) {
    uint8_t bytes[512];
    const char *dot = strrchr(path, '.');
    if (file_is_cifar(path)) return FILE_CIFAR;
    if (dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0)) return FILE_TABLE;
    if (json_rows_named(path)) return json_rows_begin(path) ? FILE_TABLE : FILE_OTHER;
    int descriptor;
    if (file_open(path, &descriptor, NULL, NULL) != EFFNET_OK) return FILE_OTHER;
    ssize_t got = read(descriptor, bytes, sizeof bytes);
    close(descriptor);
    if (got > 0 && bytes_are_effpack(bytes, (size_t)got)) return FILE_EFFPACK;
    if (got > 0 && bytes_are_tfrecord(bytes, (size_t)got)) return FILE_TFRECORD;
    if (got > 0 && picture_kind(bytes, (size_t)got) != PICTURE_UNKNOWN) return FILE_OTHER;
    return file_is_tar(path) ? FILE_TAR : FILE_OTHER;
}

static effnet_status open_kind(const NameList *files, FileKind kind, const Wanted *wanted, Dataset **out,
                               effnet_error *err) {
    const SplitWanted split = {.names = wanted->names,
                               .known = {train_names, validation_names},
                               .absent = wanted->absent,
                               .whole = wanted->whole};
    switch (kind) {
    case FILE_EFFPACK:
        if (files->count > 1)
            return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' and '%s' are both effpacks: name the one that is wanted",
                        files->names[0], files->names[1]);
        return source_effpack_open(files->names[0], wanted->split, wanted->absent, wanted->whole, out, err);
    case FILE_TFRECORD:
        *wanted->whole = true;
        return source_tfrecord_open(files, out, err);
    case FILE_TAR:
        return source_tar_open(files, &split, TAR_HOLD_LIMIT, out, err);
    case FILE_CIFAR:
        *wanted->whole = true;
        return source_cifar_open(files, out, err);
    case FILE_TABLE:
        return source_table_open(files, &split, out, err);
    case FILE_OTHER:
        break;
    }
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is none of the files that are read", files->names[0]);
}

static effnet_status open_files(const NameList *files, FileKind kind, const Wanted *wanted, Dataset **out,
                                effnet_error *err) {
    char origin[300];
    TRY(open_kind(files, kind, wanted, out, err));
    if (files->count == 1)
        snprintf(origin, sizeof origin, "'%.250s'", files->names[0]);
    else
        snprintf(origin, sizeof origin, "%d files, '%.110s' to '%.110s'", files->count, files->names[0],
                 files->names[files->count - 1]);
    describe(*out, wanted, origin);
    return EFFNET_OK;
}

static bool is_among(const NameList *list, const char *name) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0) return true;
    return false;
}

/* Losses for what is not there and for what is no shard though it is called like one. */
static effnet_status find_losses(Dataset *dataset, const NameList *files, const NameList *strange, effnet_error *err) {
    NameList all = {0};
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < files->count; i++) status = name_list_add(&all, files->names[i], err);
    for (int i = 0; status == EFFNET_OK && i < strange->count; i++) {
        shard_lose(dataset, strange->names[i]);
        status = name_list_add(&all, strange->names[i], err);
    }
    name_list_sort(&all);
    if (status == EFFNET_OK) status = shards_find_missing(dataset, &all, err);
    name_list_free(&all);
    return status;
}

/* The files of the most preferred kind there is; *kind FILE_OTHER where there are none. `strange`: others that are
 * called like them. */
static effnet_status select_kind(const NameList *all, NameList *out, NameList *strange, FileKind *kind,
                                 effnet_error *err) {
    *kind = FILE_OTHER;
    for (int i = 0; i < all->count; i++) {
        FileKind found = file_kind(all->names[i]);
        if (found == FILE_OTHER || (*kind != FILE_OTHER && found > *kind)) continue;
        if (found != *kind) name_list_free(out);
        *kind = found;
        TRY(name_list_add(out, all->names[i], err));
    }
    for (int i = 0; (*kind == FILE_TFRECORD || *kind == FILE_TAR) && i < all->count; i++)
        if (!is_among(out, all->names[i]) && shard_is_named_like(all->names[i], out->names[0]))
            TRY(name_list_add(strange, all->names[i], err));
    return EFFNET_OK;
}

static bool any_of_splits(const NameList *files, const char *const *names, effnet_status *status, effnet_error *err) {
    NameList found = {0};
    for (int i = 0; names[i] && *status == EFFNET_OK && !found.count; i++)
        *status = file_list_of_split(files, names[i], &found, err);
    bool any = found.count > 0;
    name_list_free(&found);
    return any;
}

/* Files of one kind: those whose names have the split's, or all where no name has any split's. One file alone is all there
 * is, whatever its name, unless the user asked for a split by that name. */
static effnet_status open_split_of_files(const NameList *files, const NameList *strange, FileKind kind,
                                         const Wanted *wanted, Dataset **out, effnet_error *err) {
    NameList chosen = {0}, theirs = {0};
    const NameList *lost = strange;
    effnet_status status = EFFNET_OK;
    for (int i = 0; wanted->names[i] && status == EFFNET_OK && !chosen.count; i++)
        status = file_list_of_split(files, wanted->names[i], &chosen, err);
    bool others =
        any_of_splits(files, train_names, &status, err) || any_of_splits(files, validation_names, &status, err);
    if (status == EFFNET_OK && chosen.count) {
        for (int i = 0; wanted->names[i] && status == EFFNET_OK && !theirs.count; i++)
            status = file_list_of_split(strange, wanted->names[i], &theirs, err);
        lost = &theirs;
        if (status == EFFNET_OK) status = open_files(&chosen, kind, wanted, out, err);
    } else if (status == EFFNET_OK && files->count == 1)
        status = open_files(files, kind, wanted, out, err);
    else if (status == EFFNET_OK && (others || wanted->named))
        status = no_split(wanted, fail(err, EFFNET_ERROR_IO,
                                       "'%s' has no %s pictures: none of its files has '%s' in its name", wanted->root,
                                       wanted->split == SPLIT_TRAIN ? "training" : "validation", wanted->names[0]));
    else if (status == EFFNET_OK)
        status = open_files(files, kind, wanted, out, err);
    if (chosen.count && (wanted->named || files->count > 1)) *wanted->whole = false;
    if (status == EFFNET_OK && wanted->named && *wanted->whole)
        status =
            no_split(wanted, fail(err, EFFNET_ERROR_IO,
                                  "'%s' has no split '%s': neither its name nor what is in it tells one; leave the key "
                                  "out, and a fifth of each class is kept to evaluate on",
                                  files->names[0], wanted->names[0]));
    if (status == EFFNET_OK) status = find_losses(*out, chosen.count ? &chosen : files, lost, err);
    if (status != EFFNET_OK) {
        dataset_free(*out);
        *out = NULL;
    }
    name_list_free(&chosen);
    name_list_free(&theirs);
    return status;
}

/* *found false where the list has none that is read. */
static effnet_status open_list(const NameList *list, const Wanted *wanted, Dataset **out, bool *found,
                               effnet_error *err) {
    NameList files = {0}, strange = {0};
    FileKind kind;
    effnet_status status = select_kind(list, &files, &strange, &kind, err);
    *found = kind != FILE_OTHER;
    if (status == EFFNET_OK && *found) status = open_split_of_files(&files, &strange, kind, wanted, out, err);
    name_list_free(&files);
    name_list_free(&strange);
    return status;
}

static void describe_folder(Dataset *dataset, const Wanted *wanted, const char *folder) {
    char origin[300];
    snprintf(origin, sizeof origin, "'%.250s'", folder);
    describe(dataset, wanted, origin);
}

/* A folder that is all one split: its shards, or else its class folders. */
static effnet_status open_split_folder(const char *folder, const char *class_folder, const Wanted *wanted,
                                       Dataset **out, effnet_error *err) {
    NameList list = {0}, files = {0}, strange = {0};
    FileKind kind = FILE_OTHER;
    effnet_status status = file_list_read(folder, &list, err);
    if (status == EFFNET_OK) status = select_kind(&list, &files, &strange, &kind, err);
    if (status == EFFNET_OK && kind != FILE_OTHER) {
        status = open_files(&files, kind, wanted, out, err);
        *wanted->whole = false; /* the folder tells the split */
        if (status == EFFNET_OK) status = find_losses(*out, &files, &strange, err);
    } else if (status == EFFNET_OK) {
        status = source_folder_open(folder, class_folder, out, err);
        if (status == EFFNET_OK) describe_folder(*out, wanted, folder);
    }
    if (status != EFFNET_OK) {
        dataset_free(*out);
        *out = NULL;
    }
    name_list_free(&list);
    name_list_free(&files);
    name_list_free(&strange);
    return status;
}

/* ---- folders ---- */

/* The folder of ROOT that is the split `name`, by that very name or, where `loosely`, one that people give it (of
 * several the first by name); false where there is none. */
static bool find_split_folder(const char *root, const char *name, bool loosely, char *path, size_t size) {
    if (path_join(path, size, root, name, NULL) == EFFNET_OK && path_is_folder(path)) return true;
    DIR *stream = loosely ? opendir(root) : NULL;
    char best[NAME_MAX + 1] = "";
    if (!stream) return false;
    for (const struct dirent *item; (item = readdir(stream));)
        if (split_is_called(item->d_name, name) && (!*best || strcmp(item->d_name, best) < 0) &&
            path_join(path, size, root, item->d_name, NULL) == EFFNET_OK && path_is_folder(path))
            snprintf(best, sizeof best, "%s", item->d_name);
    closedir(stream);
    return *best && path_join(path, size, root, best, NULL) == EFFNET_OK;
}

static bool split_exists(const char *root, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        char path[PATH_BYTES], labels[PATH_BYTES];
        bool idx = false;
        if (find_split_folder(root, names[i], true, path, sizeof path)) return true;
        if (source_idx_find(root, names[i], path, labels, sizeof path, &idx, NULL) == EFFNET_OK && idx) return true;
    }
    return false;
}

/* Opens ROOT's split `name`, if there is such a one. */
static effnet_status open_split(const Wanted *wanted, const char *name, Dataset **out, bool *found, effnet_error *err) {
    char path[PATH_BYTES], labels[PATH_BYTES];
    TRY(source_idx_find(wanted->root, name, path, labels, sizeof path, found, err));
    if (*found) {
        TRY(source_idx_open(wanted->root, path, labels, out, err));
        describe_folder(*out, wanted, path);
        return EFFNET_OK;
    }
    *found = find_split_folder(wanted->root, name, !wanted->named, path, sizeof path);
    if (!*found) return EFFNET_OK;
    /* The training folder numbers the classes of every split: a class that has no validation pictures must not shift
     * the others. */
    char classes[PATH_BYTES];
    bool numbered = false;
    for (int i = 0; train_names[i] && !numbered; i++) {
        numbered = find_split_folder(wanted->root, train_names[i], true, classes, sizeof classes);
    }
    return open_split_folder(path, numbered ? classes : NULL, wanted, out, err);
}

static effnet_status open_folder(const Wanted *wanted, Dataset **out, effnet_error *err) {
    const char *root = wanted->root;
    bool found = false, training = wanted->split == SPLIT_TRAIN;
    for (int i = 0; wanted->names[i] && !found; i++) TRY(open_split(wanted, wanted->names[i], out, &found, err));
    if (found) return EFFNET_OK;
    NameList list = {0};
    effnet_status status = file_list_read(root, &list, err);
    if (status == EFFNET_OK) status = open_list(&list, wanted, out, &found, err);
    name_list_free(&list);
    if (status != EFFNET_OK || found) return status;
    if (wanted->named)
        return no_split(
            wanted,
            fail(err, EFFNET_ERROR_IO,
                 "the data folder '%s' has neither a folder '%s' nor '%s-images-idx3-ubyte[.gz]' nor a shard with "
                 "that in its name",
                 root, wanted->names[0], wanted->names[0]));
    if (split_exists(root, training ? validation_names : train_names))
        return no_split(wanted, fail(err, EFFNET_ERROR_IO,
                                     "the data folder '%s' has no %s pictures: wanted a folder or an IDX prefix %s",
                                     root, training ? "training" : "validation",
                                     training ? "'train' (or name one as train_split)"
                                              : "'val', 'validation', 'test' or 't10k' (or name one as val_split, or "
                                                "keep a share of the training pictures apart: val_split: 20%)"));
    TRY(source_folder_open(root, NULL, out, err));
    describe_folder(*out, wanted, root);
    *wanted->whole = true;
    return EFFNET_OK;
}

typedef struct Found {
    bool absent, whole; /* no such split; what knows of none */
} Found;

static effnet_status open_by_names(const char *root, DatasetSplit split, const char *split_name, Found *found,
                                   Dataset **out, effnet_error *err) {
    if (!root || !root[0])
        return fail(err, EFFNET_ERROR_ARGUMENT, "no data folder given: set 'data' in the recipe or use --data DIR");
    bool named = split_name && split_name[0], any;
    const char *given[2] = {split_name, NULL};
    const Wanted wanted = {.root = root,
                           .split = split,
                           .named = named,
                           .absent = &found->absent,
                           .whole = &found->whole,
                           .names = named                  ? given
                                    : split == SPLIT_TRAIN ? train_names
                                                           : validation_names};
    if (path_is_folder(root)) return open_folder(&wanted, out, err);
    NameList list = {0};
    effnet_status status = file_list_read(root, &list, err);
    if (status == EFFNET_OK) status = open_list(&list, &wanted, out, &any, err);
    const char *known = status == EFFNET_OK && !any && list.count ? file_kind_at(list.names[0]) : NULL;
    if (status == EFFNET_OK && !any)
        status = fail(err, EFFNET_ERROR_IO,
                      "'%s' is %s; wanted an effpack, TFRecord, tar, CIFAR's binary version, CSV, TSV or JSONL, "
                      "or a folder of class folders or of IDX files",
                      known ? list.names[0] : root, known ? known : "a file of no kind that is read");
    name_list_free(&list);
    return status;
}

static effnet_status open_data(const char *root, DatasetSplit split, const char *train_split, const char *val_split,
                               Found *found, Dataset **out, effnet_error *err) {
    static const SourcePart usual = {.share = 0.2};
    SourcePart part = usual;
    *out = NULL;
    bool given = val_split && source_part_is_meant(val_split), training = split == SPLIT_TRAIN;
    if (given && !source_part_of_text(val_split, &part))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "val_split is '%.40s'; allowed: the name of a folder or file, a share such as 20%%, or fold 2/5",
                    val_split);
    const bool all = given && part.share >= 1;
    TRY(open_by_names(root, given ? SPLIT_TRAIN : split, training || given ? train_split : val_split, found, out, err));
    if (all || (!given && split == SPLIT_EVALUATION && found->whole))
        dataset_tell(*out, "no split: all pictures are evaluated on, also those that were trained on if these were");
    if (!given && split == SPLIT_VALIDATION && found->whole && train_split && train_split[0]) {
        dataset_free(*out);
        *out = NULL;
        return fail(
            err, EFFNET_ERROR_IO,
            "'%s' has no pictures to evaluate on beside those of train_split: name others as val_split, or keep "
            "a share of the training pictures apart (val_split: 20%%)",
            root);
    }
    if (all || (!given && (!found->whole || split == SPLIT_EVALUATION))) return EFFNET_OK;
    effnet_status status = source_share(out, !training, &part, err);
    if (status != EFFNET_OK) {
        found->absent = !given && status == EFFNET_ERROR_ARGUMENT; /* too few to part */
        dataset_free(*out);
        *out = NULL;
    }
    return status;
}

effnet_status dataset_open_if_there(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                                    effnet_error *err) {
    Found found = {0};
    bool training = split == SPLIT_TRAIN;
    effnet_status status =
        open_data(root, split, training ? split_name : NULL, training ? NULL : split_name, &found, out, err);
    return found.absent ? EFFNET_OK : status;
}

effnet_status dataset_open_with(const char *root, DatasetSplit split, const char *train_split, const char *val_split,
                                Dataset **out, effnet_error *err) {
    Found found = {0};
    return open_data(root, split, train_split, val_split, &found, out, err);
}

effnet_status dataset_open(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                           effnet_error *err) {
    bool training = split == SPLIT_TRAIN;
    return dataset_open_with(root, split, training ? split_name : NULL, training ? NULL : split_name, out, err);
}

effnet_status datasets_open(const char *root, Dataset *splits[2], effnet_error *err) {
    effnet_error first = {0};
    splits[0] = splits[1] = NULL;
    TRY(dataset_open_if_there(root, SPLIT_TRAIN, NULL, &splits[0], err));
    if (!splits[0] && err) first = *err;
    TRY(dataset_open_if_there(root, SPLIT_VALIDATION, NULL, &splits[1], err));
    if (splits[0] || splits[1]) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "%s", first.message);
}
