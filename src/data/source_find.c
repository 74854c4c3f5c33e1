/* source_find.c - looks at what a user points at and tells which kind of source it is. */
#include "data/source.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>

enum { PATH_BYTES = SOURCE_PATH_BYTES };

static const char *const train_names[] = {"train", NULL};
static const char *const validation_names[] = {"val", "validation", "test", "t10k", NULL};

static bool split_exists(const char *root, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        char path[PATH_BYTES], labels[PATH_BYTES];
        bool idx = false;
        if (path_join(path, sizeof path, root, names[i], NULL) == EFFNET_OK && path_is_folder(path)) return true;
        if (source_idx_find(root, names[i], path, labels, sizeof path, &idx, NULL) == EFFNET_OK && idx) return true;
    }
    return false;
}

/* Opens ROOT's split `name`, if there is such a one. */
static effnet_status open_split(const char *root, const char *name, Dataset **out, bool *found, effnet_error *err) {
    char path[PATH_BYTES], labels[PATH_BYTES];
    TRY(source_idx_find(root, name, path, labels, sizeof path, found, err));
    if (*found) return source_idx_open(root, path, labels, out, err);
    TRY(path_join(path, sizeof path, root, name, err));
    *found = path_is_folder(path);
    if (!*found) return EFFNET_OK;
    /* The training folder numbers the classes of every split: a class that has no validation pictures must not shift
     * the others. */
    char classes[PATH_BYTES];
    TRY(path_join(classes, sizeof classes, root, "train", err));
    return source_folder_open(path, path_is_folder(classes) ? classes : NULL, out, err);
}

effnet_status dataset_open(const char *root, DatasetSplit split, const char *split_name, Dataset **out,
                           effnet_error *err) {
    *out = NULL;
    if (!root || !root[0])
        return fail(err, EFFNET_ERROR_ARGUMENT, "no data folder given: set 'data' in the recipe or use --data DIR");
    if (!path_exists(root))
        return fail(err, EFFNET_ERROR_IO, "cannot open the data folder '%s': %s", root, strerror(errno));
    if (!path_is_folder(root))
        return fail(err, EFFNET_ERROR_IO, "'%s' is a file; wanted a folder of class folders or of IDX files", root);
    bool named = split_name && split_name[0];
    const char *given[2] = {split_name, NULL};
    const char *const *names = named ? given : split == SPLIT_TRAIN ? train_names : validation_names;
    for (int i = 0; names[i]; i++) {
        bool found = false;
        TRY(open_split(root, names[i], out, &found, err));
        if (found) return EFFNET_OK;
    }
    if (named)
        return fail(err, EFFNET_ERROR_IO,
                    "the data folder '%s' has neither a folder '%s' nor '%s-images-idx3-ubyte[.gz]'", root, split_name,
                    split_name);
    if (split == SPLIT_TRAIN ? split_exists(root, validation_names) : split_exists(root, train_names))
        return fail(err, EFFNET_ERROR_IO,
                    "the data folder '%s' has no %s pictures: wanted a folder or an IDX prefix %s", root,
                    split == SPLIT_TRAIN ? "training" : "validation",
                    split == SPLIT_TRAIN ? "'train' (or name one as train_split)"
                                         : "'val', 'validation', 'test' or 't10k' (or name one as val_split)");
    return source_folder_open(root, NULL, out, err);
}
